"""Journals on disk for the tests of what looks at them: the one of format 1, which has every kind of write in it once."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import Write
from byte_bot.persistence.journal_opening import connect
from tests.data.journals import make_format_1

SAMPLE = Path(make_format_1.__file__).with_name("format_1.journal")
LOGIN = "my_bot"
#: The last change in it was made then, Unix seconds.
SAMPLE_UNIX_S = 1_767_225_604.5


def sample(folder: Path) -> Path:
    """A copy of the sample; the path under which a bot with ``JOURNAL_PATH=folder/`` finds it."""
    path = folder / f"{LOGIN}.journal"
    shutil.copyfile(SAMPLE, path)
    return path


def write(path: Path, writes: Iterable[Write]) -> None:
    """One more commit."""
    journal = SqliteJournal(connect(path))
    journal.apply(writes, journal.commits + 1)
    journal.close()


def set_format(path: Path, number: int) -> None:
    """Have the file say that it has another format."""
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {number}")
    connection.close()


def damage(path: Path) -> None:
    """Overwrite the pages behind the first."""
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
