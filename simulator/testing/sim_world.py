"""A world for one test: Byte Bot, with components of your own, on the fakes, in virtual time.

    async def test_deaths_survive_a_crash(sim_world):
        assert await sim_world.ask("mod", "!death lava") == "Deaths: 1"
        sim_world.crash()                     # as kill -9
        await sim_world.restart()             # a new process, the same disk
        assert await sim_world.ask("mod", "!death ice") == "Deaths: 2"

The bot is in its channels when the test begins. `WorldPlan` says what the world is made of: components are module names, as in
`COMPONENTS`, or classes, of which every process of the bot gets an object of its own (a component's memory ends with its process).

When the test has passed and a bot runs, everything is healed and the bot must get well as after every simulated night: saved and
connected again within the promised time, database, memory and what viewers were told in agreement. What is broken then, or was at any
second before, fails the test in the invariant's words. `judge=False` leaves the end as it is, for a test that ends in a state in which a
human has to act (a table dropped, a grant revoked). A bot that the test has stopped or killed is not judged. One that has ended by itself
with an error (fenced, its login refused) fails the test, and one that has ended by itself in order is told by a warning.

Verbs that take time are awaited; those that happen at an instant are not. `world` is the whole `simulator.world.World`.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard, cast

from byte_bot.app import Application, Surroundings
from byte_bot.components.api import Component
from byte_bot.errors import ExitCode
from byte_bot.settings import Settings
from simulator.conversation import StoryError
from simulator.errors import SimulatorError
from simulator.faults import Fault
from simulator.invariants import Invariant
from simulator.invariants.standard import night_invariants, standard_invariants
from simulator.report import Line
from simulator.scenario import DEFAULT_CHANNELS, DiskLatency, Scenario
from simulator.testing.errors import NothingJudged, NotYet
from simulator.testing.ground import Check, Ground
from simulator.world import STOP_S, Network, Transport, World, implied_network

ComponentClass = type[Component]
#: From its start the bot is in its channels within this, unless something is wrong with them (virtual seconds).
JOIN_S: Final = 60.0
_IF_MEANT: Final = "if that is what the test is about: sim(judge=False)"


class PlanError(SimulatorError):
    """A world that cannot be built as it was asked for; the message says what is allowed."""


@dataclass(frozen=True)
class WorldPlan:
    """What a test's world is made of.

    `components` are module names or component classes; `settings` the bot's, by field name; `faults` act from the start of the world, on its
    timeline; `start` says whether the bot is started, `judge` whether the end is judged, `supervised` whether a handler that fails (which
    the bot survives, logs and counts) fails the test. The others are those of `Scenario`, and of `simulate`.
    """

    components: tuple[str | ComponentClass, ...] = ()
    channels: tuple[str, ...] = DEFAULT_CHANNELS
    settings: Mapping[str, Any] = field(default_factory=dict)
    listed: tuple[str, ...] | None = None
    fixed: tuple[str, ...] = ()
    moderated: bool = True
    verified: bool = True
    faults: tuple[Fault, ...] = ()
    disk: str = "kept"
    disk_latency: DiskLatency | None = None
    latency_ms: float = 10.0
    transport: Transport = "irc"
    network: Network | None = None
    start: bool = True
    judge: bool = True
    supervised: bool = True

    def __post_init__(self) -> None:
        for name in ("components", "channels", "listed", "fixed", "faults"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, list | tuple | None):
                raise PlanError(f"{name} is a list or a tuple, got {value!r}")
            if value is not None:
                object.__setattr__(self, name, tuple(value))
        for component in self.components:
            if not isinstance(component, str) and not (
                inspect.isclass(component) and issubclass(component, Component)
            ):
                raise PlanError(
                    f"components are names of modules or classes of components, got {component!r}; of an object give the class, since a "
                    "bot that was started again needs a new one"
                )
        if not self.channels:
            raise PlanError("channels: a world needs one at least")

    @property
    def over(self) -> Network:
        """The network: what was asked for, or what the transport needs."""
        return self.network or implied_network(self.transport)

    def scenario(self) -> Scenario:
        """The same as a scenario."""
        modules = tuple(one for one in self.components if isinstance(one, str))
        return Scenario(
            "test",
            "a test of somebody's",
            channels=self.channels,
            listed=self.listed,
            fixed=self.fixed,
            moderated=self.moderated,
            verified=self.verified,
            faults=self.faults,
            settings={"components": modules, **self.settings} if modules else self.settings,
            disk=self.disk,
            disk_latency=self.disk_latency,
            latency_ms=self.latency_ms,
        )

    def application(self, settings: Settings, surroundings: Surroundings) -> Application:
        """A bot with the component classes beside what its settings name."""
        return _Application(
            settings, surroundings, tuple(one for one in self.components if not isinstance(one, str))
        )


class _Application(Application):
    def __init__(
        self, settings: Settings, surroundings: Surroundings, extra: tuple[ComponentClass, ...]
    ) -> None:
        super().__init__(settings, surroundings)
        self._extra = extra

    async def _load_components(self) -> None:
        await super()._load_components()
        for cls in self._extra:
            await self.bot.add_component(cls())


class SimWorld:
    """The fixture `sim_world`; see the module's docstring."""

    order = 0

    def __init__(self, plan: WorldPlan, invariants: tuple[Invariant | Check, ...] = ()) -> None:
        self.plan = plan
        self._own = invariants
        self._world: World | None = None
        self._ground: Ground | None = None

    @property
    def sockets(self) -> bool:
        """Whether it stands on loopback ports."""
        return self.plan.over == "tcp"

    @asynccontextmanager
    async def standing(self, ground: Ground) -> AsyncIterator[None]:
        """The fakes stand, the bot is in its channels (unless it is not to be started), while entered."""
        plan = self.plan
        world = World(
            plan.scenario(),
            ground.seed,
            network=plan.over,
            transport=plan.transport,
            application=plan.application,
            invariants=(
                *(night_invariants() if plan.supervised else standard_invariants()),
                *(one for one in self._own if _is_invariant(one)),
            ),
        )
        ground.adopt(
            trace=world.trace,
            board=world.faults,
            violations=world.violations,
            set_fault=world.break_database,
            heal=world.heal,
        )
        ground.listen(world.twitch)
        ground.supabase, ground.bot_login = world.supabase, world.bot_login
        async with world.standing():
            self._world, self._ground = world, ground
            try:
                for one in self._own:
                    if not _is_invariant(one):
                        ground.watch(cast("Check", one), self)
                if plan.start:
                    await self.start()
                yield
            finally:
                self._world = self._ground = None

    async def judged(self) -> None:
        """Heal, let the bot get well, and let every invariant look, if a bot runs and the plan wants it."""
        world = self.world
        if not self.plan.judge:
            return
        if not (world.bot_runs or world.bot.restarting):
            self._look_at_end()
            return
        world.heal()
        await world.until(lambda: not world.bot.restarting, STOP_S, "the end of a restart")
        # As in a night: of two instances one goes, and what it has left is reckoned before anybody judges.
        await world.bot.end_rivalry()
        await world.converge()
        await world.returned()
        world.judge()

    def _look_at_end(self) -> None:
        """No bot runs: who was killed or stopped by the test passes; of one that has ended by itself the test must know."""
        last = self.world.bot.last
        if last is None or not last.ended_by_itself:
            return
        if last.code is ExitCode.OK:
            warnings.warn(
                f"the bot ended by itself, in order (exit code 0), so this end was not judged; {_IF_MEANT}",
                NothingJudged,
                stacklevel=2,
            )
        else:
            how = "of an error" if last.code is None else f"as {last.code.name}, exit code {last.code.value}"
            self.world.violated("running", f"the bot ended by itself, {how}; {_IF_MEANT}")

    @property
    def world(self) -> World:
        """The whole world; raises `NotYet` outside of the test."""
        if self._world is None:
            raise NotYet("sim_world can be used while the test runs, and by its asynchronous fixtures")
        return self._world

    # ── people ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, login: str, text: str, *, channel: str = "", within_s: float = 5.0) -> str:
        """Somebody says this and waits for the bot's reply to it, or the next thing it says there; its text.

        ``mod`` is a moderator, others are viewers. The default channel is the first. Raises `StoryError` without a reply.
        """
        return await self.world.ask(login, text, channel=channel, within_s=within_s)

    def say(self, login: str, text: str, *, channel: str = "") -> str:
        """Somebody says this; the message's id."""
        return self.world.say(login, text, channel=channel)

    @property
    def transcript(self) -> tuple[Line, ...]:
        """What the bot has said, in order."""
        return self.world.transcript

    # ── the bot's process ────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Start the bot and wait until it is in its channels."""
        self.world.start_bot()
        await self.joined()

    def crash(self) -> None:
        """``kill -9``: nothing of the process runs again; what its disk holds stays (unless the plan says otherwise)."""
        self._expect_running("crash")
        self.world.crash_bot()

    def cut_power(self) -> None:
        """The machine dies; what was not synced to its disk may be lost."""
        self._expect_running("cut_power")
        self.world.cut_power()

    async def stop(self) -> ExitCode | None:
        """SIGTERM: stop in order; the exit code, None if a fault has killed it meanwhile."""
        return await self.world.stop_bot()

    async def restart(self) -> None:
        """Stop in order, if it runs, start again, and wait until the bot is in its channels."""
        if self.world.bot_runs:
            await self.world.restart_bot()
        else:
            self.world.start_bot()
        await self.joined()

    async def joined(self, *channels: str, within_s: float = JOIN_S) -> None:
        """Wait until the bot is in these channels (default: all that it is to be in)."""
        plan = self.plan
        listed = plan.channels if plan.listed is None else plan.listed
        wanted = channels or tuple(one for one in plan.channels if one in (*listed, *plan.fixed))
        await self.world.joined(*wanted, within_s=within_s)

    async def until(self, condition: Callable[[], bool], within_s: float = 30.0, what: str = "") -> None:
        """Wait until this is true; raises `StoryError` after so many virtual seconds."""
        await self.world.until(condition, within_s, what)

    async def saved(self) -> None:
        """Heal everything, and wait until what was said is in the database; too late (P6) is a violation."""
        self.world.heal()
        await self.world.converge()

    # ── the database ─────────────────────────────────────────────────────────────────────────────────────────────

    def stored(self, key: str = "", *, channel: str = "", table: str = "component_state") -> Any:
        """What the database holds of a channel: the state with this key, or (``table="channel_state"``) its row; None: nothing."""
        world = self.world
        return world.stored(table, world.channels[channel or self.plan.channels[0]], key)

    # ── watching ─────────────────────────────────────────────────────────────────────────────────────────────────

    def watch(self, check: Check) -> None:
        """From now on this function, which gets this object and asserts, must hold at every virtual second and at the end."""
        _ = self.world
        assert self._ground is not None, "there while the world is"
        self._ground.watch(check, self)

    def record(self, kind: str, **fields: Any) -> None:
        """Add an event of your own to the trace: two runs of one seed are then compared by it too."""
        self.world.trace.record(kind, **fields)

    def _expect_running(self, verb: str) -> None:
        if not self.world.bot_runs:
            raise StoryError(f"{verb}: no bot runs; start() or restart() first")


def _is_invariant(one: Invariant | Check) -> TypeGuard[Invariant]:
    """Whether this is an object with the methods of an invariant, and not a function that asserts."""
    return all(hasattr(one, name) for name in ("started", "sampled", "converged"))
