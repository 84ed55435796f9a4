"""One process per journal: a lock on a file beside it.

How it works. The operating system's lock on ``NAME.journal.lock`` belongs to the process and ends with it, however it ends.
The file says who holds it, for the second process and for humans; it stays where it is (to remove it would let two
processes lock two files of one name). It lies beside the file that the journal's path leads to, so that two links to one journal
share one lock.

Who only looks (:func:`is_locked`: ``byte-bot check``, ``byte-bot journal status``) takes a *shared* lock for an instant: it
fails if a process holds the journal, and does not stand in the way of others who look. A process that starts in that instant
tells the two apart, and tries again. Windows knows no shared locks of this kind: there a look can turn a start away. An account
that may not read the lock cannot look: it learns that it cannot know.

On a network file system the lock is as good as that system's; one that has none is refused. The journal belongs on a local disk
in any case.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from byte_bot.errors import JournalLocked, JournalRefused
from byte_bot.persistence.journal_damage import out_of_reach, passes

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

#: Tries of a process that finds the lock with somebody who looks; chosen: a look takes some microseconds, unless its process
#: has to wait for its turn, and so many tries take a few tenths of a second.
LOOKS_MAX: Final = 100_000
#: Windows locks bytes, and nobody else can read them: one far behind the text is locked.
_LOCKED_BYTE: Final = 1 << 30


class Holder(msgspec.Struct, frozen=True):
    """Who holds a journal: process, machine, bot, and since when (ISO 8601, UTC)."""

    pid: int
    host: str
    login: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (bot {self.login}, since {self.since})"


class Lock(NamedTuple):
    """A lock that is held until :meth:`release` or the end of the process."""

    path: Path
    descriptor: int

    def release(self) -> None:
        """Let the next process have the journal."""
        os.close(self.descriptor)


def lock_path(journal: Path) -> Path:
    """The file that is locked for ``journal``."""
    real = Path(os.path.realpath(journal))
    return real.with_name(f"{real.name}.lock")


if sys.platform == "win32":

    def try_lock(descriptor: int) -> bool:
        """Lock an open file for this process; False if another one has locked it."""
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

    def _look(descriptor: int) -> bool:
        return try_lock(descriptor)

else:

    def try_lock(descriptor: int) -> bool:
        """Lock an open file for this process; False if another one has locked it."""
        for _ in range(LOOKS_MAX):
            if _flock(descriptor, fcntl.LOCK_EX):
                return True
            if not _look(descriptor):
                return False
            # Nobody holds it: somebody looks. Ours is shared too, and two that upgrade theirs would wait for each other.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False

    def _look(descriptor: int) -> bool:
        return _flock(descriptor, fcntl.LOCK_SH)

    def _flock(descriptor: int, kind: int) -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def acquire(journal: Path, holder: Holder, *, lock: Callable[[int], bool] = try_lock) -> Lock:
    """Lock ``journal`` for this process.

    Args:
        journal: the journal's path; its folder exists.
        holder: what the lock's file says from now on.
        lock: the system's call: locks an open file, False if another process has locked it.

    Raises:
        JournalLocked: another process has it.
        JournalRefused: the lock's file cannot be made, or the file system has no locks.
    """
    path = lock_path(journal)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        if passes(error):
            raise out_of_reach(journal, error) from None
        raise JournalRefused(
            f"the journal's lock {path} cannot be made: {error.strerror}. Give JOURNAL_PATH a file in a folder that the "
            "bot may write to"
        ) from None
    try:
        locked = lock(descriptor)
    except OSError as error:  # ENOLCK, ENOTSUP: as some network file systems answer
        os.close(descriptor)
        raise JournalRefused(
            f"the journal's lock {path} cannot be taken: {error.strerror or error}. Give JOURNAL_PATH a file on a local disk; or "
            "set DURABILITY=off, and a crash loses what the database does not have yet"
        ) from None
    if not locked:
        os.close(descriptor)
        raise JournalLocked(
            f"the journal {journal} is in use by {holder_of(journal) or 'another process'}: stop that one first, or start "
            "this one with --wait-lock"
        )
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, msgspec.json.encode(holder) + b"\n")
    except OSError:
        pass  # a full disk: the lock holds all the same, only its text is missing
    return Lock(path, descriptor)


def holder_of(journal: Path) -> Holder | None:
    """Who has locked ``journal``, or had it last; None if the file does not say."""
    try:
        return msgspec.json.decode(lock_path(journal).read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def is_locked(journal: Path, *, look: Callable[[int], bool] = _look) -> bool | None:
    """True if a process holds the lock; nothing is made or changed, and no process is kept from taking it.

    None if that cannot be known: this account may not read the lock, or the file system has none.

    Args:
        journal: the journal's path.
        look: the system's call: False if a process has locked an open file.
    """
    try:
        descriptor = os.open(lock_path(journal), os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    try:
        return not look(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
