"""Repairs of a journal that no bot is using: send a dead letter's row again, give a row's changes up.

How it works. :func:`open_for_repair` takes the journal's lock, as a bot does: nobody else writes meanwhile, and a bot that is
started has to wait for its turn. A repair is a commit like the bot's own, under the next number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from byte_bot.errors import JournalLocked, JournalRefused
from byte_bot.persistence import journal_lock
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import LetterRetired, Rebased, Write
from byte_bot.persistence.journal_inspection import Entry, JournalReader, open_for_reading, refused_if_damaged
from byte_bot.persistence.journal_opening import connect
from byte_bot.persistence.journal_origin import is_set_aside
from byte_bot.persistence.operations import ABSENT


class JournalRepair:
    """A locked journal.

    Args:
        journal: on a connection that may write.
        reader: what it holds.
    """

    def __init__(self, journal: SqliteJournal, reader: JournalReader) -> None:
        self._journal = journal
        self.reader = reader

    def requeue(self, entries: Iterable[Entry]) -> None:
        """Have these rows, dead letters so far, sent again at the next start."""
        self._commit([LetterRetired(entry.key) for entry in entries])

    def drop(self, entries: Iterable[Entry]) -> None:
        """Give the pending operations of these rows up: what the database said last counts."""
        writes: list[Write] = []
        for entry in entries:
            writes += [Rebased(entry.key, entry.base or ABSENT, []), LetterRetired(entry.key)]
        self._commit(writes)

    def _commit(self, writes: list[Write]) -> None:
        self._journal.apply(writes, self._journal.commits + 1)


@contextlib.contextmanager
def open_for_repair(path: Path, login: str, holder: journal_lock.Holder) -> Iterator[JournalRepair]:
    """The journal at ``path``, locked.

    Args:
        path: the file.
        login: whose it must be; empty: anybody's.
        holder: what the lock says meanwhile.

    Raises:
        JournalLocked: the bot runs.
        JournalRefused: there is no such journal, it cannot be used, or it was set aside.
    """
    with open_for_reading(path, login):
        pass  # else the lock would be made beside a file that is not there
    if is_set_aside(path):
        raise JournalRefused(
            f"{path} was set aside since it was damaged: no bot reads it any more, so there is nothing to send again or to give up "
            "in it. `byte-bot journal export` writes what can still be read"
        )
    try:
        lock = journal_lock.acquire(path, holder)
    except JournalLocked:
        held_by = journal_lock.holder_of(path) or "another process"
        raise JournalLocked(
            f"the journal {path} is in use by {held_by}. This command needs the bot stopped: stop it (it saves what it can), "
            "give the command again, and start the bot. status, list, show and export work meanwhile"
        ) from None
    try:
        with refused_if_damaged(path, login), contextlib.closing(connect(path)) as connection:
            yield JournalRepair(SqliteJournal(connection), JournalReader(connection))
    finally:
        lock.release()
