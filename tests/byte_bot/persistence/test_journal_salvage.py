"""A damaged journal, read as far as it goes: one line that cannot be read hides no other."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

import msgspec
import pytest

from byte_bot.errors import JournalRefused
from byte_bot.persistence.journal_file import FORMAT, PAGE_BYTES, SqliteJournal
from byte_bot.persistence.journal_image import Handled, Recorded
from byte_bot.persistence.journal_inspection import open_for_reading
from byte_bot.persistence.journal_opening import connect
from byte_bot.persistence.journal_salvage import SalvagedJournal
from byte_bot.persistence.operations import Kind, Operation, RowKey, Stamp
from tests.byte_bot.persistence.journal_files import sample, write
from tests.byte_bot.persistence.nesting import BOTTOMLESS
from tests.data.journals.make_format_1 import CONTEXT, DEATHS, QUOTES

ASIDE = "my_bot.journal.damaged-20260101T000000Z"
ROWS = 400


def folded(folder: Path) -> Path:
    """The sample, set aside, with its log applied to its tables, and one commit behind that."""
    path = sample(folder)
    journal = SqliteJournal(connect(path))
    while journal.fold():
        pass
    journal.close()
    write(path, [Handled("m3")])
    return path.rename(folder / ASIDE)


def told(path: Path) -> tuple[dict[str, int], list[str], dict[str, str]]:
    """What an export has: the rows with how many changes, the ids of messages, and what could not be read."""
    with open_for_reading(path) as reader:
        overview = reader.overview(0.0)
        rows = {entry.key.name: len(entry.operations) for entry in reader.everything()}
        assert overview.rows_pending == sum(number > 0 for number in rows.values())
        return rows, reader.handled(), reader.unreadable


WHOLE = {DEATHS.name: 2, QUOTES.name: 0, CONTEXT.name: 1}
IDS = ["message-1", "message-2", "m3"]
IN_DEATHS = "WHERE key = 'deaths'"


def without(*keys: RowKey) -> dict[str, int]:
    """All the others."""
    return {name: number for name, number in WHOLE.items() if name not in {key.name for key in keys}}


@pytest.mark.parametrize(
    ("damaging", "rows", "ids", "places"),
    [
        ("SELECT 1", WHOLE, IDS, []),
        (f"UPDATE rows SET pending = x'7b' {IN_DEATHS}", WHOLE | {DEATHS.name: 0}, IDS, ["its changes, of"]),
        ("UPDATE rows SET data = x'7b' WHERE key = 'quotes'", WHOLE, IDS, ["its base, of"]),
        (f"UPDATE rows SET boundary_epoch = 'x' {IN_DEATHS}", without(DEATHS), IDS, ["line 1 of the rows"]),
        (f"UPDATE rows SET key = CAST(x'b1' AS TEXT) {IN_DEATHS}", without(DEATHS), IDS, ["line 1 of the"]),
        ("UPDATE log SET writes = x'7b' WHERE number = 11", WHOLE, IDS[:2], ["commit 11"]),
        ("UPDATE log SET number = 13 WHERE number = 11", WHOLE, IDS, ["commits 11 to 12"]),
        ("UPDATE log SET number = 'x' WHERE number = 11", WHOLE, IDS[:2], ["line 11 of the log"]),
        ("UPDATE handled SET message_ids = x'7b'", WHOLE, IDS[2:], ["message ids 1", "message ids 2"]),
        ("UPDATE channels SET logins = x'7b'", WHOLE, IDS, ["the list of channels"]),
        ("UPDATE dead_letters SET at_s = 'x'", WHOLE, IDS, ["dead letter 1"]),
        ("UPDATE meta SET value = x'7b' WHERE name = 'spoken'", WHOLE, IDS, ["what it said lately"]),
        ("UPDATE meta SET value = CAST(x'b1' AS TEXT) WHERE name = 'login'", WHOLE, IDS, ["its login"]),
        ("UPDATE meta SET value = 'x' WHERE name = 'epoch'", WHOLE, IDS, ["its epoch"]),
        ("UPDATE meta SET value = NULL WHERE name = 'folded'", WHOLE, IDS[:2], ["its folded"]),
        ("UPDATE meta SET value = 99 WHERE name = 'folded'", WHOLE, IDS[:2], ["the log behind commit 11"]),
        ("DROP TABLE handled", WHOLE, IDS[2:], ["message ids"]),
        ("PRAGMA application_id = 7", WHOLE, IDS, []),
        ("PRAGMA user_version = 99", WHOLE, IDS, []),
    ],
)
def test_what_cannot_be_read_is_left_out_and_named(
    tmp_path: Path, damaging: str, rows: dict[str, int], ids: list[str], places: list[str]
) -> None:
    """Field by field: the other half of a row, and all other lines, are told."""
    path = folded(tmp_path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(damaging)
    found_rows, found_ids, unreadable = told(path)
    assert (found_rows, found_ids) == (rows, ids)
    assert len(unreadable) == len(places)
    for place, expected in zip(unreadable, places, strict=True):
        assert place.startswith(expected)
        assert unreadable[place]


def test_what_is_nested_deeper_than_this_python_can_read_is_left_out_and_named(tmp_path: Path) -> None:
    """Another version wrote it, perhaps: the journal is looked into because of another line, and this one hides none either."""
    brackets = b"[" * BOTTOMLESS + b"]" * BOTTOMLESS
    mark = Operation(Kind.SET, "tree", None, "MARK", Stamp(1, 1))
    path = folded(tmp_path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement, value in (
            (f"UPDATE rows SET pending = ? {IN_DEATHS}", msgspec.json.encode([mark])),
            ("UPDATE log SET writes = ? WHERE number = 11", msgspec.json.encode([Recorded(QUOTES, [mark])])),
        ):
            connection.execute(statement, (value.replace(b'"MARK"', brackets),))
    rows, ids, unreadable = told(path)
    assert (rows, ids) == (WHOLE | {DEATHS.name: 0}, IDS[:2])
    assert sorted(unreadable) == ["commit 11", f"its changes, of {DEATHS.name}"]
    assert set(unreadable.values()) == {"it is nested deeper than this Python can read"}


def test_a_broken_page_costs_its_own_lines_only(tmp_path: Path) -> None:
    """Wherever it is: what is before it, behind it, and in the index."""
    path = sample(tmp_path)
    operations = [Operation(Kind.SET, "last", None, "x" * 300, Stamp(4, 1), "m:0", 1_767_225_610)]
    keys = [RowKey("component_state", f"{1000 + number}", "deaths") for number in range(ROWS)]
    write(path, [Recorded(key, operations) for key in keys])
    journal = SqliteJournal(connect(path))
    while journal.fold():
        pass
    journal.close()
    path = path.rename(tmp_path / ASIDE)
    whole = path.read_bytes()
    # https://www.sqlite.org/fileformat.html: 13 begins a leaf of a table, and the columns of a line stand side by side.
    leaves = [
        at
        for at in range(0, len(whole), PAGE_BYTES)
        if whole[at] == 13 and re.search(rb"component_state\d{4}deaths", whole[at : at + PAGE_BYTES])
    ]
    for at in (leaves[0], leaves[len(leaves) // 2], leaves[-1]):
        broken = bytearray(whole)
        broken[at : at + PAGE_BYTES] = b"\xff" * PAGE_BYTES
        path.write_bytes(broken)
        with open_for_reading(path) as reader:
            found = {entry.key for entry in reader.everything()}
            assert ROWS + 3 > len(found) > ROWS - 10
            lines = [place for place in reader.unreadable if place.startswith("line ")]
            assert len(lines) == ROWS + 3 - len(found), "the index knows of them"
            assert "a part of the table rows" in reader.unreadable


def test_of_what_is_no_journal_nothing_is_told(tmp_path: Path) -> None:
    """Neither of a file without the tables, nor as if it were an empty journal."""
    path = tmp_path / ASIDE
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE meta (name, value)")
        connection.commit()
    with pytest.raises(JournalRefused, match="nothing can be read in"), open_for_reading(path):
        pass


def test_a_disk_that_fails_is_no_damage(tmp_path: Path) -> None:
    """Another try may read what this one cannot: nothing is said to be lost."""
    connection = sqlite3.connect(folded(tmp_path), isolation_level=None)

    class Failing(SalvagedJournal):
        def _writes_in(self, slot: int) -> list[object]:  # type: ignore[override]
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        Failing(connection).unfolded()
    connection.close()
    assert FORMAT == 1, "what is read here has the tables of format 1: add a set aside one of the new format"
