"""``byte-bot check`` on the journal: where it lies, what it is, who holds it, and whether the place outlives the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from byte_bot.check_journal import check_journal, file_system_of
from byte_bot.errors import JournalRefused
from byte_bot.finding import Status
from byte_bot.persistence.journal_lock import Holder, acquire, lock_path
from byte_bot.persistence.journal_opening import open_journal
from byte_bot.persistence.journal_origin import refuse_foreign
from byte_bot.persistence.journal_schema import Owner
from byte_bot.settings import Settings
from tests.byte_bot.persistence.journal_files import SAMPLE

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


def start_on(path: Path) -> str:
    """What a start makes of the file: the events of its log, or why it refuses."""
    with capture_logs() as lines:
        try:
            refuse_foreign(path, "my_bot")
            open_journal(path, Owner("my_bot", "x"), durability="process", now_s=0.0).close()
        except JournalRefused as error:
            return str(error)
    return " ".join(line["event"] for line in lines)


def changed(at: int, value: int) -> bytes:
    """The kept journal with another byte in its header."""
    data = bytearray(SAMPLE.read_bytes())
    data[at] = value
    return bytes(data)


LETTER = b"a letter to the editor"


@pytest.mark.parametrize(
    ("name", "data", "status", "words", "start"),
    [
        ("notes.txt", LETTER, Status.FAILED, "not a journal of byte-bot", "file of another program"),
        (
            ".env",
            b"TWITCH_LOGIN=my_bot",
            Status.FAILED,
            "not a journal of byte-bot",
            "file of another program",
        ),
        ("j", changed(63, 9), Status.FAILED, "format 9, of a newer byte-bot", "which a newer byte-bot wrote"),
        ("my_bot.journal", LETTER, Status.WARNING, "damaged (its mark is gone)", "journal_set_aside"),
        ("j", changed(68, 0), Status.WARNING, "damaged (its mark is gone)", "journal_set_aside"),
        ("j", changed(63, 0), Status.WARNING, "damaged (its format reads 0", "journal_set_aside"),
        ("j", changed(18, 7), Status.WARNING, "damaged (its write version reads 7", "journal_set_aside"),
        ("j", b"", Status.OK, "empty, not in use", ""),
        ("j", SAMPLE.read_bytes(), Status.OK, "format 1, 0.0 MB, not in use", ""),
    ],
)
def test_it_says_what_a_start_would_do(
    tmp_path: Path, name: str, data: bytes, status: Status, words: str, start: str
) -> None:
    """Refused there, failed here; set aside there, a warning here; and nothing is touched by who only asks."""
    path = tmp_path / name
    path.write_bytes(data)
    finding = check_journal(settings(path), {}, tmp_path / "none")
    assert finding.status is status
    assert finding.words.startswith(f"{path}: {words}")
    assert [other.name for other in tmp_path.iterdir()] == [name]
    assert start in start_on(path)
    assert bool(start) is (status is not Status.OK)


def test_another_bot_s_journal_fails_as_a_start_would(tmp_path: Path) -> None:
    """The usual mistake of two bots with one JOURNAL_PATH; also while the other one holds it."""
    path = tmp_path / "j"
    open_journal(path, Owner("other_bot", "x"), durability="process", now_s=0.0).close()
    finding = check_journal(settings(path), {}, tmp_path / "none")
    assert (finding.status, finding.words) == (
        Status.FAILED,
        f"{path}: the journal of the bot 'other_bot', not of 'my_bot'",
    )
    assert "TWITCH_LOGIN" in finding.advice and "JOURNAL_PATH" in finding.advice
    assert [other.name for other in tmp_path.iterdir()] == ["j"]
    assert "belongs to the bot 'other_bot'" in start_on(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in its folders")
def test_what_is_no_file_fails(tmp_path: Path) -> None:
    """A start would wait for ever, or a device take what it never gives back."""
    os.mkfifo(tmp_path / "j")
    finding = check_journal(settings(tmp_path / "j"), {}, tmp_path / "none")
    assert finding.status is Status.FAILED
    assert "is no regular file but a pipe" in finding.words
    assert "is no regular file but a pipe" in start_on(tmp_path / "j")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has words of its own")
def test_a_name_that_no_disk_takes_fails(tmp_path: Path) -> None:
    """As a file and as a folder on the way there."""
    for path in (tmp_path / ("x" * 300), tmp_path / ("x" * 300) / "j"):
        finding = check_journal(settings(path), {}, tmp_path / "none")
        assert finding.status is Status.FAILED
        assert "File name too long" in finding.words


def test_a_folder_that_cannot_be_fails(tmp_path: Path) -> None:
    """A file is in the way."""
    (tmp_path / "file").write_text("")
    finding = check_journal(settings(tmp_path / "file" / "x.journal"), {}, tmp_path / "none")
    assert finding.status is Status.FAILED


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes links for administrators only")
def test_a_link_is_followed(tmp_path: Path) -> None:
    """What is said is about the file that the bot uses, and names it."""
    (tmp_path / "disk").mkdir()
    path, link = tmp_path / "disk" / "j", tmp_path / "link"
    link.symlink_to(path)
    open_journal(path, Owner("my_bot", "x"), durability="process", now_s=0.0).close()
    lock = acquire(path, Holder(7, "here", "my_bot", "2026-01-01"))
    finding = check_journal(settings(link), {}, tmp_path / "none")
    assert finding.words.startswith(f"{path}: format 1")
    assert "held by process 7" in finding.words
    lock.release()


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
