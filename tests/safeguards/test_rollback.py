"""Safeguard: rollback. A handler that fails has done nothing."""

from __future__ import annotations

from byte_bot.app import Application, Surroundings
from byte_bot.components.api import Component, Context, command
from byte_bot.components.counters import Counters
from byte_bot.context.channel import ChannelContext
from byte_bot.context.manager import ContextManager
from byte_bot.settings import Settings
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.safeguards.variants import become, broken

STORY = Scenario("failing", "a component fails in the middle of a change")


class Failing(Component):
    """Changes a counter, and fails before it says so."""

    @command(role="moderator")
    async def spoil(self, ctx: Context) -> None:
        """Count a hundred, then break."""
        ctx.state(Counters).values["deaths"] = 100
        raise RuntimeError("a defect of a component")


class StubbornContext(ChannelContext):
    """Keeps what was changed, whatever became of the handler."""

    __slots__ = ()

    def rollback(self) -> None:
        """Undo nothing."""


class StubbornManager(ContextManager):
    """Holds stubborn contexts."""

    def obtain(self, channel_id: str, login: str = "") -> ChannelContext:
        """The context, made stubborn."""
        context = super().obtain(channel_id, login)
        if not isinstance(context, StubbornContext):
            become(context, StubbornContext)
        return context


class FailingApplication(Application):
    """A bot with the failing component in it."""

    async def run(self):  # type: ignore[no-untyped-def]
        """Register the component, then run."""
        await self.bot.add_component(Failing())
        return await super().run()


def without_rollback(settings: Settings, surroundings: Surroundings) -> Application:
    """A bot with the failing component, and contexts that roll nothing back."""
    application = FailingApplication(settings, surroundings)
    become(application.manager, StubbornManager)
    return application


async def a_handler_fails(world: World) -> str:
    """A counter is at 1, a handler fails in the middle of a change, the counter is used again; what the bot says."""
    world.start_bot()
    await world.joined()
    assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
    world.say("mod", "!spoil")
    answer = await world.ask("mod", "!count deaths +1")
    await world.until(world.drained)
    world.judge()
    return answer


def test_it_undoes_what_a_failing_handler_changed() -> None:
    """With rollback the failing handler has changed nothing, in chat and in the database."""

    async def story(world: World) -> None:
        assert await a_handler_fails(world) == "deaths: 2"
        assert world.counter("lobby", "deaths") == 2

    play(story, STORY, application=FailingApplication)


def test_without_it_half_a_change_is_saved() -> None:
    """Without rollback a change that nobody was told of ends up in the database."""

    async def story(world: World) -> None:
        assert await a_handler_fails(world) == "deaths: 101"
        assert world.counter("lobby", "deaths") == 101
        assert broken(world) == ["agreement", "remembers"]

    play(story, STORY, strict=False, application=without_rollback)
