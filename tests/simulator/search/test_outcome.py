"""What a night's end means: which class, which place; and that no defect of a bot ends the search."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from byte_bot.app import Application, Surroundings
from byte_bot.persistence.journal import JournalStore, Write
from byte_bot.settings import Settings
from simulator.audience import CommandStorm
from simulator.conversation import StoryError
from simulator.errors import DeadlockError, NotReplayableError, UnhandledError
from simulator.faults import Crash, Hang
from simulator.report import Violation
from simulator.search.canary import canary
from simulator.search.outcome import (
    Failure,
    Verdict,
    failure_in,
    failure_of,
    judge,
    judge_seed,
    judge_traced,
    lost_seed,
    others_in,
    shape,
)
from simulator.search.plan import SearchPlan
from simulator.sometimes import Sometimes
from simulator.workers import NightLimitError
from simulator.world import World
from tests.simulator.search.nights import bad, good, plan

pytestmark = pytest.mark.usefixtures("no_log")

BUSY = plan(
    1,
    duration_s=12.0,
    crowds=(CommandStorm("lobby", 2.0, ("!count deaths +1",), start_s=4.0, duration_s=4.0),),
)


def with_faults(*faults: Hang | Crash) -> SearchPlan:
    """The same night with these faults."""
    return replace(BUSY, scenario=replace(BUSY.scenario, faults=faults))


class Never:
    """An invariant of a user's own, which is always broken."""

    name = "never"

    def started(self, world: World) -> None:
        """Nothing."""

    def sampled(self, world: World) -> None:
        """Nothing."""

    def converged(self, world: World) -> None:
        """At the end."""
        world.violated(self.name, f"7 of 'these' in #{world.scenario.channels[0]}")


def test_a_good_night_is_ok_and_the_same_each_time() -> None:
    """Its hash, what it has seen, how long it was."""
    first, second = judge(BUSY), judge(BUSY)
    assert first == second
    assert first.ok and first.verdict is Verdict.OK
    assert first.lines == 8 and first.virtual_s >= 12 and first.seen == frozenset()


def test_keeping_the_events_changes_nothing() -> None:
    """They are what the hash is of."""
    outcome, lines = judge_traced(BUSY)
    assert outcome == judge(BUSY)
    assert len(lines) > 50


def test_what_happened_is_seen() -> None:
    """Across the end of a process."""
    outcome = judge(with_faults(Hang(start_s=3.0, duration_s=6.0), Crash(start_s=7.0, down_s=0.5)))
    assert outcome.ok, outcome.failure
    assert outcome.seen >= {Sometimes.REPLAYED, Sometimes.DIED_IN_FLIGHT}


def test_a_broken_promise_is_told_by_its_invariant() -> None:
    """A user's own, too."""
    outcome = judge(BUSY, invariants=lambda: (Never(),))
    failure = outcome.failure
    assert failure is not None
    assert (failure.verdict, failure.invariant, failure.place) == (Verdict.SAFETY, "never", "N of … in #…")
    assert "7 of 'these' in #lobby" in failure.words


def test_what_else_went_wrong_is_kept() -> None:
    """Of each further invariant the first violation, with its own class; after an error all that were broken before it."""
    broken = tuple(
        Violation(name, at_s, f"{name} at {at_s}")
        for name, at_s in (("gated", 1.0), ("recovers", 2.0), ("gated", 3.0), ("agreement", 4.0))
    )
    first = failure_in(broken)
    assert first is not None and first.words.endswith("(and 3 more)")
    others = others_in(broken, first)
    assert [(one.verdict, one.invariant) for one in others] == [
        (Verdict.LIVENESS, "recovers"), (Verdict.SAFETY, "agreement"),
    ]  # fmt: skip
    assert replace(bad(3), failure=first, others=others).failures == (first, *others)
    assert [one.invariant for one in others_in(broken, failure_of(ValueError()))] == [
        "gated",
        "recovers",
        "agreement",
    ]
    assert good(3).failures == ()


def test_a_planted_bug_is_found() -> None:
    """Without any fault."""
    outcome = judge(BUSY, canary)
    assert outcome.failure is not None
    assert (outcome.verdict, outcome.failure.invariant) == (Verdict.SAFETY, "gated")


class DyingStore:
    """A journal's store that fails in a way that nobody expects."""

    def __init__(self, inner: JournalStore) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    async def commit(self, writes: Sequence[Write]) -> None:
        """Fail."""
        raise LookupError("no such page")


def dying(settings: Settings, surroundings: Surroundings) -> Application:
    """A bot that dies of its first commit."""
    store = DyingStore(surroundings.journal_store)
    return Application(settings, replace(surroundings, journal_store=store))  # type: ignore[arg-type]


def test_a_bot_that_dies_is_a_crash_in_the_place_where_it_did() -> None:
    """Whoever waits for it tells only that it died; the reason is behind."""
    outcome = judge(BUSY, dying)
    failure = outcome.failure
    assert failure is not None
    assert (failure.verdict, failure.invariant) == (Verdict.CRASH, "LookupError")
    assert failure.place == "tests/simulator/search/test_outcome.py:commit"
    assert "no such page" in failure.words


def by_the_clock(settings: Settings, surroundings: Surroundings) -> Application:
    """A bot that looks at the machine's clock."""
    started_s = time.time()
    return Application(replace_language(settings, int(started_s)), surroundings)


def replace_language(settings: Settings, number: int) -> Settings:
    """Something that depends on a number."""
    return settings.model_copy(update={"default_language": ("en", "pt-br")[number % 2]})


def test_a_bot_that_looks_at_the_clock_cannot_be_replayed() -> None:
    """It is caught at its first look, with the place where it looked."""
    outcome = judge(BUSY, by_the_clock)
    failure = outcome.failure
    assert failure is not None
    assert failure.verdict is Verdict.NONDETERMINISM
    assert failure.invariant == "NotReplayableError"
    assert "by_the_clock" in failure.words


def test_a_seed_that_cannot_be_drawn_is_a_crash() -> None:
    """Of the drawing, told with its place; the search goes on."""

    def undrawable(seed: int) -> SearchPlan:
        raise ValueError("empty range")

    outcome = judge_seed(12, draw=undrawable)
    assert outcome.failure is not None
    assert (outcome.verdict, outcome.failure.invariant) == (Verdict.CRASH, "ValueError")
    assert outcome.failure.place.endswith("test_outcome.py:undrawable")
    assert outcome.replay == "byte-sim replay 12"


def test_a_seed_whose_process_was_lost_keeps_its_plan() -> None:
    """And is a crash of its own kind, which nobody plays in their own process; without a plan too."""
    outcome = lost_seed(5, NightLimitError("did not end within 120 s of wall time"), plan)
    assert outcome.plan == plan(5) and outcome.lost and not good(5).lost
    assert outcome.failure == Failure(
        Verdict.CRASH,
        "NightLimit",
        "did not end within N s of wall time",
        "did not end within 120 s of wall time",
    )

    def draw(seed: int) -> SearchPlan:
        raise ValueError(seed)

    assert lost_seed(5, NightLimitError("too long"), draw).replay == "byte-sim replay 5"


def test_liveness_is_what_must_happen() -> None:
    """The others are safety; the first of several counts, and how many more there were is told."""
    late = Violation("recovers", 40.0, "10.0 s after the heal: 3 rows wait, circuit open")
    lost = Violation("agreement", 41.0, "lost")
    failure = failure_in((late, lost))
    assert failure is not None
    assert failure.verdict is Verdict.LIVENESS
    assert failure.place == "N s after the heal: N rows wait, circuit open"
    assert failure.words.endswith("(and 1 more)")
    again = failure_in((lost,))
    assert again is not None and again.verdict is Verdict.SAFETY
    assert failure_in(()) is None


@pytest.mark.parametrize(
    ("error", "verdict", "name"),
    [
        (StoryError("did not happen within 10 s: the end of a restart"), Verdict.LIVENESS, "StoryError"),
        (DeadlockError("nothing can happen\nstacks"), Verdict.LIVENESS, "DeadlockError"),
        (NotReplayableError("time.time"), Verdict.NONDETERMINISM, "NotReplayableError"),
        (AssertionError("a save is in flight"), Verdict.CRASH, "AssertionError"),
        (UnhandledError("failures that nobody handled"), Verdict.CRASH, "UnhandledError"),
        (BaseExceptionGroup("tasks", [KeyError("x")]), Verdict.CRASH, "KeyError"),
    ],
    ids=["waited in vain", "stuck", "clock", "assertion", "unhandled", "group"],
)
def test_errors_have_their_classes(error: BaseException, verdict: Verdict, name: str) -> None:
    """Of a group the first."""
    failure = failure_of(error)
    assert (failure.verdict, failure.invariant) == (verdict, name)


def test_who_waited_for_a_dead_bot_is_not_the_culprit() -> None:
    """The error behind it is."""
    error = StoryError("the bot died")
    error.__cause__ = BaseExceptionGroup("bot", [ZeroDivisionError("no")])
    assert failure_of(error).invariant == "ZeroDivisionError"


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (
            "counter 'deaths' in #channel_2: viewers were told changes that make 3 to 4, the database has 2",
            "counter … in #…: viewers were told changes that make N to N, the database has N",
        ),
        (
            'component_state/81236/counters: database {"values": {"a": 1}}, RAM {"values": {}}',
            "component_state/N/counters: database …",
        ),
        ("the bot is not in #channel_1, #channel_2", "the bot is not in #…"),
        ("the bot is not in #channel_1", "the bot is not in #…"),
        (
            "message 6f2c8a12-0d31-4d4f-9c55-5b1c9d2f7e10 was answered 2 times",
            "message ID was answered N times",
        ),
    ],
)
def test_a_place_is_the_same_in_every_night(words: str, place: str) -> None:
    """Numbers, names and texts are left out."""
    assert shape(words) == place


def test_an_outcome_is_told_as_plain_data() -> None:
    """And says how to play it again."""
    data = bad(4, Verdict.LIVENESS, "recovers").to_json()
    assert (data["seed"], data["verdict"], data["replay"]) == (4, "liveness", "byte-sim replay 4")
    assert data["failure"]["invariant"] == "recovers"
    assert good(4).to_json()["failure"] is None
    assert good(4).to_json()["seen"] == ["save failed"]
