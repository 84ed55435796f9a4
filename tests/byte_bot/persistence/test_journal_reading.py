"""What stands in a journal's file is read as it was written, or called damage: nothing else comes out of it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from byte_bot.errors import JournalRefused
from byte_bot.persistence.fresh_stack import on_fresh_stack
from byte_bot.persistence.journal_damage import CommitsMissing, JournalDamaged
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import Handled, Recorded
from byte_bot.persistence.journal_opening import connect, open_and_read
from byte_bot.persistence.journal_reading import StoredJournal
from byte_bot.persistence.journal_schema import Owner
from byte_bot.persistence.operations import Kind, Operation, RowKey, Stamp
from tests.byte_bot.persistence.journal_files import sample
from tests.byte_bot.persistence.journal_in_memory import add, in_memory
from tests.byte_bot.persistence.journal_writes import contents, image_of
from tests.byte_bot.persistence.nesting import BOTTOMLESS, deepest, nested
from tests.data.journals.make_format_1 import LAST_COMMIT, WRITES

OWNER = Owner("my_bot", "host/1/abc")

DAMAGE = [
    # Text that is none: Python's error has no code of SQLite's.
    "UPDATE rows SET channel_id = CAST(x'b1' AS TEXT)",
    "UPDATE rows SET key = CAST(x'6465b1' AS TEXT)",
    "REPLACE INTO meta VALUES ('starts', CAST(x'b1' AS TEXT))",
    # Values of another type.
    "UPDATE meta SET value = NULL WHERE name = 'folded'",
    "UPDATE meta SET value = 'x' WHERE name = 'epoch'",
    "UPDATE meta SET value = 1.5 WHERE name = 'epoch'",
    "UPDATE meta SET value = 7 WHERE name = 'identity'",
    "REPLACE INTO meta VALUES ('starts', NULL)",
    "REPLACE INTO meta VALUES ('spoken', 7)",
    "DELETE FROM meta WHERE name = 'identity'",
    "UPDATE meta SET value = '' WHERE name = 'identity'",
    "UPDATE rows SET boundary_epoch = 'x'",
    "UPDATE rows SET boundary_revision = x'00'",
    "UPDATE rows SET version = 'x' WHERE version IS NOT NULL OR pending IS NOT NULL",
    "UPDATE rows SET version = 1, data = 'text'",
    "UPDATE rows SET version = 1, edit_no = 'x'",
    "UPDATE rows SET version = 1, revision = 0.5",
    "UPDATE rows SET channel_id = x'31'",
    "UPDATE handled SET message_ids = 7",
    "UPDATE handled SET count = 'x'",
    "UPDATE channels SET logins = 7",
    "INSERT INTO dead_letters VALUES ('t', '1', '', 'x', '23514', 'no', x'7b7d', 1.5)",
    "INSERT INTO dead_letters VALUES ('t', '1', '', 1, '23514', 'no', 'text', 1.5)",
    "INSERT INTO dead_letters VALUES ('t', '1', '', 1, '23514', 'no', x'7b7d', 'x')",
    "UPDATE log SET writes = 7 WHERE number = (SELECT max(number) FROM log)",
    "UPDATE log SET number = 'x' WHERE number = (SELECT max(number) FROM log)",
    # JSON that is none, or of something else.
    "UPDATE rows SET pending = x'7b'",
    'UPDATE rows SET pending = CAST(\'[["add","total",null,"x",[4,8]]]\' AS BLOB)',
    'UPDATE rows SET pending = CAST(\'[["append","lines",null,7,[4,8],"",0,3]]\' AS BLOB)',
    'UPDATE rows SET pending = CAST(\'[["append","lines",null,[7],[4,8],"",0,0]]\' AS BLOB)',
    'UPDATE rows SET pending = CAST(\'[["put","counts",null,7,[4,8]]]\' AS BLOB)',
    'UPDATE rows SET pending = CAST(\'[["set","last","a",7,[4,8]]]\' AS BLOB)',
    'UPDATE rows SET pending = CAST(\'[["set","counts",null,7,[4,8],"",0,-1]]\' AS BLOB)',
    "UPDATE rows SET version = 1, data = x'7b'",
    "UPDATE rows SET version = 1, data = x'7b2261223a22b1227d'",
    'UPDATE rows SET version = 1, tombstones = CAST(\'{"counts":{"a":[1,2]}}\' AS BLOB)',
    # What does not agree.
    "UPDATE handled SET count = count + 2",
    "UPDATE meta SET value = value + 64 WHERE name = 'folded'",
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_was_not_written_so_is_damage_when_the_file_is_opened(tmp_path: Path, damage: str) -> None:
    """The file is set aside and kept, and the bot starts; nothing else is raised, whatever is wrong."""
    path = sample(tmp_path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute(damage).rowcount >= 1
    was = path.read_bytes()
    with capture_logs() as lines:
        connection, image = open_and_read(path, OWNER, durability="process", now_s=0.0)
    connection.close()
    (line,) = [line for line in lines if line["event"] == "journal_set_aside"]
    assert Path(line["moved_to"]).read_bytes() == was
    assert not image.rows and not image.handled


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    """The kept file, which has every kind of write in it, says what was written."""
    with contextlib.closing(sqlite3.connect(sample(tmp_path), isolation_level=None)) as connection:
        journal = StoredJournal(connection)
        assert contents(journal.read()) == contents(image_of(*WRITES))
        assert (journal.login, journal.identity, journal.commits) == (
            OWNER.login,
            OWNER.identity,
            LAST_COMMIT,
        )
        assert list(journal.snapshot("1").values()) == [
            row.base for row in image_of(*WRITES).rows.values() if row.base is not None
        ]


def test_a_log_that_ends_before_what_is_folded_is_damage() -> None:
    """A number of the last folded commit that is too high: commits that count would be taken for folded."""
    journal, connection = in_memory()
    journal.apply([add(1)], 1)
    connection.execute("UPDATE meta SET value = 64 WHERE name = 'folded'")
    with pytest.raises(CommitsMissing, match="the log ends at 1, although the commits up to 64 were folded"):
        StoredJournal(connection).read()
    connection.execute("DELETE FROM log")  # as a full disk is made room on
    assert StoredJournal(connection).commits == 64
    assert StoredJournal(connection).read().rows == {}
    journal.close()


def test_damage_that_ends_the_look_is_what_is_told(tmp_path: Path) -> None:
    """Not that SQLite has no transaction any more."""
    journal, connection = in_memory()
    journal.apply([Handled("a")], 1)
    stored = StoredJournal(connection)

    def look() -> None:
        with stored.one_look():
            connection.execute("ROLLBACK")
            raise JournalDamaged("a field")

    with pytest.raises(JournalDamaged, match="a field"):
        look()
    assert list(stored.read().handled) == ["a"]
    journal.close()


DEEP_KEY = RowKey("component_state", "1", "tree")


def _deep(depth: int) -> Recorded:
    return Recorded(DEEP_KEY, [Operation(Kind.SET, "tree", None, nested(depth), Stamp(1, 1))])


@pytest.mark.parametrize("folded", [False, True], ids=["in the log", "in the tables"])
def test_what_is_nested_too_deeply_to_be_read_from_here_costs_no_other_row(
    tmp_path: Path, folded: bool
) -> None:
    """An earlier release wrote it where little was called; read where more is, as at a start, it is there, and all else too."""
    path = sample(tmp_path)
    depth = on_fresh_stack(lambda _: deepest(), None) - 20
    assert depth > deepest()

    def written(_: None) -> None:
        journal = SqliteJournal(connect(path))
        journal.apply([_deep(depth), add(1)], journal.commits + 1)
        while folded and journal.fold():
            pass
        journal.close()

    on_fresh_stack(written, None)
    before = image_of(*WRITES).rows
    connection, image = open_and_read(path, OWNER, durability="process", now_s=0.0)
    connection.close()
    assert not list(tmp_path.glob("*.damaged-*"))
    assert {key for key, row in before.items() if row.pending} <= set(image.rows)
    (operation,) = image.rows[DEEP_KEY].pending
    assert on_fresh_stack(lambda value: value == nested(depth), operation.value)


def test_what_this_python_cannot_read_at_all_is_refused_and_stays_where_it_is(tmp_path: Path) -> None:
    """Another version wrote it, perhaps: nothing is set aside."""
    path = sample(tmp_path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        pending = b'[["set","tree",null,' + b"[" * BOTTOMLESS + b"]" * BOTTOMLESS + b",[1,1]]]"
        connection.execute("UPDATE rows SET pending = ?", (pending,))
    was = path.read_bytes()
    with pytest.raises(JournalRefused, match="nested deeper than this Python can read"):
        open_and_read(path, OWNER, durability="process", now_s=0.0)
    assert [one.name for one in tmp_path.iterdir() if one.suffix == ".journal"] == [path.name]
    assert path.read_bytes() == was
