"""What came out of a simulated night: for people as text, for machines as JSON.

Latencies are those a viewer sees: from the moment Twitch has the command to the moment Twitch has the reply, in
virtual milliseconds. ``trace_hash`` is equal for two runs iff everything that was recorded happened at the same virtual
microsecond; ``replay`` is the command that runs the same night again.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Violation:
    """A broken promise: which invariant, when (virtual seconds), and what was seen."""

    invariant: str
    at_s: float
    words: str

    def __str__(self) -> str:
        return f"{self.invariant} at {self.at_s:.6f} s: {self.words}"


@dataclass(frozen=True)
class Line:
    """One line of the transcript: what the bot said, at which virtual microsecond, and the id of the message it answers."""

    at_us: int
    channel: str
    text: str
    reply_to: str = ""


@dataclass(frozen=True)
class Report:
    """See the module's docstring."""

    scenario: str
    seed: int
    violations: tuple[Violation, ...]
    transcript: tuple[Line, ...]
    trace_hash: str
    latencies_ms: tuple[float, ...]
    unanswered: int
    recovered_after_s: float | None
    virtual_s: float
    #: Of the unanswered, those said while the bot was not there to hear them.
    unanswered_away: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    #: What the night was run with beside its seed, as options of ``byte-sim``.
    options: tuple[str, ...] = ()
    #: What ``byte-sim`` is given to play it: a name, a file, or a seed of the search; empty: the scenario's name.
    source: str = ""

    @property
    def ok(self) -> bool:
        """True if no promise was broken."""
        return not self.violations

    @property
    def replay(self) -> str:
        """The command that runs the same night again."""
        night = self.source or self.scenario
        return again("replay" if names_a_seed(night) else "run", night, self.seed, self.options)

    def to_json(self) -> dict[str, Any]:
        """The report without its transcript, as plain data."""
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "ok": self.ok,
            "violations": [
                {"invariant": item.invariant, "at_s": item.at_s, "words": item.words}
                for item in self.violations
            ],
            "trace_hash": self.trace_hash,
            "replies": len(self.transcript),
            "unanswered": self.unanswered,
            "unanswered_away": self.unanswered_away,
            "p50_ms": round(percentile(self.latencies_ms, 50), 3),
            "p99_ms": round(percentile(self.latencies_ms, 99), 3),
            "max_ms": round(max(self.latencies_ms, default=0.0), 3),
            "recovered_after_s": None if self.recovered_after_s is None else round(self.recovered_after_s, 6),
            "virtual_s": round(self.virtual_s, 6),
            "counts": dict(sorted(self.counts.items())),
            "replay": self.replay,
        }

    def to_text(self, replay: str = "") -> str:
        """The report as a few lines for a terminal; ``replay``: the command that runs the night again, if it is no night of ``byte-sim``."""
        data = self.to_json()
        recovered = (
            "-" if self.recovered_after_s is None else f"{self.recovered_after_s:.2f} s after the heal"
        )
        away = f" ({self.unanswered_away} while the bot was away)" if self.unanswered_away else ""
        replies = f"{data['replies']} repl{'y' if data['replies'] == 1 else 'ies'}"
        latency = (
            f"p50 {data['p50_ms']:.2f} ms  p99 {data['p99_ms']:.2f} ms  max {data['max_ms']:.2f} ms"
            if self.latencies_ms
            else "-"
        )
        lines = [
            f"{self.scenario}  seed {self.seed}  {'ok' if self.ok else 'BROKEN'}",
            f"  {replies} in {self.virtual_s:.1f} virtual s, {self.unanswered} commands unanswered{away}",
            f"  reply latency  {latency}",
            f"  recovered      {recovered}",
            f"  trace          {self.trace_hash}",
            *(f"  BROKEN         {violation}" for violation in self.violations),
            f"  again          {replay or self.replay}",
        ]
        return "\n".join(lines)


def names_a_seed(name: str) -> bool:
    """True if this is a seed of the search, and not the name of a scenario or of a file."""
    return name.isascii() and name.isdigit()


def again(verb: str, night: str, seed: int, options: Sequence[str] = ()) -> str:
    """The command by which ``byte-sim`` plays a night again.

    Args:
        verb: ``run`` or ``replay``.
        night: a scenario's name, a file, or a seed of the search: what that draws, another seed can play too, and then it is said.
        options: what the night was played with, where that is not what it says itself.
    """
    own = names_a_seed(night) and int(night) == seed
    return shlex.join(("byte-sim", verb, night, *(() if own else ("--seed", str(seed))), *options))


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of ``values`` (0 < percent ≤ 100), 0.0 if there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
