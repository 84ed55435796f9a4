"""A second bot is started on the same database by mistake."""

from __future__ import annotations

import asyncio

from byte_bot.errors import ExitCode
from simulator.scenario import Scenario
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
