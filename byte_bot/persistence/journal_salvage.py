"""What can still be read of a journal that is damaged, for whoever looks into it; a start never does.

How it works. :class:`SalvagedJournal` reads as :class:`~byte_bot.persistence.journal_reading.StoredJournal` does, but line by line: what
cannot be read is left out and noted (``unreadable``: each place once, however often it is met), and the rest is told. Of a row that half is kept that can
be read: the base without the changes, or the changes without the base. Text that is none comes out of SQLite as bytes, which the
checks of the fields refuse, so that it costs its own line only; so does what is nested deeper than this Python can read. Where a page is broken, lines are looked for from both ends, and
in the index.

What is told is what the file says, and no more than that: changes in a commit that is lost are missing in the rows that it
was about. Which commits the tables contain already is a field of its own; without it the log is left out, or changes would count
twice.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

from byte_bot.persistence.journal_damage import JournalDamaged, damage_named, is_damage
from byte_bot.persistence.journal_folding import Folding
from byte_bot.persistence.journal_image import DeadLettered, KnownChannel, RowImage, Write
from byte_bot.persistence.journal_line import LETTER_COLUMNS, LINE_COLUMNS, key_of_line, letter_of, row_of
from byte_bot.persistence.journal_reading import StoredJournal
from byte_bot.persistence.operations import RowKey
from byte_bot.persistence.spoken import NOTHING_SPOKEN, Spoken

ReadT = TypeVar("ReadT")

_LINE: Final = ", ".join(LINE_COLUMNS)
#: As :func:`~byte_bot.persistence.journal_line.row_of` takes a line: nothing known of a base; nothing pending.
_BASE_COLUMNS: Final = ("version", "data", "tombstones", "epoch", "revision", "edit_no")
_WITHOUT: Final = (("its base", _BASE_COLUMNS), ("its changes", ("pending",)))


class SalvagedJournal(StoredJournal):
    """See the module's docstring.

    Args:
        connection: to a file with the tables of a journal; it may be read-only.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        connection.text_factory = _text_or_bytes

    @property
    def folded(self) -> int:
        """The number of the last commit that is in the tables; if that cannot be read, all are taken to be."""
        return self._or("its folded", lambda: super(SalvagedJournal, self).folded, self._last_in_log or 0)

    @property
    def row_count(self) -> int:
        """The rows in the tables, readable or not."""
        return len(self._ids("rows", "id"))

    def letters(self) -> dict[RowKey, DeadLettered]:
        """The dead letters in the tables that can be read, oldest first."""
        lines = self._lines("dead letters", f"SELECT {', '.join(LETTER_COLUMNS)} FROM dead_letters")
        found = [
            self._or(f"dead letter {number}", partial(letter_of, *line), None)
            for number, line in enumerate(lines, start=1)
        ]
        letters = sorted((letter for letter in found if letter is not None), key=lambda letter: letter.at_s)
        return {letter.key: letter for letter in letters}

    def known_channels(self) -> list[KnownChannel]:
        """The list of channels in the tables; none if it cannot be read."""
        return self._or("the list of channels", super().known_channels, [])

    def epochs(self) -> tuple[int, list[str]]:
        """The highest epoch in the tables, and who has asked for one."""
        nobody: list[str] = []
        return self._or("its epoch", super().epochs, (0, nobody))

    def spoken(self) -> Spoken:
        """What was said lately."""
        return self._or("what it said lately", super().spoken, NOTHING_SPOKEN)

    def _apply_log(self, image: Folding) -> None:
        image.channels = self.known_channels()
        last = self._last_in_log
        if last is not None and last < image.after:
            self.unreadable[f"the log behind commit {last}"] = f"the commits up to {image.after} were folded"
        for number, writes in self._log():
            self._or(f"commit {number}", partial(image.apply, writes), None)
        new, image.handled = image.handled, OrderedDict()
        for message_id in (*self._handled(), *new):
            image.remember(message_id)

    def _handled(self) -> list[str]:
        message_ids: list[str] = []
        for position, piece in self._lines(
            "message ids", "SELECT position, message_ids FROM handled ORDER BY position"
        ):
            message_ids += self._or(f"message ids {position}", partial(self._decode_ids, piece), [])
        return message_ids

    @property
    def _last_in_log(self) -> int | None:
        def last() -> int | None:
            found = self._connection.execute("SELECT max(number) FROM log WHERE typeof(number) = 'integer'")
            number: int | None = found.fetchone()[0]
            return number

        return self._or("the end of its log", last, None)

    def _log(self, commits_max: int = -1) -> Iterator[tuple[int, list[Write]]]:
        after = self.folded
        numbers: list[tuple[int, int]] = []
        for slot in self._ids("log", "slot"):
            number = self._or(f"line {slot} of the log", partial(self._number_in, slot), None)
            if number is not None and number > after:
                numbers.append((number, slot))
        for number, slot in sorted(numbers):
            if number > after + 1:
                self.unreadable[f"commits {after + 1} to {number - 1}"] = "they are missing"
            after = number
            writes = self._or(f"commit {number}", partial(self._writes_in, slot), None)
            if writes is not None:
                yield number, writes

    def _number_in(self, slot: int) -> int:
        ((number,),) = self._connection.execute("SELECT number FROM log WHERE slot = ?", (slot,)).fetchall()
        if type(number) is not int:
            raise ValueError(f"its number reads {number!r:.40}")
        return number

    def _writes_in(self, slot: int) -> list[Write]:
        ((writes,),) = self._connection.execute("SELECT writes FROM log WHERE slot = ?", (slot,)).fetchall()
        return self._decode_writes(writes)

    def _rows(self, only: str, *parameters: str) -> Iterator[tuple[RowKey, RowImage]]:
        for number in self._ids("rows", "id", only, parameters):
            found = self._or(f"line {number} of the rows", partial(self._row, number), None)
            if found is not None:
                yield found

    def _row(self, number: int) -> tuple[RowKey, RowImage]:
        ((table, channel_id, name, *values),) = self._connection.execute(
            f'SELECT "table", channel_id, key, {_LINE} FROM rows WHERE id = ?', (number,)
        ).fetchall()
        key = key_of_line(table, channel_id, name)
        try:
            with _unreadable_named():
                return key, row_of(*values)
        except sqlite3.DatabaseError as error:
            for half, columns in _WITHOUT:
                left = [
                    None if column in columns else value
                    for column, value in zip(LINE_COLUMNS, values, strict=True)
                ]
                row = self._or("", partial(row_of, *left), None)
                if row is not None:
                    self.unreadable[f"{half}, of {key.name}"] = str(error)
                    return key, row
            raise

    def _text(self, name: str, default: str | None = None) -> str:
        return self._or(
            f"its {name}", lambda: super(SalvagedJournal, self)._text(name, default), default or ""
        )

    def _ids(self, table: str, column: str, only: str = "", parameters: tuple[str, ...] = ()) -> list[int]:
        """The lines of a table, by their numbers, in order."""
        what = f"a part of the table {table}"
        query = f"SELECT {column} FROM {table} WHERE {column} > -1 {only}"
        found = {number for (number,) in self._lines(what, f"{query} ORDER BY {column}", parameters)}
        if what in self.unreadable:
            orders = [f"{column} DESC"]
            if table == "rows":
                orders.append('channel_id, "table", key')  # which the index knows without the table
            for order in orders:
                found.update(n for (n,) in self._lines(what, f"{query} ORDER BY {order}", parameters))
        return sorted(found)

    def _lines(self, what: str, query: str, parameters: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """The lines of an answer, up to a broken page."""
        try:
            yield from self._connection.execute(query, parameters)
        except sqlite3.Error as error:
            self._note(what, error)

    def _or(self, what: str, read: Callable[[], ReadT], default: ReadT) -> ReadT:
        try:
            with _unreadable_named():
                return read()
        except sqlite3.Error as error:
            if what:
                self._note(what, error)
            return default

    def _note(self, what: str, error: sqlite3.Error) -> None:
        """Only damage is passed over: a disk that fails, or somebody who holds the file, may be gone at the next try."""
        if not is_damage(error):
            raise error
        self.unreadable[what] = str(error)


@contextmanager
def _unreadable_named() -> Iterator[None]:
    """As :func:`damage_named`, but what is nested too deeply is one more line that cannot be read: nothing is set aside for it."""
    with damage_named():
        try:
            yield
        except RecursionError:
            raise JournalDamaged("it is nested deeper than this Python can read") from None


def _text_or_bytes(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
