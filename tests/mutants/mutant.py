"""What a planted bug is, and how one is built.

How it works. A :class:`Mutant` says how it is built and which invariants may be the first to notice it. Nearly all are factories of
applications: a part of the shipped application becomes a variant (`tests/safeguards/variants.py`), a class with a few words of one
method changed (`tests/safeguards/altered.py`), or gets another store. Three are in the database, whose functions belong to the bot:
there a hand in the world (:class:`Sabotage`) replaces the function before anybody asks for it.

Nothing of the bot is bent for this, and a mutant whose place in the source has moved fails when it is built.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from byte_bot.app import Application, Surroundings
from byte_bot.chat.irc.session import IrcSession
from byte_bot.context.manager import EVICTION_PERIOD_S
from byte_bot.errors import Fenced
from byte_bot.persistence.layer import PersistenceLayer
from byte_bot.persistence.row import Row
from byte_bot.persistence.writer import Writer
from byte_bot.settings import Settings
from simulator.faults import (
    Crash,
    Fault,
    PowerCut,
    Restart,
    TwitchDisconnect,
    TwitchHalfOpen,
    TwitchReconnect,
)
from simulator.invariants import Invariant
from simulator.invariants.standard import night_invariants
from simulator.search.plan import SearchPlan
from simulator.supabase.functions import save
from simulator.world import ApplicationFactory, World
from tests.safeguards.altered import altered
from tests.safeguards.row_variants import EagerRow, layer_of
from tests.safeguards.variants import application_with, become

# ── nights ───────────────────────────────────────────────────────────────────────────────────────────────────────────

Needs = Callable[[SearchPlan], bool]


def any_night(plan: SearchPlan) -> bool:
    """Whatever happens in it."""
    return True


def with_faults(*kinds: type[Fault]) -> Needs:
    """A night with a fault of one of these kinds."""
    return lambda plan: any(isinstance(fault, kinds) for fault in plan.scenario.faults)


def with_all(*needs: Needs) -> Needs:
    """A night that is all of these."""
    return lambda plan: all(need(plan) for need in needs)


def with_outage(plan: SearchPlan) -> bool:
    """A night in which the database is in trouble."""
    return any(fault.family == "database" and not fault.instant for fault in plan.scenario.faults)


def with_death(plan: SearchPlan) -> bool:
    """A night in which the process dies, and another one takes over what it left."""
    return with_faults(Crash, PowerCut)(plan)


def with_two_deaths(plan: SearchPlan) -> bool:
    """A night in which what one process left is saved by a second and found by a third."""
    return sum(isinstance(fault, Crash | PowerCut | Restart) for fault in plan.scenario.faults) > 1


def with_trouble_at_the_disk(plan: SearchPlan) -> bool:
    """A night in which commits fail, or take their time."""
    return plan.scenario.disk_latency is not None or any(
        fault.family == "disk" for fault in plan.scenario.faults
    )


def with_lost_connection(plan: SearchPlan) -> bool:
    """A night in which Twitch ends the bot's connection."""
    return with_faults(TwitchDisconnect, TwitchHalfOpen, TwitchReconnect)(plan)


def with_eviction(plan: SearchPlan) -> bool:
    """A night in which idle channels leave memory."""
    return (
        plan.scenario.duration_s > EVICTION_PERIOD_S
        and plan.scenario.settings["context_idle_s"] < EVICTION_PERIOD_S
    )


# ── mutants ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Mutant:
    """One planted bug: what is wrong, how the bot is built, and which invariants may notice it first."""

    summary: str
    invariants: frozenset[str]
    application: ApplicationFactory = Application
    #: What is done to a world before its bot starts.
    sabotage: Callable[[World], None] | None = None
    #: The nights that could notice it at all; the hunt passes over the others, which saves most of its time.
    needs: Needs = any_night

    def judges(self) -> tuple[Invariant, ...]:
        """The invariants of a search, and a hand in the world if this mutant needs one."""
        standard = night_invariants()
        return standard if self.sabotage is None else (Sabotage(self.sabotage), *standard)


class Sabotage:
    """Stands among the invariants, since they are told when the fakes stand; it reports nothing."""

    name = "sabotage"

    def __init__(self, sabotage: Callable[[World], None]) -> None:
        self._sabotage = sabotage

    def started(self, world: World) -> None:
        """Do it."""
        self._sabotage(world)

    def sampled(self, world: World) -> None:
        """Nothing."""

    def converged(self, world: World) -> None:
        """Nothing."""


def in_the_bot(
    summary: str,
    application: ApplicationFactory,
    *invariants: str,
    needs: Needs = any_night,
) -> Mutant:
    """A mutant that is another application."""
    return Mutant(summary, frozenset(invariants), application, needs=needs)


def in_the_database(summary: str, guard: str, *invariants: str, needs: Needs = any_night) -> Mutant:
    """A mutant whose database has a save function without this guard."""

    def replace_function(world: World) -> None:
        world.supabase.replace_function("byte_bot_save", partial(save, **{guard: False}))

    return Mutant(summary, frozenset(invariants), sabotage=replace_function, needs=needs)


# ── parts of an application ──────────────────────────────────────────────────────────────────────────────────────────


def with_bot(variant: type) -> ApplicationFactory:
    """The shipped bot with another :class:`~byte_bot.bot.Bot`."""
    return application_with(lambda made: made.bot, variant)


def with_writer(variant: type) -> ApplicationFactory:
    """The shipped bot with another writer."""
    return application_with(lambda made: made.layer.writer, variant)


def with_journal(variant: type) -> ApplicationFactory:
    """The shipped bot with another journal, on the same store."""
    return application_with(lambda made: made.layer.journal, variant)


def with_layer(variant: type) -> ApplicationFactory:
    """The shipped bot with another persistence layer."""
    return application_with(lambda made: made.layer, variant)


def with_rows(variant: type[Row]) -> ApplicationFactory:
    """The shipped bot with other rows."""
    return with_layer(layer_of(variant))


def with_breaker(variant: type) -> ApplicationFactory:
    """The shipped bot with another breaker."""
    return application_with(lambda made: made.layer.link._breaker, variant)


def with_transport(variant: type) -> ApplicationFactory:
    """The shipped bot with another IRC transport."""
    return application_with(lambda made: made.transport, variant)


# ── mistakes that take more than a few words ─────────────────────────────────────────────────────────────────────────


class Deaf(IrcSession):
    """Never asks whether the other side is still there."""

    def _check_life(self) -> None:
        pass

    def next_deadline(self) -> float | None:
        """That of the channels alone."""
        return self._memberships.next_deadline(self._now) if self.ready else super().next_deadline()


class TaskPerChange(PersistenceLayer):
    """Starts a task of its own for each change, to save it."""

    def record(self, *arguments: Any, **options: Any) -> int:
        """Record it, and start saving."""
        sequence = super().record(*arguments, **options)
        if sequence and self.has_database:
            task = asyncio.get_running_loop().create_task(self._save_now(), name="save")
            self._saving = {*getattr(self, "_saving", ()), task}
            task.add_done_callback(lambda done: self._saving.discard(done))
        return sequence

    async def _save_now(self) -> None:
        with contextlib.suppress(Fenced):
            await self.writer.flush()


def one_more(settings: Settings, surroundings: Surroundings) -> Application:
    """One message more than Twitch allows, in each of its windows."""
    application = Application(settings, surroundings)
    limiter = application.outbox.limiter
    windows = ("messages_unprivileged", "messages_privileged", "channel_unprivileged", "channel_privileged")
    limiter.rates = msgspec.structs.replace(
        limiter.rates, **{name: getattr(limiter.rates, name) + 1 for name in windows}
    )
    limiter._account._count_max += 1
    return application


def eager(settings: Settings, surroundings: Surroundings) -> Application:
    """Rows are saved as soon as anything was done to them, those of an earlier process too."""
    application = Application(settings, surroundings)
    become(application.layer, layer_of(EagerRow))
    become(
        application.layer.writer, altered(Writer, _sendable=("if key in self._layer.unadopted:", "if False:"))
    )
    return application
