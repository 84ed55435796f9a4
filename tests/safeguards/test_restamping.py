"""Safeguard: replayed operations are stamped anew in the journal before the first save that carries them."""

from __future__ import annotations

from simulator.faults import Hang, Latency
from simulator.world import World
from tests.safeguards.journal_variants import OldStamps, application_on
from tests.safeguards.variants import begun, deaths_after, judged_after_a_restart


async def killed_after_its_first_save(world: World) -> None:
    """One process leaves three deaths in the journal, the next one saves them and dies before it is told so."""
    await begun(world)
    world.break_database(Hang())
    assert await world.ask("mod", "!count deaths +3") == "deaths: 3"
    world.crash_bot()
    world.heal()
    world.break_database(Latency(ms=200))
    world.start_bot()
    await world.joined()
    await world.until(lambda: world.counter("lobby", "deaths") == 3)
    await judged_after_a_restart(world)


def test_the_third_process_sees_that_the_row_has_them() -> None:
    """With new stamps the journal names them as the database does."""
    assert deaths_after(killed_after_its_first_save) == 3


def test_without_it_they_count_twice() -> None:
    """Without them the row seems to be somebody else's work."""
    assert deaths_after(killed_after_its_first_save, without=application_on(OldStamps)) == 6
