"""Repairs: what they leave behind, and that they need the bot stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from byte_bot.errors import JournalLocked, JournalRefused
from byte_bot.persistence import journal_lock
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import JournalImage
from byte_bot.persistence.journal_inspection import Entry
from byte_bot.persistence.journal_lock import Holder
from byte_bot.persistence.journal_opening import connect
from byte_bot.persistence.journal_repair import JournalRepair, open_for_repair
from byte_bot.persistence.operations import ABSENT, RowKey
from tests.byte_bot.persistence.journal_files import sample
from tests.data.journals.make_format_1 import CONTEXT, DEATHS, LAST_COMMIT

HUMAN = Holder(1, "host", "my_bot", "2026-01-01T00:00:00Z")
BOT = Holder(2, "elsewhere", "my_bot", "2026-01-02T00:00:00Z")


def image(path: Path) -> JournalImage:
    """What the bot would read at its next start."""
    journal = SqliteJournal(connect(path))
    assert journal.commits >= LAST_COMMIT
    read = journal.read()
    journal.close()
    return read


def entry(repair: JournalRepair, key: RowKey) -> Entry:
    """A row that is there."""
    found = repair.reader.entry(key)
    assert found is not None
    return found


def test_what_was_set_aside_is_not_repaired(tmp_path: Path) -> None:
    """No bot would read it; it stays as it was found."""
    aside = sample(tmp_path).rename(tmp_path / "my_bot.journal.damaged-20260101T000000Z")
    with pytest.raises(JournalRefused, match="no bot reads it any more"), open_for_repair(aside, "", HUMAN):
        pass
    assert [other.name for other in tmp_path.iterdir()] == [aside.name]


def test_a_requeued_row_keeps_its_operations_and_loses_its_letter(tmp_path: Path) -> None:
    """The next start sends it like any other."""
    path = sample(tmp_path)
    before = image(path)
    with open_for_repair(path, "my_bot", HUMAN) as repair:
        repair.requeue([entry(repair, CONTEXT)])
    after = image(path)
    assert after.dead_letters == {}
    assert after.rows == before.rows


def test_a_dropped_row_is_as_the_database_has_it(tmp_path: Path) -> None:
    """Its base stays, its operations and its letter go; a row that was never read counts as not there until it is."""
    path = sample(tmp_path)
    before = image(path)
    with open_for_repair(path, "my_bot", HUMAN) as repair:
        repair.drop([entry(repair, CONTEXT), entry(repair, DEATHS)])
    after = image(path)
    assert after.dead_letters == {}
    assert after.rows[CONTEXT].base == before.rows[CONTEXT].base
    assert after.rows[DEATHS].base == ABSENT
    assert after.pending_channels == ()


def test_it_needs_the_bot_stopped_and_says_who_runs(tmp_path: Path) -> None:
    """And keeps a bot from starting meanwhile."""
    path = sample(tmp_path)
    lock = journal_lock.acquire(path, BOT)
    with (
        pytest.raises(JournalLocked, match=r"process 2 on elsewhere .* needs the bot stopped"),
        open_for_repair(path, "my_bot", HUMAN),
    ):
        pass
    lock.release()
    with open_for_repair(path, "my_bot", HUMAN), pytest.raises(JournalLocked):
        journal_lock.acquire(path, BOT)
    journal_lock.acquire(path, BOT).release()


def test_where_there_is_no_journal_nothing_is_made(tmp_path: Path) -> None:
    """Neither a journal nor a lock."""
    with (
        pytest.raises(JournalRefused, match="there is no journal"),
        open_for_repair(tmp_path / "my_bot.journal", "my_bot", HUMAN),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
