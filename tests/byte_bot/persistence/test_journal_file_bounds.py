"""The journal's file is bounded: by the rows, not by what was done to them; and what a full disk means."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from byte_bot.persistence.journal import Handled, KnownChannel, KnownChannels, Recorded, Settled
from byte_bot.persistence.journal_damage import JournalDamaged
from byte_bot.persistence.journal_file import (
    FOLD_ALL_TRIES_MAX,
    FREE_PAGES_KEPT,
    LOG_SLOTS,
    PAGE_BYTES,
    VACUUMED_PAGES,
    SqliteJournal,
)
from byte_bot.persistence.journal_image import SEEN_MESSAGES_MAX
from byte_bot.persistence.journal_opening import open_journal
from byte_bot.persistence.journal_schema import Owner
from byte_bot.persistence.operations import Base, Kind, Operation, Stamp
from tests.byte_bot.persistence.journal_in_memory import KEY, add, in_memory, lines
from tests.byte_bot.persistence.journal_writes import contents, image_of


def test_an_outage_of_any_length_takes_the_space_of_the_row() -> None:
    """Folded, a thousand adds are one operation."""
    journal, connection = in_memory()
    for number in range(1, 1001):
        journal.apply([add(number)], number)
    while journal.fold():
        pass
    assert lines(connection, "rows") == 1
    (pending,) = connection.execute("SELECT pending FROM rows").fetchone()
    assert len(pending) < 60
    assert [operation.value for operation in journal.read().rows[KEY].pending] == [1000]
    assert (journal.commits, journal.folded) == (1000, 1000)
    journal.close()


def test_a_log_that_nobody_folds_is_folded_by_a_commit() -> None:
    """It is a ring: what is overwritten is in the tables by then."""
    journal, connection = in_memory(pages_max=20_000)
    for number in range(1, LOG_SLOTS + 10):
        journal.apply([add(number)], number)
    assert lines(connection, "log") <= LOG_SLOTS
    assert journal.folded > 0
    for reader in (journal, SqliteJournal(connection)):
        assert [operation.value for operation in reader.read().rows[KEY].pending] == [LOG_SLOTS + 9]
    journal.close()


def test_the_window_of_handled_messages_is_bounded() -> None:
    """The file keeps as many ids as the image does, the newest."""
    journal, connection = in_memory()
    ids = [f"m{number}" for number in range(SEEN_MESSAGES_MAX + 5)]
    journal.apply(map(Handled, ids[:7]), 1)
    journal.fold()
    journal.apply(map(Handled, ids[7:]), 2)
    assert list(journal.read().handled) == ids[5:]
    journal.fold()
    assert list(journal.read().handled) == ids[5:]
    assert lines(connection, "handled") == 2
    for number in range(3, 8):
        journal.apply([Handled(f"n{number}-{one}") for one in range(SEEN_MESSAGES_MAX // 2)], number)
        journal.fold()
    assert lines(connection, "handled") == 2
    assert len(journal.read().handled) == SEEN_MESSAGES_MAX
    journal.close()


def test_a_full_disk_rolls_back_all_of_a_commit_and_the_next_one_works() -> None:
    """No part of a failed commit stays, neither in the file nor in what the connection remembers of it."""
    journal, connection = in_memory(pages_max=30)
    journal.apply([add(1)], 1)
    big = Recorded(KEY, [Operation(Kind.SET, "text", None, "x" * 200_000, Stamp(1, 2))])
    with pytest.raises(sqlite3.OperationalError, match="full"):
        journal.apply([add(2), Handled("a"), big], 2)
    assert contents(journal.read()) == contents(image_of(add(1)))
    connection.execute("PRAGMA max_page_count = 1000")
    journal.apply([add(2), Handled("a")], 2)
    assert contents(journal.read()) == contents(image_of(add(1), add(2), Handled("a")))
    journal.close()


def test_a_full_disk_takes_what_makes_room() -> None:
    """A commit that trims is taken although the log cannot grow: it is folded at once, with everything before it."""
    journal, connection = in_memory(pages_max=300)
    texts = [Operation(Kind.SET, f"text_{n}", None, "x" * 8_000, Stamp(1, n)) for n in range(1, 99)]
    number = 0

    def fill() -> None:
        nonlocal number
        for text in texts:
            journal.apply([Recorded(KEY, [text])], number + 1)
            number += 1

    with pytest.raises(sqlite3.OperationalError, match="full"):
        fill()
    assert number > 10
    journal.apply([Settled(KEY, Base(b"{}", {}, 1, 1, 99, 0)), Handled("a" * 40_000)], number + 1)
    assert (journal.folded, lines(connection, "log")) == (number + 1, 0)
    assert journal.read().rows[KEY].pending == []
    journal.apply([Recorded(KEY, [texts[-1]])], number + 2)
    journal.close()


def test_a_fold_does_not_need_the_list_of_channels() -> None:
    """It is neither read, however long it is, nor written, unless a commit names the channels anew."""
    journal, connection = in_memory()
    known = [KnownChannel("anna", "1"), KnownChannel("bert")]
    journal.apply([KnownChannels(known)], 1)
    journal.fold()
    connection.execute("UPDATE channels SET logins = x'7b'")
    for fold_by in (journal, SqliteJournal(connection)):
        fold_by.apply([add(fold_by.commits)], fold_by.commits + 1)
        assert fold_by.fold()
    assert connection.execute("SELECT logins FROM channels").fetchall() == [(b"{",)]
    with pytest.raises(JournalDamaged, match="damaged"):
        journal.read()
    SqliteJournal(connection).apply([KnownChannels(known)], journal.commits + 1)
    assert SqliteJournal(connection).fold()
    assert SqliteJournal(connection).read().channels == known
    journal.close()


def test_what_is_free_in_the_file_is_given_back_some_at_a_time(tmp_path: Path) -> None:
    """After a long outage the file shrinks again, down to what it keeps for the next one."""
    path = tmp_path / "my_bot.journal"
    connection = open_journal(path, Owner("my_bot", "here"), durability="process", now_s=0.0)
    journal = SqliteJournal(connection)
    for number in range(1, 25):
        text = Operation(Kind.SET, f"text_{number}", None, "x" * 1_000_000, Stamp(1, number))
        journal.apply([Recorded(KEY, [text])], number)
    journal.apply([Settled(KEY, Base(b"{}", {}, 1, 1, 99, 0))], 25)
    while journal.fold():
        pass
    connection.execute("DELETE FROM log")  # as the ring does, line by line, once it is overwritten
    assert journal.tidy()
    size, sizes = path.stat().st_size, []
    assert size > 24_000_000
    for _ in range(12):
        journal.vacuum()
        assert journal.tidy()
        sizes.append(path.stat().st_size)
    # A few more: pages in which SQLite notes where others belong.
    assert VACUUMED_PAGES <= (size - sizes[0]) / PAGE_BYTES < 1.02 * VACUUMED_PAGES
    assert sizes[-1] == sizes[-2] < size - 7_000_000
    assert FREE_PAGES_KEPT * PAGE_BYTES < sizes[-1] < (FREE_PAGES_KEPT + VACUUMED_PAGES) * PAGE_BYTES
    assert contents(journal.read()) == contents(image_of(Settled(KEY, Base(b"{}", {}, 1, 1, 99, 0))))
    journal.close()


def test_a_disk_that_stays_full_is_not_folded_anew_at_every_try() -> None:
    """To read all of the log and write it in vain takes a quarter of a second; what makes room is taken all the same, soon."""
    journal, connection = in_memory(pages_max=300)
    number = 0
    with contextlib.suppress(sqlite3.OperationalError):
        while number < 99:
            text = Operation(Kind.SET, f"text_{number}", None, "x" * 8_000, Stamp(1, number))
            journal.apply([Recorded(KEY, [text])], number + 1)
            number += 1
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    big = Recorded(KEY, [Operation(Kind.SET, "text", None, "x" * 99_000, Stamp(1, 100))])
    for _ in range(30):
        with pytest.raises(sqlite3.OperationalError, match="full"):
            journal.apply([big], number + 1)
    assert statements.count("DELETE FROM log") <= 6
    assert journal.folds_put_off >= 24
    tries = 0
    while journal.commits == number:
        tries += 1
        with contextlib.suppress(sqlite3.OperationalError):
            journal.apply([Settled(KEY, Base(b"{}", {}, 1, 1, 101, 0)), big], number + 1)
    assert tries <= FOLD_ALL_TRIES_MAX
    # From here on the first try counts again.
    statements.clear()
    huge = Recorded(KEY, [Operation(Kind.SET, "text", None, "x" * 999_000, Stamp(1, 102))])
    with pytest.raises(sqlite3.OperationalError, match="full"):
        journal.apply([huge], number + 2)
    assert statements.count("DELETE FROM log") == 1
    journal.close()


def test_a_full_ring_on_a_full_disk_takes_what_makes_room() -> None:
    """The fold that the ring needs has no room either: then everything is folded with the commit that trims."""
    journal, connection = in_memory(pages_max=300)
    journal = SqliteJournal(connection, log_slots=8)
    for number in range(1, 8):
        text = Operation(Kind.SET, f"text_{number}", None, "x" * 30_000, Stamp(1, number))
        journal.apply([Recorded(KEY, [text])], number)
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    journal.apply([Settled(KEY, Base(b"{}", {}, 1, 1, 99, 0))], 8)
    journal.apply([Settled(KEY, Base(b"{}", {}, 1, 1, 99, 0))], 9)
    assert journal.read().rows[KEY].pending == []
    journal.close()
