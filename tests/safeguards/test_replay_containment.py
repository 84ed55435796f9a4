"""Safeguard: containment. What a base already has is not put on it again when the journal is replayed."""

from __future__ import annotations

from simulator.faults import CommitThenDrop
from simulator.world import World
from tests.safeguards.row_variants import StamplessRow, layer_of
from tests.safeguards.variants import application_with, begun, deaths_after, judged_after_a_restart


async def killed_between_a_save_and_its_answer(world: World) -> None:
    """The database has a change, its answer is lost, and the process dies before it is told."""
    await begun(world)
    world.break_database(CommitThenDrop())
    assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
    await world.until(lambda: world.counter("lobby", "deaths") == 1)
    await judged_after_a_restart(world)


def test_the_replay_sees_that_the_row_has_it() -> None:
    """With containment the change counts once."""
    assert deaths_after(killed_between_a_save_and_its_answer) == 1


def test_without_it_the_replay_counts_twice() -> None:
    """Without it viewers were told of one death, and there are two."""
    forgetful = application_with(lambda application: application.layer, layer_of(StamplessRow))
    assert deaths_after(killed_between_a_save_and_its_answer, without=forgetful) == 2
