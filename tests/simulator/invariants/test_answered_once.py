"""A second answer to the same message is seen."""

from __future__ import annotations

from msgspec.structs import replace

from simulator.invariants.answered_once import AnsweredOnce
from simulator.world import World
from tests.simulator.invariants.broken_worlds import watched, working_bot


def test_a_working_bot_breaks_nothing() -> None:
    """One answer each, also to equal commands."""

    async def story(world: World) -> None:
        await working_bot(world)
        await world.ask("mod", "!count deaths +1")

    assert watched(story, AnsweredOnce()) == []


def test_a_second_answer_is_seen() -> None:
    """The same message answered twice, whatever the words."""

    async def story(world: World) -> None:
        await working_bot(world)
        answer = next(sent for sent in world.twitch.transcript if sent.login == world.bot_login)
        world.twitch.transcript.append(replace(answer, id="another", text="deaths: 2"))

    words = watched(story, AnsweredOnce())
    assert len(words) == 1
    assert "was answered 2 times" in words[0]
