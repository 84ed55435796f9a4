"""A damaged journal is moved out of the way, with all that belongs to it, and the bot starts with a new one.

How it works. :func:`or_set_aside` opens a file; if that shows damage (:mod:`byte_bot.persistence.journal_damage`) of a file that is
surely a journal (:mod:`byte_bot.persistence.journal_origin`), it is renamed to ``NAME.damaged-TIME`` and opening is tried once
more, which makes a new file. Nothing is deleted, and nothing is ever put in the place of what was set aside before. A ``-wal``
whose file is gone (a start that was killed between the two renames, a human's ``rm``) is set aside too: SQLite would delete it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import structlog

from byte_bot.persistence.journal_damage import JournalDamaged, is_damage, out_of_reach
from byte_bot.persistence.journal_origin import ASIDE, COMPANIONS, foreign, is_ours, read_header

OpenedT = TypeVar("OpenedT")

_log = structlog.get_logger(__name__)


def or_set_aside(path: Path, login: str, now_s: float, opened: Callable[[], OpenedT]) -> OpenedT:
    """What ``opened`` gives; if the file is damaged, what it gives once the file is out of the way.

    Args:
        path: the file, not a link to it: that would be all that is moved.
        login: the bot's whose it should be.
        now_s: wall time in seconds, for the new name.
        opened: opens the file, or makes it.

    Raises:
        JournalRefused: the file is damaged and somebody else's, or it cannot be opened.
    """
    try:
        if not _size_bytes(path) and _size_bytes(Path(f"{path}-wal")):
            raise JournalDamaged("there is a -wal, and nothing that it belongs to")
        return opened()
    except sqlite3.Error as error:
        why = str(error)
        damaged = is_damage(error)
        # SQLite only reads what a version from the future has written, and says what it says of a disk that is read-only.
        if not damaged and (header := read_header(path)).is_marked and header.fault:
            why, damaged = header.fault, True
        if not damaged:
            raise out_of_reach(path, error) from None
    if not is_ours(path, login):
        raise foreign(path)
    try:
        aside = _set_aside(path, now_s)
    except OSError as error:
        raise out_of_reach(path, error) from None
    _log.error(
        "journal_set_aside",
        path=str(path),
        why=why,
        moved_to=str(aside),
        what_it_means="changes that only it held are not in the database; the bot starts with an empty journal",
    )
    try:
        return opened()
    except sqlite3.Error as error:
        raise out_of_reach(path, error) from None


def _size_bytes(path: Path) -> int:
    """0 if there is no such file."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _set_aside(path: Path, now_s: float) -> Path:
    at = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    # Two in one second: a bot that finds its new journal damaged too is restarted at once.
    names = itertools.chain([at], (f"{at}-{number}" for number in itertools.count(2)))
    asides = (path.with_name(f"{path.name}{ASIDE}{name}") for name in names)
    aside = next(one for one in asides if not any(os.path.lexists(f"{one}{end}") for end in COMPANIONS))
    for companion in COMPANIONS:
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{companion}", f"{aside}{companion}")
    return aside
