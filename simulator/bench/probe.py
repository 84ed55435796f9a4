"""What is seen of a bot's process from outside: memory, processor time, delay of its event loop, and the core
it runs on; and who goes first on the other cores.

Memory is the resident set of the process and of its children, read from /proc. The delay of the event loop is that of PONG: a
bot of any make has to answer Twitch's PING, does so with the loop that handles its chat, and needs to be told nothing. What it
includes besides: one way through the socket and back, about a tenth of a millisecond here.

The load shares its core with a fake Supabase, which computes for a third of a second when it is given the rows of 2,000 messages.
In the background though it was, it delayed the load and the moment at which replies were seen: late by 5.7 ms at the 99th
percentile, against 0.5 ms once the load ran in *real time* (Linux's SCHED_FIFO: whoever has it takes the core from whoever
has not, at once). That needs root or CAP_SYS_NICE; without it the load takes its turn, and the report says so.

Outside Linux there is no /proc and no choice of cores: memory is then 0 and pinning says that it did nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from simulator.bench.results import percentile
from simulator.twitch.irc import IrcServer

PING_EVERY_S = 0.1


def process_tree(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """The process and all its descendants, parents first; without /proc only itself."""
    found = [pid]
    for parent in found:
        for children in sorted((proc / str(parent) / "task").glob("*/children")):
            try:
                found += [int(word) for word in children.read_text(encoding="ascii").split()]
            except OSError:
                continue  # the thread has just ended
    return found


def rss_mb(pid: int, proc: Path = Path("/proc")) -> float:
    """The resident memory of a process and its descendants, in MB of 2**20 bytes; 0 for one that is gone."""
    total_kb = 0
    for one in process_tree(pid, proc):
        try:
            status = (proc / str(one) / "status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                total_kb += int(line.split()[1])
    return total_kb / 1_024


def cpu_seconds(pid: int, proc: Path = Path("/proc")) -> float | None:
    """The processor time a process has used, all its threads together; None where the system does not tell."""
    try:
        fields = (proc / str(pid) / "stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Theft:
    """How much of the machine's processors its host gives to other machines ("steal"), from the making of the object on.

    What a virtual machine lacks for a tenth of a second is in every latency of that time and says nothing about a bot.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._before = self._ticks()

    def share(self) -> float:
        """The part stolen since then, of all cores together: 0 to 1; 0 where the system does not tell."""
        (stolen, total), (stolen_before, total_before) = self._ticks(), self._before
        return (stolen - stolen_before) / (total - total_before) if total > total_before else 0.0

    def _ticks(self) -> tuple[int, int]:
        try:
            line = (self._proc / "stat").read_text(encoding="ascii").partition("\n")[0]
        except OSError:
            return 0, 0
        # user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
        ticks = [int(word) for word in line.split()[1:9]]
        return (ticks[7], sum(ticks)) if len(ticks) == 8 else (0, 0)


class Cores:
    """Which core belongs to the bot and which to the rest, if the machine has two and lets one choose.

    `available` are the cores to choose from, None: those of this process. A process that is pinned itself has to be told.
    """

    def __init__(self, available: Collection[int] | None = None, *, enabled: bool = True) -> None:
        if not enabled or not hasattr(os, "sched_getaffinity"):
            available = ()
        available = sorted(os.sched_getaffinity(0) if available is None else available)
        self.bot: Collection[int] = available[-1:] if len(available) > 1 else ()
        self.rest: Collection[int] = available[:-1] if len(available) > 1 else ()

    @property
    def words(self) -> str:
        """What was pinned, for the report."""
        if not self.bot:
            return "processes are not pinned to cores"
        rest = ", ".join(str(core) for core in self.rest)
        with self.going_first() as first:
            order = (
                "where the load goes first"
                if first
                else "where the load takes its turn (real time: not permitted)"
            )
        return f"the bot runs on core {next(iter(self.bot))}, everything else on core {rest}, {order}"

    def keep_rest(self, pid: int | None = None) -> None:
        """Move a process (None: this one) to the cores that are not the bot's; see `keep_bot`."""
        _pin(os.getpid() if pid is None else pid, self.rest)

    def keep_bot(self, pid: int) -> None:
        """Move a process with all its threads to the bot's core; threads and children it starts later follow it there."""
        _pin(pid, self.bot)

    @contextlib.contextmanager
    def going_first(self) -> Iterator[bool]:
        """Let this thread run before every other on its core, in real time; False if the system does not let it.

        Only with a core of its own for the bot: a load that is always busy would else leave it none. What the thread starts
        meanwhile runs as usual.
        """
        try:
            if not self.rest or not hasattr(os, "SCHED_FIFO"):
                raise PermissionError
            usual = os.sched_getscheduler(0), os.sched_getparam(0)
            os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        except PermissionError:
            yield False
            return
        try:
            yield True
        finally:
            os.sched_setscheduler(0, *usual)

    @staticmethod
    def release() -> None:
        """Give this process every core back."""
        _pin(os.getpid(), range(os.cpu_count() or 1))


def _pin(pid: int, cores: Collection[int]) -> None:
    if not cores or not hasattr(os, "sched_setaffinity"):
        return
    # Linux pins threads. A program such as Node has started some before anybody could ask for its number.
    threads = [int(path.name) for path in sorted(Path(f"/proc/{pid}/task").glob("*"))]
    for thread in threads or [pid]:
        try:
            os.sched_setaffinity(thread, cores)
        except ProcessLookupError:
            pass  # it has ended: whoever waits for it will notice


class LagProbe:
    """Sends PING every `PING_EVERY_S` while `run` is not cancelled, and keeps how long each PONG took, in milliseconds."""

    def __init__(self, irc: IrcServer) -> None:
        self._irc = irc
        self._lags_ms: list[float] = []

    async def run(self) -> None:
        """Probe until cancelled."""
        while True:
            self._irc.probe(self._answered)
            await asyncio.sleep(PING_EVERY_S)

    def _answered(self, after_s: float) -> None:
        self._lags_ms.append(after_s * 1_000)

    def p99_ms(self) -> float | None:
        """The 99th percentile of the answers that came, None if none did."""
        return percentile(sorted(self._lags_ms), 99) if self._lags_ms else None
