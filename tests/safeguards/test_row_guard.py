"""Safeguard: the database's row guard. A save that was long on its way must not put a row back."""

from __future__ import annotations

import asyncio
from functools import partial

from simulator.faults import Latency
from simulator.scenario import Scenario
from simulator.supabase.functions import save
from simulator.world import World, play
from tests.safeguards.variants import broken

#: Half of it passes before the execution: the bot gives the save up after 5 s, and 12 s after it was sent it arrives.
LATE = Latency(ms=24_000, late_probability=1.0)
STORY = Scenario("late_save", "an old save arrives after newer ones")


async def an_old_save_arrives_late(world: World) -> None:
    """Deaths go from 1 to 3 and are saved; then the save that said 1 arrives once more."""
    world.start_bot()
    await world.joined()
    await world.until(world.drained)
    world.break_database(LATE)
    await world.ask("mod", "!count deaths +1")
    await world.until(lambda: world.meter.saves_now == 1)
    sent_at_s = world.loop.time()
    world.heal()
    await world.until(lambda: world.counter("lobby", "deaths") == 1, 10, "the save repeated")
    await world.ask("mod", "!count deaths +2")
    await world.until(lambda: world.counter("lobby", "deaths") == 3)
    assert world.loop.time() < sent_at_s + 12, "the old save must still be on its way"
    await asyncio.sleep(sent_at_s + 12.1 - world.loop.time())
    await world.converge()
    world.judge()


def test_it_keeps_the_newer_row() -> None:
    """With the guard the late save is refused, and nobody notices it."""

    async def story(world: World) -> None:
        await an_old_save_arrives_late(world)
        assert world.counter("lobby", "deaths") == 3
        assert world.supabase.saves[-1].refused > 0, "the late save did arrive"

    play(story, STORY)


def test_without_it_a_late_save_puts_a_row_back() -> None:
    """Without the guard the row goes back, the database disagrees with RAM and with what viewers were told."""

    async def story(world: World) -> None:
        world.supabase.replace_function("byte_bot_save", partial(save, row_guard=False))
        await an_old_save_arrives_late(world)
        assert world.counter("lobby", "deaths") == 1
        assert broken(world) == ["agreement", "newest_wins"]

    play(story, STORY, strict=False)
