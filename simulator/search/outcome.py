"""One night of the search, played and judged: a plain value that travels between processes.

How it works. :func:`judge` plays a plan in a world of its own, with a witness beside the bot, and says what came out. A defect of the
bot of any kind is an outcome, never an error:

* *safety*: a promise was broken while faults acted, or the end shows that it was;
* *liveness*: what must happen did not: the bot did not recover, did not come back, waits for ever, or never ends;
* *crash*: an error that nobody expected, in the bot, in a world, or in the drawing of the plan; or the process that played it was lost, or
  had to be killed since it did not end (:func:`lost_seed`);
* *nondeterminism*: code reached for what no seed governs (a clock, chance, a thread). That two runs of a seed differ is the same
  class, and is found by whoever runs it twice.

A failure has a *place*, by which failures of many seeds are grouped: for a broken promise the words in which it is told, without what
differs from night to night (numbers, names, texts); for an error file and function of ours.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from byte_bot.app import Application
from simulator.calls import alone, in_words, place_of, with_calls
from simulator.conversation import StoryError
from simulator.errors import NotReplayableError, UnhandledError, WorldStuckError
from simulator.invariants import Invariant
from simulator.invariants.standard import night_invariants
from simulator.report import Report, Violation
from simulator.scenario import Scenario
from simulator.search.plan import SearchPlan, draw_night
from simulator.simulated_bot import ApplicationFactory
from simulator.sometimes import Sometimes
from simulator.witness import Witness
from simulator.workers import NightLimitError, WorkerDiedError, WorkerLostError
from simulator.world import World, run_alone

#: The invariants that say what must happen; the others say what must not.
LIVENESS: Final = frozenset({"recovers", "present"})

#: What stands in place of an invariant where two runs of a seed differ.
SAME_RUN: Final = "same_run"

#: What stands in place of an invariant where the process was lost.
LOST: Final = frozenset({NightLimitError.name, WorkerDiedError.name})

Invariants = Callable[[], tuple[Invariant, ...]]


class Verdict(enum.StrEnum):
    """What became of a night, the worst first: of a night that cannot be played again nothing else is sure."""

    NONDETERMINISM = "nondeterminism"
    SAFETY = "safety"
    CRASH = "crash"
    LIVENESS = "liveness"
    OK = "ok"


@dataclass(frozen=True)
class Failure:
    """What went wrong first; (verdict, invariant, place) is the same for all nights that fail alike."""

    verdict: Verdict
    #: The invariant that was broken, or the type of the error.
    invariant: str
    place: str
    words: str


@dataclass(frozen=True)
class Outcome:
    """What came out of one night."""

    plan: SearchPlan
    failure: Failure | None
    trace_hash: str
    #: The rare things that happened in it.
    seen: frozenset[Sometimes] = frozenset()
    virtual_s: float = 0.0
    #: How often the bot spoke.
    lines: int = 0
    #: What else went wrong: the first broken promise of each further invariant.
    others: tuple[Failure, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Its class."""
        return Verdict.OK if self.failure is None else self.failure.verdict

    @property
    def ok(self) -> bool:
        """True if nothing went wrong."""
        return self.failure is None

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What went wrong first, then what else did; nothing if nothing did."""
        return () if self.failure is None else (self.failure, *self.others)

    @property
    def lost(self) -> bool:
        """True if its process was lost: whoever plays it in this one loses this one."""
        return self.failure is not None and self.failure.invariant in LOST

    @property
    def replay(self) -> str:
        """The command that shows it: the same night again, event by event, or where two runs of it part."""
        # One run alone looks as any other does.
        differ = self.failure is not None and self.failure.invariant == SAME_RUN
        return f"byte-sim replay {self.plan.seed}{' --compare' if differ else ''}"

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain data."""
        failure = self.failure
        return {
            "seed": self.plan.seed,
            "verdict": self.verdict,
            "failure": None
            if failure is None
            else {"invariant": failure.invariant, "place": failure.place, "words": failure.words},
            "plan": self.plan.summary(),
            "trace_hash": self.trace_hash,
            "seen": [one for one in Sometimes if one in self.seen],
            "virtual_s": round(self.virtual_s, 6),
            "lines": self.lines,
            "replay": self.replay,
        }


def judge(
    plan: SearchPlan,
    application: ApplicationFactory = Application,
    invariants: Invariants = night_invariants,
) -> Outcome:
    """Play one night and say what came out.

    Args:
        application: builds the bot; a test that switches a safeguard off passes its own.
        invariants: makes those that judge; they remember what they saw, so each night needs its own.
    """
    return judge_traced(plan, application, invariants, keep_trace=False)[0]


def judge_traced(
    plan: SearchPlan,
    application: ApplicationFactory = Application,
    invariants: Invariants = night_invariants,
    *,
    keep_trace: bool = True,
) -> tuple[Outcome, tuple[str, ...]]:
    """The same, and every event of the night in canonical form (none unless ``keep_trace``)."""
    witness = Witness()
    worlds: list[World] = []

    async def body() -> Report:
        world = World(
            plan.scenario,
            plan.seed,
            application=witness.beside(application),
            invariants=invariants(),
            keep_trace=keep_trace,
        )
        worlds.append(world)
        witness.watch(world)
        async with world.standing():
            return await world.night()

    failure: Failure | None = None
    try:
        report = run_alone(body(), plan.seed, "memory", plan.ready_order)
    except (Exception, BaseExceptionGroup) as error:
        # Supervisor: a defect of any kind ends one night, not a search of thousands.
        if not isinstance(alone(error), Exception):
            raise  # Ctrl-C, wrapped by whoever was interrupted
        failure = failure_of(error)
    else:
        failure = failure_in(report.violations)
    if not worlds:
        return Outcome(plan, failure, ""), ()
    world = worlds[0]
    outcome = Outcome(
        plan,
        failure,
        world.trace.digest,
        frozenset(witness.testimony()),
        world.loop.time(),
        len(world.transcript),
        others_in(world.violations, failure),
    )
    return outcome, world.trace.lines if keep_trace else ()


def judge_seed(seed: int, draw: Callable[[int], SearchPlan] = draw_night) -> Outcome:
    """Draw a seed's night and judge it: what a process of its own is asked for."""
    return _judge_seed(seed, draw, keep_trace=False)[0]


def judge_seed_traced(
    seed: int, draw: Callable[[int], SearchPlan] = draw_night
) -> tuple[Outcome, tuple[str, ...]]:
    """The same, and every event of the night."""
    return _judge_seed(seed, draw, keep_trace=True)


def lost_seed(seed: int, error: WorkerLostError, draw: Callable[[int], SearchPlan] = draw_night) -> Outcome:
    """The outcome of a seed whose process was lost: nobody knows more of the night than its plan, and what became of the process."""
    return Outcome(_drawn(seed, draw)[0], failure_of_lost(error), "")


def failure_of_lost(error: WorkerLostError, run: str = "") -> Failure:
    """What is said of a night whose process was lost; ``run`` goes before it, where a night has more than one."""
    return Failure(Verdict.CRASH, error.name, shape(str(error)), f"{run}{error}")


def _drawn(seed: int, draw: Callable[[int], SearchPlan]) -> tuple[SearchPlan, Failure | None]:
    """The night of a seed, or one of nothing and why there is none."""
    try:
        return draw(seed), None
    except Exception as error:
        # Supervisor: a seed from which no night can be drawn is a bad one, and a search goes on with the next.
        return SearchPlan(seed, Scenario(str(seed), "could not be drawn"), "fifo"), failure_of(error)


def _judge_seed(
    seed: int, draw: Callable[[int], SearchPlan], *, keep_trace: bool
) -> tuple[Outcome, tuple[str, ...]]:
    plan, failure = _drawn(seed, draw)
    if failure is not None:
        return Outcome(plan, failure, ""), ()
    return judge_traced(plan, keep_trace=keep_trace)


def failure_in(violations: Sequence[Violation]) -> Failure | None:
    """The first broken promise of a night."""
    if not violations:
        return None
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return _broken(violations[0], more)


def others_in(violations: Sequence[Violation], failure: Failure | None) -> tuple[Failure, ...]:
    """The first broken promise of each invariant but the one that failed first."""
    first: dict[str, Violation] = {}
    for violation in violations:
        if failure is None or violation.invariant != failure.invariant:
            first.setdefault(violation.invariant, violation)
    return tuple(_broken(violation) for violation in first.values())


def _broken(violation: Violation, more: str = "") -> Failure:
    verdict = Verdict.LIVENESS if violation.invariant in LIVENESS else Verdict.SAFETY
    return Failure(verdict, violation.invariant, shape(violation.words), f"{violation}{more}")


def failure_of(error: BaseException) -> Failure:
    """What an error that came out of a world says of the bot."""
    error = alone(error)
    if isinstance(error, StoryError | UnhandledError) and error.__cause__ is not None:
        # Whoever waited for the bot tells that it died; why is behind.
        error = alone(error.__cause__)
    name = type(error).__name__
    if isinstance(error, NotReplayableError):
        return Failure(Verdict.NONDETERMINISM, name, place_of(error), with_calls(error))
    if isinstance(error, StoryError | WorldStuckError):
        return Failure(Verdict.LIVENESS, name, shape(str(error).partition("\n")[0]), in_words(error))
    return Failure(Verdict.CRASH, name, place_of(error), with_calls(error))


_DIFFERS: Final = (
    # Quoted texts and JSON first: names and numbers in them are part of them.
    (re.compile(r"'[^']*'|\"[^\"]*\"|\{.*\}"), "…"),
    (re.compile(r"#\w+"), "#…"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b"), "ID"),
    (re.compile(r"\w*\d[\w.]*"), "N"),
    # One or many.
    (re.compile(r"(#…|N)(, (?:#…|N))+"), r"\1"),
)


def shape(words: str) -> str:
    """Words without what differs from night to night."""
    for differs, instead in _DIFFERS:
        words = differs.sub(instead, words)
    return words
