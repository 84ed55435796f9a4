"""The guards find every name under which a module holds a source, and a profiler agrees that nothing got past them."""

from __future__ import annotations

import cProfile
import gc
import pstats
import random
import sys
import time
import types
from datetime import UTC, datetime
from time import time as renamed

from simulator.auditor import Auditor
from simulator.guards import Guard, Guards, process_guards
from simulator.scenarios import SCENARIOS
from simulator.world import Network, simulate

#: How a profiler writes the built-in functions that read a clock or the machine's randomness, or start a thread.
READS = (
    *(f"time.{name}" for name in ("time", "time_ns", "monotonic", "perf_counter", "process_time", "sleep")),
    *("method now", "method utcnow", "method today", "posix.urandom", "_thread.start_new_thread"),
)


def reads_in_a_night(name: str, network: Network) -> dict[str, set[str]]:
    """Which of those a night calls, however they are held, and the files that call them."""
    profiler = cProfile.Profile()
    # Hypothesis times the collector by a callback, from the first property on that runs in this process.
    callbacks, gc.callbacks[:] = gc.callbacks[:], []
    try:
        profiler.enable()
        simulate(SCENARIOS[name], 1, network=network)
        profiler.disable()
    finally:
        gc.callbacks[:] = callbacks
    calls = pstats.Stats(profiler).stats.items()  # type: ignore[attr-defined]
    return {
        called: {file for file, *_ in entry[4]}
        for (file, _line, called), entry in calls
        if file == "~" and any(called.endswith(f" {read}>") for read in READS)
    }


def test_nothing_gets_past_the_guards() -> None:
    """In a night over sockets, with a restart, whatever asks a clock asks a guard."""
    found = reads_in_a_night("restart", "tcp")
    assert found, "the libraries that are allowed to read clocks do"
    assert {file.rpartition("/")[2] for files in found.values() for file in files} == {"guards.py"}


def test_every_name_of_a_source_is_guarded_and_given_back() -> None:
    """`from time import time as renamed` before the first world is found too."""
    module = sys.modules[__name__]
    seen: list[str] = []
    guards = process_guards()
    guards.install(lambda source, _frame: seen.append(source.name))
    try:
        assert isinstance(vars(module)["renamed"], Guard)
        renamed()
        datetime.now(UTC)
    finally:
        guards.remove()
    assert seen == ["time.time", "datetime.datetime.now"]
    assert renamed is time.time and not isinstance(renamed, Guard)
    assert type(datetime.now(UTC)) is datetime


def test_what_somebody_else_put_there_stays() -> None:
    """A library that fakes time itself keeps its fake, during a world and after it."""
    module = types.ModuleType("faking")
    module.clock = time.monotonic  # type: ignore[attr-defined]
    sys.modules["faking"] = module
    guards = Guards()
    try:
        guards.install(lambda _source, _frame: None)
        assert isinstance(module.clock, Guard)
        module.clock = fake = lambda: 7.0  # type: ignore[attr-defined]
        guards.remove()
        assert module.clock is fake
        guards.install(lambda _source, _frame: None)
        assert module.clock is fake
    finally:
        guards.remove()
        del sys.modules["faking"]


def test_a_guard_in_a_class_body_is_no_method() -> None:
    """A class that is defined while the guards stand holds a clock, as it would hold the built-in function."""
    guards = process_guards()
    guards.install(lambda _source, _frame: None)
    try:

        class Watch:
            clock = time.perf_counter

        assert Watch().clock() > 0
    finally:
        guards.remove()
    assert Watch().clock() > 0


def test_subclasses_and_arguments_keep_their_meaning() -> None:
    """A guarded class method gets the class and the arguments it was called with; a seeded generator is none of its business."""

    class Moment(datetime):
        pass

    seen: list[str] = []
    guards = process_guards()
    guards.install(lambda source, _frame: seen.append(source.name))
    try:
        assert type(Moment.now(tz=UTC)) is Moment
        assert Moment.now(UTC).tzinfo is UTC
        assert random.Random(3).random() == random.Random(3).random()
    finally:
        guards.remove()
    assert seen == ["datetime.datetime.now"] * 2


def test_this_interpreter_hides_nothing() -> None:
    """On CPython the classes written in C are guarded too."""
    assert process_guards().blind == []


def test_an_auditor_may_be_entered_a_thousand_times() -> None:
    """Worlds come by the thousand: the modules are looked through once, and nothing piles up."""
    with Auditor():
        places = len(process_guards()._places)
    for _ in range(1000):
        with Auditor():
            pass
    assert len(process_guards()._places) == places
