"""The journal of a real process: found, locked, opened, replayed from, and closed last.

:func:`journal_on_disk` puts together the lock, the file and the thread; whoever holds it has the only process that writes
to this journal. The lock is released by who touches the file last: if the disk hangs at the end, that is the thread that
commits, and until then the next process is told that the journal is in use.

A path that is a link is followed first. SQLite does so by itself; a file that is set aside is renamed, and of a link only the
link would be: the new journal would be another file, with another lock, than that of the next process.

A start that finds its disk full, read-only or failing waits for it, says so, and tries again: what an earlier process has
confirmed is in the file, so chat cannot be answered without it, and a supervisor does not start again whoever has given up.
Left out: a bound for that. Whoever starts a bot wants it to run, and it holds nothing but the lock meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Final, TypeVar

import structlog

from byte_bot.clock import Clock, iso_utc
from byte_bot.errors import JournalLocked, JournalUnready
from byte_bot.persistence import journal_lock
from byte_bot.persistence.journal_damage import out_of_reach
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_opening import Durability, connect, open_and_read, prepare_folder
from byte_bot.persistence.journal_origin import followed, refuse_foreign
from byte_bot.persistence.journal_schema import Owner
from byte_bot.persistence.journal_thread import FileJournalStore

#: Seconds between two tries for a lock that is waited for; chosen: a rolling deploy is not slowed down by it.
LOCK_RETRY_S: Final = 0.5
#: Seconds between two tries on a disk that does not work, and tries from one line in the log to the next; chosen: somebody who
#: makes room sees the bot come back at once, and a line a minute is not missed.
DISK_RETRY_S: Final = 5.0
TRIES_A_LINE: Final = 12

StepT = TypeVar("StepT")

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
    disk_retry_s: float = DISK_RETRY_S,
) -> AsyncIterator[FileJournalStore]:
    """The store on ``path``, locked for this process.

    Args:
        path: the journal's file; its folder is made if it is not there.
        owner: whose it must be; the identity counts only if the file is made now.
        clock: says when: in the lock, and in the name of a damaged file that is set aside.
        durability: ``process`` or ``power``.
        wait_lock: wait for a process that holds the journal, however long it runs.
        core: makes the journal over each of its connections; another one has other bounds.
        disk_retry_s: seconds, see :data:`DISK_RETRY_S`.

    Raises:
        JournalLocked: another process holds it.
        JournalRefused: it cannot or must not be used.
    """
    path = followed(path)
    holder = journal_lock.Holder(os.getpid(), socket.gethostname(), owner.login, iso_utc(clock.unix()))

    def locked() -> journal_lock.Lock:
        prepare_folder(path)
        refuse_foreign(path, owner.login)
        return journal_lock.acquire(path, holder)

    def opened() -> FileJournalStore:
        with ExitStack() as connections:
            try:
                first, image = open_and_read(path, owner, durability=durability, now_s=clock.unix())
                writer = connections.enter_context(closing(first))
                reader = connections.enter_context(closing(connect(path, read_only=True)))
                tidier = connections.enter_context(closing(connect(path, durability=durability)))
                store = FileJournalStore(
                    core(writer), core(reader), core(tidier), image, on_closed=lock.release
                )
            except sqlite3.Error as error:
                raise out_of_reach(path, error) from None
            connections.pop_all()  # the store closes them
            return store

    lock = await _once_unlocked(path, lambda: _once_the_disk_works(path, locked, disk_retry_s), wait_lock)
    try:
        store = await _once_the_disk_works(path, opened, disk_retry_s)
    except BaseException:
        lock.release()
        raise
    _log.info("journal_opened", path=str(path), durability=durability)
    try:
        yield store
    finally:
        store.close()


async def _once_the_disk_works(path: Path, step: Callable[[], StepT], retry_s: float) -> StepT:
    """What ``step`` gives, tried again while the disk is what it fails at."""
    tries = 0
    while True:
        try:
            return step()
        except JournalUnready as error:
            if tries % TRIES_A_LINE == 0:
                _log.error(
                    "journal_disk_awaited",
                    path=str(path),
                    why=str(error),
                    what_it_means="the bot starts when the disk works; until then chat is not answered",
                )
        tries += 1
        await asyncio.sleep(retry_s)


async def _once_unlocked(
    path: Path, take: Callable[[], Awaitable[journal_lock.Lock]], wait_lock: bool
) -> journal_lock.Lock:
    announced = False
    while True:
        try:
            return await take()
        except JournalLocked:
            if not wait_lock:
                raise
            if not announced:
                _log.info("journal_awaited", path=str(path), held_by=str(journal_lock.holder_of(path)))
            announced = True
        await asyncio.sleep(LOCK_RETRY_S)
