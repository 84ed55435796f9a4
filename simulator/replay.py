"""A night played again: its events for people to read, and the first one in which two runs of it differ.

How it works. `record_night` runs a scenario with a seed and keeps the events of its trace. A `Recording` can be written to a file
and read back (one line of JSON that says which night it is, then one event a line), so that runs of two processes, two
machines or two commits can be compared; `record_elsewhere` makes one in a process of its own, with other hashes of strings.
Recordings of one night, commit and Python minor are equal, or something depended on what no seed governs.

What it leaves out: in processes of their own, traces of scenarios that are neither named nor in a file; finding the cause of a
difference (the events just before it, and `auditor.py`, are where to look).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from simulator.conversation import spoken
from simulator.errors import SimulatorError, TraceError
from simulator.invariants.standard import night_invariants
from simulator.loop import ReadyOrder
from simulator.report import Report
from simulator.scenario import Scenario
from simulator.scenario_file import names_a_file
from simulator.trace import Difference, Trace, difference_of
from simulator.world import Network, Transport, World, run_alone
from simulator.world_twitch import night_options

#: Changes when an older file could no longer be compared.
FORMAT: Final = "byte-sim trace 1"
#: Shown only when asked for: `chat` and `http` say the same in a readable way.
DETAIL_KINDS: Final = ("irc_in", "irc_out", "request", "response")
_US_PER_S = 1_000_000
_KIND_WIDTH = 15


class Night(msgspec.Struct, frozen=True):
    """Which night: what, together with a commit, decides every event; ``scenario`` is a name or a file."""

    scenario: str
    seed: int
    network: Network = "memory"
    order: ReadyOrder = "fifo"
    transport: Transport = "irc"
    #: The transport and the order that the file itself says: what `byte-sim` takes when no option says otherwise.
    said: tuple[Transport, ReadyOrder] = ("irc", "fifo")

    @property
    def options(self) -> tuple[str, ...]:
        """The options of ``byte-sim`` that make it, beside its seed."""
        return night_options(self.network, self.transport, self.order, self.said)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments of ``byte-sim replay`` that play it."""
        return (self.scenario, "--seed", str(self.seed), *self.options)


class _Header(msgspec.Struct, frozen=True):
    format: str
    night: Night
    trace_hash: str
    events: int


@dataclass(frozen=True)
class Recording:
    """The events of one run of a night, in canonical form, and their hash; the report of the run if it was made here."""

    night: Night
    trace_hash: str
    lines: tuple[str, ...]
    report: Report | None = None


#: Plays a night, here or elsewhere; here with options as `record_night`.
Player = Callable[..., Recording]


def record_night(scenario: Scenario, night: Night, **options: Any) -> Recording:
    """Play a night in this process and keep its events; `options` are those of `World` (``application`` …)."""

    async def body() -> tuple[Report, Trace]:
        world = World(
            scenario,
            night.seed,
            network=night.network,
            transport=night.transport,
            keep_trace=True,
            **{"invariants": night_invariants(), **options},
        )
        async with world.standing():
            report = await world.night()
        return report, world.trace

    report, trace = run_alone(body(), night.seed, night.network, night.order)
    if names_a_file(night.scenario):
        report = replace(report, source=night.scenario, options=night.options)
    return Recording(night, trace.digest, trace.lines, report)


def record_elsewhere(_scenario: Scenario, night: Night, *, hash_seed: int = 1) -> Recording:
    """Play a night that has a name or a file in a process of its own, whose strings hash by `hash_seed`.

    Raises:
        SimulatorError: the process failed; the message holds what it said.
    """
    with tempfile.TemporaryDirectory(prefix="byte-sim-") as folder:
        file = Path(folder) / "trace.jsonl"
        command = [sys.executable, "-m", "simulator", "replay", *night.arguments, "--trace", str(file)]
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if not file.exists():
            raise SimulatorError(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.returncode}")
        return read_recording(file)


def write_recording(recording: Recording, file: Path) -> None:
    """Write a recording for `read_recording`; raises TraceError if the file cannot be written."""
    header = _Header(FORMAT, recording.night, recording.trace_hash, len(recording.lines))
    lines = (msgspec.json.encode(header).decode(), *recording.lines)
    try:
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise TraceError(f"cannot write {str(file)!r}: {error.strerror or error}") from None


def read_recording(file: Path) -> Recording:
    """Read what `write_recording` wrote; raises TraceError if there is no such file, or it holds something else."""
    try:
        first, *lines = file.read_text(encoding="utf-8").split("\n")[:-1]
        header = msgspec.json.decode(first, type=_Header)
    except OSError as error:
        raise TraceError(f"cannot read {str(file)!r}: {error.strerror or error}") from None
    except (ValueError, msgspec.MsgspecError):
        raise TraceError(
            f"{str(file)!r} is no recorded night; `byte-sim replay NAME --trace FILE` writes one"
        ) from None
    if header.format != FORMAT:
        raise TraceError(f"{str(file)!r} has the format {header.format!r}, this version reads {FORMAT!r}")
    if header.events != len(lines):
        raise TraceError(f"{str(file)!r} is cut short: {len(lines)} of {header.events} events")
    return Recording(header.night, header.trace_hash, tuple(lines))


def compare(left: Recording, right: Recording) -> Difference | None:
    """Where two recordings of one night part, or None; raises TraceError if they are of two different nights."""
    if left.night != right.night:
        told = (" ".join(recording.night.arguments) for recording in (left, right))
        raise TraceError(f"these are two nights: {' and '.join(told)}")
    return difference_of(left.lines, right.lines)


def timeline(lines: Sequence[str], only: Sequence[str] = ()) -> list[str]:
    """The events as lines for people; of these kinds, or of all but `DETAIL_KINDS`.

    Raises:
        TraceError: no event is of one of the kinds.
    """
    events = [decoded(line) for line in lines]
    kinds = sorted({kind for _, kind, _ in events})
    for kind in only:
        if kind not in kinds:
            raise TraceError(f"no event of this night is of the kind {kind!r}; there are: {', '.join(kinds)}")
    wanted = set(only) or set(kinds).difference(DETAIL_KINDS)
    return [readable(event) for event in events if event[1] in wanted]


def explain(difference: Difference, left: str, right: str) -> str:
    """A difference in words: what both runs did just before, and the first event in which `left` and `right` differ."""
    width = max(len(left), len(right), len("both"))
    shown = [("both", readable(decoded(line))) for line in difference.before]
    parted = [
        "(ended before this)" if line is None else readable(decoded(line))
        for line in (difference.left, difference.right)
    ]
    if parted[0] == parted[1]:  # they differ in what people are not shown, such as an id
        parted = [str(difference.left), str(difference.right)]
    shown += zip((left, right), parted, strict=True)
    lines = [f"  {name:<{width}}  {event}" for name, event in shown]
    return "\n".join([f"event {difference.index + 1} differs:", *lines])


Event = tuple[int, str, dict[str, Any]]


def decoded(line: str) -> Event:
    """An event from its canonical form: microseconds, kind, fields."""
    event: Event = msgspec.json.decode(line, type=Event)
    return event


def readable(event: Event) -> str:
    """One event as a line for people, times in virtual seconds."""
    at_us, kind, fields = event
    return f"{at_us / _US_PER_S:12.6f}  {kind:<{_KIND_WIDTH}}  {_details(kind, fields)}".rstrip()


def _details(kind: str, fields: dict[str, Any]) -> str:
    if kind == "chat":
        reply = f"  (reply to {fields['reply_to']})" if fields.get("reply_to") else ""
        return f"#{fields['channel']} {fields['login']}: {spoken(fields['text'])}{reply}"
    if "line" in fields:
        arrow: Literal["<", ">"] = "<" if kind == "irc_in" else ">"
        return f"{fields['connection']} {arrow} {fields['line']}"
    return "  ".join(f"{name}={value}" for name, value in fields.items())
