"""A night played again: its events for people to read, and the first one in which two runs of it differ.

How it works. `record_night` runs a scenario with a seed and keeps the events of its trace. A night that ends by an error is a night
too: its recording has the events up to the error, the error as one more (`ERROR_KIND`, at its moment), and what the search would say of it
(`Ended`); what cleaning up after it recorded is left out. So is one that Ctrl-C ends, since a night that never ends by itself is shown in no
other way: its recording comes with the interrupt (`NightInterrupted`). A `Recording` can be written to a file
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
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from simulator.calls import alone, calls_to
from simulator.conversation import spoken
from simulator.errors import SimulatorError, TraceError, UnhandledError
from simulator.invariants.standard import night_invariants
from simulator.loop import ReadyOrder
from simulator.report import Report, again
from simulator.scenario import Scenario
from simulator.search.outcome import Failure, Verdict, failure_in, failure_of
from simulator.trace import Difference, Trace, difference_of
from simulator.world import Network, Transport, World, run_alone
from simulator.world_twitch import night_options

#: Changes when an older file could no longer be compared.
FORMAT: Final = "byte-sim trace 1"
#: Shown only when asked for: `chat` and `http` say the same in a readable way.
DETAIL_KINDS: Final = ("irc_in", "irc_out", "request", "response")
#: Events beside the trace: a planned fault begins to act, ends, or strikes in an instant.
FAULT_BEGINS: Final = "fault_begins"
FAULT_ENDS: Final = "fault_ends"
FAULT_STRIKES: Final = "fault_strikes"
#: The event that stands where an error ended the night; it is in no trace, so the hash is that of the night without it.
ERROR_KIND: Final = "error"
#: What stands in place of a class of failures where Ctrl-C ended a night.
INTERRUPTED: Final = "interrupted"
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

    @property
    def replay(self) -> str:
        """The command that shows it, for people."""
        return again("replay", self.scenario, self.seed, self.options)


class _Header(msgspec.Struct, frozen=True):
    format: str
    night: Night
    trace_hash: str
    events: int


@dataclass(frozen=True)
class Ended:
    """A night ended by an error: when (virtual seconds), and what the search says of it; or Ctrl-C did, which says nothing of it."""

    at_s: float
    failure: Failure
    interrupted: bool = False

    @property
    def called(self) -> str:
        """How it ended, in one word."""
        return INTERRUPTED if self.interrupted else str(self.failure.verdict)


@dataclass(frozen=True)
class Recording:
    """The events of one run of a night, in canonical form, and the hash of its trace.

    If the run was made here it has a report, or an error ended it.
    """

    night: Night
    trace_hash: str
    lines: tuple[str, ...]
    report: Report | None = None
    ended: Ended | None = None

    @property
    def ok(self) -> bool:
        """True if the night was played here to its end, and no promise was broken."""
        return self.report is not None and self.report.ok

    @property
    def interrupted(self) -> bool:
        """True if Ctrl-C ended it."""
        return self.ended is not None and self.ended.interrupted

    @property
    def verdict(self) -> Verdict:
        """The class of what went wrong first, as the search has it; `OK` if nothing did, or the run was not made here."""
        violations = self.report.violations if self.report is not None else ()
        failure = self.ended.failure if self.ended is not None else failure_in(violations)
        return Verdict.OK if failure is None else failure.verdict

    def to_text(self) -> str:
        """How it came out, for people: the report, or the error; "" if the run was not made here."""
        if self.ended is None:
            return "" if self.report is None else self.report.to_text()
        failure = self.ended.failure
        words, *calls = failure.words.splitlines()
        return "\n".join(
            [
                f"{self.night.scenario}  seed {self.night.seed}  {self.ended.called.upper()}",
                f"  ended          at {self.ended.at_s:.6f} s by {words}",
                *(f"                 {call}" for call in calls),
                f"  trace          {self.trace_hash}",
                f"  again          {self.night.replay}",
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """The same as plain data; nothing if the run was not made here."""
        if self.ended is None:
            return {} if self.report is None else self.report.to_json()
        failure = self.ended.failure
        return {
            "scenario": self.night.scenario,
            "seed": self.night.seed,
            "ok": False,
            "verdict": self.ended.called,
            "error": failure.invariant,
            "place": failure.place,
            "words": failure.words,
            "ended_at_s": round(self.ended.at_s, 6),
            "trace_hash": self.trace_hash,
            "replay": self.night.replay,
        }


class NightInterrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a night, and what there was of it until then."""

    def __init__(self, recording: Recording) -> None:
        super().__init__("Ctrl-C")
        self.recording = recording


#: Microseconds, kind, fields.
Event = tuple[int, str, dict[str, Any]]
#: An event beside a trace, and how many events the trace had when it happened.
Seen = tuple[int, Event]
#: Plays a night, here or elsewhere; here with options as `record_night`.
Player = Callable[..., Recording]


class _Stage:
    """What a run leaves behind, also one that an error ends."""

    world: World | None = None
    #: How many events there were, and what time it was, when the night was over and nothing was cleaned up yet.
    events = 0
    over_s = 0.0
    _over = False

    def over(self) -> None:
        """The night is over; told more than once, the first time counts."""
        if self.world is not None and not self._over:
            self._over, self.events, self.over_s = True, self.world.trace.count, self.world.loop.time()


def record_night(scenario: Scenario, night: Night, *, keep_trace: bool = True, **options: Any) -> Recording:
    """Play a night in this process; `options` are those of `World` (``application`` …).

    Args:
        keep_trace: whether its events are kept, some 300 bytes each.

    Raises:
        SimulatorError: the night cannot be played at all. An error that ends one is in its recording.
        NightInterrupted: Ctrl-C; what there is of the night is in it.
    """
    stage = _Stage()

    async def body() -> Report:
        world = World(
            scenario,
            night.seed,
            network=night.network,
            transport=night.transport,
            keep_trace=keep_trace,
            **{"invariants": night_invariants(), **options},
        )
        async with world.standing():
            stage.world = world
            # Ctrl-C comes in the middle of whatever runs: the night itself learns of it only when it is cleaned up.
            world.loop.on_run_end(stage.over)
            try:
                return await world.night()
            finally:
                stage.over()

    try:
        report = run_alone(body(), night.seed, night.network, night.order)
    except (Exception, BaseExceptionGroup, KeyboardInterrupt) as error:
        # Supervisor: whatever ends the night, how it came to that is what somebody wants to see.
        stopped = isinstance(alone(error), KeyboardInterrupt)
        if stage.world is None or not (stopped or isinstance(alone(error), Exception)):
            raise  # nothing to show, or the program is to end
        recording = _ended_by(error, night, stage.world.trace, stage, keep_trace=keep_trace)
        if not stopped:
            return recording
    else:
        assert stage.world is not None, "played"
        trace = stage.world.trace
        told = replace(report, source=night.scenario, options=night.options)
        return Recording(night, trace.digest, trace.lines if keep_trace else (), told)
    raise NightInterrupted(recording)


def _ended_by(
    error: BaseException, night: Night, trace: Trace, stage: _Stage, *, keep_trace: bool
) -> Recording:
    # What failed unnoticed is told of when the world has ended; it happened earlier.
    at_s = error.at_s if isinstance(error, UnhandledError) else stage.over_s
    ended = Ended(at_s, failure_of(error))
    if isinstance(alone(error), KeyboardInterrupt):
        # What the world said while it was cleaned up is no answer to the question where the night was.
        words = "\n".join(["Ctrl-C", *calls_to(error)])
        ended = Ended(at_s, replace(ended.failure, words=words), interrupted=True)
    # Without the words: addresses of objects in them differ from run to run, and recordings are compared.
    fields = {"error": ended.failure.invariant, "place": ended.failure.place, "verdict": ended.called}
    told: Event = (round(at_s * _US_PER_S), ERROR_KIND, fields)
    lines = interleaved(trace.lines[: stage.events], [(stage.events, told)]) if keep_trace else ()
    return Recording(night, trace.digest, lines, ended=ended)


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


def interleaved(lines: Sequence[str], events: Sequence[Seen]) -> tuple[str, ...]:
    """The lines of a trace with these events at their moments, among those of one moment where the trace stood then.

    Both are in order of time; so an event with 0 stands before what happened at the same moment, and one with a large number behind it.
    """
    encode = msgspec.json.Encoder(order="sorted").encode
    found: list[str] = []
    place = 0
    for stood, event in events:
        first = bisect_left(lines, event[0], lo=place, key=_time_us)
        last = bisect_right(lines, event[0], lo=first, key=_time_us)
        until = min(max(stood, first), last)
        found += [*lines[place:until], encode(event).decode()]
        place = until
    return (*found, *lines[place:])


def _time_us(line: str) -> int:
    return decoded(line)[0]


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
    if kind in (FAULT_BEGINS, FAULT_ENDS, FAULT_STRIKES):
        until = f", until {fields['until_s']:g} s" if "until_s" in fields else ""
        return f"{fields['words']}  ({fields['family']}{until})"
    if "line" in fields:
        arrow: Literal["<", ">"] = "<" if kind == "irc_in" else ">"
        return f"{fields['connection']} {arrow} {fields['line']}"
    return "  ".join(f"{name}={value}" for name, value in fields.items())
