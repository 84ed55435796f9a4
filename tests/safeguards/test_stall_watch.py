"""Safeguard: the watch over commits. A disk that hangs degrades the journal after a second; chat does not wait for it."""

from __future__ import annotations

from byte_bot.persistence.journal import STALL_S
from simulator.faults import SlowSync
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.safeguards.journal_variants import PatientJournal
from tests.safeguards.variants import application_with

STORY = Scenario("hanging_disk", "a commit takes eight seconds", fixed=("lobby",))
SYNC_S = 8.0


async def reply_after_s(world: World) -> float:
    """How long a viewer waits for a reply whose commit hangs."""
    world.start_bot()
    await world.joined()
    await world.until(world.drained)
    world.break_disk(SlowSync(sync_s=SYNC_S))
    asked_at_s = world.loop.time()
    assert await world.ask("mod", "!count deaths +1", within_s=2 * SYNC_S) == "deaths: 1"
    return world.loop.time() - asked_at_s


def test_a_reply_waits_for_a_hanging_disk_no_longer_than_the_watch() -> None:
    """With it the reply leaves ungated, which is announced and counted."""

    async def story(world: World) -> None:
        assert STALL_S <= await reply_after_s(world) < STALL_S + 0.5
        assert world.app is not None
        assert world.app.layer.journal.degraded
        assert world.app.layer.journal.ungated_replies == 1

    play(story, STORY)


def test_without_it_chat_waits_for_the_disk() -> None:
    """And nobody is told that it hangs."""

    async def story(world: World) -> None:
        assert await reply_after_s(world) >= SYNC_S
        assert world.app is not None
        assert not world.app.layer.journal.degraded

    patient = application_with(lambda application: application.layer.journal, PatientJournal)
    play(story, STORY, strict=False, application=patient)
