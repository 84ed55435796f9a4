"""The fingerprint of a run: a running hash over canonical events.

How it works. An event is the virtual time in integer microseconds, a kind, and fields. Its canonical form is one line of
JSON, `[time, kind, {fields}]`, with sorted keys; the hash is BLAKE2b over the lines. Two runs are the same run if their
hashes are. Where they differ, `first_difference` names the first event that does, provided both kept their events.

What it leaves out: it does not record by itself, so what nobody records is not compared; and floats are written in
Python's shortest form, which is the same on every machine, but not after another order of additions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import msgspec

from simulator.errors import TraceError

_DIGEST_BYTES = 16
_US_PER_S = 1_000_000
#: What nearly all fields are, and what has one form in JSON.
_PLAIN = frozenset({str, int, bool, type(None)})
# A kept event takes about 300 bytes: the default is some 300 MB, more than any single run needs.
_KEPT_EVENTS_MAX = 1_000_000
_CONTEXT_EVENTS = 5

#: Is called with the fields of an event.
Observer = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Difference:
    """Where two traces part: the first differing event of each (None: that trace ended), and those just before."""

    index: int
    left: str | None
    right: str | None
    before: tuple[str, ...]

    def __str__(self) -> str:
        shared = "".join(f"\n    = {line}" for line in self.before)
        return f"event {self.index} differs:{shared}\n    < {self.left}\n    > {self.right}"


class Trace:
    """Records events and hashes them; see the module's docstring."""

    def __init__(
        self,
        time_source: Callable[[], float],
        *,
        keep: bool = False,
        kept_events_max: int = _KEPT_EVENTS_MAX,
    ) -> None:
        """Start empty. `time_source` gives seconds (a loop's `time`); `keep` keeps the events themselves too."""
        self._time_source = time_source
        self._hash = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self._encoder = msgspec.json.Encoder(order="sorted", enc_hook=_refuse)
        self._lines: list[str] | None = [] if keep else None
        self._kept_events_max = kept_events_max
        self._sealed = False
        self._observers: dict[str, list[Observer]] = {}
        self.count = 0
        self.late = 0

    def observe(self, observer: Observer, *kinds: str) -> None:
        """Call `observer` with the fields of every event of these kinds, as it happens; it must change nothing."""
        for kind in kinds:
            self._observers.setdefault(kind, []).append(observer)

    def record(self, kind: str, **fields: Any) -> None:
        """Add an event at the present time; raises TraceError for a value without a canonical form (a set, an object).

        After `seal` it only counts: finalisers of a world that has ended may still try.
        """
        if self._sealed:
            self.late += 1
            return
        time_us = round(self._time_source() * _US_PER_S)
        for value in fields.values():
            if type(value) not in _PLAIN:
                _check(kind, value)
        line = self._encoder.encode((time_us, kind, fields))
        self._hash.update(line + b"\n")
        if self._lines is not None:
            if self.count >= self._kept_events_max:
                raise TraceError(
                    f"more than {self._kept_events_max} events to keep; keep none, or raise the limit"
                )
            self._lines.append(line.decode("utf-8"))
        self.count += 1
        for observer in self._observers.get(kind, ()):
            observer(fields)

    def seal(self) -> str:
        """End the trace and return its hash."""
        self._sealed = True
        return self.digest

    @property
    def digest(self) -> str:
        """The hash of what was recorded so far, in hexadecimal."""
        return self._hash.hexdigest()

    @property
    def lines(self) -> tuple[str, ...]:
        """The kept events in their canonical form; raises TraceError if none are kept."""
        if self._lines is None:
            raise TraceError("this trace keeps no events; make it with keep=True")
        return tuple(self._lines)

    def events(self, kind: str | None = None) -> list[tuple[int, str, dict[str, Any]]]:
        """Return the kept events as (microseconds, kind, fields), of one kind if it is given."""
        decoded = [msgspec.json.decode(line) for line in self.lines]
        return [(time_us, name, fields) for time_us, name, fields in decoded if kind in (None, name)]


def first_difference(left: Trace, right: Trace) -> Difference | None:
    """Return where two traces part, or None if they are equal; raises TraceError if either keeps no events."""
    return difference_of(left.lines, right.lines)


def difference_of(ours: Sequence[str], theirs: Sequence[str]) -> Difference | None:
    """Return where two lists of canonical events part, or None if they are equal."""
    for index, (a, b) in enumerate(zip_longest(ours, theirs)):
        if a != b:
            return Difference(index, a, b, tuple(ours[max(0, index - _CONTEXT_EVENTS) : index]))
    return None


def _check(kind: str, value: Any) -> None:
    """Refuse what msgspec would write, but not in one canonical way: sets, and NaN or infinity (written as null)."""
    if isinstance(value, dict):
        for entry in value.values():
            _check(kind, entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _check(kind, entry)
    elif isinstance(value, float) and not float("-inf") < value < float("inf"):
        raise TraceError(f"event {kind!r} holds {value}, which JSON cannot say")
    elif isinstance(value, (set, frozenset)):
        raise TraceError(f"event {kind!r} holds a set, whose order is not fixed: sort it")


def _refuse(value: Any) -> Any:
    raise TraceError(f"{type(value).__name__} has no canonical form: {value!r}; record its fields")
