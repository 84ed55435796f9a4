"""A context is made and changed before the main loop is bound."""

from __future__ import annotations

from byte_bot.app import Application, Surroundings
from byte_bot.context.stream_context import StreamContext
from byte_bot.settings import Settings
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.scenarios.places import Place


def test_a_context_made_before_the_loop_runs_loads_and_saves(place: Place) -> None:
    """What was changed early is saved, and what was stored is loaded underneath it."""
    channel_ids: list[str] = []

    def early(settings: Settings, surroundings: Surroundings) -> Application:
        application = Application(settings, surroundings)
        context = application.manager.obtain(channel_ids[0])
        context.state(StreamContext).current_game = "Early Game"
        context._touch()
        return application

    async def story(world: World) -> None:
        channel_ids.append(world.channels["lobby"])
        world.supabase.human_insert(
            "channel_state",
            {"channel_id": channel_ids[0], "version": 1, "data": {"vibe": "stored vibe"}, "tombstones": {}},
        )
        world.start_bot()
        await world.joined()
        await world.until(
            lambda: (world.stored("channel_state", channel_ids[0]) or {}).get("current_game") == "Early Game"
        )
        assert world.stored("channel_state", channel_ids[0])["vibe"] == "stored vibe"
        assert "Early Game" in await world.ask("viewer", "!game")
        assert "stored vibe" in await world.ask("viewer", "!vibe")

    play(story, Scenario("early", "a context before the loop"), **place, application=early)
