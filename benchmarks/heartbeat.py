"""How long an event loop was held up by its own program, on a machine that others use as well.

How it works. A heartbeat looks at three clocks every millisecond: the wall's, the CPU time of the loop's thread, and the
time in which that thread was ready to run while somebody else had the core (Linux tells that for each thread in
``/proc/self/task/TID/schedstat``: proc(5), the second number, in ns). What passed between two beats was spent

* on the CPU: the program's own work, garbage collection included;
* ready to run, in the queue for a core: the machine's doing;
* asleep: in the heartbeat's own pause, and if it took longer, waiting for a lock, the disk, or the interpreter's lock.

*Held* is all of it but the pause and the queue. One more thing is the machine's: whoever has the lock that the loop waits for
may itself be in the queue. So as much of the sleep is left out as the longest queueing among the program's other threads took
meanwhile. That can excuse too much, where a thread queued that the loop did not wait for; never on a quiet machine, where
nobody queues.

A process that was stopped (Ctrl-Z, SIGSTOP) sleeps too, and nobody's lock is the cause: it is told by SIGCONT that it goes on, and
that beat does not count.

Left out: a virtual machine whose host gives it no core (Linux counts that as running). Where the system has no
``schedstat`` a wait cannot be told from a busy machine: then held is the CPU time, and :attr:`Heartbeat.sees_waits` says so.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import Final, NamedTuple

#: Seconds between two looks.
BEAT_S: Final = 0.001
#: Beats after which threads that have started since are found: each look at the folder costs 20 us.
BEATS_BETWEEN_SEARCHES: Final = 100
_TASKS: Final = "/proc/self/task"
_SCHEDSTAT_BYTES_MAX: Final = 128


class Reading(NamedTuple):
    """The clocks at one moment, in seconds: wall, CPU of the loop's thread, and how long each thread has queued so far.

    ``queued_s`` is None where the system does not tell; ``others_queued_s`` is by the threads' ids.
    """

    wall_s: float
    cpu_s: float
    queued_s: float | None
    others_queued_s: dict[int, float]


def held_s(before: Reading, after: Reading) -> float:
    """For how many of the seconds between two readings the program itself held the loop; see the module's docstring."""
    cpu_s = after.cpu_s - before.cpu_s
    if before.queued_s is None or after.queued_s is None:
        return cpu_s
    wall_s = after.wall_s - before.wall_s
    queued_s = after.queued_s - before.queued_s
    others_s = max(
        (
            total_s - before.others_queued_s[thread]
            for thread, total_s in after.others_queued_s.items()
            if thread in before.others_queued_s
        ),
        default=0.0,
    )
    asleep_s = max(0.0, wall_s - cpu_s - queued_s - BEAT_S)
    return cpu_s + max(0.0, asleep_s - others_s)


class Heartbeat:
    """How long the running loop was held, at worst, since :meth:`reset`; to be made on the loop's thread.

    ``held_ms`` is what the program did, ``cpu_ms`` its part on the CPU, ``wall_ms`` what passed, whoever was the cause.
    """

    def __init__(self) -> None:
        self.wall_ms = self.cpu_ms = self.held_ms = 0.0
        self._thread = threading.get_native_id()
        #: Open files of the threads' ``schedstat``: opening them anew each time would cost more than all the rest.
        self._files: dict[int, int] = {}
        self._beats = 0
        self._was_stopped = False

    @property
    def sees_waits(self) -> bool:
        """False where held is the CPU time only; known while :meth:`run` runs."""
        return self._thread in self._files

    def reset(self) -> None:
        """Forget what was seen."""
        self.wall_ms = self.cpu_ms = self.held_ms = 0.0

    async def run(self) -> None:
        """Look every millisecond, until cancelled; on the main thread, since signals are its business."""
        # Not the loop's own way to hear of signals: that would call back after the beat.
        handler = signal.signal(signal.SIGCONT, self._on_continued) if hasattr(signal, "SIGCONT") else None
        try:
            before = self._read()
            while True:
                await asyncio.sleep(BEAT_S)
                after = self._read()
                if self._was_stopped:
                    before, self._was_stopped = after, False
                    continue
                self.wall_ms = max(self.wall_ms, (after.wall_s - before.wall_s - BEAT_S) * 1e3)
                self.cpu_ms = max(self.cpu_ms, (after.cpu_s - before.cpu_s) * 1e3)
                self.held_ms = max(self.held_ms, held_s(before, after) * 1e3)
                before = after
        finally:
            if hasattr(signal, "SIGCONT"):
                signal.signal(signal.SIGCONT, handler)
            for file in self._files.values():
                os.close(file)
            self._files.clear()

    def _on_continued(self, number: int, frame: object) -> None:
        self._was_stopped = True

    def _read(self) -> Reading:
        if self._beats % BEATS_BETWEEN_SEARCHES == 0:
            self._search()
        self._beats += 1
        queued = {
            thread: told_s for thread in list(self._files) if (told_s := self._queued_s(thread)) is not None
        }
        return Reading(time.perf_counter(), time.thread_time(), queued.pop(self._thread, None), queued)

    def _search(self) -> None:
        """Find threads that have started since."""
        try:
            threads = {int(name) for name in os.listdir(_TASKS)}
        except OSError:
            return
        for thread in threads - self._files.keys():
            try:
                self._files[thread] = os.open(f"{_TASKS}/{thread}/schedstat", os.O_RDONLY)
            except OSError:
                continue  # it has ended, or the system does not tell

    def _queued_s(self, thread: int) -> float | None:
        """How long a thread has queued for a core; None, and it is forgotten, if it has ended."""
        try:
            return int(os.pread(self._files[thread], _SCHEDSTAT_BYTES_MAX, 0).split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            os.close(self._files.pop(thread))
            return None
