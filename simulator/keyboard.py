"""Single keys from a terminal, without Enter, while a loop runs.

`keys` puts the terminal of standard input into "cbreak" mode (Ctrl-C still works) and calls back for each character;
afterwards the terminal is as it was. Where there is no such terminal (a pipe, Windows, a loop without readers) it does
nothing and says so by yielding False.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TextIO

try:
    import termios
    import tty
except ImportError:  # Windows: whoever uses this module does without keys
    HAVE_TERMIOS = False
else:
    HAVE_TERMIOS = True

KEYS_AT_ONCE_MAX = 32  # bytes read at a time; more wait for the loop's next turn


@contextlib.contextmanager
def keys(stream: TextIO, pressed: Callable[[str], object]) -> Iterator[bool]:
    """Call `pressed` on the running loop with each character typed; yields whether that works here."""
    loop = asyncio.get_running_loop()
    if not HAVE_TERMIOS or not stream.isatty():
        yield False
        return
    descriptor = stream.fileno()
    before = termios.tcgetattr(descriptor)

    def readable() -> None:
        typed = os.read(descriptor, KEYS_AT_ONCE_MAX).decode("ascii", "ignore")
        if not typed:
            loop.remove_reader(descriptor)  # the terminal is gone, and would be readable for ever
        for key in typed:
            pressed(key)

    try:
        loop.add_reader(descriptor, readable)
    except NotImplementedError:
        # Windows' loop watches sockets only: there are no keys, and the caller is told so.
        yield False
        return
    try:
        tty.setcbreak(descriptor)
        yield True
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
