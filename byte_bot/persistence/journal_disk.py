"""The journal of a real process: found, locked, opened, replayed from, and closed last.

:func:`journal_on_disk` puts together the lock, the file and the thread; whoever holds it has the only process that writes
to this journal. The lock is released by who touches the file last: if the disk hangs at the end, that is the thread that
commits, and until then the next process is told that the journal is in use.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from byte_bot.clock import Clock, iso_utc
from byte_bot.errors import JournalLocked
from byte_bot.persistence import journal_lock
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_opening import Durability, Owner, connect, open_and_read, prepare_folder
from byte_bot.persistence.journal_thread import FileJournalStore

#: Seconds between two tries for a lock that is waited for; chosen: a rolling deploy is not slowed down by it.
LOCK_RETRY_S: Final = 0.5

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def journal_on_disk(
    path: Path,
    owner: Owner,
    clock: Clock,
    *,
    durability: Durability,
    wait_lock: bool = False,
    core: Callable[[sqlite3.Connection], SqliteJournal] = SqliteJournal,
) -> AsyncIterator[FileJournalStore]:
    """The store on ``path``, locked for this process.

    Args:
        path: the journal's file; its folder is made if it is not there.
        owner: whose it must be; the identity counts only if the file is made now.
        clock: says when: in the lock, and in the name of a damaged file that is set aside.
        durability: ``process`` or ``power``.
        wait_lock: wait for a process that holds the journal, however long it runs.
        core: makes the journal over each of its connections; another one has other bounds.

    Raises:
        JournalLocked: another process holds it.
        JournalRefused: it cannot or must not be used.
    """
    prepare_folder(path)
    lock = await _locked(path, owner, clock, wait_lock=wait_lock)
    try:
        connection, image = open_and_read(path, owner, durability=durability, now_s=clock.unix())
        store = FileJournalStore(
            core(connection),
            core(connect(path, read_only=True)),
            core(connect(path, durability=durability)),
            image,
            on_closed=lock.release,
        )
    except BaseException:
        lock.release()
        raise
    _log.info("journal_opened", path=str(path), durability=durability)
    try:
        yield store
    finally:
        store.close()


async def _locked(path: Path, owner: Owner, clock: Clock, *, wait_lock: bool) -> journal_lock.Lock:
    holder = journal_lock.Holder(os.getpid(), socket.gethostname(), owner.login, iso_utc(clock.unix()))
    announced = False
    while True:
        try:
            return journal_lock.acquire(path, holder)
        except JournalLocked:
            if not wait_lock:
                raise
            if not announced:
                _log.info("journal_awaited", path=str(path), held_by=str(journal_lock.holder_of(path)))
            announced = True
        await asyncio.sleep(LOCK_RETRY_S)
