"""Unexpected errors in words: what failed, where in our code, and the calls that led to it.

How it works. An error that comes out of a world is often wrapped: in the groups of task groups, and in the error of whoever waited for
a bot that had died. `alone` unwraps it; `place_of` names the innermost function of the project that the error went through, which
stays the same from seed to seed; `with_calls` adds the calls for people.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

#: Calls shown of the way to an unexpected error, those next to it.
CALLS_SHOWN: Final = 6
#: The folders whose code is ours: the bot, the simulator, whoever uses them in tests.
OURS: Final = ("byte_bot", "simulator", "tests")


def alone(error: BaseException) -> BaseException:
    """The first error of a group that is no group itself; an error that is alone as it is."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def in_words(error: BaseException) -> str:
    """Its type, its message and its notes."""
    notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
    return f"{type(error).__name__}: {error}{notes}"


def with_calls(error: BaseException) -> str:
    """An error in words, below it the calls that led to it; of a group the first error that is none."""
    error = alone(error)
    return "\n".join([in_words(error), *calls_to(error)])


def calls_to(error: BaseException) -> list[str]:
    """The calls that led to it, one a line."""
    calls = traceback.extract_tb(alone(error).__traceback__)[-CALLS_SHOWN:]
    return [f"{call.filename}:{call.lineno} in {call.name}: {call.line}" for call in calls]


def place_of(error: BaseException) -> str:
    """File and function of ours in which it came up; "" if it never was in any."""
    for call in reversed(traceback.extract_tb(alone(error).__traceback__)):
        path = _within_project(PurePath(call.filename).parts)
        if path:
            return f"{path}:{call.name}"
    return ""


def _within_project(parts: Sequence[str]) -> str:
    if "site-packages" in parts:
        return ""
    # From behind: a project may itself lie in a folder of such a name. Tests have folders of the names of what they test.
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] in OURS and parts[index - 1] not in OURS:
            return "/".join(parts[index:])
    return ""
