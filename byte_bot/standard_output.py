"""Standard output of the command line, which may be a file on a full disk.

How it works. Whatever a command prints goes through :func:`standard_output`, and is flushed there: what cannot be written is a
sentence on standard error and exit code 1, not a traceback, and not a code of 0 with half a report. The stream is let go then, or
Python would try once more at the end of the process and complain in words of its own.

Left out: a reader that has gone (``byte-bot … | head``), which click knows how to end, and what click prints by itself (``--help``).
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import typer

from byte_bot.errors import ExitCode


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Standard output, to be written to; flushed at the end.

    Raises:
        typer.Exit: it cannot be written to; that has been said.
    """
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        _let_go(sys.stdout)
        with suppress(OSError):  # on the same full disk
            typer.echo(f"byte-bot: standard output cannot be written: {error.strerror or error}", err=True)
        raise typer.Exit(ExitCode.FAILED) from None


def say(text: str) -> None:
    """Print a line or more; raises as :func:`standard_output`."""
    with standard_output():
        typer.echo(text)


def _let_go(stream: TextIO) -> None:
    """Have what the stream still holds go nowhere, as Python's documentation has it for SIGPIPE."""
    with suppress(OSError):  # io.UnsupportedOperation is one: a stream of a test has no number
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
