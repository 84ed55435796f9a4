"""A function called once more where Python's stack is empty, for JSON that is nested too deeply to be read further up.

JSON is read and written on Python's stack, a level of it for each level of nesting, and a start calls more functions around that
than the thread which wrote the journal does. What is recorded leaves room for it (:mod:`byte_bot.persistence.storable`); a journal
of an earlier release can hold what does not. It is whole all the same, and so is everything else in it.

A thread of an executor calls fewer functions than the journal's own thread does around its encoder, so what that could write can
be read here. Left out: what a Python that allows more levels wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")


def on_fresh_stack(call: Callable[[ArgumentT], ResultT], argument: ArgumentT) -> ResultT:
    """``call(argument)`` in a thread of its own, which is waited for; raises what that raises."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(call, argument).result()
