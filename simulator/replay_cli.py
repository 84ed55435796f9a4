"""``byte-sim replay``: one night again, event by event, or several times to see whether it is always the same night.

How it works. `add_replay` registers the command on a typer application; what it prints comes from `replay.py`. Compared are
runs of both kinds in turn: here, where objects lie at other addresses than before, and in a process of its own, whose
strings hash differently.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from simulator.cli_options import Exit, NetworkKind, NightName, Order, TransportKind, night_as_asked
from simulator.errors import SimulatorError
from simulator.invariants.standard import night_invariants
from simulator.replay import (
    Night,
    NightInterrupted,
    Player,
    Recording,
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
from simulator.scenario import Scenario
from simulator.scenario_file import NightFile
from simulator.search.search_cli import EXITS
from simulator.timeline_faults import fault_events
from simulator.timeline_page import write_page
from simulator.timeline_requests import RequestWatcher
from simulator.timeline_samples import Watcher
from simulator.timeline_states import StateWatcher
from simulator.world_twitch import implied_network

RUNS_DEFAULT: Final = 3

Fail = Callable[[str], NoReturn]
#: Tells apart the runs of one comparison.
Named = tuple[str, Recording]


def add_replay(
    cli: typer.Typer,
    find_night: Callable[[str], NightFile],
    fail: Fail,
    *,
    quiet_log: Callable[[], None] = lambda: None,
    here: Player = record_night,
    elsewhere: Callable[..., Recording] = record_elsewhere,
) -> None:
    """Register the command.

    Args:
        find_night: gives a night by its name or file, or ends the program.
        fail: prints why nothing could be played, and ends the program.
        quiet_log: silences the bot's log.
        here, elsewhere: play a night in this process, and in another.
    """

    @cli.command()
    def replay(
        scenario: NightName,
        seed: Annotated[
            int | None,
            typer.Option("--seed", help="Which of its nights.", show_default="1, or what the file says"),
        ] = None,
        compare_: Annotated[
            bool, typer.Option("--compare", help="Play it several times; show the first event that differs.")
        ] = False,
        runs: Annotated[
            int, typer.Option(min=2, help="How many times, with --compare: here and in other processes.")
        ] = RUNS_DEFAULT,
        against: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Compare it with a night that --trace wrote.")
        ] = None,
        trace: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="Write every event to a file instead of showing them."),
        ] = None,
        html: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE", help="Draw the timeline into a page for a browser instead of showing it."
            ),
        ] = None,
        only: Annotated[
            str, typer.Option(help="Show these kinds of events only: chat,http,irc_in …", metavar="KINDS")
        ] = "",
        network: Annotated[
            NetworkKind | None, typer.Option(help="As for `run`.", show_default="memory; tcp with eventsub")
        ] = None,
        transport: Annotated[
            TransportKind | None,
            typer.Option(help="As for `run`.", show_default="irc, or what the file says"),
        ] = None,
        order: Annotated[
            Order | None, typer.Option(help="As for `run`.", show_default="fifo, or what the file says")
        ] = None,
        as_json: Annotated[
            bool,
            typer.Option("--json", help="JSON for a program to read: one object an event, or the verdict."),
        ] = False,
    ) -> None:
        """Play one night again: show what happened, or compare runs.

        Without options: every event with its virtual time (chat, answers, the bot's process, broken promises), what each fault does
        (fault_begins, fault_ends, fault_strikes), each save with its epoch, its rows and which try it is (save), other requests that are tried once
        more (retry), answers that the bot waits for no longer (gave_up), and how the bot changes (state: circuit, journal, connection, channels, epoch). --only chat,http chooses; the kinds
        irc_in, irc_out (raw lines), request and response are shown only so.

        \b
          byte-sim replay 4711                                     (a night of `byte-sim search`)
          byte-sim replay outage --seed 3 --only chat
          byte-sim replay outage --seed 3 --html night.html
          byte-sim replay outage --seed 3 --compare
          byte-sim replay outage --seed 3 --trace before.jsonl     (change the bot, then)
          byte-sim replay outage --seed 3 --against before.jsonl

        A night that ends by an error is shown up to it, and so is one that Ctrl-C ends, with where it was. Exit code 0 if every promise was kept or, where runs are compared, all were
        equal; 2 if the night cannot be played; otherwise that of `search` for what went wrong first: 1 safety, 3
        nondeterminism (or two runs differ), 4 liveness, 5 crash; 130 after Ctrl-C.
        """
        given = find_night(scenario)
        asked = night_as_asked(given, seed, transport, order)
        chosen = asked.scenario
        night = Night(
            scenario,
            asked.seed,
            network.value if network is not None else implied_network(asked.transport),
            asked.ready_order,
            asked.transport,
            said=(given.transport, given.ready_order),
        )
        quiet_log()
        try:
            shown = trace is None and html is None and against is None and not compare_
            if html is not None:
                first = _drawn(here, chosen, night, html)
            else:
                first = _with_what_is_beside(here, chosen, night) if shown else _played(here, chosen, night)
            if trace is not None:
                write_recording(first, trace)
            others: list[Named] = [] if against is None else [(against.name, read_recording(against))]
            again = range(2, runs + 1) if compare_ else ()
            if (others or again) and not first.interrupted:
                more = (_again(number, here, elsewhere, chosen, night) for number in again)
                raise typer.Exit(_compare(("run 1", first), chain(others, more), as_json=as_json))
            if trace is not None:
                typer.echo(f"{len(first.lines)} events written to {trace}, trace {first.trace_hash}")
            if html is not None:
                typer.echo(f"timeline drawn in {html}, trace {first.trace_hash}")
            if shown:
                _show(first, tuple(filter(None, only.split(","))), as_json=as_json)
            elif first.ended is not None:
                typer.echo(first.to_text(), err=True)
        except SimulatorError as error:
            fail(f"{' '.join(night.arguments)}: {error}")
        raise typer.Exit(Exit.INTERRUPTED if first.interrupted else EXITS[first.verdict])


def _played(here: Player, scenario: Scenario, night: Night, **options: Any) -> Recording:
    """Play a night; one that Ctrl-C ends is shown up to it like one that an error ends."""
    try:
        return here(scenario, night, **options)
    except NightInterrupted as stopped:
        return stopped.recording


def _drawn(here: Player, scenario: Scenario, night: Night, file: Path) -> Recording:
    """Play a night, watch the bot in it, and draw what happened."""
    watcher = Watcher()
    recording = _played(here, scenario, night, invariants=(*night_invariants(), watcher))
    write_page(file, recording, watcher.watched(), f"{night.scenario}, seed {night.seed}")
    return recording


def _with_what_is_beside(here: Player, scenario: Scenario, night: Night) -> Recording:
    """Play a night; among its events what the trace does not have: faults, saves and retries, the bot's state."""
    states, requests = StateWatcher(), RequestWatcher()
    recording = _played(here, scenario, night, invariants=(*night_invariants(), states, requests))
    # The error that ended a night is no event of the trace; what cleaning up after it changed is no part of the night.
    events = len(recording.lines) - (recording.ended is not None)
    faults = fault_events(recording.lines, scenario.faults)
    beside = [*faults, *states.changes(events), *requests.asked(events)]
    if left_out := states.left_out + requests.left_out:
        typer.echo(f"{left_out} later changes of state, saves and retries are not shown", err=True)
    # One list in the order of time, and of the trace: of equal ones the fault comes first.
    beside.sort(key=lambda seen: (seen[1][0], seen[0]))
    return replace(recording, lines=interleaved(recording.lines, beside))


def _again(
    number: int, here: Player, elsewhere: Callable[..., Recording], scenario: Scenario, night: Night
) -> Named:
    if number % 2 == 0:
        return f"run {number}, this process", here(scenario, night)
    return f"run {number}, PYTHONHASHSEED={number}", elsewhere(scenario, night, hash_seed=number)


def _compare(first: Named, others: Iterable[Named], *, as_json: bool) -> Exit:
    """Compare the others with the first, up to the first that differs, and say how that came out."""
    name, recording = first
    runs = 1
    night = recording.night
    verdict: dict[str, Any] = {
        "scenario": night.scenario,
        "seed": night.seed,
        "network": night.network,
        "transport": night.transport,
        "order": night.order,
        "same": True,
        "events": len(recording.lines),
        "trace_hash": recording.trace_hash,
    }
    for other_name, other in others:
        runs += 1
        difference = compare(recording, other)
        if difference is None:
            continue
        if as_json:
            parted = {
                "event": difference.index + 1,
                "left": difference.left and json.loads(difference.left),
                "right": difference.right and json.loads(difference.right),
                "before": [json.loads(line) for line in difference.before],
            }
            other_trace = {"same": False, "other_trace_hash": other.trace_hash}
            typer.echo(json.dumps({**verdict, **other_trace, "runs": runs, "difference": parted}))
        else:
            typer.echo(explain(difference, name, other_name))
        return Exit.DIFFERENT
    text = f"equal: {runs} runs, {len(recording.lines)} events, trace {recording.trace_hash}"
    typer.echo(json.dumps({**verdict, "runs": runs}) if as_json else text)
    return Exit.OK


def _show(recording: Recording, only: tuple[str, ...], *, as_json: bool) -> None:
    if not as_json:
        for line in timeline(recording.lines, only):
            typer.echo(line)
        if outcome := recording.to_text():
            typer.echo(outcome)
        return
    for at_us, kind, fields in map(decoded, recording.lines):
        if not only or kind in only:
            typer.echo(json.dumps({"at_us": at_us, "kind": kind, **fields}))
    if recording.ended is not None:
        typer.echo(recording.to_text(), err=True)
