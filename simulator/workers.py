"""The processes that share a search, and one more in which some seeds are played a second time.

How it works. :func:`outcomes` gives the outcomes of many seeds in their order, from this process or from several; they do not depend on
how many there are. :class:`OtherProcess` is one whose strings hash differently (another PYTHONHASHSEED): what depends on the order of
a set, on an address or on chance comes out otherwise there. It is started when it is first asked.

A process may be lost: it is killed (by whoever finds memory short), or the night it plays does not end within the limit of real time, and
then it is killed here. The night is given up as a :class:`WorkerLostError`, which says what became of the process; another process takes its place,
and the search goes on. The time in which this process itself stood still (stopped in a terminal, suspended) is no night's.
One that cannot be started, or ends before it could play anything, is tried again :data:`SPARE_STARTS` times in a row: what kills a night for
want of memory may kill the next process while it begins. If none begins, others would only be started for ever: that ends the search (:class:`WorkerStartError`).

A world ends with garbage that only the collector can free, and while worlds are played nobody collects it (`garbage.py`): a process that has
played a thousand of them would have a gigabyte of it. So it is collected after one seed in :data:`COLLECT_EVERY`.

Ctrl-C reaches every process of a terminal. Those here ignore it: only the search itself ends, and then ends them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from simulator.errors import SimulatorError
from simulator.garbage import collect_garbage

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: How strings hash where seeds are played again; where they are played first Python draws it, or the user has set it.
OTHER_HASH_SEED: Final = "4242"

#: A collection takes about as long as a tenth of a small night.
COLLECT_EVERY: Final = 8

#: Real seconds for one night. A night takes a quarter of one, a flood of a thousand messages a second some ten: on a machine ten times as slow
#: it still has room.
NIGHT_LIMIT_S: Final = 120.0

#: Seeds that are handed out ahead of the first whose outcome is not here; more would wait behind a night that takes its time.
AHEAD_MAX: Final = 1_000

#: Starts in a row that may fail. Chosen: each takes about a second, in which whoever took the memory may be gone.
SPARE_STARTS: Final = 2

#: Seconds after which the processes are looked at again, and twice as many are the most that count between two looks.
LOOK_S: Final = 0.5

SetLogLevel = Callable[[str], None]
#: Makes the other process: with a way to set up logging there, real seconds for a night, and how its strings hash.
MakeElsewhere = Callable[[SetLogLevel, float, str | None], "Elsewhere"]


class WorkerLostError(SimulatorError):
    """The process that played a night is gone, and the night's outcome with it."""

    #: What failures of this sort have in place of an invariant's name.
    name = "WorkerLost"


class WorkerDiedError(WorkerLostError):
    """It ended, or somebody killed it."""

    name = "WorkerDied"


class WorkerStartError(SimulatorError):
    """No process can be started, or each ends before it could play anything; the next one would too."""


class NightLimitError(WorkerLostError):
    """Its night did not end within the limit of real time, so it was killed."""

    name = "NightLimit"


#: Makes an outcome of a seed whose process was lost.
Lost = Callable[[int, WorkerLostError], T]


class Pending(Protocol[T_co]):
    """An answer that may not be there yet."""

    def ready(self) -> bool:
        """True once it is, or never will be."""
        ...

    def get(self) -> T_co:
        """It, when it is there; raises WorkerLostError if its process was lost."""
        ...


class Elsewhere(Protocol):
    """Where a seed is played a second time, or a night that might not end."""

    def ask(self, play: Callable[[int], T], seed: int) -> Pending[T]:
        """Have it play this seed."""
        ...

    def close(self) -> None:
        """End it, whatever it does."""
        ...


class OtherProcess:
    """See the module's docstring.

    Args:
        set_log_level: sets up logging there; must be importable, as whatever is asked.
        night_limit_s: real seconds for one night; 0: no limit.
        hash_seed: how its strings hash; None: as where seeds are played first.
    """

    def __init__(
        self,
        set_log_level: SetLogLevel,
        night_limit_s: float = 0.0,
        hash_seed: str | None = OTHER_HASH_SEED,
    ) -> None:
        self._workers = _Workers(1, set_log_level, night_limit_s, hash_seed)

    def ask(self, play: Callable[[int], T], seed: int) -> Pending[T]:
        """Have it play this seed."""
        job = self._workers.ask(play, seed)
        self._workers.look(0.0)
        return job

    def close(self) -> None:
        """End it, whatever it does."""
        self._workers.close()


@contextmanager
def outcomes(
    seeds: range,
    jobs: int,
    judge: Callable[[int], T],
    set_log_level: SetLogLevel,
    *,
    night_limit_s: float = 0.0,
    lost: Lost[T] | None = None,
) -> Iterator[Iterable[T]]:
    """What `judge` says of the seeds, in their order.

    Args:
        jobs: how many processes share the work; with 1 and no limit, or one seed and no limit, this one does it.
        judge, set_log_level: for which other processes must be able to import them.
        night_limit_s: real seconds for one night; 0: no limit.
        lost: the outcome of a seed whose process was lost; None: WorkerLostError is raised.
    """
    if min(jobs, len(seeds)) == 1 and not night_limit_s:
        set_log_level("critical")
        yield map(_Collecting(judge), seeds)
        return
    workers = _Workers(min(jobs, len(seeds)), set_log_level, night_limit_s)
    try:
        yield _in_order(seeds, judge, workers, lost)
    finally:
        workers.close()


def _in_order(
    seeds: range, judge: Callable[[int], T], workers: _Workers, lost: Lost[T] | None
) -> Iterator[T]:
    waiting: deque[_Job[T]] = deque()
    rest = iter(seeds)
    while True:
        while len(waiting) < AHEAD_MAX and (seed := next(rest, None)) is not None:
            waiting.append(workers.ask(judge, seed))
        if not waiting:
            return
        job = waiting.popleft()
        try:
            outcome = job.get()
        except WorkerLostError as error:
            if lost is None:
                raise
            outcome = lost(job.seed, error)
        yield outcome


class _Job(Generic[T]):
    """A seed that was asked for."""

    def __init__(self, workers: _Workers, play: Callable[[int], T], seed: int) -> None:
        self._workers = workers
        self.play = play
        self.seed = seed
        #: Its outcome, alone in a tuple; None before it is there.
        self.outcome: tuple[T] | None = None
        self.loss: WorkerLostError | None = None

    @property
    def done(self) -> bool:
        return self.outcome is not None or self.loss is not None

    def ready(self) -> bool:
        """True once there is an outcome, or never will be."""
        if not self.done:
            self._workers.look(0.0)
        return self.done

    def get(self) -> T:
        """The outcome, when it is there; raises WorkerLostError if its process was lost."""
        while self.outcome is None:
            if self.loss is not None:
                raise self.loss
            self._workers.look(LOOK_S)
        return self.outcome[0]


@dataclass(eq=False)
class _Worker:
    """A process, and the seed that it plays."""

    process: SpawnProcess
    connection: Connection
    #: True once it has said that it can play.
    ready: bool = False
    job: _Job[Any] | None = None
    #: Seconds for which it has played it.
    played_s: float = 0.0


class _Workers:
    """Processes, started when they are first needed; whoever asks has to look at them now and then."""

    def __init__(
        self, jobs: int, set_log_level: SetLogLevel, night_limit_s: float, hash_seed: str | None = None
    ) -> None:
        self._jobs = jobs
        self._set_log_level = set_log_level
        self._night_limit_s = night_limit_s
        self._hash_seed = hash_seed
        self._queue: deque[_Job[Any]] = deque()
        self._workers: list[_Worker] = []
        self._looked_s = time.monotonic()
        #: Starts that may still fail.
        self._spare_starts = SPARE_STARTS

    def ask(self, play: Callable[[int], T], seed: int) -> _Job[T]:
        """Have one of them play this seed, when one has time."""
        job = _Job(self, play, seed)
        self._queue.append(job)
        return job

    def look(self, within_s: float) -> None:
        """Hand out seeds and take outcomes, of which none may be there within so many seconds; replace whoever is lost."""
        self._start()
        self._hand_out()
        watched: list[Any] = [
            one for worker in self._workers for one in (worker.connection, worker.process.sentinel)
        ]
        wait(watched, within_s)
        now_s = time.monotonic()
        passed_s, self._looked_s = min(now_s - self._looked_s, 2 * LOOK_S), now_s
        for worker in tuple(self._workers):
            self._take(worker, passed_s)
        self._hand_out()

    def close(self) -> None:
        """End them, whatever they do."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def _start(self) -> None:
        try:
            while len(self._workers) < self._jobs and self._queue:
                self._workers.append(self._started())
        except OSError as error:
            # No memory, processes or files are left; those that are there play on, and may free some.
            if not self._workers:
                words = f"a process that was to play nights cannot be started: {error.strerror or error}"
                raise WorkerStartError(words) from None

    def _hand_out(self) -> None:
        for worker in self._workers:
            if worker.ready and worker.job is None and self._queue:
                worker.job, worker.played_s = self._queue.popleft(), 0.0
                try:
                    worker.connection.send((_Collecting(worker.job.play), worker.job.seed))
                except OSError:
                    pass  # it has just died, and is found dead at the next look

    def _take(self, worker: _Worker, passed_s: float) -> None:
        """What has become of one of them."""
        try:
            while worker.connection.poll():
                said = worker.connection.recv()
                if worker.job is not None:
                    worker.job.outcome, worker.job = said, None
                worker.ready, self._spare_starts = True, SPARE_STARTS
        except (EOFError, OSError):
            self._lose(worker, None)
            return
        if not worker.process.is_alive():
            # What it may have said in between was not there a moment ago; a pipe that is empty and has no other end says so.
            if not worker.connection.poll():
                self._lose(worker, None)
            return
        if worker.job is None:
            return
        worker.played_s += passed_s
        if self._night_limit_s and worker.played_s > self._night_limit_s:
            words = f"did not end within {self._night_limit_s:g} s of wall time: its process was killed"
            worker.process.kill()
            self._lose(worker, NightLimitError(words))

    def _lose(self, worker: _Worker, loss: WorkerLostError | None) -> None:
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        end = end_of(worker.process.exitcode)
        if not worker.ready:
            if not self._spare_starts:
                raise WorkerStartError(f"a process that was to play nights {end} before it could play one")
            self._spare_starts -= 1
        if worker.job is not None:
            worker.job.loss = loss or WorkerDiedError(f"the process that played the night {end}")

    def _started(self) -> _Worker:
        # Spawned and not forked: a process that starts anew is the same on every platform.
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_work, args=(theirs, self._set_log_level), daemon=True)
        try:
            with _hashing_by(self._hash_seed):
                process.start()
        except OSError:
            ours.close()
            raise
        finally:
            # It has its own: so the pipe ends when it does.
            theirs.close()
        return _Worker(process, ours)


def end_of(exit_code: int | None) -> str:
    """How a process ended, in words; a negative exit code is the signal that killed it."""
    if exit_code is None or exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    memory = " (as the kernel does when memory is short)" if name == "SIGKILL" else ""
    return f"was killed by {name}{memory}"


@contextmanager
def _hashing_by(hash_seed: str | None) -> Iterator[None]:
    """Processes that are started meanwhile hash their strings so; None: as this one does."""
    if hash_seed is None:
        yield
        return
    # A process that is started reads the variable once, as it begins; this one has read it long ago.
    name = "PYTHONHASHSEED"
    before = os.environ.get(name)
    os.environ[name] = hash_seed
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@dataclass(frozen=True)
class _Collecting(Generic[T]):
    """Plays a seed, and now and then collects what all before it have left."""

    play: Callable[[int], T]

    def __call__(self, seed: int) -> T:
        outcome = self.play(seed)
        if seed % COLLECT_EVERY == 0:
            collect_garbage()
        return outcome


def _work(connection: Connection, set_log_level: SetLogLevel) -> None:
    """The life of one process: it plays what it is sent, one seed after the other, until nobody is there any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_log_level("critical")
    connection.send(None)
    while True:
        try:
            play, seed = connection.recv()
        except (EOFError, OSError):
            return
        connection.send((play(seed),))
