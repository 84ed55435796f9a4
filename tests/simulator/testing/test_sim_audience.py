"""Crowds in a test: from now, beside it, the same for the same seed."""

from __future__ import annotations

import asyncio

import pytest

from simulator.audience import Chatter, CommandStorm, Raid
from simulator.loop import current_loop
from simulator.testing.errors import NotHere, NotYet
from simulator.testing.fake_twitch import FakeTwitch
from simulator.testing.sim_audience import SimAudience
from simulator.testing.sim_world import SimWorld, WorldPlan
from tests.simulator.testing.nights import play


def test_a_crowd_chats_beside_the_test_from_now_on() -> None:
    """It can be waited for, and one without an end ends with the test."""
    twitch, audience = FakeTwitch(), SimAudience()

    async def test() -> None:
        twitch.add_channel("lobby")
        audience.add(Chatter("lobby", rate_per_s=1))
        await asyncio.sleep(100)
        before = audience.lines_said
        assert before > 50
        await audience.add(Raid("lobby", at_s=0, viewers=40, duration_s=10))
        assert 105 < current_loop().time() <= 110
        assert audience.lines_said >= before + 40

    play(test, twitch, audience)


def test_a_crowd_says_the_same_for_the_same_seed() -> None:
    """And another for another."""

    def texts(seed: int) -> list[tuple[float, str, str]]:
        twitch, audience = FakeTwitch(), SimAudience()
        said: list[tuple[float, str, str]] = []

        async def test() -> None:
            twitch.add_channel("lobby")
            twitch.state.on_message(lambda line: said.append((line.at_s, line.login, line.text)))
            await audience.add(Chatter("lobby", rate_per_s=2), duration_s=10)

        play(test, twitch, audience, seed=seed)
        return said

    assert texts(1) == texts(1) != texts(2)


def test_a_worlds_bot_hears_the_crowd() -> None:
    """Its commands are answered, and the world's invariants look at them."""
    world, audience = SimWorld(WorldPlan()), SimAudience()

    async def test() -> None:
        await audience.add(CommandStorm("lobby", rate_per_s=1, commands=("!count deaths +1",)), duration_s=5)
        await world.saved()
        told = await world.ask("mod", "!count deaths")
        assert told == f"deaths: {audience.lines_said}"

    play(test, world, audience)


def test_without_a_chat_there_is_nobody_to_speak_to() -> None:
    """The words name the fixtures that have one."""

    async def test() -> None:
        pass

    with pytest.raises(NotHere, match="sim_world or fake_twitch"):
        play(test, SimAudience())
    with pytest.raises(NotYet, match="sim_audience can be used while the test runs"):
        SimAudience().add(Raid("lobby", at_s=0, viewers=1))
