"""The loop's own handles can do what asyncio's can, and say what those say."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterator

import pytest

from simulator.loop import new_loop, run
from simulator.scheduling import LaterHandle, SoonHandle
from simulator.virtual_loop import VirtualLoop

_WORD: contextvars.ContextVar[str] = contextvars.ContextVar("word")


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = new_loop()
    yield loop
    loop.close()


def test_a_handle_has_every_field_of_asyncios(loop: VirtualLoop) -> None:
    """They are filled in by hand: one that another Python adds must not be missing."""
    slots = [slot for kind in asyncio.TimerHandle.__mro__ for slot in getattr(kind, "__slots__", ())]
    fields = [slot for slot in slots if slot != "__weakref__"]
    assert {"_callback", "_when"} <= set(fields)
    later, soon = loop.call_later(1.0, print), loop.call_soon(print)
    assert isinstance(later, LaterHandle)
    assert isinstance(soon, SoonHandle)
    theirs = asyncio.TimerHandle(1.0, print, (), loop)
    for field in fields:
        assert hasattr(later, field)
        assert hasattr(soon, field) or field in ("_when", "_scheduled")
        if field not in ("_context", "_scheduled"):
            assert getattr(later, field) == getattr(theirs, field)


def test_a_cancelled_handle_shows_itself_as_asyncios_does(loop: VirtualLoop) -> None:
    """Reports of worlds that are stuck print handles."""
    ours, theirs = loop.call_at(2.0, print, "x"), asyncio.TimerHandle(2.0, print, ("x",), loop)
    assert repr(ours) == repr(theirs).replace("TimerHandle", "LaterHandle")
    ours.cancel()
    theirs.cancel()
    assert ours.cancelled()
    assert repr(ours) == repr(theirs).replace("TimerHandle", "LaterHandle")


def test_callbacks_run_in_their_context_or_in_a_copy_of_the_callers() -> None:
    """What a callback sets is seen in the context that was given, and nowhere else."""
    heard: list[str] = []

    def say(word: str) -> None:
        heard.append(_WORD.get())
        _WORD.set(word)

    async def body() -> None:
        loop = asyncio.get_running_loop()
        _WORD.set("caller's")
        own = contextvars.copy_context()
        own.run(_WORD.set, "its own")
        loop.call_soon(say, "a")
        loop.call_soon(say, "b", context=own)
        loop.call_later(1.0, say, "c", context=own)
        loop.call_later(1.0, say, "d")
        await asyncio.sleep(2.0)
        assert _WORD.get() == "caller's"
        assert own[_WORD] == "c"

    run(body())
    assert heard == ["caller's", "its own", "b", "caller's"]


def test_a_timer_can_be_cancelled_before_and_after_it_has_fired() -> None:
    """Cancelling is idempotent, and late it does nothing."""
    fired: list[float] = []

    async def body() -> None:
        loop = asyncio.get_running_loop()
        kept, dropped = (loop.call_later(1.0, lambda: fired.append(loop.time())) for _ in range(2))
        dropped.cancel()
        dropped.cancel()
        await asyncio.sleep(2.0)
        kept.cancel()

    run(body())
    assert fired == [1.0]


def test_a_closed_loop_takes_in_nothing(loop: VirtualLoop) -> None:
    """As asyncio's."""
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1.0, print)


def test_in_debug_mode_a_handle_says_where_it_was_made(loop: VirtualLoop) -> None:
    """Debug mode is asked for to learn that."""
    loop.set_debug(True)
    assert "test_scheduling.py" in repr(loop.call_soon(print))
    assert "test_scheduling.py" in repr(loop.call_later(1.0, print))
