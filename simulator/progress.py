"""How far a long command is: what is done, how fast, and how long it will take, on standard error.

On a terminal one line that changes twice a second; elsewhere (a log of CI) a line every ten seconds. Nothing is shown of a command
that does one thing, or that is through before the first line would come.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

import typer

#: Seconds between two lines of progress, on a terminal and elsewhere.
PROGRESS_TERMINAL_S, PROGRESS_LINE_S = 0.5, 10.0
_COLUMNS: Final = 70


class Progress:
    """See the module's docstring.

    Args:
        total: how many things there are to do.
        what: what they are called, and what those are called that went wrong.
        unix_s: real time, in seconds.
    """

    def __init__(self, total: int, what: str, bad_what: str, unix_s: Callable[[], float]) -> None:
        self._total = total
        self._what, self._bad_what = what, bad_what
        self._unix_s = unix_s
        self._terminal = sys.stderr.isatty()
        self._began_s = self._shown_s = unix_s()
        self._done = 0

    def step(self, bad: int) -> None:
        """One more is done."""
        self._done += 1
        now_s = self._unix_s()
        pause_s = PROGRESS_TERMINAL_S if self._terminal else PROGRESS_LINE_S
        if self._total == 1 or now_s - self._shown_s < pause_s:
            return
        self._shown_s = now_s
        rate = self._done / max(now_s - self._began_s, 1e-9)
        left_s = (self._total - self._done) / rate
        line = f"{self._done} of {self._total} {self._what}, {bad} {self._bad_what}, {rate:.1f}/s, {left_s:.0f} s left"
        typer.echo(f"\r{line:<{_COLUMNS}}" if self._terminal else line, err=True, nl=not self._terminal)

    def end(self) -> None:
        """Leave the line on which progress was shown."""
        if self._terminal and self._shown_s > self._began_s:
            typer.echo("", err=True)
