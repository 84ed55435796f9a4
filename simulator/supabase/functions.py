"""Stand-ins in Python for the SQL functions ``byte_bot_take_epoch`` and ``byte_bot_save``.

The fake Supabase keeps its tables in SQLite, which has no PL/pgSQL. These functions do there what the bot's schema
does on PostgreSQL, and answer with the same JSON. They are written from the functions' description, not translated,
and share no code with the bot; a test runs both over the same random edits and saves and compares answers and rows.

How values stand in SQLite: as `pgtypes` keeps them (jsonb is TEXT holding JSON, booleans are 0 and 1, timestamptz is
TEXT in ISO 8601 with the offset ``+00:00``). The caller has cast the arguments to their declared types (which refuses
U+0000), and wraps each call in a transaction, which it rolls back when `PgError` comes out.

What they leave out: grants, read-only databases and locks (the caller's business), PostgreSQL's own words where SQLite
enforces a constraint (the SQLSTATE is right), dates that only PostgreSQL can read (``now``, named time zones).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from simulator.supabase import jsonb, pgtypes
from simulator.supabase.errors import PgError, check_violation, not_null
from simulator.supabase.pgtypes import BIGINT, BOOLEAN, INTEGER, JSONB, TEXT, TIMESTAMPTZ, PgType

Json = dict[str, Any]

# The columns of channels_config that a patch may change; the others are the table's own or a human's.
_PATCH_COLUMNS: Final[Mapping[str, PgType]] = {
    "channel_id": TEXT,
    "enabled": BOOLEAN,
    "paused": BOOLEAN,
    "language": TEXT,
    "prefix": TEXT,
}
_STATE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "channel_state": ("channel_id",),
    "component_state": ("channel_id", "key"),
}
# Columns whose stored form is not their JSON form.
_ANSWER_TYPES: Final[Mapping[str, PgType]] = {
    "data": JSONB,
    "tombstones": JSONB,
    "enabled": BOOLEAN,
    "paused": BOOLEAN,
    "updated_at": TIMESTAMPTZ,
}
# Of what a decoder of JSON makes.
_JSON_TYPES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    jsonb.Digits: "number",
    str: "string",
    list: "array",
    dict: "object",
}
#: The highest ``p_seen`` that is believed.
_SEEN_MAX: Final = 1 << 62


class FunctionError(PgError):
    """The whole call fails; a plain `PgError` inside `save` is the fault of one item."""


class _Refused(Exception):
    """An item may not overwrite the stored row, or the row it was based on is gone (``row`` is None)."""

    def __init__(self, reason: str, row: Json | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.row = row


@dataclass(frozen=True)
class _Sender:
    """Who saves: under which epoch, and which rules hold for it (all, unless a test says otherwise)."""

    epoch: int
    row_guard: bool = True
    edit_guard: bool = True


@dataclass(frozen=True)
class _Item:
    """One element of the arguments, with the names by which the answer would speak of it."""

    part: str
    table: str
    channel_id: str
    key: str
    value: object


def take_epoch(connection: sqlite3.Connection, arguments: Mapping[str, object], now_iso: str) -> int:
    """Takes the next epoch: one more than the stored one or ``p_seen``, whichever is higher.

    A ``p_seen`` beyond half of what bigint holds counts as none.

    Args:
        connection: the fake's SQLite database, inside a transaction of the caller's.
        arguments: ``p_holder`` (text) and ``p_seen`` (integer or null), decoded from JSON.
        now_iso: the fake's time, ISO 8601 in UTC.

    Returns:
        The new epoch.

    Raises:
        PgError: an argument cannot be cast, or there is no higher number.
    """
    seen = int(pgtypes.from_json(BIGINT, arguments.get("p_seen")) or 0)
    epoch = max(seen if seen <= _SEEN_MAX else 0, _writer(connection)[0]) + 1
    if epoch >= 1 << 63:
        raise FunctionError("22003", "bigint out of range")
    connection.execute(
        "insert into bot_writer (id, epoch, holder, taken_at) values (1, ?, ?, ?) on conflict (id) do update"
        " set epoch = excluded.epoch, holder = excluded.holder, taken_at = excluded.taken_at",
        (epoch, pgtypes.from_json(TEXT, arguments.get("p_holder")), now_iso),
    )
    return epoch


def save(
    connection: sqlite3.Connection,
    arguments: Mapping[str, object],
    now_iso: str,
    *,
    epoch_fence: bool = True,
    row_guard: bool = True,
    edit_guard: bool = True,
) -> Json:
    """Saves rows, patches, history and events, and names each item that was not saved.

    Args:
        connection: the fake's SQLite database, inside a transaction of the caller's.
        arguments: ``p_epoch`` and the lists ``p_rows``, ``p_patches``, ``p_history``, ``p_events`` (absent or null:
            empty), decoded from JSON; their items are described at ``byte_bot_save`` in the bot's schema.
        now_iso: the fake's time, ISO 8601 in UTC.
        epoch_fence, row_guard, edit_guard: False leaves this check of the real function out, to show what it is for.

    Returns:
        ``{"status": "ok", "epoch", "saved", "refused": [...]}``, or with nothing written ``{"status": "fenced",
        "epoch", "holder"}`` or ``{"status": "unknown_epoch", "epoch"}``.

    Raises:
        PgError: the whole request fails.
    """
    epoch = pgtypes.from_json(BIGINT, arguments.get("p_epoch"))
    if epoch is None:
        raise FunctionError("22004", "p_epoch must not be null")
    epoch = int(epoch)
    current, holder = _writer(connection)
    if current > epoch and epoch_fence:
        return {"status": "fenced", "epoch": current, "holder": holder}
    if current < epoch:
        return {"status": "unknown_epoch", "epoch": current}

    saved = 0
    refused: list[Json] = []
    sender = _Sender(epoch, row_guard, edit_guard)
    for part, items in _in_order_of_keys(arguments):
        if part in _APPENDED and _append_all(connection, items):
            continue
        for item in items:
            connection.execute("savepoint byte_bot_item")
            try:
                _SAVERS[part](connection, sender, item, now_iso)
            except (_Refused, PgError, sqlite3.IntegrityError) as error:
                connection.execute("rollback to byte_bot_item")
                refused.append(_refusal(item, error))
            else:
                saved += part not in _APPENDED
            connection.execute("release byte_bot_item")
    return {"status": "ok", "epoch": epoch, "saved": saved, "refused": refused}


# Items --------------------------------------------------------------------------------------------------------------


def _in_order_of_keys(arguments: Mapping[str, object]) -> Iterator[tuple[str, list[_Item]]]:
    """Rows, then patches, history and events, each in the order of (table, channel_id, key)."""
    for part, table, id_name in (
        ("p_rows", "", "channel_id"),
        ("p_patches", "channels_config", "login"),
        ("p_history", "channel_history", "id"),
        ("p_events", "bot_events", "id"),
    ):
        values = arguments.get(part)
        if values is None:
            continue
        if not isinstance(values, list):
            kind = "an object" if isinstance(values, Mapping) else "a scalar"
            raise FunctionError("22023", f"cannot extract elements from {kind}")
        items = [
            _Item(
                part,
                table or _as_text(value, "table"),
                _as_text(value, id_name),
                _as_text(value, "key") if part == "p_rows" else "",
                value,
            )
            for value in values
        ]
        yield part, sorted(items, key=lambda item: (item.table, item.channel_id, item.key))


def _as_text(value: object, name: str) -> str:
    """What ``value ->> name`` gives in SQL, with '' for NULL."""
    found = value.get(name) if isinstance(value, dict) else None
    return "" if found is None else str(pgtypes.from_json(TEXT, found))


def _field(value: object, name: str, json_type: str) -> Any:
    """The field ``name``, which must be of the JSON type; 22023 otherwise."""
    found_type = "missing"
    if isinstance(value, dict) and name in value:
        found_type = _JSON_TYPES[type(value[name])]
    if found_type != json_type:
        raise PgError("22023", f'"{name}" must be of the JSON type {json_type}, not {found_type}')
    return value[name]  # type: ignore[index]


def _refusal(item: _Item, error: _Refused | PgError | sqlite3.IntegrityError) -> Json:
    refusal: Json = {
        "table": item.table,
        "channel_id": item.channel_id,
        "key": item.key,
        "reason": "invalid",
        "sqlstate": None,
        "message": None,
        "row": None,
    }
    if isinstance(error, _Refused):
        return refusal | {"reason": error.reason, "row": error.row}
    if isinstance(error, PgError):
        return refusal | {"sqlstate": error.sqlstate, "message": error.message}
    return refusal | _constraint_words(item.table, str(error))


def _constraint_words(table: str, words: str) -> Json:
    """PostgreSQL's code and words for a constraint of the fake's tables, which carry PostgreSQL's names for them."""
    # SQLite: "NOT NULL constraint failed: table.column", "CHECK constraint failed: name".
    name = words.partition(": ")[2]
    if words.startswith("NOT NULL"):
        error = not_null(table, name.rpartition(".")[2], "")
    else:
        error = check_violation(table, name, "")
    return {"sqlstate": error.sqlstate, "message": error.message}


# Saving one item ----------------------------------------------------------------------------------------------------


def _save_row(connection: sqlite3.Connection, sender: _Sender, item: _Item, now_iso: str) -> None:
    if item.table not in _STATE_KEYS:
        raise PgError("42P01", f'"{item.table}" is not a table that byte_bot_save writes')
    keys = {name: _field(item.value, name, "string") for name in _STATE_KEYS[item.table]}
    values = {
        "version": pgtypes.from_json(INTEGER, _field(item.value, "version", "number")),
        "data": pgtypes.from_json(JSONB, _field(item.value, "data", "object")),
        "tombstones": pgtypes.from_json(JSONB, _field(item.value, "tombstones", "object")),
        "revision": pgtypes.from_json(BIGINT, _field(item.value, "revision", "number")),
    }
    stored = _stored(connection, item.table, keys)
    stamped = {**values, "epoch": sender.epoch, "updated_at": now_iso}
    if _is_there(stored, sender, item.value, values["revision"]):
        _update(connection, item.table, keys, stamped)
    else:
        _insert(connection, item.table, {**keys, **stamped})


def _save_patch(connection: sqlite3.Connection, sender: _Sender, item: _Item, now_iso: str) -> None:
    keys = {"login": _field(item.value, "login", "string")}
    columns = _field(item.value, "columns", "object")
    revision = pgtypes.from_json(BIGINT, _field(item.value, "revision", "number"))
    values: Json = {}
    for name in sorted(columns):
        if name not in _PATCH_COLUMNS:
            message = f'column "{name}" of "channels_config" is not one that byte_bot_save changes'
            raise PgError("42703", message)
        if name != "channel_id" or columns[name] is not None:
            _field(columns, name, "boolean" if _PATCH_COLUMNS[name] is BOOLEAN else "string")
        values[name] = pgtypes.from_json(_PATCH_COLUMNS[name], columns[name])
    stored = _stored(connection, "channels_config", keys)
    stamped = {**values, "epoch": sender.epoch, "revision": revision, "updated_at": now_iso}
    if _is_there(stored, sender, item.value, revision):
        _update(connection, "channels_config", keys, stamped)
    else:
        _insert(connection, "channels_config", {**keys, **stamped})


def _append_all(connection: sqlite3.Connection, items: Sequence[_Item]) -> bool:
    """Append all items at once, which is what nearly always works; False, and nothing done, if one of them is bad."""
    if not items:
        return True
    connection.execute("savepoint byte_bot_items")
    try:
        values = [_appended(item) for item in items]
        statement = _insertion(items[0].table, tuple(values[0]), _ONCE)
        connection.executemany(statement, [tuple(one.values()) for one in values])
    except (PgError, sqlite3.IntegrityError):
        connection.execute("rollback to byte_bot_items")
        return False
    finally:
        connection.execute("release byte_bot_items")
    return True


def _append(connection: sqlite3.Connection, _sender: _Sender, item: _Item, _now_iso: str) -> None:
    _insert(connection, item.table, _appended(item), _ONCE)


def _appended(item: _Item) -> Json:
    """The columns of a row that is only ever inserted, always the same ones for a table."""
    values: Json = {
        "id": _field(item.value, "id", "string"),
        "at": pgtypes.from_json(TIMESTAMPTZ, _field(item.value, "at", "string")),
    }
    if item.table == "channel_history":
        values |= {name: _field(item.value, name, "string") for name in ("channel_id", "author", "text")}
        values["reply"] = pgtypes.from_json(TEXT, item.value.get("reply"))  # type: ignore[attr-defined]
    else:
        values["kind"] = _field(item.value, "kind", "string")
        values["data"] = pgtypes.from_json(JSONB, _field(item.value, "data", "object"))
    return values


def _is_there(stored: Json | None, sender: _Sender, value: object, revision: object) -> bool:
    """Whether the row exists and the sender may overwrite it; raises `_Refused` when it may not write at all."""
    assert isinstance(value, Mapping)
    edit_no = pgtypes.from_json(BIGINT, value.get("edit_no"))
    if stored is None:
        if edit_no is not None and sender.edit_guard:
            raise _Refused("edited", None)  # a human deleted what the sender knew
        return False
    if edit_no is None and stored["epoch"] == sender.epoch:
        edit_no = 0  # perhaps the sender's own insert, whose answer was lost
    if sender.edit_guard and (edit_no is None or edit_no != stored["edit_no"]):
        raise _Refused("edited", _shown(stored))
    if sender.row_guard and (stored["epoch"], stored["revision"]) > (sender.epoch, revision):
        raise _Refused("stale", _shown(stored))
    return True


_SAVERS: Final[Mapping[str, Callable[[sqlite3.Connection, _Sender, _Item, str], None]]] = {
    "p_rows": _save_row,
    "p_patches": _save_patch,
    "p_history": _append,
    "p_events": _append,
}
_APPENDED: Final = ("p_history", "p_events")
#: What is there already was appended by the same save, whose answer was lost.
_ONCE: Final = " on conflict (id) do nothing"


# SQL ----------------------------------------------------------------------------------------------------------------


def _writer(connection: sqlite3.Connection) -> tuple[int, str | None]:
    """The epoch and who holds it; without its row, which somebody may have deleted, 0 and nobody."""
    row = connection.execute("select epoch, holder from bot_writer where id = 1").fetchone()
    return (int(row[0]), row[1]) if row else (0, None)


def _stored(connection: sqlite3.Connection, table: str, keys: Json) -> Json | None:
    """The row as SQLite has it, or None."""
    where = " and ".join(f'"{name}" = ?' for name in keys)
    cursor = connection.execute(f'select * from "{table}" where {where}', tuple(keys.values()))
    row = cursor.fetchone()
    if row is None:
        return None
    return dict(zip([column[0] for column in cursor.description], row, strict=True))


def _shown(stored: Json) -> Json:
    return {name: pgtypes.to_json(_ANSWER_TYPES.get(name, TEXT), value) for name, value in stored.items()}


def _insert(connection: sqlite3.Connection, table: str, values: Json, conflict: str = "") -> None:
    connection.execute(_insertion(table, tuple(values), conflict), tuple(values.values()))


@lru_cache(maxsize=64)
def _insertion(table: str, columns: tuple[str, ...], conflict: str) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join("?" for _ in columns)
    return f'insert into "{table}" ({names}) values ({marks}){conflict}'


def _update(connection: sqlite3.Connection, table: str, keys: Json, values: Json) -> None:
    changes = ", ".join(f'"{name}" = ?' for name in values)
    where = " and ".join(f'"{name}" = ?' for name in keys)
    connection.execute(f'update "{table}" set {changes} where {where}', (*values.values(), *keys.values()))


#: A stand-in: called with the connection, the arguments and the time; returns what becomes the answer's JSON.
StandIn = Callable[[sqlite3.Connection, Mapping[str, object], str], Any]

FUNCTIONS: Final[Mapping[str, StandIn]] = {
    "byte_bot_take_epoch": take_epoch,
    "byte_bot_save": save,
}
