"""A damaged journal is moved out of the way: whole, never over another one, and never what is somebody else's."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from byte_bot.errors import JournalRefused, JournalUnready
from byte_bot.persistence.journal_aside import or_set_aside
from byte_bot.persistence.journal_image import Handled
from byte_bot.persistence.journal_opening import open_journal
from byte_bot.persistence.journal_schema import Owner
from tests.byte_bot.persistence.journal_files import sample, write

OWNER = Owner("my_bot", "host/1/abc")
NOW_S = 1_767_225_600.0  # 2026-01-01


def moved_by(path: Path) -> Path:
    """Start on it; where the log says that it went."""
    with capture_logs() as lines:
        open_journal(path, OWNER, durability="process", now_s=NOW_S).close()
    (line,) = [line for line in lines if line["event"] == "journal_set_aside"]
    return Path(line["moved_to"])


def test_two_that_are_set_aside_in_one_second_are_both_kept(tmp_path: Path) -> None:
    """A bot that a supervisor restarts at once finds its new journal damaged too."""
    path = tmp_path / "my_bot.journal"
    kept = []
    for text in ("first " * 999, "second " * 999, "third " * 999):
        path.write_text(text)
        kept.append(moved_by(path))
    assert [aside.read_text()[:5] for aside in kept] == ["first", "secon", "third"]
    assert len(set(kept)) == 3


@pytest.mark.parametrize("left", ["missing", "empty"])
def test_a_log_whose_file_is_gone_is_kept(tmp_path: Path, left: str) -> None:
    """A start that was killed between two renames, a human's rm: SQLite would delete what is in the -wal."""
    path = sample(tmp_path)
    connection = open_journal(path, OWNER, durability="process", now_s=NOW_S)
    write(path, [Handled("only-in-the-wal")])
    shutil.copy(f"{path}-wal", tmp_path / "as-it-was")
    connection.close()
    was = (tmp_path / "as-it-was").read_bytes()
    assert b"only-in-the-wal" in was
    path.unlink()
    if left == "empty":
        path.write_bytes(b"")
    Path(f"{path}-wal").write_bytes(was)
    aside = moved_by(path)
    assert Path(f"{aside}-wal").read_bytes() == was
    assert not path.with_name(f"{path.name}-wal").exists()


def test_what_is_foreign_stays_where_it_is(tmp_path: Path) -> None:
    """A JOURNAL_PATH that names the settings by mistake."""
    path = tmp_path / ".env"
    path.write_text("TWITCH_LOGIN=my_bot\n" * 99)
    with pytest.raises(JournalRefused, match="file of another program"):
        open_journal(path, OWNER, durability="process", now_s=NOW_S)
    assert [other.name for other in tmp_path.iterdir()] == [".env"]
    assert path.read_text() == "TWITCH_LOGIN=my_bot\n" * 99


def test_a_disk_that_does_not_work_moves_nothing(tmp_path: Path) -> None:
    """Neither before the file is damaged nor when its successor cannot be made."""
    path = sample(tmp_path)
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL

    def opened() -> None:
        raise full

    with pytest.raises(JournalUnready, match="database or disk is full"):
        or_set_aside(path, "my_bot", NOW_S, opened)
    assert [other.name for other in tmp_path.iterdir()] == [path.name]
