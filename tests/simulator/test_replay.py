"""A night is recorded, written, read back, compared and shown; what is not the same is told in words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from simulator.audience import CommandStorm
from simulator.errors import SimulatorError, TraceError
from simulator.faults import Hang
from simulator.replay import (
    Night,
    Recording,
    compare,
    explain,
    read_recording,
    record_elsewhere,
    record_night,
    timeline,
    write_recording,
)
from simulator.scenario import Scenario
from simulator.world import simulate

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
