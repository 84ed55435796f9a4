"""One process per journal: who holds it is said, and the end of a process gives it up."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from byte_bot.errors import JournalLocked, JournalRefused
from byte_bot.persistence.journal_lock import Holder, acquire, holder_of, is_locked, lock_path

ME = Holder(1, "here", "my_bot", "2026-01-01T00:00:00+00:00")
OTHER = Holder(2, "there", "my_bot", "2026-01-02T00:00:00+00:00")

#: A second process that takes the lock, says so, and keeps it until its standard input ends.
HOLDS = """
import sys
from pathlib import Path
from byte_bot.persistence.journal_lock import Holder, acquire
lock = acquire(Path(sys.argv[1]), Holder(2, "there", "my_bot", "2026-01-02T00:00:00+00:00"))
print("held", flush=True)
sys.stdin.read()
"""

#: A second process that does nothing but look.
LOOKS = """
import sys
from pathlib import Path
from byte_bot.persistence.journal_lock import is_locked
print("looking", flush=True)
while True:
    is_locked(Path(sys.argv[1]))
"""


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    """The message names the process and the way out; when that process is killed the journal is free."""
    journal = tmp_path / "my_bot.journal"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(journal)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline().strip() == b"held"
            with pytest.raises(JournalLocked, match=r"process 2 on there .*--wait-lock"):
                acquire(journal, ME)
            assert is_locked(journal)
            assert holder_of(journal) == OTHER
        finally:
            other.kill()
    lock = acquire(journal, ME)
    assert holder_of(journal) == ME
    lock.release()
    assert not is_locked(journal)


def test_two_locks_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    """The lock belongs to who opened it, not to the process."""
    journal = tmp_path / "my_bot.journal"
    lock = acquire(journal, ME)
    with pytest.raises(JournalLocked):
        acquire(journal, OTHER)
    assert holder_of(journal) == ME
    lock.release()
    acquire(journal, OTHER).release()
    assert holder_of(journal) == OTHER


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no shared locks: who looks there locks")
def test_looking_never_keeps_a_bot_from_starting(tmp_path: Path) -> None:
    """Nor another one from looking: who only asks is not taken for a holder, however often they ask."""
    journal = tmp_path / "my_bot.journal"
    acquire(journal, ME).release()
    with subprocess.Popen([sys.executable, "-c", LOOKS, str(journal)], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline().strip() == b"looking"
            for _ in range(500):
                assert not is_locked(journal)
                acquire(journal, ME).release()
        finally:
            other.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes links for administrators only")
def test_two_paths_to_one_journal_share_one_lock(tmp_path: Path) -> None:
    """A link to the file, a link to its folder: SQLite writes to one file, so one process may."""
    journal = tmp_path / "disk" / "my_bot.journal"
    journal.parent.mkdir()
    (tmp_path / "folder").symlink_to(journal.parent)
    (tmp_path / "file.journal").symlink_to(journal)
    lock = acquire(journal, ME)
    for other in (tmp_path / "folder" / "my_bot.journal", tmp_path / "file.journal"):
        assert is_locked(other)
        assert holder_of(other) == ME
        with pytest.raises(JournalLocked):
            acquire(other, OTHER)
    lock.release()


def test_looking_makes_nothing(tmp_path: Path) -> None:
    """Whoever only asks leaves no file behind."""
    assert not is_locked(tmp_path / "my_bot.journal")
    assert holder_of(tmp_path / "my_bot.journal") is None
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_made_says_what_to_set(tmp_path: Path) -> None:
    """The folder is not there."""
    with pytest.raises(JournalRefused, match="JOURNAL_PATH"):
        acquire(tmp_path / "missing" / "my_bot.journal", ME)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_refused_with_words(tmp_path: Path, code: int) -> None:
    """As NFS without its lock service answers; who looks learns that it cannot know."""
    journal = tmp_path / "my_bot.journal"

    def lockless(descriptor: int) -> bool:
        raise OSError(code, "no locks here")

    with pytest.raises(JournalRefused, match=r"cannot be taken: no locks here\..*on a local disk"):
        acquire(journal, ME, lock=lockless)
    assert is_locked(journal, look=lockless) is None
    acquire(journal, ME).release()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes links for administrators only")
def test_who_may_not_look_does_not_say_that_nobody_holds_it(tmp_path: Path) -> None:
    """Another account; here a link that leads nowhere but to itself keeps even the administrator out."""
    journal = tmp_path / "my_bot.journal"
    lock_path(journal).symlink_to(lock_path(journal))
    assert is_locked(journal) is None
    assert is_locked(tmp_path / "other.journal") is False
    (tmp_path / "file").write_text("")
    assert is_locked(tmp_path / "file" / "my_bot.journal") is False


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no modes")
def test_to_look_the_lock_need_not_be_writable(tmp_path: Path) -> None:
    """An account that may read it learns as much as the bot's own."""
    journal = tmp_path / "my_bot.journal"
    lock = acquire(journal, ME)
    lock.path.chmod(0o440)
    assert is_locked(journal) is True
    lock.release()
    assert is_locked(journal) is False
