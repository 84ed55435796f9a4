"""Safeguard: boundaries. What a save on its way carries is kept apart from what chat does after it."""

from __future__ import annotations

from simulator.faults import CommitThenDrop
from simulator.world import World
from tests.safeguards.journal_variants import NoBoundaries, application_on
from tests.safeguards.variants import begun, deaths_after, judged_after_a_restart


async def killed_after_a_change_behind_a_save(world: World) -> None:
    """The database has one death and its answer is lost; a second death is told of, and the process dies."""
    await begun(world)
    world.break_database(CommitThenDrop())
    assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
    await world.until(lambda: world.counter("lobby", "deaths") == 1)
    assert await world.ask("mod", "!count deaths +1") == "deaths: 2"
    assert world.counter("lobby", "deaths") == 1, "until it is answered the same content is sent again"
    await judged_after_a_restart(world)


def test_the_replay_puts_only_the_second_change_on_the_row() -> None:
    """With boundaries the journal has two adds, and the row is seen to contain the first."""
    assert deaths_after(killed_after_a_change_behind_a_save) == 2


def test_without_them_the_change_that_was_saved_counts_twice() -> None:
    """Without them the journal has made one add of the two, under the stamp of the second."""
    assert deaths_after(killed_after_a_change_behind_a_save, without=application_on(NoBoundaries)) == 3
