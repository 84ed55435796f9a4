"""What a database's tables show, kept from one look to the next.

Whoever watches a world looks at whole tables after each request, and at one row whenever somebody speaks; most rows have not
changed in between. So a table is read again only if anything was written since, and of what is read only the rows that
differ are decoded. A row that has changed is a new object: who has kept an earlier one can tell by that, and still has it
as it was.

Left out: rows for those who change them; nothing that is got here may be written to.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

from simulator.supabase import pgtypes
from simulator.supabase.schema import Table, quoted

Row = dict[str, Any]
#: The values of a row's primary key, in its order; of a table without one the row's number in it.
Key = tuple[Any, ...]


class _Kept(NamedTuple):
    """A table as it was after so many changes of the database: its lines as stored, and as shown."""

    version: int
    table: Table
    lines: dict[Key, tuple[Any, ...]]
    rows: dict[Key, Row]


class Views:
    """The views of one database's tables; see the module's docstring."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kept: dict[str, _Kept] = {}

    def of(self, table: Table) -> Mapping[Key, Row]:
        """Every row as JSON values, by primary key and in its order."""
        version = self._connection.total_changes
        kept = self._kept.get(table.name)
        if kept is None or kept.table is not table:
            kept = _Kept(-1, table, {}, {})
        if kept.version == version:
            return kept.rows
        read = self._read(kept, version)
        if not self._connection.in_transaction:  # a ROLLBACK would not move the number of changes
            self._kept[table.name] = read
        return read.rows

    def _read(self, kept: _Kept, version: int) -> _Kept:
        table, lines, rows = kept.table, dict[Key, tuple[Any, ...]](), dict[Key, Row]()
        names = tuple(table.columns)
        places = [names.index(name) for name in table.primary_key]
        order = quoted(table.primary_key) or "rowid"
        statement = f'SELECT {quoted(names)} FROM "{table.name}" ORDER BY {order}'
        for number, line in enumerate(map(tuple, self._connection.execute(statement))):
            key = tuple([line[place] for place in places]) if places else (number,)
            lines[key] = line
            if kept.lines.get(key) == line:
                rows[key] = kept.rows[key]
            else:
                rows[key] = {
                    column: pgtypes.to_json(table.columns[column].type, value)
                    for column, value in zip(names, line, strict=True)
                }
        return _Kept(version, table, lines, rows)
