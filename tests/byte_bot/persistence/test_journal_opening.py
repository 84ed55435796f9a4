"""Where the journal lies, and what becomes of files that are not what they should be."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import stat
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from byte_bot.errors import JournalRefused, JournalUnready
from byte_bot.persistence.journal import Handled, Recorded
from byte_bot.persistence.journal_file import FORMAT, SqliteJournal
from byte_bot.persistence.journal_opening import (
    Durability,
    configure,
    journal_path,
    open_and_read,
    open_journal,
    prepare_folder,
)
from byte_bot.persistence.journal_schema import APPLICATION_ID, FORMATS_MAX, Owner
from byte_bot.persistence.operations import Kind, Operation, RowKey, Stamp, rebase
from tests.byte_bot.persistence.journal_files import SAMPLE
from tests.byte_bot.persistence.journal_writes import contents, image_of
from tests.data.journals.make_format_1 import DEATHS, LAST_COMMIT, WRITES

OWNER = Owner("my_bot", "host/1/abc")
NOW_S = 1_767_225_600.0  # 2026-01-01


def flipped_header(at: int, bit: int) -> bytes:
    """The kept file's header with one bit turned over."""
    data = bytearray(SAMPLE.read_bytes()[:100])
    data[at] ^= 1 << bit
    return bytes(data)


def opened(path: Path, owner: Owner = OWNER) -> SqliteJournal:
    """The journal at ``path``, as the bot opens it."""
    return SqliteJournal(open_journal(path, owner, durability="process", now_s=NOW_S))


def with_one_commit(path: Path) -> None:
    """A journal that knows one message."""
    journal = opened(path)
    journal.apply([Handled("a")], 1)
    journal.fold()
    journal.close()


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/byte-bot/my_bot.journal"),
        ("linux", {"XDG_DATA_HOME": "relative"}, "~/.local/share/byte-bot/my_bot.journal"),
        ("linux", {}, "~/.local/share/byte-bot/my_bot.journal"),
        ("darwin", {}, "~/Library/Application Support/byte-bot/my_bot.journal"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/byte-bot/my_bot.journal"),
    ],
)
def test_each_bot_has_a_file_in_the_users_data_directory(
    platform: str, environment: dict[str, str], expected: str
) -> None:
    """Where each system keeps what programs keep for their user, one file for each login."""
    assert journal_path("", "my_bot", environment, platform) == Path(expected).expanduser()


def test_the_setting_names_a_file_or_a_folder(tmp_path: Path) -> None:
    """A folder, there already or with a slash at its end, gets a file for each bot."""
    assert journal_path(str(tmp_path / "a.db"), "my_bot", {}) == tmp_path / "a.db"
    assert journal_path(str(tmp_path), "my_bot", {}) == tmp_path / "my_bot.journal"
    assert journal_path(f"{tmp_path}/new/", "my_bot", {}) == tmp_path / "new" / "my_bot.journal"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    """The folder is made 0700, the file and what SQLite puts beside it 0600."""
    path = tmp_path / "new" / "my_bot.journal"
    prepare_folder(path)
    journal = opened(path)
    journal.apply([Handled("a")], 1)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    modes = {other.name: stat.S_IMODE(other.stat().st_mode) for other in sorted(path.parent.iterdir())}
    assert modes == {path.name: 0o600, f"{path.name}-shm": 0o600, f"{path.name}-wal": 0o600}
    journal.close()


def test_what_was_committed_is_there_again_under_the_same_identity(tmp_path: Path) -> None:
    """Also without a close: the next process has the WAL, and the first identity stays."""
    path = tmp_path / "my_bot.journal"
    left_open = opened(path)
    left_open.apply([Handled("a")], 1)
    copy = tmp_path / "copy.journal"
    for suffix in ("", "-wal"):  # as a killed process leaves them
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    again = opened(copy, Owner("my_bot", "another host"))
    assert (list(again.read().handled), again.identity, again.commits) == (["a"], OWNER.identity, 1)
    again.close()
    left_open.close()


def test_another_bots_journal_is_refused(tmp_path: Path) -> None:
    """Nothing of it is changed, and the message names both."""
    path = tmp_path / "shared.journal"
    with_one_commit(path)
    with pytest.raises(JournalRefused, match="belongs to the bot 'my_bot', not to 'other_bot'"):
        opened(path, Owner("other_bot", "x"))
    assert list(opened(path).read().handled) == ["a"]


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """A downgrade must not guess: the file stays as it is."""
    path = tmp_path / "my_bot.journal"
    with_one_commit(path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    with pytest.raises(JournalRefused, match=f"format {FORMAT + 1}, which a newer byte-bot wrote"):
        opened(path)
    assert path.exists()


def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    """A browser's history is neither a journal nor damaged."""
    path = tmp_path / "history.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE visits (url)")
    connection.close()
    with pytest.raises(JournalRefused, match="another program"):
        opened(path)


@pytest.mark.parametrize("damage", ["not a database" * 999, ""], ids=["overwritten", "torn"])
def test_a_damaged_file_is_set_aside_and_named(tmp_path: Path, damage: str) -> None:
    """The bot starts with an empty journal; the damaged one is kept, with what belongs to it, and the log says where."""
    path = tmp_path / "my_bot.journal"
    with_one_commit(path)
    if damage:
        path.write_text(damage)
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[:5000] + b"\xff" * 4000 + whole[9000:])
    Path(f"{path}-wal").write_bytes(b"left over")
    with capture_logs() as lines:
        journal = opened(path)
    assert list(journal.read().handled) == []
    (line,) = [line for line in lines if line["event"] == "journal_set_aside"]
    aside = Path(line["moved_to"])
    assert aside.name == "my_bot.journal.damaged-20260101T000000Z"
    assert aside.exists()
    journal.close()


def test_a_path_that_cannot_be_a_file_says_what_to_set(tmp_path: Path) -> None:
    """The folder is a file; the file is a folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalRefused, match="JOURNAL_PATH"):
        prepare_folder(tmp_path / "file" / "my_bot.journal")
    with pytest.raises(JournalRefused, match="JOURNAL_PATH"):
        opened(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="SQLite has these ways to reach a file on Unix only")
@pytest.mark.parametrize("vfs", ["unix-dotfile", "unix-none"])
def test_a_file_system_without_wal_is_refused_with_a_way_out(tmp_path: Path, vfs: str) -> None:
    """As on network shares: SQLite has no shared memory there, and says so only by staying in its other mode."""
    path = tmp_path / "my_bot.journal"
    connection = sqlite3.connect(f"{path.as_uri()}?vfs={vfs}", uri=True, isolation_level=None)
    with pytest.raises(
        JournalRefused, match=r"my_bot\.journal .*no write-ahead log \(WAL\).*on a local disk"
    ):
        configure(connection)
    connection.close()


@pytest.mark.parametrize(("durability", "expected"), [("process", (1, 0, 0)), ("power", (2, 1, 1))])
def test_durability_sets_how_far_a_sync_goes(
    tmp_path: Path, durability: Durability, expected: tuple[int, ...]
) -> None:
    """`power` waits for the disk in each commit, on a Mac for the disk's own cache too."""
    connection = open_journal(tmp_path / "my_bot.journal", OWNER, durability=durability, now_s=NOW_S)
    pragmas = ("synchronous", "fullfsync", "checkpoint_fullfsync")
    found = [connection.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in pragmas]
    assert tuple(found) == expected
    connection.close()


def test_a_journal_of_format_1_opens(tmp_path: Path) -> None:
    """A file as the first release wrote it says the same for ever."""
    path = tmp_path / "my_bot.journal"
    shutil.copy(SAMPLE, path)
    journal = opened(path)
    assert contents(journal.read()) == contents(image_of(*WRITES))
    assert (journal.login, journal.commits) == ("my_bot", LAST_COMMIT)
    journal.close()


@pytest.mark.parametrize("damage", ["UPDATE log SET writes = x'7b'", "DELETE FROM log WHERE number = 2"])
def test_damage_that_shows_when_it_is_read_sets_the_file_aside_too(tmp_path: Path, damage: str) -> None:
    """A field that no JSON is, a hole in the log: the bot starts with an empty journal, and the file is kept."""
    path = tmp_path / "my_bot.journal"
    journal = opened(path)
    for number in range(1, 4):
        journal.apply([Handled(f"m{number}")], number)
    journal._connection.execute(damage)
    journal.close()
    with capture_logs() as lines:
        connection, image = open_and_read(path, OWNER, durability="process", now_s=NOW_S)
    connection.close()
    assert (list(image.handled), [line["event"] for line in lines]) == ([], ["journal_set_aside"])
    assert len(list(tmp_path.glob("*.damaged-*"))) >= 1


def with_header(path: Path, pragma: str, value: int) -> None:
    """Have a field of the header say something else."""
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA {pragma} = {value}")
    connection.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [("application_id", 0), ("application_id", APPLICATION_ID ^ 1 << 30)]
    + [("user_version", value) for value in (0, -5, FORMAT ^ 1 << 24, FORMATS_MAX + 1)],
)
def test_a_damaged_header_sets_the_file_aside(tmp_path: Path, field: str, value: int) -> None:
    """The bot starts: the file is surely its own, and no release wrote it so."""
    path = tmp_path / "my_bot.journal"
    with_one_commit(path)
    with_header(path, field, value)
    with capture_logs() as lines:
        journal = opened(path)
    assert list(journal.read().handled) == []
    (line,) = [line for line in lines if line["event"] == "journal_set_aside"]
    assert str(value) in line["why"] or "mark" in line["why"]
    journal.close()
    # Nothing but the header was damaged, and nothing of it is lost.
    with_header(Path(line["moved_to"]), "application_id", APPLICATION_ID)
    with_header(Path(line["moved_to"]), "user_version", FORMAT)
    aside = opened(Path(line["moved_to"]))
    assert list(aside.read().handled) == ["a"]
    aside.close()


@pytest.mark.parametrize("value", [FORMAT + 1, FORMATS_MAX])
def test_what_may_be_a_newer_format_stays_where_it_is(tmp_path: Path, value: int) -> None:
    """In doubt nothing is moved."""
    path = tmp_path / "my_bot.journal"
    with_one_commit(path)
    with_header(path, "user_version", value)
    with pytest.raises(JournalRefused, match="which a newer byte-bot wrote"):
        opened(path)
    assert [other.name for other in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", ["other columns", "another bot", "one table"])
def test_another_programs_file_is_not_moved_whatever_its_tables_are_called(tmp_path: Path, kind: str) -> None:
    """Tables of these names with other columns; another bot's journal with a damaged mark."""
    path = tmp_path / "my_bot.journal"
    if kind == "other columns":
        connection = sqlite3.connect(path)
        for table in ("meta", "log", "rows", "handled", "channels", "dead_letters"):
            connection.execute(f"CREATE TABLE {table} (x)")
        connection.close()
    elif kind == "another bot":
        opened(path, Owner("other_bot", "x")).close()
        with_header(path, "application_id", 7)
    else:
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE meta (name, value)")
        connection.execute("INSERT INTO meta VALUES ('login', 'my_bot')")
        connection.commit()
        connection.close()
    with pytest.raises(JournalRefused, match="another program"):
        opened(path)
    assert [other.name for other in tmp_path.iterdir()] == [path.name]


#: Bits of the kept file that, flipped, ended the start by a traceback or refused it, or broke what came after: SQLite's words about a
#: schema that are no text; text that is none in a key, a value, a commit and a letter; the header's write version; a base
#: whose JSON cannot be read; a constraint of the schema; an index that does not lead to its row; a login that none can be.
ONCE_BAD_BITS = (103711, 48063, 24383, 109039, 121471, 148, 109483, 106412, 57128, 24368)
SAMPLE_BITS = SAMPLE.stat().st_size * 8
NEW_ROW = RowKey("component_state", "9", "deaths")


def with_flipped_bit(folder: Path, bit: int) -> tuple[Path, bytes]:
    """A copy of the kept journal in which one bit is another, and what is in it."""
    data = bytearray(SAMPLE.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path = folder / "my_bot.journal"
    path.write_bytes(data)
    return path, bytes(data)


@example(103711)
@settings(max_examples=50, deadline=None)
@given(st.integers(0, SAMPLE_BITS - 1))
def test_whichever_bit_flips_the_bot_starts_or_is_refused_in_words(bit: int) -> None:
    """It opens and works, or is set aside whole, or its header or its login are another's: then nothing is moved."""
    with tempfile.TemporaryDirectory() as folder:
        what_becomes_of(Path(folder), bit)


@pytest.mark.parametrize("bit", ONCE_BAD_BITS)
def test_a_flipped_bit_that_once_did_harm_is_damage(tmp_path: Path, bit: int) -> None:
    """Each of these is the only thing wrong with the file, and the bot starts without it."""
    assert what_becomes_of(tmp_path, bit) == "set aside"


def what_becomes_of(folder: Path, bit: int) -> str:
    """Open the journal with this bit flipped; what was opened must then work as any other."""
    path, was = with_flipped_bit(folder, bit)
    with capture_logs() as lines:
        try:
            connection, _ = open_and_read(path, OWNER, durability="process", now_s=NOW_S)
        except JournalUnready:
            raise
        except JournalRefused as error:
            refusal = str(error)
        else:
            refusal = ""
    if refusal:
        assert re.search("which a newer byte-bot wrote|belongs to the bot", refusal)
        assert path.read_bytes() == was
        return "refused"
    journal = SqliteJournal(connection)
    for number in range(journal.commits + 1, journal.commits + 4):
        add = Recorded(NEW_ROW, [Operation(Kind.ADD, "total", None, 1, Stamp(9, number))])
        journal.apply([add, Recorded(DEATHS, add.operations), Handled(f"new-{number}")], number)
        while number % 2 and journal.fold():
            pass
    image = journal.read()
    assert sum(operation.value for operation in image.rows[NEW_ROW].pending) == 3
    for row in image.rows.values():
        data, graves = (row.base.data, row.base.tombstones) if row.base else (None, {})
        stored = msgspec.json.decode(data or b"{}")
        rebase(stored if isinstance(stored, dict) else {}, graves, row.pending)
    journal.close()
    if not lines:
        return "opened"
    (aside,) = [Path(line["moved_to"]) for line in lines if line["event"] == "journal_set_aside"]
    assert aside.read_bytes() == was
    return "set aside"


@pytest.mark.parametrize("damage", [b"\xff" * 16, flipped_header(18, 0), flipped_header(59, 1)])
def test_damage_that_sqlite_takes_for_something_else_is_damage(tmp_path: Path, damage: bytes) -> None:
    """Not a database at all; one that may only be read; another encoding."""
    path = tmp_path / "my_bot.journal"
    path.write_bytes(damage + SAMPLE.read_bytes()[len(damage) :])
    with capture_logs() as lines:
        opened(path).close()
    assert [line["event"] for line in lines] == ["journal_set_aside"]


def test_a_file_whose_tables_cannot_be_seen_is_not_made_anew(tmp_path: Path) -> None:
    """The first page says that there are none: a start that was killed leaves an empty file, and this is none."""
    path = tmp_path / "my_bot.journal"
    data = bytearray(SAMPLE.read_bytes())
    data[103:105] = bytes(2)  # the cells of the b-tree page behind the header
    path.write_bytes(data)
    with capture_logs() as lines:
        opened(path).close()
    assert Path(lines[0]["moved_to"]).read_bytes() == data


def test_another_program_s_empty_database_stays_its_own(tmp_path: Path) -> None:
    """A file of SQLite's without a table is somebody's all the same."""
    path = tmp_path / "my_bot.journal"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("DROP TABLE t")
    with pytest.raises(JournalRefused, match="another program"):
        opened(path)
    assert [other.name for other in tmp_path.iterdir()] == [path.name]


def test_a_table_of_another_type_is_damage_before_anything_is_written_to_it(tmp_path: Path) -> None:
    """One flipped bit in the schema, and ids of channels would be kept as numbers, which the next start could not read."""
    path = tmp_path / "my_bot.journal"
    opened(path).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'channel_id TEXT', 'channel_id TEXP') WHERE name = 'rows'"
        )
    with capture_logs() as lines:
        opened(path).close()
    assert [line["why"] for line in lines] == ["its table or index rows is not as it was made"]
