"""One test's life in virtual time: parts stand up, asynchronous fixtures begin, the test runs, everything ends.

All of it happens in one run of one virtual loop, within the call of the test. Between a fixture's set-up and the test nothing of
a world lives: the guards of a world's auditor (`simulator/auditor.py`) must not stand while a test runner reads its clock, and
time would not know whether to pass. So fixtures give objects at once, which come to life when the night begins, and an asynchronous
fixture gives a `Later` in whose place its value is put before the test, or another asynchronous fixture, gets it.

The order: parts by their `order` (a world first, since others stand on its ground), then asynchronous fixtures as they were asked for,
then the test; after it, if it passed, each part may still have a say (`Part.judged`: a world heals, converges and is judged), and
all ends in the opposite order. If the test failed, its own error is what comes out, and whatever else failed meanwhile is a note on it.

Left out: asynchronous fixtures that live longer than one test; their loop is somebody else's.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Protocol

from simulator.loop import ReadyOrder, current_loop, run
from simulator.testing.errors import NotYet, PromiseBroken
from simulator.testing.ground import Ground, told

Test = Callable[..., Coroutine[Any, Any, Any]]


class Part(Protocol):
    """Something that stands while a test runs; see the module's docstring."""

    #: Which comes first.
    order: int

    @property
    def sockets(self) -> bool:
        """Whether it stands on loopback ports."""
        ...

    def standing(self, ground: Ground) -> AbstractAsyncContextManager[None]:
        """Stand on this ground while entered."""
        ...

    async def judged(self) -> None:
        """The test has passed: settle what is to be settled, and judge."""
        ...


class Later:
    """Holds the place of an asynchronous fixture's value until the night begins."""

    def __init__(self, name: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        self._name = name
        self._function = function
        self._arguments = arguments
        self._value: Any = None

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise NotYet(
            f"the fixture {self._name!r} is asynchronous and begins with the test, in its virtual loop; a fixture that uses it must be "
            "asynchronous too"
        )


class Night:
    """See the module's docstring; made anew for every run of a test."""

    def __init__(self, seed: int, ready_order: ReadyOrder = "fifo", *, sockets: bool | None = None) -> None:
        """`sockets` allows loopback sockets (a hybrid loop); None: if a part needs them."""
        self.seed = seed
        self.ready_order: ReadyOrder = ready_order
        self._sockets = sockets
        self._parts: list[Part] = []
        self._later: list[Later] = []
        self._ground: Ground | None = None
        self._error: BaseException | None = None
        self._ended_s = 0.0

    def add(self, part: Part) -> None:
        """Let this part stand."""
        self._parts.append(part)
        self._parts.sort(key=lambda one: one.order)

    def later(self, name: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Later:
        """Begin this asynchronous fixture with the night; what to give to others meanwhile."""
        later = Later(name, function, arguments)
        self._later.append(later)
        return later

    @property
    def hybrid(self) -> bool:
        """Whether there are real sockets: what was asked for, else what the first part (the world, if there is one) needs."""
        if self._sockets is not None:
            return self._sockets
        worlds = [part for part in self._parts if part.order == 0]
        return any(part.sockets for part in worlds or self._parts)

    def play(self, test: Test, arguments: Mapping[str, Any]) -> None:
        """Run the test with these arguments.

        Raises what the test raised; `PromiseBroken` if it passed and an invariant did not hold.
        """
        __tracebackhide__ = True
        self._error = None
        try:
            run(
                self._main(test, arguments),
                seed=self.seed,
                hybrid=self.hybrid,
                ready_order=self.ready_order,
            )
        except BaseExceptionGroup as group:
            raise self._cause(group) from None
        if self._ground is not None and self._ground.violations:
            raise PromiseBroken(told(self._ground.violations))

    def story(self) -> list[str]:
        """What is known of the night, as lines for a reader of a failure."""
        lines = [
            f"seed {self.seed}, order {self.ready_order}, ended at {self._ended_s:.6f} s of virtual time"
        ]
        if self._ground is None:
            return lines
        lines.append(f"trace {self._ground.trace.digest}")
        lines += [f"BROKEN {violation}" for violation in self._ground.violations]
        lines += [
            f"{said.at_s:12.6f}  #{said.channel}  {said.login}: {said.text}" for said in self._ground.heard
        ]
        return lines

    # -- one run -------------------------------------------------------------------------------------------------------------

    async def _main(self, test: Test, arguments: Mapping[str, Any]) -> None:
        __tracebackhide__ = True
        loop = current_loop()
        try:
            async with asyncio.TaskGroup() as tasks, AsyncExitStack() as stack:
                ground = self._ground = Ground(loop, self.seed, tasks)
                for part in self._parts:
                    await stack.enter_async_context(part.standing(ground))
                stack.callback(ground.end_background)
                await self._body(test, arguments)
                ground.look()
                for part in self._parts:
                    await part.judged()
        finally:
            self._ended_s = loop.time()

    async def _body(self, test: Test, arguments: Mapping[str, Any]) -> None:
        __tracebackhide__ = True
        try:
            async with AsyncExitStack() as fixtures:
                for later in self._later:
                    await _begin(later, fixtures)
                await test(**_present(arguments))
        except BaseException as error:
            self._error = error
            raise

    def _cause(self, group: BaseExceptionGroup[BaseException]) -> BaseException:
        """The test's own error if it is in the group, with the others as notes; the one error there is; or the group."""
        errors = list(_leaves(group))
        own = [error for error in errors if error is self._error]
        if own:
            for error in errors:
                if error is not own[0]:
                    own[0].add_note(f"and meanwhile: {error!r}")
            return own[0]
        return errors[0] if len(errors) == 1 else group


async def _begin(later: Later, fixtures: AsyncExitStack) -> None:
    made = later._function(**_present(later._arguments))
    if not inspect.isasyncgen(made):
        later._value = await made
        return
    later._value = await anext(made)

    async def end() -> None:
        async for _ in made:
            raise RuntimeError(f"the fixture {later._name!r} yields more than once")

    fixtures.push_async_callback(end)


def _present(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """These arguments, with the values of asynchronous fixtures in their places."""
    return {name: value._value if type(value) is Later else value for name, value in arguments.items()}


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for part in error.exceptions for leaf in _leaves(part)]
