"""Guards in front of Python's clocks, its randomness and its threads: who calls one is reported, then served.

How it works. A `Source` is a callable of the standard library that makes two runs differ. `Guards` finds every module that
holds one under any name (``from time import time as now`` too) and, from `install` to `remove`, puts a guard in its place.
Modules are looked through once, later only those that are new, so that a world pays some microseconds. A guard is an
object and no function: it stays what it is when a class body holds it. Modules imported meanwhile may keep a guard for
ever; without a listener it only passes the call on.

``datetime.now``, ``utcnow`` and ``today`` belong to classes written in C, which refuse assignment; a subclass under their
name would be another type to pydantic and msgspec. So the guard goes into the class's own dictionary (through
``gc.get_referents``), and CPython is told to forget what it has cached (``PyType_Modified``, a documented function). An
interpreter without such a dictionary leaves them unguarded: `blind` names them.

What it leaves out: an original that is held elsewhere than in a module under a name, because it was taken before the first
world (a default argument, a class attribute, a partial, the bound method ``datetime.now``). The syntax-tree rules find
these in our own code, and a test with a profiler, which sees every call, finds them in the libraries of the named nights.
Extensions written in C that ask the kernel themselves are not seen at all.
"""

from __future__ import annotations

import _thread
import asyncio
import ctypes
import datetime
import functools
import gc
import os
import random
import sys
import time
import types
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from simulator.virtual_loop import VirtualLoop

Kind = Literal["clock", "chance", "thread"]
Listener = Callable[["Source", types.FrameType], None]

# How many arguments make a call independent of the present: localtime(0) is a conversion, localtime() a clock.
_CONVERSIONS: tuple[tuple[str, int], ...] = (
    ("localtime", 1),
    ("gmtime", 1),
    ("ctime", 1),
    ("asctime", 1),
    ("strftime", 2),
)
_CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime")


@dataclass(frozen=True)
class Source:
    """One callable that makes runs differ; with ``arguments_free`` arguments (None: never) it does not."""

    name: str
    kind: Kind
    arguments_free: int | None = None

    def is_read(self, arguments: tuple[Any, ...]) -> bool:
        """Whether a call with these positional arguments depends on anything else."""
        needed = self.arguments_free
        return needed is None or len(arguments) < needed or arguments[needed - 1] is None


def module_sources() -> Iterator[tuple[Source, Callable[..., Any]]]:
    """Every source that modules hold under a name, and the original."""
    names = [f"{clock}{suffix}" for clock in _CLOCKS for suffix in ("", "_ns")]
    for name in (*names, "sleep"):
        if hasattr(time, name):  # thread_time and clock_gettime are not everywhere
            yield Source(f"time.{name}", "clock"), getattr(time, name)
    for name, free in _CONVERSIONS:
        yield Source(f"time.{name}", "clock", free), getattr(time, name)
    for name in random.__all__:
        # The functions of the module are methods of one generator that nobody seeded.
        if isinstance(getattr(random, name), types.MethodType | types.BuiltinMethodType):
            yield Source(f"random.{name}", "chance"), getattr(random, name)
    for module, names_in in ((os, ("urandom", "getrandom")), (uuid, ("uuid1", "uuid4"))):
        for name in names_in:
            if hasattr(module, name):
                yield Source(f"{module.__name__}.{name}", "chance"), getattr(module, name)
    for name in ("start_new_thread", "start_new", "start_joinable_thread"):  # the last: Python 3.13
        if hasattr(_thread, name):
            yield Source(f"_thread.{name}", "thread"), getattr(_thread, name)


class Guard:
    """Stands in for a callable: tells the listener, if there is one, then calls it."""

    __slots__ = ("__dict__", "_guards", "_original", "_source")

    def __init__(self, guards: Guards, source: Source, original: Callable[..., Any]) -> None:
        functools.update_wrapper(self, original)
        self._guards = guards
        self._source = source
        self._original = original

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        listener = self._guards.listener
        if listener is not None and self._source.is_read(args):
            listener(self._source, sys._getframe(1))
        return self._original(*args, **kwargs)


class Guards:
    """Every guard of this process; `process_guards` gives the one instance."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        #: What cannot be guarded in this interpreter.
        self.blind: list[str] = []
        self._by_original: dict[int, tuple[Callable[..., Any], Guard]] = {}
        for source, original in module_sources():
            self._by_original.setdefault(id(original), (original, Guard(self, source, original)))
        self._modules: dict[str, types.ModuleType] = {}
        # Where to put what: the namespace, the name in it, the original, its guard.
        self._places: list[tuple[dict[str, Any], str, Any, Any]] = []
        self._c_classes: list[tuple[type, dict[str, Any], str, Any, Any]] = []
        self._classes: list[tuple[type, str, Any, Any]] = []
        self._guard_classes()

    def install(self, listener: Listener) -> None:
        """Put the guards in place; `listener` gets every source that is read, and the frame that reads it.

        Raises RuntimeError if they are in place already.
        """
        if self.listener is not None:
            raise RuntimeError("the guards have a listener already: worlds run one after the other")
        self._look_through_new_modules()
        for namespace, name, original, guard in self._places:
            if namespace.get(name) is original:
                namespace[name] = guard
        self._set_classes(guarded=True)
        self.listener = listener

    def remove(self) -> None:
        """Put the originals back, wherever nobody has put something else meanwhile."""
        self.listener = None
        for namespace, name, original, guard in self._places:
            if namespace.get(name) is guard:
                namespace[name] = original
        self._set_classes(guarded=False)

    def _set_classes(self, *, guarded: bool) -> None:
        for owner, name, original, guard in self._classes:
            setattr(owner, name, guard if guarded else original)
        for owner, namespace, name, original, guard in self._c_classes:
            namespace[name] = guard if guarded else original
            ctypes.pythonapi.PyType_Modified(ctypes.py_object(owner))

    def _look_through_new_modules(self) -> None:
        for module_name, module in list(sys.modules.items()):
            if self._modules.get(module_name) is module or not isinstance(module, types.ModuleType):
                continue
            self._modules[module_name] = module
            namespace = vars(module)
            for name, value in list(namespace.items()):
                entry = self._by_original.get(id(value))
                if entry is not None and entry[0] is value:
                    self._places.append((namespace, name, *entry))

    def _guard_classes(self) -> None:
        seed = random.Random.seed
        self._classes.append((random.Random, "seed", seed, self._checked_seed(seed)))
        job = VirtualLoop.run_in_executor
        self._classes.append((VirtualLoop, "run_in_executor", job, self._checked_job(job)))
        for owner, name in (
            (datetime.datetime, "now"),
            (datetime.datetime, "utcnow"),
            (datetime.date, "today"),
        ):
            source = Source(f"{owner.__module__}.{owner.__name__}.{name}", "clock")
            namespace = next(iter(gc.get_referents(owner.__dict__)), None)
            if sys.implementation.name != "cpython" or not isinstance(namespace, dict):
                self.blind.append(source.name)
                continue
            original = namespace[name]
            call = functools.partial(_call_of_class, original)
            guard = classmethod(Guard(self, source, call))
            self._c_classes.append((owner, namespace, name, original, guard))

    def _checked_seed(self, original: Callable[..., None]) -> Callable[..., None]:
        source = Source("random.Random() without a seed", "chance")

        @functools.wraps(original)
        def seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
            if a is None and self.listener is not None:
                self.listener(source, sys._getframe(1))
            original(generator, a, version)

        return seed

    def _checked_job(self, original: Callable[..., Any]) -> Callable[..., Any]:
        source = Source("run_in_executor", "thread")

        @functools.wraps(original)
        def run_in_executor(
            loop: VirtualLoop, executor: Any, func: Callable[..., Any], *args: Any
        ) -> asyncio.Future[Any]:
            if self.listener is not None:
                self.listener(source, sys._getframe(1))
            job: asyncio.Future[Any] = original(loop, executor, func, *args)
            return job

        return run_in_executor


def _call_of_class(descriptor: Any, owner: type, *args: Any, **kwargs: Any) -> Any:
    """Call the class method that `descriptor` is, on `owner` or its subclass."""
    return descriptor.__get__(None, owner)(*args, **kwargs)


@functools.lru_cache(maxsize=1)
def process_guards() -> Guards:
    """The guards of this process: one set, since the modules they stand in are the process's too."""
    return Guards()
