"""``byte-bot check`` on the journal: where it lies, what it is, who holds it, and whether the place outlives the machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from byte_bot.check_journal import check_journal, file_system_of
from byte_bot.finding import Status
from byte_bot.persistence.journal_lock import Holder, acquire, lock_path
from byte_bot.persistence.journal_opening import Owner, open_journal
from byte_bot.settings import Settings

#: As proc(5) describes them; the first two are from a machine, the others from a container.
MOUNTS = r"""
22 1 252:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
25 22 0:23 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw
26 22 0:24 / /with\040blank rw - tmpfs tmpfs rw
27 22 0:25 / /box rw,relatime master:2 shared:9 - overlay overlay rw,lowerdir=/a:/b
28 27 252:1 /volumes/x /box/data rw,relatime - ext4 /dev/vda1 rw
"""


def settings(path: Path, **changes: str) -> Settings:
    """Settings of a bot whose journal is at ``path``."""
    return Settings(
        twitch_login="my_bot",
        twitch_token="a" * 30,
        twitch_channel_logins=("my_channel",),
        journal_path=str(path),
        **changes,
    )


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me", "ext4"),
        ("/dev/shm/bot", "tmpfs"),
        ("/dev/shmoo", "ext4"),
        ("/with blank/bot", "tmpfs"),
        ("/box/home", "overlay"),
        ("/box/data/bot", "ext4"),
    ],
)
def test_the_deepest_mount_says_what_a_path_lies_on(path: str, kind: str) -> None:
    """Folder by folder, not letter by letter; blanks are written as the kernel writes them."""
    assert file_system_of(Path(path), MOUNTS) == kind
    assert file_system_of(Path(path), "") == ""


def test_a_journal_is_described_without_touching_it(tmp_path: Path) -> None:
    """Not there yet; then its format and size; then who holds it."""
    path, mounts = tmp_path / "my_bot.journal", tmp_path / "none"
    finding = check_journal(settings(path), {}, mounts)
    assert (finding.status, finding.words) == (Status.OK, f"{path}: will be made at the first start")
    assert not path.exists()
    open_journal(path, Owner("my_bot", "x"), durability="process", now_s=0.0).close()
    assert "format 1, 0.0 MB, not in use" in check_journal(settings(path), {}, mounts).words
    lock = acquire(path, Holder(7, "here", "my_bot", "2026-01-01"))
    assert "held by process 7 on here" in check_journal(settings(path), {}, mounts).words
    lock.release()


@pytest.mark.parametrize("kind", ["tmpfs", "overlay"])
def test_a_place_that_does_not_last_is_a_warning(tmp_path: Path, kind: str) -> None:
    """Memory, or a container's own layer: what was confirmed goes with it."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / / rw - {kind} {kind} rw\n")
    finding = check_journal(settings(tmp_path / "my_bot.journal"), {}, mounts)
    assert finding.status is Status.WARNING
    assert kind in finding.words
    assert "JOURNAL_PATH" in finding.advice


def test_what_the_bot_would_refuse_fails_here_too(tmp_path: Path) -> None:
    """A file of something else, one of a newer release, a folder that cannot be."""
    path = tmp_path / "my_bot.journal"
    path.write_text("a letter to the editor")
    finding = check_journal(settings(path), {}, tmp_path / "none")
    assert (finding.status, finding.words) == (Status.FAILED, f"{path}: not a journal of byte-bot")
    below_a_file = check_journal(settings(path / "x.journal"), {}, tmp_path / "none")
    assert below_a_file.status is Status.FAILED
    newer = tmp_path / "newer.journal"
    connection = open_journal(newer, Owner("my_bot", "x"), durability="process", now_s=0.0)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    assert "format 9, of a newer byte-bot" in check_journal(settings(newer), {}, tmp_path / "none").words


def test_a_bot_without_a_journal_is_warned_of_it(tmp_path: Path) -> None:
    """``DURABILITY=off`` is meant for measurements."""
    finding = check_journal(settings(tmp_path / "x", durability="off"), {}, tmp_path / "none")
    assert finding.status is Status.WARNING
    assert "lost with the process" in finding.words


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes links for administrators only")
def test_it_says_what_it_cannot_know(tmp_path: Path) -> None:
    """Whether the bot runs, from an account that may not look at the lock."""
    path = tmp_path / "my_bot.journal"
    open_journal(path, Owner("my_bot", "x"), durability="process", now_s=0.0).close()
    lock_path(path).symlink_to(lock_path(path))
    finding = check_journal(settings(path), {}, tmp_path / "none")
    assert finding.status is Status.OK
    assert "whether it is in use this account cannot tell" in finding.words
