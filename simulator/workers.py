"""The processes that share a search, and one more in which some seeds are played a second time.

How it works. :func:`outcomes` gives the outcomes of many seeds in their order, from this process or from several; they do not depend on
how many there are. :class:`OtherProcess` is one whose strings hash differently (another PYTHONHASHSEED): what depends on the order of
a set, on an address or on chance comes out otherwise there. It is started when it is first asked.

A world ends with garbage that only the collector can free, and while worlds are played nobody collects it (`garbage.py`): a process that has
played a thousand of them would have a gigabyte of it. So it is collected after one seed in :data:`COLLECT_EVERY`.

Ctrl-C reaches every process of a terminal. Those here ignore it: only the search itself ends, and then ends them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from simulator.garbage import collect_garbage

if TYPE_CHECKING:
    from multiprocessing.pool import AsyncResult, Pool

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: How strings hash where seeds are played again; where they are played first Python draws it, or the user has set it.
OTHER_HASH_SEED: Final = "4242"

#: A collection takes about as long as a tenth of a small night.
COLLECT_EVERY: Final = 8

SetLogLevel = Callable[[str], None]


class Pending(Protocol[T_co]):
    """An answer that may not be there yet."""

    def ready(self) -> bool:
        """True once it is."""
        ...

    def get(self) -> T_co:
        """It, when it is there."""
        ...


class Elsewhere(Protocol):
    """Where a seed is played a second time."""

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
    """

    def __init__(self, set_log_level: SetLogLevel) -> None:
        self._set_log_level = set_log_level
        self._pool: Pool | None = None

    def ask(self, play: Callable[[int], T], seed: int) -> Pending[T]:
        """Have it play this seed."""
        if self._pool is None:
            self._pool = self._start()
        result: AsyncResult[Any] = self._pool.apply_async(_Collecting(play), (seed,))
        return result

    def _start(self) -> Pool:
        # A process that is started reads the variable once, as it begins; this one has read it long ago.
        name = "PYTHONHASHSEED"
        before = os.environ.get(name)
        os.environ[name] = OTHER_HASH_SEED
        try:
            return _pool(1, self._set_log_level)
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before

    def close(self) -> None:
        """End it, whatever it does."""
        if self._pool is not None:
            self._pool.terminate()


@contextmanager
def outcomes(
    seeds: range, jobs: int, judge: Callable[[int], T], set_log_level: SetLogLevel
) -> Iterator[Iterable[T]]:
    """What `judge` says of the seeds, in their order."""
    if min(jobs, len(seeds)) == 1:
        set_log_level("critical")
        yield map(_Collecting(judge), seeds)
        return
    with _pool(min(jobs, len(seeds)), set_log_level) as pool:
        yield pool.imap(_Collecting(judge), seeds)


@dataclass(frozen=True)
class _Collecting(Generic[T]):
    """Plays a seed, and now and then collects what all before it have left."""

    play: Callable[[int], T]

    def __call__(self, seed: int) -> T:
        outcome = self.play(seed)
        if seed % COLLECT_EVERY == 0:
            collect_garbage()
        return outcome


def _pool(jobs: int, set_log_level: SetLogLevel) -> Pool:
    # Spawned and not forked: a process that starts anew is the same on every platform.
    spawn = multiprocessing.get_context("spawn")
    return spawn.Pool(jobs, initializer=_begin, initargs=(set_log_level,))


def _begin(set_log_level: SetLogLevel) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_log_level("critical")
