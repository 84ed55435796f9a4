"""The event loop of virtual time: one iteration, tasks, processes, and what it refuses. Programs use `loop.py`.

How it works. `VirtualLoop` is a `SelectorEventLoop` with its own `_run_once`: it runs what is ready, and when nothing is ready it wakes
who waits for what has come about (`watches.py`), then sets the clock to the next timer (`timers.py`). Tasks hash by a counter (`tasks.py`),
garbage is collected after fixed numbers of iterations: the same seed and program take the same steps in every process.

- *Pure* mode has no file descriptors: sockets, resolvers, signals and other threads are refused.
- *Hybrid* mode polls real descriptors with timeout 0 before it moves time. The kernel delivers loopback traffic
  within the sending call, so a client and a server that share this loop see each other's bytes before time moves.

Executor jobs run while time stands still: inline in pure mode, in a thread in hybrid mode. A world in which nothing
can happen any more raises `DeadlockError` with the stack of every task; `Limits` ends one that goes on for ever.

What it leaves out. Peers in other OS processes: time does not wait for them. Concurrent executor jobs end in their
threads' order. Python code takes no time: a busy loop is instantaneous.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import selectors
import socket
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, MutableMapping
from typing import Any, Literal, TypeVar, TypeVarTuple, cast

from simulator.descriptors import NoDescriptors, OrderedSelector, close_sockets_of
from simulator.errors import DeadlockError, NotSimulatedError, ProcessError, RunawayError
from simulator.failures import Failures
from simulator.garbage import garbage_held
from simulator.process import (
    Graveyard,
    Process,
    context_for,
    current_process,
    process_in,
    process_of,
    run_root,
)
from simulator.rng import SeedTree
from simulator.scheduling import SchedulingLoop
from simulator.tasks import StepOrder, TaskCount, VirtualTask, cancel_and_wait, describe, inline_job, task_of
from simulator.timers import US_PER_S, Limits
from simulator.watches import Watches

ReadyOrder = Literal["fifo", "random"]

# Garbage is collected every so many iterations, about a second of work. What existed before the run is not looked at.
_GC_ITERATIONS = 20_000
# Hybrid: polls with timeout 0 before time moves. One is enough on an idle machine; the others cost 2 us each and cover
# a kernel that hands loopback packets to a thread of its own when it is under load.
_SETTLE_POLLS = 3
# Hybrid: real seconds given to open descriptors when nothing is scheduled, before it is called a deadlock.
_STALL_REAL_S = 1.0
# What `finally` blocks may take when a world is cleaned up, and how often they may start new tasks.
_CLEAN_UP_S = 3_600.0
_CLEAN_UP_ITERATIONS = 1_000_000
_CLEAN_UP_ROUNDS = 10

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class VirtualLoop(SchedulingLoop):
    """The virtual-time loop; see the module's docstring."""

    _stopping: bool
    _thread_id: int | None
    _transports: MutableMapping[int, Any]
    _asyncgens: weakref.WeakSet[AsyncGenerator[Any, Any]]

    def __init__(
        self,
        *,
        seed: int = 0,
        hybrid: bool = False,
        ready_order: ReadyOrder = "fifo",
        start_unix_s: float,
        limits: Limits | None = None,
    ) -> None:
        """Make a loop at t = 0 s; the arguments are those of `simulator.loop.run`."""
        self.hybrid = hybrid
        self.seeds = SeedTree(seed)
        self.iterations = 0
        self._start_unix_s = start_unix_s
        self._limits = limits or Limits()
        self.ready_order: ReadyOrder = ready_order
        self._step_order = StepOrder(self.seeds, self.time_us) if ready_order == "random" else None
        self.watches = Watches()
        #: The last iteration that is allowed before time has to move.
        self._iterations_last = self._last_of_instant()
        self._task_count = TaskCount()
        self._jobs = 0
        self.failures = Failures()
        self._processes: dict[str, Process] = {}
        self._asyncgen_owners: weakref.WeakKeyDictionary[Process, list[weakref.ref[AsyncGenerator[Any, Any]]]]
        self._asyncgen_owners = weakref.WeakKeyDictionary()
        self._end_hooks: list[Callable[[Process], None]] = []
        self._run_end_hooks: list[Callable[[], None]] = []
        self._graveyard = Graveyard()
        self._any_dead = False
        super().__init__(OrderedSelector() if hybrid else NoDescriptors())
        self.set_task_factory(cast("Any", self._make_task))
        self.set_exception_handler(lambda _loop, context: self._note_unhandled(context))

    # -- time ---------------------------------------------------------------------------------------------------

    def unix_time(self) -> float:
        """Return the simulated wall time in seconds since 1970."""
        return self._start_unix_s + self._timers.now_us / US_PER_S

    # -- one iteration ------------------------------------------------------------------------------------------

    def _run_once(self) -> None:
        ready = self._ready
        if self.hybrid:
            self._poll(0)
        if not ready and not self._stopping:
            self._wait()
        ready.extend(self._timers.take_due())
        # A batch of its own, since a callback may kill a process and purge the queue. popleft and not list(): in hybrid
        # mode a job's thread may append at any moment.
        count = len(ready)
        batch = [ready.popleft()] if count == 1 else [ready.popleft() for _ in range(count)]
        if self._step_order is not None and count > 1:
            self._step_order.permute(batch)
        self._count_iteration(batch)
        done = 0
        try:
            for handle in batch:
                done += 1
                if handle._cancelled:
                    continue
                if self._any_dead and self._is_dead(handle):
                    self._graveyard.keep([handle])
                    continue
                handle._run()
        finally:
            if done < count:  # after KeyboardInterrupt the rest is still ready
                ready.extendleft(reversed(batch[done:]))

    def _wait(self) -> None:
        """Nothing is ready: let real descriptors settle, see who waits for this, then move time to the next timer."""
        if self.hybrid:
            self._settle()
            if self._ready:
                return
        if self.watches.look() or self._ready:
            return
        when_us = self._timers.next_us()
        if when_us is None:
            if self.hybrid and len(self._selector.get_map()) > 1:  # type: ignore[attr-defined]
                self._poll(_STALL_REAL_S)
            if not self._ready:
                raise DeadlockError(self._stuck("nothing is ready and nothing is scheduled"))
        elif when_us > self._timers.now_us:
            limit_s = self._limits.virtual_s_max
            if when_us > limit_s * US_PER_S:
                raise RunawayError(self._stuck(f"virtual time would pass the limit of {limit_s} s"))
            self._timers.advance(when_us)
            self._iterations_last = self._last_of_instant()

    def _settle(self) -> None:
        """Give bytes and jobs that are under way a fair chance to arrive at this instant."""
        for _ in range(_SETTLE_POLLS - 1):
            if hasattr(os, "sched_yield"):
                os.sched_yield()
            self._poll(0)
            if self._ready:
                return
        if self._jobs:
            # Time stands still while a thread works; it wakes the loop through the self-pipe.
            self._poll(None)

    def _poll(self, timeout_s: float | None) -> None:
        self._process_events(self._selector.select(timeout_s))  # type: ignore[attr-defined]

    def _last_of_instant(self) -> int:
        limits = self._limits
        return min(limits.iterations_max, self.iterations + limits.iterations_per_instant_max)

    def _count_iteration(self, batch: list[asyncio.Handle]) -> None:
        self.iterations += 1
        if self.iterations % _GC_ITERATIONS == 0:
            gc.collect()
        if self.iterations <= self._iterations_last:
            return
        if self.iterations > self._limits.iterations_max:
            reason = f"the limit of {self._limits.iterations_max} iterations was reached"
        else:
            reason = f"{self._limits.iterations_per_instant_max} iterations passed without time moving"
        self._ready.extendleft(reversed(batch))
        self._iterations_last = self._last_of_instant()
        busy = ", ".join(repr(task_of(handle) or handle) for handle in batch[:5])
        raise RunawayError(self._stuck(f"{reason}; running now: {busy}"))

    def _stuck(self, reason: str) -> str:
        stacks = "\n".join(describe(task) for task in self.live_tasks()) or "  (no task)"
        return f"at t={self._timers.now_us / US_PER_S:.6f} s: {reason}. Tasks:\n{stacks}"

    def run_forever(self) -> None:
        """Run until `stop`."""
        with garbage_held():
            super().run_forever()

    # -- tasks and processes ----------------------------------------------------------------------------------------

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> VirtualTask:
        context = options.get("context")
        process = current_process() if context is None else process_in(context)
        number, known_as = self._task_count.take(coroutine)
        task = VirtualTask(coroutine, number=number, known_as=known_as, process=process, loop=loop, **options)
        if process is not None and process.killed:
            self._graveyard.bury(task)
        return task

    def live_tasks(self, process: Process | None = None) -> list[VirtualTask]:
        """Return the tasks that are neither done nor frozen, oldest first; only those of `process` if it is given."""
        tasks = [task for task in asyncio.all_tasks(self) if isinstance(task, VirtualTask)]
        wanted = tasks if process is None else [task for task in tasks if task.process is process]
        return sorted((task for task in wanted if task not in self._graveyard), key=lambda task: task.number)

    @property
    def tasks_made(self) -> int:
        """How many tasks there have been so far."""
        return self._task_count.made

    def tasks_of(self, name: str) -> list[VirtualTask]:
        """Return the live tasks of the process called `name`, oldest first."""
        return self.live_tasks(self._processes[name]) if name in self._processes else []

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> Process:
        """Start `coroutine` as the root task of a process called `name`; whatever it starts belongs to that process.

        When it returns, the tasks it left behind are cancelled, as `asyncio.run` does. A name can be used again once its
        process has ended. Raises ProcessError if it is still running.
        """
        previous = self._processes.get(name)
        if previous is not None and previous.running:
            coroutine.close()
            raise ProcessError(f"process {name!r} is still running: kill it, or wait for its end, first")
        self.failures.note_death(self.time(), previous)
        process = Process(name, previous.incarnation + 1 if previous else 0, self.create_future())
        self._processes[name] = process

        def exited(_root: asyncio.Task[Any]) -> None:
            if not process.killed:
                self._cut_off(process)
                process.mark_exited()

        main = run_root(coroutine, lambda: self.live_tasks(process))
        process.root = self.create_task(main, name=name, context=context_for(process))
        process.root.add_done_callback(exited, context=context_for(None))
        return process

    def kill_process(self, name: str) -> int:
        """Crash the process called `name`: nothing of it runs again, not even `finally`. Returns how many tasks froze.

        Its connections in a `MemoryNetwork` and its real sockets (hybrid) end as a kernel ends those of a dead process.
        Called from inside that process, the current step runs on to its next suspension. A process that has already
        ended is left alone. Raises ProcessError if there never was one of that name.
        """
        process = self._processes.get(name)
        if process is None:
            known = ", ".join(self._processes) or "none"
            raise ProcessError(f"there is no process {name!r}; known: {known}")
        if not process.running:
            return 0
        tasks = self.live_tasks(process)
        process.killed = True
        for generator in (reference() for reference in self._asyncgen_owners.pop(process, ())):
            if generator is not None:
                # Or a later collection would run its `finally`, in a new task.
                self._asyncgens.discard(generator)
                self._graveyard.keep([generator])
        self._freeze(tasks)
        self._cut_off(process)
        process.mark_exited()
        return len(tasks)

    def abandon(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """Freeze single tasks for ever, without running their `finally` blocks; for whole programs use `spawn`."""
        frozen = list(tasks)
        for task in frozen:
            if not isinstance(task, VirtualTask) or task.get_loop() is not self:
                raise ProcessError(f"{task!r} is not a task of this loop")
            task.abandoned = True
        self._freeze(frozen)

    def on_process_end(self, hook: Callable[[Process], None]) -> None:
        """Call `hook(process)` when a process is killed or has finished; a network closes its connections there."""
        self._end_hooks.append(hook)

    def on_run_end(self, hook: Callable[[], None]) -> None:
        """Call `hook()` when the run is over, whatever ended it, before what is left of it is cleaned up."""
        self._run_end_hooks.append(hook)

    def _freeze(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """Bury tasks, and take what the dead had scheduled out of the queues, so that time does not stop there."""
        self._any_dead = True
        for task in tasks:
            if not task.done():
                self._graveyard.bury(task)
        for handle in [handle for handle in self._ready if self._is_dead(handle)]:
            self._ready.remove(handle)
            self._graveyard.keep([handle])
        self._graveyard.keep(self._timers.remove(self._is_dead))

    def _is_dead(self, handle: asyncio.Handle) -> bool:
        process = process_of(handle)
        if process is not None and process.killed:
            return True
        task = task_of(handle)
        return task is not None and task.abandoned

    def _cut_off(self, process: Process) -> None:
        for hook in self._end_hooks:
            hook(process)
        if self.hybrid and process.killed:
            selector: selectors.BaseSelector = self._selector  # type: ignore[attr-defined]
            self._graveyard.keep(close_sockets_of(process, selector, self._transports))

    def _asyncgen_firstiter_hook(self, generator: AsyncGenerator[Any, Any]) -> None:
        super()._asyncgen_firstiter_hook(generator)  # type: ignore[misc]
        process = current_process()
        if process is not None:
            owned = self._asyncgen_owners.setdefault(process, [])
            owned.append(weakref.ref(generator, owned.remove))

    # -- what virtual time cannot give --------------------------------------------------------------------------------

    def call_soon_threadsafe(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Schedule a callback from this thread or, in hybrid mode, while an executor job runs; refuse other threads.

        A thread runs in real time, which virtual time neither waits for nor knows about. Raises NotSimulatedError.
        """
        foreign = self._thread_id is not None and threading.get_ident() != self._thread_id
        if foreign and not (self.hybrid and self._jobs):
            advice = "use run_in_executor, or run this program on a real event loop"
            raise NotSimulatedError(f"called from a thread that virtual time does not know: {advice}")
        return super().call_soon_threadsafe(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[[*_Ts], _T], *args: *_Ts) -> asyncio.Future[_T]:
        """Run a blocking function while virtual time stands still: inline in pure mode, in a thread in hybrid mode."""
        if not self.hybrid:
            # A task, not a call: like a job handed to a pool, it can be cancelled before it starts.
            return self.create_task(inline_job(self, func, *args))
        self._jobs += 1
        job = super().run_in_executor(executor, func, *args)
        # In the world's context: a job of a killed process still ends, and then time must go on.
        job.add_done_callback(self._job_ended, context=context_for(None))
        return job

    def _job_ended(self, _job: asyncio.Future[Any]) -> None:
        self._jobs -= 1

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for the threads of hybrid mode's executor, which counts as a job of its own."""
        self._jobs += 1
        await super().shutdown_default_executor(*args)
        self._jobs -= 1

    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        """Resolve a name in hybrid mode; in pure mode raise NotSimulatedError."""
        self._refuse_in_pure_mode("getaddrinfo")
        return await super().getaddrinfo(*args, **options)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a real socket in hybrid mode; in pure mode raise NotSimulatedError before a packet leaves."""
        self._refuse_in_pure_mode("sock_connect")
        await super().sock_connect(sock, address)

    def add_signal_handler(self, sig: int, callback: Callable[[*_Ts], object], *args: *_Ts) -> None:
        """Raise NotImplementedError, as loops on Windows do: a signal comes at no instant of virtual time."""
        raise NotImplementedError("virtual time has no signals")

    def _refuse_in_pure_mode(self, what: str) -> None:
        if not self.hybrid:
            raise NotSimulatedError(
                f"{what}: pure virtual time has no sockets; use MemoryNetwork or hybrid=True"
            )

    def _make_self_pipe(self) -> None:
        self._ssock = self._csock = None
        if self.hybrid:
            super()._make_self_pipe()  # type: ignore[misc]

    def _close_self_pipe(self) -> None:
        if self.hybrid:
            super()._close_self_pipe()  # type: ignore[misc]

    # -- failures, and the end ----------------------------------------------------------------------------------------

    def _note_unhandled(self, context: dict[str, Any]) -> None:
        if not self._graveyard.closing:
            self.failures.note(self.time(), context)

    def clean_up(self) -> None:
        """Cancel every live task, finish asynchronous generators, and let the dead go; called once, after the run.

        Raises DeadlockError or RunawayError if a task resists its cancellation.
        """
        for hook in self._run_end_hooks:
            hook()
        self._limits = Limits(
            virtual_s_max=self.time() + _CLEAN_UP_S,
            iterations_max=self.iterations + _CLEAN_UP_ITERATIONS,
            iterations_per_instant_max=_CLEAN_UP_ITERATIONS,
        )
        self._iterations_last = self._last_of_instant()
        try:
            for _ in range(_CLEAN_UP_ROUNDS):
                if tasks := self.live_tasks():
                    cancel_and_wait(self, tasks)
            for process in self._processes.values():
                self.failures.note_death(self.time(), process)
            self.run_until_complete(self.shutdown_asyncgens())
            self.run_until_complete(self.shutdown_default_executor())
        finally:
            for _ in range(_CLEAN_UP_ROUNDS):  # again: a late `finally` may have started something
                for task in self.live_tasks():
                    self._graveyard.bury(task)
                self._graveyard.keep(self._ready)
                self._ready.clear()
                self._graveyard.close(self)
            self._timers.clear()
