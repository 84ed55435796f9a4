"""Looking into a journal: what it says, and that the bot beside does not notice."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from byte_bot.errors import JournalRefused
from byte_bot.persistence.journal_damage import JournalDamaged
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import Handled, KnownChannel, Recorded
from byte_bot.persistence.journal_inspection import (
    JournalReader,
    key_of,
    open_for_reading,
    refused_if_damaged,
)
from byte_bot.persistence.journal_lock import Holder, acquire, lock_path
from byte_bot.persistence.journal_opening import connect
from byte_bot.persistence.journal_reading import READ_ROWS
from byte_bot.persistence.operations import Kind, Operation, RowKey, Stamp
from tests.byte_bot.persistence.journal_files import SAMPLE_UNIX_S, damage, sample, set_format, write
from tests.data.journals.make_format_1 import CONTEXT, DEATHS, LAST_COMMIT, QUOTES


def change(number: int) -> Recorded:
    """An operation on a row of its own."""
    operation = Operation(Kind.SET, "last", None, number, Stamp(4, 1), "m", 1_767_225_610)
    return Recorded(RowKey("component_state", f"{number}", "deaths"), [operation])


def test_the_overview_counts_what_there_is(tmp_path: Path) -> None:
    """Rows, changes, letters, and how long the oldest change waits."""
    with open_for_reading(sample(tmp_path), "my_bot") as reader:
        overview = reader.overview(SAMPLE_UNIX_S + 100)
        assert (overview.login, overview.format, overview.epoch) == ("my_bot", 1, 4)
        assert (overview.rows, overview.rows_pending, overview.operations) == (3, 2, 3)
        assert overview.oldest_unsaved_s == 104.5
        assert (overview.dead_letters, overview.handled, overview.channels) == (1, 2, 2)
        assert reader.channels() == [KnownChannel("anna", "1"), KnownChannel("bert")]
        assert reader.handled() == ["message-1", "message-2"]


def test_the_list_has_refused_rows_first_and_filters(tmp_path: Path) -> None:
    """By channel, whether its id or its login is given; only the refused; no more than wanted."""
    path = sample(tmp_path)
    write(path, [change(2)])
    other = RowKey("component_state", "2", "deaths")
    with open_for_reading(path) as reader:

        def keys(**options: object) -> list[RowKey]:
            return [entry.key for entry in reader.listing(**{"limit": 9, **options}).entries]  # type: ignore[arg-type]

        assert keys() == [CONTEXT, DEATHS, other]
        assert keys(dead_only=True) == [CONTEXT]
        assert keys(channel="1") == keys(channel="#Anna") == [CONTEXT, DEATHS]
        assert keys(channel="2") == [other]
        assert keys(channel="nobody") == []
        assert reader.listing(limit=1).left_out == 2


def test_an_entry_is_all_that_is_known_of_a_row(tmp_path: Path) -> None:
    """Base, boundary, operations, and the letter with the server's words."""
    with open_for_reading(sample(tmp_path)) as reader:
        deaths = reader.entry(DEATHS)
        assert deaths is not None
        assert (deaths.base, deaths.boundary, deaths.letter) == (None, Stamp(4, 8), None)
        assert [operation.field for operation in deaths.operations] == ["total", "last"]
        assert deaths.since_s == 1_767_225_600
        context = reader.entry(CONTEXT)
        assert context is not None and context.letter is not None
        assert (context.letter.sqlstate, context.letter.payload) == ("23514", b'{"vibe":"calm"}')
        quotes = reader.entry(QUOTES)
        assert quotes is not None and quotes.base is not None
        assert (quotes.base.data, quotes.operations, quotes.since_s) == (
            '{"quotes":["aé"]}'.encode(),
            [],
            None,
        )
        assert reader.entry(RowKey("component_state", "1", "nothing")) is None
        assert [entry.key for entry in reader.everything(dead_only=True)] == [CONTEXT]


def test_a_bot_in_mid_commit_is_neither_waited_for_nor_held_up(tmp_path: Path) -> None:
    """The reader sees what was committed; the writer commits, and moves its WAL, while an export is half done."""
    path = sample(tmp_path)
    write(path, [change(number) for number in range(10, READ_ROWS + 60)])
    bot = SqliteJournal(connect(path))
    while bot.fold():
        pass
    with contextlib.closing(connect(path)) as busy, open_for_reading(path) as reader:
        busy.execute("BEGIN IMMEDIATE")
        assert reader.overview(0).handled == 2
        busy.execute("ROLLBACK")
        rows = reader.everything()
        next(rows)
        bot.apply([Handled("m3"), change(5_000)], bot.commits + 1)
        assert bot.fold()
        assert bot.tidy()
        assert len(list(rows)) == 3 + READ_ROWS + 50
        assert reader.overview(0).handled == 3
    bot.close()


class Interrupted(sqlite3.Connection):
    """A connection that lets something happen before its n-th look at the file."""

    meanwhile: Callable[[], None]
    looks_before = -1

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement."""
        if sql.lstrip().startswith("SELECT"):
            if not self.looks_before:
                self.meanwhile()
            self.looks_before -= 1
        return super().execute(sql, parameters)


def pending_overview(connection: sqlite3.Connection) -> int:
    """As ``byte-bot journal status`` counts them."""
    overview = JournalReader(connection).overview(0)
    # One row of the sample has nothing pending; each commit behind the sample's has brought one row.
    assert overview.rows == overview.rows_pending + 1 == overview.commits - LAST_COMMIT + 3
    return overview.rows_pending


def pending_listed(connection: sqlite3.Connection) -> int:
    """As ``byte-bot journal list`` shows them."""
    entries = JournalReader(connection).listing(limit=99).entries
    assert len({entry.key for entry in entries}) == len(entries)
    return len(entries)


def pending_read(connection: sqlite3.Connection) -> int:
    """As a start takes them over."""
    return len(SqliteJournal(connection).read(pending_only=True).rows)


@pytest.mark.parametrize("count", [pending_overview, pending_listed, pending_read])
def test_what_the_bot_folds_meanwhile_counts_once(
    tmp_path: Path, count: Callable[[sqlite3.Connection], int]
) -> None:
    """Before whichever of its looks the bot commits and folds: what is told is of one instant."""
    told = set()
    for looks in range(30):
        folder = tmp_path / f"{looks}"
        folder.mkdir()
        path = sample(folder)
        bot = SqliteJournal(connect(path))
        while bot.fold():
            pass
        for number in range(10, 15):
            bot.apply([change(number)], bot.commits + 1)

        def meanwhile(bot: SqliteJournal = bot) -> None:
            bot.apply([change(20)], bot.commits + 1)
            assert bot.fold()

        connection = sqlite3.connect(path, isolation_level=None, factory=Interrupted)
        connection.meanwhile, connection.looks_before = meanwhile, looks
        told.add(count(connection))
        connection.close()
        bot.close()
    assert told == {7, 8}


def test_a_reader_cannot_change_anything(tmp_path: Path) -> None:
    """Whatever a bug would have it do."""
    with (
        open_for_reading(sample(tmp_path)) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader._journal._connection.execute("DELETE FROM rows")


def test_a_killed_bot_s_last_commits_are_seen(tmp_path: Path) -> None:
    """They are in the WAL still, and nobody else has the file open."""
    path = sample(tmp_path)
    bot = SqliteJournal(connect(path))
    bot.apply([Handled("m3")], bot.commits + 1)
    copy = tmp_path / "after"
    copy.mkdir()
    for name in ("my_bot.journal", "my_bot.journal-wal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    bot.close()
    with open_for_reading(copy / "my_bot.journal") as reader:
        assert reader.handled() == ["message-1", "message-2", "m3"]


def test_what_is_no_journal_of_this_bot_is_refused_with_a_way_out(tmp_path: Path) -> None:
    """Missing, another bot's, newer, damaged, another program's: each in words of its own, and as a start would take it."""
    path = sample(tmp_path)

    def refusal(login: str = "") -> str:
        with pytest.raises(JournalRefused) as refused, open_for_reading(path, login) as reader:
            list(reader.everything())
        return str(refused.value)

    assert "belongs to the bot 'my_bot', not to 'other'" in refusal("other")
    set_format(path, 99)
    assert "format 99, which a newer byte-bot wrote" in refusal()
    set_format(path, 0)
    assert "is damaged (its format reads 0" in refusal()
    set_format(path, 1)
    damage(path)
    assert "is damaged" in refusal()
    path.write_text("no SQLite at all, but long enough to be looked at" * 100)
    assert "is damaged" in refusal()
    path = path.rename(tmp_path / "notes.txt")
    assert "is not a journal of byte-bot" in refusal()
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert "is not a journal of byte-bot" in refusal()
    path.unlink()
    assert "there is no journal at" in refusal()
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("component_state/1/deaths", RowKey("component_state", "1", "deaths")),
        ("component_state/1/with/slash", RowKey("component_state", "1", "with/slash")),
        ("channel_state/1", RowKey("channel_state", "1")),
        ("channels_config/anna/", RowKey("channels_config", "anna")),
        ("deaths", None),
        ("", None),
        ("channel_state/\udcff", None),
    ],
)
def test_a_row_is_called_as_it_is_shown(name: str, key: RowKey | None) -> None:
    """What a list shows can be copied into the next command."""
    assert key_of(name) == key
    if key is not None:
        assert key_of(key.name) == key


@pytest.mark.parametrize(
    "damaging",
    [
        "PRAGMA application_id = 7",
        "UPDATE rows SET channel_id = CAST(x'b1' AS TEXT)",
        "UPDATE meta SET value = NULL WHERE name = 'folded'",
        "UPDATE meta SET value = CAST(x'b1' AS TEXT) WHERE name = 'login'",
        "UPDATE rows SET version = 1, data = x'7b'",
        "UPDATE log SET writes = x'7b'",
        "DELETE FROM log WHERE number = (SELECT max(number) - 1 FROM log)",
        "UPDATE rows SET pending = x'7b'",
        "DELETE FROM meta WHERE name = 'folded'",
        "DROP TABLE handled",
    ],
)
def test_damage_that_sqlite_does_not_see_is_called_damage(tmp_path: Path, damaging: str) -> None:
    """A field that no JSON is, a hole in the log, a table that is gone: no advice to use another account."""
    path = sample(tmp_path)
    write(path, [Handled("m3")])
    write(path, [Handled("m4")])
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(damaging)
    with pytest.raises(JournalRefused, match="is damaged"), open_for_reading(path) as reader:
        assert [*reader.everything(), reader.handled()]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (sqlite3.SQLITE_FULL, "Make room on its disk, and try again"),
        (sqlite3.SQLITE_CANTOPEN, "Use the account that the bot runs under"),
    ],
)
def test_the_advice_is_about_what_is_wrong(tmp_path: Path, code: int, advice: str) -> None:
    """A repair on a full disk needs room, and no other account."""
    error = sqlite3.OperationalError("SQLite's words")
    error.sqlite_errorcode = code
    words = f"cannot be used: SQLite's words. {advice}"
    with pytest.raises(JournalRefused, match=words), refused_if_damaged(tmp_path / "my_bot.journal"):
        raise error


def names_in(folder: Path) -> list[str]:
    """What there is."""
    return sorted(other.name for other in folder.iterdir())


def no_shm(path: Path) -> None:
    """SQLite can neither make nor open what it puts beside a file, as on a disk that only reads: a link leads nowhere."""
    Path(f"{path}-shm").symlink_to(f"{path}-shm")


needs_links = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows makes links for administrators only"
)


@needs_links
@pytest.mark.parametrize("aside", ["", ".damaged-20260101T000000Z"])
@pytest.mark.parametrize("wal", [False, True], ids=["no WAL", "an empty WAL"])
def test_a_file_that_nobody_holds_is_read_without_anything_beside_it(
    tmp_path: Path, aside: str, wal: bool
) -> None:
    """Neither made nor needed, as on a snapshot or a disk that went read-only."""
    path = sample(tmp_path).rename(tmp_path / f"my_bot.journal{aside}")
    no_shm(path)
    if wal:
        Path(f"{path}-wal").write_bytes(b"")
    before = names_in(tmp_path)
    with open_for_reading(path, salvage=True) as reader:
        assert reader.overview(0).rows == 3
        assert len(list(reader.everything())) == 3
    assert names_in(tmp_path) == before


@needs_links
def test_a_wal_on_a_disk_that_only_reads_has_to_be_copied_along(tmp_path: Path) -> None:
    """What a killed bot left, where SQLite can make nothing: the words say how it is read all the same."""
    path = sample(tmp_path)
    Path(f"{path}-wal").write_bytes(b"something")
    no_shm(path)
    with pytest.raises(JournalRefused) as refused, open_for_reading(path):
        pass
    assert "copy both files to a folder that can be written to, and name the copy with --file" in str(
        refused.value
    )
    assert "account" not in str(refused.value)


@needs_links
def test_where_the_lock_cannot_be_looked_at_a_file_without_wal_is_read(tmp_path: Path) -> None:
    """Beside the bot as ever; and if SQLite can make nothing there, as it stands."""
    path = sample(tmp_path)
    lock_path(path).symlink_to(lock_path(path))
    no_shm(path)
    with open_for_reading(path) as reader:
        assert reader.overview(0).rows == 3


def test_a_bot_that_holds_the_file_is_read_with_its_wal(tmp_path: Path) -> None:
    """Also before its first commit, when the WAL is empty still: what it commits meanwhile is seen."""
    path = sample(tmp_path)
    lock = acquire(path, Holder(2, "here", "my_bot", "2026-01-02T00:00:00Z"))
    bot = SqliteJournal(connect(path))
    with open_for_reading(path) as reader:
        bot.apply([Handled("m3")], bot.commits + 1)
        assert reader.handled() == ["message-1", "message-2", "m3"]
    bot.close()
    lock.release()


def test_a_file_that_changes_while_it_is_taken_for_one_that_does_not_is_read_again(tmp_path: Path) -> None:
    """A bot was started meanwhile and has moved its WAL: whatever was read, or went wrong, does not count."""
    path = sample(tmp_path)

    def changed() -> None:
        with open_for_reading(path):
            write(path, [Handled("m3")])

    def changed_and_failed() -> None:
        with open_for_reading(path):
            write(path, [Handled("m4")])
            raise JournalDamaged("torn")

    for story in (changed, changed_and_failed):
        with pytest.raises(JournalRefused, match=r"was changed while it was read, as by a bot .* try again"):
            story()
    with open_for_reading(path) as reader:
        assert reader.handled()[-1] == "m4"


def test_nobody_is_promised_what_will_not_be_done(tmp_path: Path) -> None:
    """A file that was named may be anybody's, and one that was set aside is set aside already."""
    path = sample(tmp_path)
    damage(path)

    def refusal(login: str) -> str:
        with pytest.raises(JournalRefused) as refused, open_for_reading(path, login) as reader:
            reader.overview(0)
        return str(refused.value)

    assert "the bot sets it aside at its next start" in refusal("my_bot")
    assert "sets it aside" not in refusal("")
    path = path.rename(tmp_path / "my_bot.journal.damaged-20260101T000000Z")
    path.write_bytes(bytes(4096))
    assert "nothing can be read in" in refusal("")
    assert "which a bot has set aside since it was damaged" in refusal("my_bot")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has words of its own")
def test_a_path_that_cannot_be_is_refused_in_words(tmp_path: Path) -> None:
    """A name that no disk takes, a folder."""
    for path, words in ((tmp_path / ("x" * 300), "File name too long"), (tmp_path, "is no regular file")):
        with pytest.raises(JournalRefused, match=words), open_for_reading(path):
            pass
