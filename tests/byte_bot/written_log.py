"""The process's log, set up as the shipped program sets it up and written into a text: for tests of what must not stand in it."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator

import structlog

from byte_bot.logs import configure_logging


class _Noon:
    """The first of January 2026, always: a test in virtual time reads no other clock."""

    def unix(self) -> float:
        """Unix seconds."""
        return 1_767_268_800.0


class WrittenLog:
    """What the log has written."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def hides(self, *secrets: str) -> bool:
        """True if none of these would be written by whoever logs them now, be it ours or a library."""
        assert secrets and all(secrets), "nothing is hidden where there is nothing"
        began = self._stream.tell()
        for secret in secrets:
            structlog.get_logger("test").warning("got", what=secret)
            logging.getLogger("library").warning("got %s", secret)
        written = self._stream.getvalue()[began:]
        assert written.count("\n") == 2 * len(secrets), "each line was written"
        return not any(secret in written for secret in secrets)


@contextlib.contextmanager
def written_log() -> Iterator[WrittenLog]:
    """The log of a process that was given no secrets at its start; afterwards everything is as it was."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(stream=stream, clock=_Noon())
    log = WrittenLog(stream)
    assert not log.hides("a0word0that0nobody0has0made0known")
    try:
        yield log
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**before)
