"""Runs PostgREST's requests on an in-memory SQLite: select, insert, upsert, update, delete, with transactions.

Every request is one transaction: an error leaves nothing behind. Rows pass through `pgtypes` both ways. What
SQLite says about a broken constraint is translated to PostgreSQL's SQLSTATE, words and constraint names.
Grants, row level security, the read-only switch and the trigger that counts human edits are applied here, by
role:

* ``service_role`` (the secret key) bypasses row level security and is held to its grants;
* ``anon`` (the publishable key) is held to both; with no policy it sees no row and may write none;
* ``postgres`` (a human in the table editor) may do everything; the trigger counts its edits.

Left out: isolation between transactions (each runs alone), locks, deadlocks, statement timeouts, policies.
"""

from __future__ import annotations

import random
import sqlite3
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from simulator.supabase import conditions, errors, jsonb, pgtypes, sqlite_functions
from simulator.supabase.conditions import Sql
from simulator.supabase.prefer import Prefer
from simulator.supabase.query import Query, SelectItem
from simulator.supabase.schema import Schema, Table, quoted
from simulator.supabase.view import Key, Views

Role = Literal["service_role", "anon", "postgres"]
Row = dict[str, Any]


# What the trigger looks after: the count of human edits, and the stamp by which the bot knows its own changes.
_STAMP = ("epoch", "revision", "updated_at")
_COUNTED = ("edit_no", *_STAMP)
#: The highest epoch that the trigger lets a human bring along.
_EPOCH_ENTERED_MAX = 1 << 53


@dataclass
class Restrictions:
    """What the database refuses at the moment, whoever asks (except a human with postgres' rights)."""

    read_only: bool = False
    denied_tables: tuple[str, ...] = ()
    missing_functions: tuple[str, ...] = ()
    #: Of channels_config only the schema's own row is shown; and the largest body of a request, None for any.
    emptied: bool = False
    body_bytes_max: int | None = None


@dataclass(frozen=True)
class Result:
    """The rows an operation answers with, and what its headers need."""

    rows: list[Row] = field(default_factory=list)
    affected: int = 0
    inserted: int = 0
    total: int | None = None


class Engine:
    """The tables, and PostgREST's operations on them. ``now_iso`` is the world's time as ISO 8601 in UTC."""

    def __init__(self, now_iso: Callable[[], str], unix_us: Callable[[], int], rng: random.Random) -> None:
        self.schema = Schema()
        self.restrictions = Restrictions()
        self._now_iso = now_iso
        self._unix_us = unix_us
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._views = Views(self.connection)

        def new_uuid() -> str:
            return str(uuid.UUID(int=rng.getrandbits(128), version=4))

        # SQLite holds functions where the collector cannot look: one that leads back here would keep a whole world.
        engine = weakref.proxy(self)
        sqlite_functions.register(self.connection, lambda: str(engine._now_iso()), new_uuid)

    def apply(self, schema: Schema) -> None:
        """Create the schema's tables that are not there yet, and run its seeds: what pasting the files does."""
        with self.transaction():
            for name, table in schema.tables.items():
                if name not in self.schema.tables:
                    self.connection.execute(table.ddl())
            self.schema = schema
            for seed in schema.seeds:
                last = self._last_rowid(seed.table)
                self.connection.execute(seed.sql)
                if seed.counted:
                    self.connection.execute(
                        f'UPDATE "{seed.table}" SET edit_no = ? WHERE rowid > ?', (self._unix_us(), last)
                    )

    def close(self) -> None:
        """Close the database; the engine is of no use afterwards."""
        self.connection.close()

    def _last_rowid(self, table: str) -> int:
        return int(self.connection.execute(f'SELECT coalesce(max(rowid), 0) FROM "{table}"').fetchone()[0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction: committed at the end, rolled back by any error."""
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    # --- what may be done

    def table(self, name: str) -> Table:
        """The table of that name; raises ApiError PGRST205."""
        table = self.schema.tables.get(name)
        if table is None:
            raise errors.no_table(name, self.schema.tables)
        return table

    def require(self, role: Role, table: str, *privileges: str) -> None:
        """Raise PgError 42501 unless the role holds the privileges on the table."""
        if role == "postgres":
            return
        held = all(self.schema.grants.allows("table", table, role, one) for one in privileges)
        if not held or table in self.restrictions.denied_tables:
            raise errors.permission_denied("table", table)

    def require_write(self, role: Role, command: str) -> None:
        """Raise PgError 25006 while the database is read-only."""
        if self.restrictions.read_only and role != "postgres":
            raise errors.read_only(command)

    def _hidden(self, role: Role, table: Table) -> bool:
        return table.row_security and role == "anon"

    # --- operations

    def select(self, role: Role, name: str, query: Query, *, count: bool, rows_max: int) -> Result:
        """The rows of a select; ``count`` also counts all rows that match, ``rows_max`` caps what is returned."""
        table = self.table(name)
        self.require(role, name, "select")
        where = Sql("0") if self._hidden(role, table) else conditions.where(table, query.conditions)
        if self.restrictions.emptied and name == "channels_config" and role != "postgres":
            where = Sql(f"({where.text}) AND login = '.sentinel'", where.parameters)
        order = conditions.order_by(table, query.order)
        _check_select(table, query.select)
        limit = rows_max if query.limit is None else min(query.limit, rows_max)
        found = self._fetch(
            table,
            Sql(
                f"WHERE {where.text}{order.text} LIMIT ? OFFSET ?",
                (*where.parameters, *order.parameters, limit, query.offset),
            ),
        )
        total = None
        if count:
            statement = f'SELECT count(*) FROM "{name}" WHERE {where.text}'
            total = int(self.connection.execute(statement, where.parameters).fetchone()[0])
        rows = [project(table, row, query.select) for row in found]
        return Result(rows, affected=len(rows), total=total)

    def insert(
        self, role: Role, name: str, payload: Any, query: Query, prefer: Prefer, *, single: bool = False
    ) -> Result:
        """Insert or upsert the rows of a body; ``single``: anything but exactly one row is an error."""
        table = self.table(name)
        bodies, columns = _bodies(table, payload, query.columns)
        merge = prefer.resolution == "merge-duplicates"
        target = self._conflict_target(table, query, prefer)
        self.require_write(role, "INSERT")
        self.require(role, name, "insert", *(("update",) if merge and target else ()), *_reads(prefer))
        if self._hidden(role, table) and bodies:
            raise errors.row_security(name)
        touched: dict[int, None] = {}
        inserted = 0
        with self.transaction():
            for body in bodies:
                values = _stored(
                    table, body, columns, defaults=query.columns is None or prefer.missing_default
                )
                existing = self._find(table, target, values) if target else None
                if existing is not None and (existing in touched or not merge):
                    if merge:
                        raise errors.same_row_twice()
                    self._check_insertable(table, values)
                    continue
                if existing is None:
                    touched[self._insert_row(role, table, values)] = None
                    inserted += 1
                else:
                    self._check_insertable(table, values)
                    self._update_rows(role, table, values, [existing])
                    touched[existing] = None
            _enforce_count(prefer, len(touched), single)
        return Result(self._representation(table, list(touched), query, prefer), len(touched), inserted)

    def update(
        self, role: Role, name: str, payload: Any, query: Query, prefer: Prefer, *, single: bool = False
    ) -> Result:
        """Change the rows that match; raises PgError 21000 without a filter, as Supabase does."""
        table = self.table(name)
        bodies, columns = _bodies(table, payload, query.columns)
        if not bodies or not columns:
            return Result()
        self.require_write(role, "UPDATE")
        self.require(role, name, "update", "select")
        if not query.conditions:
            raise errors.needs_where("UPDATE")
        values = _stored(table, bodies[0], columns, defaults=prefer.missing_default)
        with self.transaction():
            rowids = self._matching(role, table, query)
            self._update_rows(role, table, values, rowids)
            _enforce_count(prefer, len(rowids), single)
        return Result(self._representation(table, rowids, query, prefer), len(rowids))

    def delete(self, role: Role, name: str, query: Query, prefer: Prefer, *, single: bool = False) -> Result:
        """Delete the rows that match; raises PgError 21000 without a filter."""
        table = self.table(name)
        self.require_write(role, "DELETE")
        self.require(role, name, "delete", "select")
        if not query.conditions:
            raise errors.needs_where("DELETE")
        with self.transaction():
            rowids = self._matching(role, table, query)
            rows = self._representation(table, rowids, query, prefer)
            self._execute(table, f'DELETE FROM "{name}" WHERE rowid IN ({_marks(rowids)})', tuple(rowids))
            _enforce_count(prefer, len(rowids), single)
        return Result(rows, len(rowids))

    def rows(self, name: str) -> list[Row]:
        """Every row of a table as JSON values, in the order of its primary key: what a human would see."""
        return [dict(row) for row in self.view(name).values()]

    def view(self, name: str) -> Mapping[Key, Row]:
        """The same by primary key, and without copies: to be looked at only."""
        return self._views.of(self.table(name))

    # --- rows in SQLite

    def _fetch(self, table: Table, rest: Sql) -> list[Row]:
        names = tuple(table.columns)
        cursor = self.connection.execute(
            f'SELECT {quoted(names)} FROM "{table.name}" {rest.text}', rest.parameters
        )
        return [dict(zip(names, values, strict=True)) for values in cursor]

    def _matching(self, role: Role, table: Table, query: Query) -> list[int]:
        if self._hidden(role, table):
            return []
        where = conditions.where(table, query.conditions)
        order = conditions.order_by(table, query.order)
        limit = -1 if query.limit is None else query.limit
        cursor = self.connection.execute(
            f'SELECT rowid FROM "{table.name}" WHERE {where.text}{order.text} LIMIT ? OFFSET ?',
            (*where.parameters, *order.parameters, limit, query.offset),
        )
        return [int(rowid) for (rowid,) in cursor]

    def _representation(self, table: Table, rowids: list[int], query: Query, prefer: Prefer) -> list[Row]:
        _check_select(table, query.select)
        if prefer.representation != "representation" or not rowids:
            return []
        rows = [self._fetch(table, Sql("WHERE rowid = ?", (rowid,)))[0] for rowid in rowids]
        return [project(table, row, query.select) for row in rows]

    def _conflict_target(self, table: Table, query: Query, prefer: Prefer) -> tuple[str, ...]:
        if not prefer.resolution:
            return ()
        if query.on_conflict is None:
            return table.primary_key
        for column in query.on_conflict:
            if column not in table.columns:
                raise errors.PgError("42703", f'column "{column}" does not exist')
        for columns in table.keys().values():
            if sorted(columns) == sorted(query.on_conflict):
                return columns
        raise errors.no_conflict_target()

    def _find(self, table: Table, key: tuple[str, ...], values: Row) -> int | None:
        if any(values.get(column) is None for column in key):
            return None
        where = " AND ".join(f'"{column}" = ?' for column in key)
        statement = f'SELECT rowid FROM "{table.name}" WHERE {where}'
        found = self.connection.execute(statement, tuple(values[column] for column in key)).fetchone()
        return None if found is None else int(found[0])

    def _insert_row(self, role: Role, table: Table, values: Row) -> int:
        if table.counts_edits and role != "service_role":
            values = values | {"edit_no": self._unix_us(), "updated_at": self._now_iso()}
            if (values.get("epoch") or 0) > _EPOCH_ENTERED_MAX:
                values |= {"epoch": 0, "revision": 0}
        statement = f'INSERT INTO "{table.name}" DEFAULT VALUES'
        if values:
            statement = f'INSERT INTO "{table.name}" ({quoted(tuple(values))}) VALUES ({_marks(values)})'
        return int(self._execute(table, statement, tuple(values.values()), values).lastrowid or 0)

    def _check_insertable(self, table: Table, values: Row) -> None:
        # PostgreSQL checks the row proposed for insertion before it looks for the conflict; so does SQLite
        # here.
        statement = f'INSERT INTO "{table.name}" ({quoted(tuple(values))}) VALUES ({_marks(values)})'
        self._execute(table, f"{statement} ON CONFLICT DO NOTHING", tuple(values.values()), values)

    def _update_rows(self, role: Role, table: Table, values: Row, rowids: list[int]) -> None:
        assignments = [
            f'"{column}" = ?' for column in values if not (table.counts_edits and column in _COUNTED)
        ]
        parameters = [
            value for column, value in values.items() if not (table.counts_edits and column in _COUNTED)
        ]
        if table.counts_edits:
            # The trigger keeps edit_no for the bot; for a human it counts, and keeps the bot's stamp.
            by_bot = role == "service_role"
            for column in _STAMP if by_bot else ():
                if column in values:
                    assignments.append(f'"{column}" = ?')
                    parameters.append(values[column])
            if not by_bot:
                assignments += ["edit_no = edit_no + 1", "updated_at = ?"]
                parameters.append(self._now_iso())
        if not assignments or not rowids:
            return
        statement = f'UPDATE "{table.name}" SET {", ".join(assignments)} WHERE rowid IN ({_marks(rowids)})'
        self._execute(table, statement, (*parameters, *rowids), values)

    def _execute(
        self, table: Table, statement: str, parameters: Sequence[Any], values: Row | None = None
    ) -> sqlite3.Cursor:
        try:
            return self.connection.execute(statement, parameters)
        except sqlite3.IntegrityError as error:
            raise translate(table, error, values or {}) from error


def translate(table: Table, error: sqlite3.IntegrityError, values: Mapping[str, Any]) -> errors.PgError:
    """PostgreSQL's error for a constraint that SQLite found broken."""
    kind, _, what = str(error).partition(" constraint failed: ")
    texts = [pgtypes.to_text(column.type, values.get(name)) for name, column in table.columns.items()]
    row = f"({', '.join(texts)})"
    if kind == "NOT NULL":
        return errors.not_null(table.name, what.rpartition(".")[2], row)
    if kind == "CHECK":
        return errors.check_violation(table.name, what, row)
    columns = tuple(part.strip().rpartition(".")[2] for part in what.split(","))
    name = next((key for key, of in table.keys().items() if sorted(of) == sorted(columns)), "")
    key = [pgtypes.to_text(table.columns[column].type, values.get(column)) for column in columns]
    return errors.unique_violation(name, columns, key)


def project(table: Table, row: Row, select: Sequence[SelectItem]) -> Row:
    """The answer's object for one stored row."""
    answer: Row = {}
    for item in select:
        if item.field.column == "*":
            answer |= {
                name: pgtypes.to_json(column.type, row[name]) for name, column in table.columns.items()
            }
            continue
        kind = table.columns[item.field.column].type
        value = pgtypes.to_json(kind, row[item.field.column])
        if item.field.path:
            value = sqlite_functions.walk(value, list(item.field.path))
            if item.field.as_text:
                value = sqlite_functions.json_text(value)
        if item.cast:
            value = _cast(value, item.cast)
        answer[item.name] = value
    return answer


def _cast(value: Any, name: str) -> Any:
    kind = pgtypes.BY_NAME[name.lower()]
    return None if value is None else pgtypes.to_json(kind, pgtypes.from_json(kind, value))


def _check_select(table: Table, select: Sequence[SelectItem]) -> None:
    for item in select:
        if item.embedded:
            raise errors.no_relationship(table.name, item.field.column)
        column = item.field.column
        if column != "*" and column not in table.columns:
            raise errors.undefined_column(table.name, column)
        if item.field.path and table.columns[column].type is not pgtypes.JSONB:
            raise errors.no_operator(table.columns[column].type.name, "->>" if item.field.as_text else "->")
        if item.cast and item.cast.lower() not in pgtypes.BY_NAME:
            raise errors.PgError("42704", f'type "{item.cast}" does not exist')


def _bodies(
    table: Table, payload: Any, columns_parameter: tuple[str, ...] | None
) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """The objects of a body and the columns they set; raises ApiError PGRST102 or PGRST204."""
    bodies = payload if isinstance(payload, list) else [payload]
    if not all(isinstance(body, Mapping) for body in bodies):
        # PostgREST takes a body that is neither an object nor objects for an empty array.
        if isinstance(payload, list):
            raise errors.invalid_body("All object keys must match")
        bodies = []
    columns = columns_parameter
    if columns is None:
        columns = tuple(bodies[0]) if bodies else ()
        if any(sorted(body) != sorted(columns) for body in bodies):
            raise errors.invalid_body("All object keys must match")
    for column in columns:
        if column not in table.columns:
            raise errors.no_column(table.name, column)
    return bodies, columns


def _stored(table: Table, body: Mapping[str, Any], columns: tuple[str, ...], *, defaults: bool) -> Row:
    """The body's values as stored; a column that the body lacks is NULL, or with ``defaults`` left to its default."""
    return {
        column: pgtypes.from_json(table.columns[column].type, body.get(column))
        for column in columns
        if column in body or not defaults
    }


def _enforce_count(prefer: Prefer, affected: int, single: bool) -> None:
    """Roll the transaction back when it touched more rows than was agreed; ``single``: exactly one."""
    if single and affected != 1:
        raise errors.not_one_row(affected)
    if prefer.strict and prefer.max_affected is not None and affected > prefer.max_affected:
        raise errors.max_affected(affected)


def _reads(prefer: Prefer) -> tuple[str, ...]:
    # RETURNING reads, so PostgreSQL asks for the privilege to read.
    return ("select",) if prefer.representation == "representation" else ()


def _marks(values: Sequence[Any] | Mapping[str, Any]) -> str:
    return ", ".join("?" for _ in values)


def decode_body(body: bytes) -> Any:
    """The JSON of a body; raises ApiError PGRST102 with PostgREST's words."""
    try:
        return jsonb.loads(body)
    except ValueError:
        raise errors.invalid_body("Empty or invalid json") from None
