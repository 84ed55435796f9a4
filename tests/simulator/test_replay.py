"""A night is recorded, written, read back, compared and shown; what is not the same is told in words."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from byte_bot.app import Application, Surroundings
from byte_bot.errors import ExitCode
from byte_bot.settings import Settings
from simulator.audience import CommandStorm
from simulator.errors import SimulatorError, TraceError
from simulator.faults import Hang, TwitchPackets
from simulator.loop import ReadyOrder
from simulator.replay import (
    Ended,
    Night,
    NightInterrupted,
    Recording,
    Seen,
    compare,
    decoded,
    explain,
    interleaved,
    read_recording,
    record_elsewhere,
    record_night,
    timeline,
    write_recording,
)
from simulator.report import Violation
from simulator.scenario import Scenario
from simulator.search.outcome import Failure, Verdict, judge
from simulator.search.plan import SearchPlan
from simulator.simulated_bot import ApplicationFactory
from simulator.world import World, simulate

SHORT = Scenario(
    "short",
    "three seconds",
    duration_s=3,
    crowds=(CommandStorm("lobby", 1, ("!ping",)),),
    faults=(Hang(start_s=1, duration_s=1),),
)
NIGHT = Night("short", 3)


@pytest.fixture(scope="module")
def recording() -> Recording:
    """One run of the short night."""
    return record_night(SHORT, NIGHT)


def changed(recording: Recording, at: int, line: str) -> Recording:
    """The recording with another event there."""
    lines = (*recording.lines[:at], line, *recording.lines[at + 1 :])
    return dataclasses.replace(recording, lines=lines)


def test_a_recording_is_the_night_that_run_simulates(recording: Recording) -> None:
    """Keeping the events changes nothing: it has the hash of `byte-sim run`."""
    assert recording.trace_hash == simulate(SHORT, 3).trace_hash
    assert recording.report is not None and recording.report.ok


def test_a_file_holds_the_whole_recording(recording: Recording, tmp_path: Path) -> None:
    """Written and read back it compares as equal."""
    write_recording(recording, tmp_path / "night.jsonl")
    again = read_recording(tmp_path / "night.jsonl")
    assert (again.night, again.trace_hash, again.lines) == (NIGHT, recording.trace_hash, recording.lines)
    assert compare(recording, again) is None


def test_files_that_hold_no_night_are_refused(recording: Recording, tmp_path: Path) -> None:
    """A missing, empty, foreign, newer or cut file is named, with what is wrong."""
    file = tmp_path / "night.jsonl"
    with pytest.raises(TraceError, match="cannot read"):
        read_recording(file)
    with pytest.raises(TraceError, match="cannot write"):
        write_recording(recording, tmp_path / "no" / "folder")
    for text in ("", "hello\n", "{}\n"):
        file.write_text(text)
        with pytest.raises(TraceError, match="no recorded night; `byte-sim replay NAME --trace FILE`"):
            read_recording(file)
    write_recording(recording, file)
    whole = file.read_text()
    file.write_text(whole.replace("trace 1", "trace 9", 1))
    with pytest.raises(TraceError, match="the format 'byte-sim trace 9'"):
        read_recording(file)
    file.write_text("".join(whole.splitlines(keepends=True)[:-2]))
    with pytest.raises(TraceError, match="is cut short"):
        read_recording(file)


def test_two_nights_are_not_compared(recording: Recording) -> None:
    """Another seed is another night: that is said, and not their first event."""
    other = dataclasses.replace(recording, night=Night("short", 4, "tcp", "random"))
    with pytest.raises(TraceError, match="short --seed 3 and short --seed 4 --network tcp --order random"):
        compare(recording, other)


def test_a_difference_is_shown_with_what_led_to_it(recording: Recording) -> None:
    """Five events of both, then the first that differs, of each."""
    at = next(place for place, line in enumerate(recording.lines) if "Pong" in line and '"chat"' in line)
    difference = compare(recording, changed(recording, at, recording.lines[at].replace("Pong", "Peng")))
    assert difference is not None
    told = explain(difference, "run 1", "run 2").splitlines()
    assert told[0] == f"event {at + 1} differs:"
    assert [line.split()[0] for line in told[1:6]] == ["both"] * 5
    assert told[6].startswith("  run 1") and "#lobby byte_bot: Pong" in told[6]
    assert told[7].startswith("  run 2") and "#lobby byte_bot: Peng" in told[7]


def test_a_difference_that_people_are_not_shown_is_shown_raw(recording: Recording) -> None:
    """Two chat lines that differ in their id only, and a run that ended early."""
    at = next(place for place, line in enumerate(recording.lines) if '"chat"' in line)
    difference = compare(recording, changed(recording, at, recording.lines[at].replace('"id":"', '"id":"0')))
    assert difference is not None
    assert explain(difference, "a", "b").splitlines()[-1].endswith(str(difference.right))
    shorter = dataclasses.replace(recording, lines=recording.lines[:-1])
    ended = compare(recording, shorter)
    assert ended is not None
    assert explain(ended, "a", "b").splitlines()[-1].split(maxsplit=1)[1] == "(ended before this)"


def test_the_timeline_reads_as_a_night(recording: Recording) -> None:
    """Chat, faults and requests in the order of virtual time; raw lines only where they are asked for."""
    shown = timeline(recording.lines)
    assert shown[0].split() == ["0.000000", "planned", "duration_s=1", "fault=hang", "start_s=1"]
    assert any("#lobby byte_bot: Pong" in line and "(reply to " in line for line in shown)
    assert not any("irc_" in line and "PRIVMSG" in line for line in shown)
    raw = timeline(recording.lines, ("irc_in",))
    assert any(line.endswith("1 < NICK byte_bot") for line in raw)
    with pytest.raises(TraceError, match=r"of the kind 'nonsense'; there are: .*chat, .*irc_in"):
        timeline(recording.lines, ("nonsense",))


def test_a_process_that_fails_says_why() -> None:
    """What the other process printed is in the error."""
    with pytest.raises(SimulatorError, match="there is no scenario 'short'"):
        record_elsewhere(SHORT, NIGHT)


# ── nights that end by an error ──────────────────────────────────────────────────────────────────────────────────────


async def stumble(world: World) -> None:
    """What the world itself does wrong."""
    await world.joined()
    raise ValueError("the world broke")


STUMBLING = dataclasses.replace(SHORT, script=stumble)


class Dying(Application):
    """Ends by an error half a second after it was started."""

    async def run(self) -> ExitCode:
        """Not for long."""
        await asyncio.sleep(0.5)
        raise ValueError("the bot broke")


def dying_once() -> ApplicationFactory:
    """A factory of which the first bot dies, and every other one lives."""
    built: list[Application] = []

    def build(settings: Settings, surroundings: Surroundings) -> Application:
        built.append((Application if built else Dying)(settings, surroundings))
        return built[-1]

    return build


def test_a_night_that_ends_by_an_error_is_kept_up_to_it() -> None:
    """What was said before is there, the error last, and nothing of what cleaning up did; the hash is the search's."""
    recording = record_night(STUMBLING, NIGHT)
    assert recording.report is None and recording.ended is not None
    at_s, failure = recording.ended.at_s, recording.ended.failure
    assert 0 < at_s < 3 and (failure.verdict, failure.invariant) == (Verdict.CRASH, "ValueError")
    events = [decoded(line) for line in recording.lines]
    place = "tests/simulator/test_replay.py:stumble"
    told = {"error": "ValueError", "place": place, "verdict": "crash"}
    assert events[-1] == (round(at_s * 1e6), "error", told)
    kinds = [kind for _, kind, _ in events]
    assert "bot_started" in kinds and "irc_in" in kinds and "bot_crashed" not in kinds
    assert recording.trace_hash == judge(SearchPlan(3, STUMBLING, "fifo")).trace_hash
    assert recording.verdict is Verdict.CRASH
    first, second, *_, trace, again = recording.to_text().splitlines()
    assert first == "short  seed 3  CRASH"
    assert second == f"  ended          at {at_s:.6f} s by ValueError: the world broke"
    assert trace.endswith(recording.trace_hash) and again.endswith("byte-sim replay short --seed 3")
    assert compare(recording, record_night(STUMBLING, NIGHT)) is None, "the same night again"


def test_a_bot_that_dies_unnoticed_died_when_it_did() -> None:
    """The world tells of it when all is over; the error stands where it happened, and the night after it is there too."""
    recording = record_night(SHORT, NIGHT, application=dying_once())
    assert recording.ended is not None and recording.ended.at_s == 0.5
    assert recording.ended.failure.place == "tests/simulator/test_replay.py:run"
    events = [decoded(line) for line in recording.lines]
    assert [time_us for time_us, _, _ in events] == sorted(time_us for time_us, _, _ in events)
    (error,) = [index for index, event in enumerate(events) if event[1] == "error"]
    assert events[error][0] == 500_000 and events[-1][0] > 3_000_000


def test_a_night_that_cannot_be_played_has_no_recording() -> None:
    """Nothing has happened in it: the error is the answer."""
    with pytest.raises(SimulatorError, match="twitch_packets"):
        record_night(dataclasses.replace(SHORT, faults=(TwitchPackets(),)), Night("short", 3, "tcp"))


def test_the_class_of_what_went_wrong_is_the_searchs(recording: Recording) -> None:
    """Of a broken promise, of an error, and of a night in which nothing did."""
    assert recording.verdict is Verdict.OK and recording.report is not None
    for invariant, verdict in (("gated", Verdict.SAFETY), ("recovers", Verdict.LIVENESS)):
        broken = dataclasses.replace(recording.report, violations=(Violation(invariant, 1.0, "so"),))
        assert dataclasses.replace(recording, report=broken).verdict is verdict
    ended = Ended(1.0, Failure(Verdict.NONDETERMINISM, "NotReplayableError", "here", "a clock"))
    assert dataclasses.replace(recording, report=None, ended=ended).verdict is Verdict.NONDETERMINISM


def test_events_stand_at_their_moments() -> None:
    """Behind what happened at the same one, before what came later; also before and after everything."""
    lines = ('[1,"a",{}]', '[2,"b",{}]', '[2,"c",{}]', '[4,"d",{}]')
    more: list[Seen] = [
        (4, (0, "x", {})), (4, (2, "x", {"b": 1, "a": 2})), (4, (3, "x", {})), (4, (9, "x", {})),
    ]  # fmt: skip
    assert interleaved(lines, more) == (
        '[0,"x",{}]', lines[0], lines[1], lines[2], '[2,"x",{"a":2,"b":1}]', '[3,"x",{}]', lines[3], '[9,"x",{}]',
    )  # fmt: skip


def test_events_of_one_moment_stand_where_the_trace_stood() -> None:
    """Before all of it, in the middle, behind it; a count that is of another moment counts for nothing."""
    lines = ('[1,"a",{}]', '[2,"b",{}]', '[2,"c",{}]', '[4,"d",{}]')
    middle: list[Seen] = [(0, (2, "x", {})), (2, (2, "y", {})), (2, (2, "z", {})), (9, (2, "w", {}))]
    assert interleaved(lines, middle) == (
        lines[0], '[2,"x",{}]', lines[1], '[2,"y",{}]', '[2,"z",{}]', lines[2], '[2,"w",{}]', lines[3],
    )  # fmt: skip


# ── nights that Ctrl-C ends ──────────────────────────────────────────────────────────────────────────────────────────


class Spinning(Application):
    """Never comes back, a second after it was started; somebody presses Ctrl-C."""

    async def run(self) -> ExitCode:
        """As if it hung: the signal comes in the middle of it."""
        starting = asyncio.ensure_future(super().run())
        await asyncio.sleep(1.0)
        starting.cancel()
        raise KeyboardInterrupt


async def linger(world: World) -> None:
    """Takes its time when it is told to stop."""
    try:
        await asyncio.sleep(60)
    finally:
        world.trace.record("lingered")
        await asyncio.sleep(1)


def test_a_night_that_ctrl_c_ends_is_kept_up_to_it() -> None:
    """An interrupt stays one, and brings what there was of the night, and where it was; nothing of what cleaning up did."""
    with pytest.raises(NightInterrupted) as caught:
        record_night(dataclasses.replace(SHORT, script=linger), NIGHT, application=Spinning)
    assert isinstance(caught.value, KeyboardInterrupt), "whoever ends by Ctrl-C still does"
    recording = caught.value.recording
    assert recording.interrupted and not recording.ok and recording.ended is not None
    assert recording.ended.at_s == 1.0
    events = [decoded(line) for line in recording.lines]
    place = "tests/simulator/test_replay.py:run"
    told = {"error": "KeyboardInterrupt", "place": place, "verdict": "interrupted"}
    assert events[-1] == (1_000_000, "error", told)
    kinds = [kind for _, kind, _ in events]
    assert "bot_started" in kinds and "irc_closed" not in kinds and "lingered" not in kinds
    first, second, *calls, _, again = recording.to_text().splitlines()
    assert first == "short  seed 3  INTERRUPTED" and second == "  ended          at 1.000000 s by Ctrl-C"
    assert any("in run: raise KeyboardInterrupt" in call for call in calls)
    assert again == "  again          byte-sim replay short --seed 3"


def test_an_interrupt_before_the_night_is_no_night() -> None:
    """There is nothing to show."""

    def interrupted(settings: Settings, surroundings: Surroundings) -> Application:
        raise AssertionError("no bot was started")

    class Early:
        """An invariant that is told before anything happens."""

        name, restless = "early", False

        def started(self, world: World) -> None:
            """In the middle of building."""
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        record_night(SHORT, NIGHT, application=interrupted, invariants=(Early(),))
    assert not isinstance(caught.value, NightInterrupted)


def test_events_need_not_be_kept() -> None:
    """Then there are none, and the night is the same; also of one that an error ends."""
    bare = record_night(SHORT, NIGHT, keep_trace=False)
    assert bare.lines == () and bare.trace_hash == record_night(SHORT, NIGHT).trace_hash
    ended = record_night(STUMBLING, NIGHT, keep_trace=False)
    assert ended.lines == () and ended.verdict is Verdict.CRASH


def test_the_command_is_that_of_the_night() -> None:
    """A seed says everything about its own night, and nothing about what another seed makes of it; names are quoted."""
    own = Night("41", 41, order="random", said=("irc", "random"))
    assert own.replay == "byte-sim replay 41"
    assert Night("41", 42, order="random", said=("irc", "random")).replay == "byte-sim replay 41 --seed 42"
    assert Night("41", 41, said=("irc", "random")).replay == "byte-sim replay 41 --order fifo"
    assert Night("my night.toml", 3).replay == "byte-sim replay 'my night.toml' --seed 3"


@pytest.mark.parametrize(("order", "again"), [("random", ""), ("fifo", " --order fifo")])
def test_the_report_says_what_the_night_does_not_say_itself(order: ReadyOrder, again: str) -> None:
    """A night of the search has its order from its seed; its report is of the night that was played."""
    night = Night("41", 3, order=order, said=("irc", "random"))
    recording = record_night(dataclasses.replace(SHORT, name="41", duration_s=1), night, keep_trace=False)
    assert recording.report is not None
    assert recording.report.replay == f"byte-sim replay 41 --seed 3{again}"
