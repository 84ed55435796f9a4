"""Measuring somebody else's bot: any command line, in any language, which knows nothing of this program.

How it works. The fakes of `stage.py` start, then the bot, as its owner starts it: the command, in the owner's folder and
environment, plus what it needs to find the fakes (`target_options.py`). Nothing is pinned, limited or patched. When it is in
every channel it is asked once in each; then the load runs by the clock, in thirds: healthy, outage, healed. Each third is
one `results.Round`, the whole one `results.Timeline`, so that report and picture are those of Byte Bot's own benchmark.

What the bot does wrong is a result as far as it can be: messages that it leaves unanswered, and a process that ends in the
middle of the load. Before that it is an error in words, with the end of the bot's own output: it does not start or join
(`BenchError`), or does not answer (`NoAnswer`).

The commands come from one moderator, and the bot's account is verified and a moderator, with no limit on its messages; a bot
that limits itself is measured with its own limits. Left out: what the bot stores. Nobody here knows where it keeps what.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from simulator.bench.child import BenchError
from simulator.bench.load import OpenLoop
from simulator.bench.matching import Asked, Expectation
from simulator.bench.plan import Condition, Load
from simulator.bench.probe import LagProbe, process_tree, rss_mb
from simulator.bench.report import Finding, figure
from simulator.bench.results import HEALTHY, Round, Row, Sample, Timeline, rows_of
from simulator.bench.stage import Addresses, SupabaseProcess, TwitchStage
from simulator.bench.target_options import NUMBER, environment, filled, placeholder_values
from simulator.bench.target_replies import TargetReplies
from simulator.bot_process import BotProcess
from simulator.serve import BOT_LOGIN

HEALED = "healed"
STARTING, ENDING = "starting", "waiting for answers"
POLL_S = 0.02
TOLERANCE_S = 1e-6  # of floating point: a message due at the very moment of a phase belongs to it
PROGRESS_EVERY_S = 0.5
STOP_S = 5.0  # between SIGTERM and SIGKILL: its measurement is over
OUTPUT_LINES = 12
CHAT_LINES = 3  # of what a bot said instead of the expected, for the error
NOT_LOOKED_AT = (
    "lost and stale are -: only your bot knows which of its replies promise that something is stored, and where; "
    "of Byte Bot they are counted by `python -m benchmarks chat_latency`"
)


class NoAnswer(BenchError):
    """The bot is there, and says nothing that was expected; the message says what it said instead."""


@dataclass(frozen=True)
class TargetOptions:
    """What to measure and how; times in seconds, `rate` in messages per second over all channels.

    `command` and `variables` may contain placeholders, `send` {n}, the number of the message. `outage` None: the database
    stays well. `schema_dir` None: the fake Supabase has Byte Bot's tables. `inherited` is the environment to start from.
    """

    name: str
    command: Sequence[str]
    send: str
    expectation: Expectation
    unix_start_s: float
    variables: Mapping[str, str] = field(default_factory=dict)
    inherited: Mapping[str, str] = field(default_factory=dict)
    channels: int = 1
    rate: float = 20.0
    seconds: float = 30.0
    outage: Condition | None = None
    uses_database: bool = True
    schema_dir: Path | None = None
    patience_s: float = 5.0
    wait_s: float = 30.0  # for the bot to be in its channels
    warm_s: float = 10.0  # for its first answer in each
    seed: int = 1
    directory: Path = field(default_factory=Path)

    @property
    def outage_bounds_s(self) -> tuple[float, float]:
        """When the outage begins and ends, in seconds of the load; the end of the load twice if there is none."""
        if self.outage is None:
            return self.seconds, self.seconds
        return self.seconds / 3, self.seconds * 2 / 3


@dataclass(frozen=True)
class Progress:
    """How far it is: seconds since the load began, messages sent and answered, and what is going on."""

    at_s: float
    sent: int
    answered: int
    phase: str


@dataclass(frozen=True)
class Outcome:
    """What came out: a row for each phase, the picture's line, findings, and remarks that decide nothing."""

    rows: Sequence[Row]
    timeline: Timeline
    findings: Sequence[Finding]
    remarks: Sequence[str]


@dataclass
class _Phase:
    """A part of the load: its name, its first moment (seconds of the load), and what was read when it began."""

    name: str
    start_s: float
    requests: int
    rss_mb: float
    lag: LagProbe


class TargetBench:
    """One measurement; make it in the running loop, enter it, await `run` once. `report` gets the progress now and then."""

    def __init__(self, options: TargetOptions, report: Callable[[Progress], object]) -> None:
        self._options = options
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._resources = contextlib.AsyncExitStack()
        self._book = TargetReplies(options.expectation)
        self._supabase: SupabaseProcess | None = None
        self._twitch = TwitchStage(
            options.channels, self._heard, unix_start_s=options.unix_start_s, seed=options.seed
        )
        self._family: list[int] = []  # the bot's process and its descendants, as last seen
        self._number = 0  # of a message, the warm-up's counted too: no two texts with {n} are equal
        self._sent = self._answered = 0
        self._rss_mb = 0.0
        self._open_loop = OpenLoop(self._say)
        self._strange: list[str] = []  # what it said that was no expected reply
        self._first_due: float | None = None
        self._begun = asyncio.Event()
        self._idle = asyncio.Event()  # no message is open
        self._probing: asyncio.Task[None] | None = None
        self._phases: list[_Phase] = []
        self._phase = STARTING

    # -- life -----------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> TargetBench:
        try:
            if self._options.uses_database:
                supabase = SupabaseProcess(self._options.schema_dir, seed=self._options.seed)
                self._supabase = await self._resources.enter_async_context(supabase)
            await self._resources.enter_async_context(self._twitch)
        except BaseException:
            await self._resources.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._resources.aclose()

    async def run(self) -> Outcome:
        """Start the bot, wait for it, load it. Raises `BenchError`, `NoAnswer`, and `BadTarget` for a misspelt placeholder."""
        await self._start_bot(self._twitch.addresses(self._supabase))
        self._progress()
        await self._wait(self._twitch.all_joined, self._options.wait_s, self._not_joined)
        await self._warm_up()
        died = await self._play()
        return self._outcome(died)

    # -- the bot --------------------------------------------------------------------------------------------------------

    async def _start_bot(self, addresses: Addresses) -> None:
        options = self._options
        values = placeholder_values(addresses)
        command = [filled(word, values) for word in options.command]
        variables = environment(addresses, options.variables, options.inherited)
        # The fakes are new, so a journal of Byte Bot's must be too: an older one is not about them.
        folder = self._resources.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        variables.setdefault("JOURNAL_PATH", str(Path(folder) / "bench.journal"))
        self._bot = BotProcess(command, variables, options.directory, lambda event: None, all_output=True)
        try:
            await self._bot.__aenter__()
        except OSError as error:
            # Often a missing program, a file without permission to run, or a shell's syntax without a shell.
            raise BenchError(
                f"cannot start {command[0]!r}: {error.strerror or error}. It is started without a shell; "
                "where one is needed: --target 'sh -c \"...\"'"
            ) from error
        self._resources.push_async_callback(self._end_bot)

    async def _end_bot(self) -> None:
        family = process_tree(self._bot.pid) if self._bot.running else self._family
        for pid in family[1:]:
            _signal(pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S + 1):
                await self._bot.stop(STOP_S)
        except TimeoutError:
            pass  # a child that nobody knows of keeps its output open; it is left alone
        for pid in family[1:]:
            _signal(pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

    async def _wait(
        self, condition: Callable[[], bool], within_s: float, otherwise: Callable[[], BenchError]
    ) -> None:
        give_up_at = self._loop.time() + within_s
        while not condition():
            if not self._bot.running:
                code = await self._exit_code()
                raise BenchError(f"the bot ended by itself, with exit code {code}. {self._output()}")
            if self._loop.time() > give_up_at:
                raise otherwise()
            await asyncio.sleep(POLL_S)

    async def _exit_code(self) -> int | str:
        try:
            async with asyncio.timeout(1.0):
                return await self._bot.wait()
        except TimeoutError:
            return "unknown"  # its children still hold its output

    def _not_joined(self) -> BenchError:
        irc = self._twitch.irc
        if irc.stats["logins"]:
            seen = f"It logged in and is in {len(irc.joined(BOT_LOGIN))} of {self._options.channels} channels"
            way = f"have it join {', '.join('#' + name for name in self._twitch.channels[:3])} ({{channels}})"
        elif irc.connected or irc.stats:
            seen, way = "It connected and did not log in", "log in as {login} with the token {irc_token}"
        else:
            seen = "It never connected to the fake chat"
            way = "tell it host {irc_host}, port {irc_port}, and no TLS"
        return BenchError(
            f"the bot did not join within {self._options.wait_s:g} s (--wait). {seen}: {way}, "
            f"in --target or with --env NAME=VALUE. {self._output()}"
        )

    def _not_answered(self) -> BenchError:
        said = "; ".join(repr(text) for text in self._strange[-CHAT_LINES:])
        heard = (
            f"It said {said}, which is not what --expect asks for." if said else "It said nothing in chat."
        )
        return NoAnswer(
            f"the bot is in its channels and did not answer {self._options.send!r} within {self._options.warm_s:g} s. {heard} "
            f"{self._output()}"
        )

    def _output(self) -> str:
        lines = self._bot.last_lines[-OUTPUT_LINES:]
        return (
            "The end of its output:\n" + "\n".join(f"  {line}" for line in lines)
            if lines
            else "It wrote nothing."
        )

    # -- the load -------------------------------------------------------------------------------------------------------

    def _say(self, number: int, due: float) -> None:
        if self._first_due is None:
            self._first_due = due
            self._begun.set()
        self._sent += 1
        self._number += 1
        channel = self._twitch.channels[number % len(self._twitch.channels)]
        message_id = self._twitch.say(channel, self._options.send.replace(NUMBER, str(self._number)))
        self._book.ask(message_id, channel, self._number, due)
        self._idle.clear()

    def _heard(self, channel: str, text: str, reply_to: str) -> None:
        if self._book.heard(channel, text, reply_to, self._loop.time()):
            self._answered += 1
            if not self._book.outstanding:
                self._idle.set()
        else:
            self._strange = [*self._strange[1 - CHAT_LINES :], text]

    async def _warm_up(self) -> None:
        """Ask once in each channel: what a bot does only the first time is in no sample."""
        for number in range(self._options.channels):
            self._say(number, self._loop.time())
            await self._wait(lambda: not self._book.outstanding, self._options.warm_s, self._not_answered)
        self._book = TargetReplies(self._options.expectation)
        self._sent = self._answered = 0
        self._first_due = None
        self._begun.clear()

    async def _play(self) -> tuple[float, int | str] | None:
        """Send the load and carry out the outage; if the bot died, when (seconds of the load) and with which exit code."""
        died: tuple[float, int | str] | None = None
        # Before the first message, which would wait for these readings.
        lag = await self._begin_phase(HEALTHY, 0.0)
        async with asyncio.TaskGroup() as tasks:
            self._probing = tasks.create_task(lag.run())
            load = tasks.create_task(self._load())
            directing = tasks.create_task(self._direct(tasks))
            while not load.done():
                await asyncio.wait([load], timeout=PROGRESS_EVERY_S)
                self._progress()
                if not self._bot.running:
                    load.cancel()
                    died = self._now_s(), await self._exit_code()
                    break
            directing.cancel()
            self._stop_probing()
        await self._set_fault(None)
        await self._begin_phase("", self._options.seconds)  # its reading ends the last phase
        return died

    async def _load(self) -> None:
        options = self._options
        await self._open_loop.run(Load(options.channels, options.rate, options.seconds))
        self._phase = ENDING
        try:
            async with asyncio.timeout(options.patience_s):
                await self._idle.wait()
        except TimeoutError:
            pass  # what is open then is a result

    async def _direct(self, tasks: asyncio.TaskGroup) -> None:
        """Break and heal the database at their moments, and probe the bot's event loop for each phase by itself."""
        options = self._options
        break_s, heal_s = options.outage_bounds_s
        if options.outage is None:
            return
        await self._begun.wait()
        for name, start_s, fault in (
            (options.outage.name, break_s, options.outage.fault),
            (HEALED, heal_s, None),
        ):
            await asyncio.sleep(start_s - self._now_s())
            await self._set_fault(fault)
            self._stop_probing()
            lag = await self._begin_phase(name, start_s)
            self._probing = tasks.create_task(lag.run())

    def _stop_probing(self) -> None:
        if self._probing is not None:
            self._probing.cancel()

    async def _begin_phase(self, name: str, start_s: float) -> LagProbe:
        requests = 0 if self._supabase is None else await self._supabase.attempts()
        lag = LagProbe(self._twitch.irc)
        if self._bot.running:  # or the memory that it had when it was seen last
            self._rss_mb = rss_mb(self._bot.pid)
        self._phases.append(_Phase(name, start_s, requests, self._rss_mb, lag))
        self._phase = name
        return lag

    async def _set_fault(self, fault: Mapping[str, object] | None) -> None:
        if self._supabase is not None:
            await self._supabase.set_fault(fault)

    def _now_s(self) -> float:
        return 0.0 if self._first_due is None else self._loop.time() - self._first_due

    def _progress(self) -> None:
        if self._bot.running:
            self._family = process_tree(self._bot.pid)
        self._report(Progress(self._now_s(), self._sent, self._answered, self._phase))

    # -- what came out --------------------------------------------------------------------------------------------------

    def _outcome(self, died: tuple[float, int | str] | None) -> Outcome:
        options = self._options
        asked = self._book.settle()
        samples = [_sample(one, asked[0].intended_at, options.patience_s) for one in asked]
        rounds = [
            _round(
                options,
                self._open_loop.late_p99_ms(),
                phase,
                after,
                [one for one in samples if phase.start_s <= one.intended_s + TOLERANCE_S < after.start_s],
            )
            for phase, after in zip(self._phases, self._phases[1:], strict=False)
        ]
        points = [(one.intended_s, one.latency_ms) for one in samples]
        return Outcome(
            rows=rows_of(rounds),
            timeline=Timeline(strategy=options.name, points=points, outage=options.outage_bounds_s),
            findings=[_answers(samples), *([] if died is None else [_death(*died)])],
            remarks=self._remarks(),
        )

    def _remarks(self) -> list[str]:
        late_ms = self._open_loop.late_p99_ms()
        found = [f"the load itself was late by {figure(late_ms)} ms (p99), which is in every latency"]
        if self._supabase is not None:
            found.append(NOT_LOOKED_AT)
        if self._supabase is not None and self._phases[-1].requests == 0:
            found.append(
                "the bot never sent a request to the fake Supabase, so no outage could touch it: is its address "
                "{supabase_url}, its key {supabase_key}? (--no-database if it has none)"
            )
        if self._book.strange:
            words = "; ".join(repr(text) for text in self._strange)
            found.append(f"{self._book.strange:,} texts of the bot answered no message, the last: {words}")
        return found


def _sample(asked: Asked, first: float, patience_s: float) -> Sample:
    """A message and its reply; one later than patience is none."""
    if asked.replied_at is None or asked.replied_at - asked.intended_at > patience_s:
        return Sample(asked.intended_at - first, None)
    return Sample(asked.intended_at - first, (asked.replied_at - asked.intended_at) * 1_000)


def _round(
    options: TargetOptions, late_ms: float, phase: _Phase, after: _Phase, samples: list[Sample]
) -> Round:
    return Round(
        strategy=options.name,
        condition=phase.name,
        channels=options.channels,
        rate=options.rate,
        patience_s=options.patience_s,
        samples=samples,
        requests=after.requests - phase.requests,
        messages=len(samples),
        rss_start_mb=phase.rss_mb,
        rss_end_mb=after.rss_mb,
        loop_lag_p99_ms=phase.lag.p99_ms(),
        generator_late_p99_ms=late_ms,
    )


def _answers(samples: Sequence[Sample]) -> Finding:
    answered = sum(one.latency_ms is not None for one in samples)
    return Finding("answers", answered > 0, f"{answered:,} of {len(samples):,} messages were answered")


def _death(at_s: float, code: int | str) -> Finding:
    return Finding(
        "alive", False, f"the bot ended by itself {figure(at_s)} s into the load, with exit code {code}"
    )


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # it has ended, and perhaps its number belongs to somebody else
