"""A trace is the same if, and only if, what was recorded is the same."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.errors import TraceError
from simulator.trace import Trace, first_difference


def make(*events: tuple[str, dict[str, Any]], keep: bool = True) -> Trace:
    trace = Trace(lambda: 1.5, keep=keep)
    for kind, fields in events:
        trace.record(kind, **fields)
    return trace


def test_fields_are_canonical_whatever_order_they_were_given_in() -> None:
    """Dictionaries of equal content are one event."""
    left = make(("say", {"text": "oi", "channel": "byte", "tags": {"b": 1, "a": 2}}))
    right = make(("say", {"tags": {"a": 2, "b": 1}, "channel": "byte", "text": "oi"}))
    assert left.lines == ('[1500000,"say",{"channel":"byte","tags":{"a":2,"b":1},"text":"oi"}]',)
    assert left.digest == right.digest


def test_time_is_whole_microseconds() -> None:
    """A float error of the clock does not reach the hash."""
    now = 0.1 + 0.2
    trace = Trace(lambda: now, keep=True)
    trace.record("tick")
    assert trace.events() == [(300_000, "tick", {})]


def test_the_hash_is_the_same_with_and_without_kept_events() -> None:
    """Keeping events is for people; it must not change what is compared."""
    assert make(("a", {"n": 1})).digest == make(("a", {"n": 1}), keep=False).digest


def test_the_hash_is_pinned() -> None:
    """A hash in a report of last month means the same today."""
    assert make(("a", {"n": 1})).digest == "f561ffa027e162082c6f60f72e68b7b5"


@pytest.mark.parametrize(
    "value", [{1, 2}, frozenset(), object(), float("nan"), [float("inf")], {"deep": {3}}]
)
def test_values_without_a_canonical_form_are_refused(value: object) -> None:
    """What would differ between two equal runs must not get in."""
    with pytest.raises(TraceError):
        make(("a", {"value": value}))


def test_first_difference_names_the_event_and_what_came_before() -> None:
    """The way from two hashes to the cause starts at the first event that differs."""
    left = make(("a", {}), ("b", {"n": 1}), ("c", {}))
    right = make(("a", {}), ("b", {"n": 2}), ("c", {}))
    difference = first_difference(left, right)
    assert difference is not None
    assert difference.index == 1
    assert difference.left == '[1500000,"b",{"n":1}]'
    assert difference.before == ('[1500000,"a",{}]',)
    assert "event 1 differs" in str(difference)


def test_first_difference_of_a_trace_that_goes_on() -> None:
    """A run that ends early differs where it ends."""
    difference = first_difference(make(("a", {})), make(("a", {}), ("b", {})))
    assert difference is not None
    assert (difference.index, difference.left) == (1, None)
    assert first_difference(make(("a", {})), make(("a", {}))) is None


def test_a_sealed_trace_does_not_change() -> None:
    """A finaliser that runs after the world has ended leaves the fingerprint alone, and is counted."""
    trace = make(("a", {}))
    digest = trace.seal()
    trace.record("late")
    assert (trace.digest, trace.count, trace.late) == (digest, 1, 1)


def test_kept_events_are_bounded_and_need_to_be_asked_for() -> None:
    """A trace never fills the memory silently, and does not pretend to have kept anything."""
    trace = Trace(lambda: 0.0, keep=True, kept_events_max=1)
    trace.record("a")
    with pytest.raises(TraceError, match="more than 1 events"):
        trace.record("b")
    with pytest.raises(TraceError, match="keep=True"):
        first_difference(Trace(lambda: 0.0), trace)


def test_events_can_be_picked_by_kind() -> None:
    """A test looks at one kind of event."""
    trace = make(("say", {"text": "a"}), ("tick", {}), ("say", {"text": "b"}))
    assert [fields["text"] for _, _, fields in trace.events("say")] == ["a", "b"]


def test_an_observer_is_told_of_the_kinds_it_asked_for() -> None:
    """As they happen, and after the end no more."""
    trace = Trace(lambda: 1.5)
    seen: list[object] = []
    trace.observe(lambda fields: seen.append(dict(fields)), "crash", "restart")
    trace.record("crash", number=1)
    trace.record("chat", text="oi")
    trace.record("restart")
    trace.seal()
    trace.record("crash", number=2)
    assert seen == [{"number": 1}, {}]
