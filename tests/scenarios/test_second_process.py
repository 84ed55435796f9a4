"""A second bot is started on the same database by mistake."""

from __future__ import annotations

import asyncio
import json

from byte_bot.errors import ExitCode
from simulator.scenario import Scenario
from simulator.supabase.wire import Request
from simulator.world import Network, World, play


def test_the_newer_process_fences_the_older_one(network: Network) -> None:
    """The first process finds a higher epoch at its next save, stops confirming and exits with a code of its own."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +10")
        await world.until(world.drained)
        second = asyncio.create_task(world.start_second_bot(), name="second")
        assert world.app is not None
        app = world.app
        await world.until(lambda: world.supabase.rows("bot_writer")[0]["epoch"] == 2, 20)
        world.say("mod", "!count deaths +1")
        await world.until(lambda: not world.bot_runs, 20)
        assert world.exit_codes == [ExitCode.FENCED]
        assert app.layer.epoch == 1
        second.cancel()
        await asyncio.wait([second])
        assert all(row["epoch"] in (1, 2) for row in world.supabase.rows("component_state"))

    play(story, Scenario("second", "two instances"), network=network)


def test_a_call_of_its_own_that_arrives_late_fences_nobody(network: Network) -> None:
    """A `byte_bot_take_epoch` that was given up, or sent by a crashed process, may still be carried out: no rival."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +1")
        await world.until(world.drained)
        assert world.app is not None
        late = take_epoch(world, world.app.layer.holder)
        assert await world.ask("mod", "!count deaths +1") == "deaths: 2"
        await world.until(world.drained)
        await world.until(lambda: world.counter("lobby", "deaths") == 2)
        assert world.bot_runs
        assert world.app.layer.epoch > late
        world.judge()

    play(story, Scenario("late_epoch", "a late call"), network=network)


def take_epoch(world: World, holder: str) -> int:
    """Carry out `byte_bot_take_epoch` now, as if a request from earlier arrived; the epoch it took."""
    request = Request(
        "POST",
        "/rest/v1/rpc/byte_bot_take_epoch",
        "",
        {"apikey": world.supabase.secret_key, "content-type": "application/json"},
        json.dumps({"p_holder": holder, "p_seen": 0}).encode(),
    )
    response = world.supabase.execute(request)
    assert response.status == 200, response.body
    return int(response.body)
