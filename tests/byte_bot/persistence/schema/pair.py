"""The same database twice, PostgreSQL with the SQL functions and SQLite with the stand-ins, and stories that happen to both.

A seed draws a story: bot processes take epochs, supersede each other, load, save, lose answers and send again, late or
twice; humans edit, enter and delete rows; backups are restored. Some items are spoiled: a field of the wrong type or
missing, a value that a column refuses, a key that stands twice in one request. `Story.step` does the next thing to both
databases and returns both answers, `Pair.rows` everything that stands in them.

Only the server's time differs, so updated_at and taken_at are left out. What the trigger does to a row that a human touches
is compared with what the simulator does in its place, refusals word for word; of the count that a row gets when it is entered,
PostgreSQL's clock, the simulator is told. What SQLite cannot show (locks, grants, limits of an index page) is left out.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from byte_bot.persistence.schema import SCHEMA_DIR
from simulator.supabase.engine import Engine
from simulator.supabase.errors import PgError
from simulator.supabase.functions import FunctionError, save, take_epoch
from simulator.supabase.prefer import Prefer
from simulator.supabase.query import Field, Filter, Query
from simulator.supabase.schema import read_schema as read_fake_schema
from tests.byte_bot.persistence.schema.database import Database, Row, component, event, line, patch, state

NOW = "2026-11-23T12:00:00+00:00"
LISTS = ("rows", "patches", "history", "events")
KEYS = {
    "channels_config": ("login",),
    "channel_state": ("channel_id",),
    "component_state": ("channel_id", "key"),
    "channel_history": ("id",),
    "bot_events": ("id",),
    "bot_writer": ("id",),
}
EDITABLE = ("channels_config", "channel_state", "component_state")
EVERYTHING = "select " + ", ".join(
    f"(select coalesce(jsonb_agg(to_jsonb(t)), '[]') from public.{table} t) as {table}" for table in KEYS
)
NAMES = ("1", "2", "a", "Z", "é", "ю")
TOMBSTONES: tuple[Row, ...] = ({}, {}, {"gone": [1, 4]}, {"é": [2, 1], "b": [1, 1]})
COLUMNS: tuple[Row, ...] = (
    {"paused": True}, {"paused": False, "enabled": True}, {"enabled": False, "prefix": "?"}, {"channel_id": None}, {},
    {"channel_id": "77"}, {"language": "pt-br"}, {"language": "en", "prefix": "12345", "paused": True},
)  # fmt: skip
MOMENTS = (
    "2026-11-23T12:00:00Z",
    "2026-11-23T12:00:00.25+02:00",
    "2026-11-23 09:30:00",
    "2026-11-23T12:00:00.123456-05:30",
)
# Values that one column or another must refuse, by the field of the item that they replace.
SPOILED: dict[str, tuple[object, ...]] = {
    "table": (None, "bot_writer", "channels_config", "channel_history", 7, ""),
    "channel_id": (None, "", 12),
    "key": (None, "", 3),
    "version": (None, "1", 1.5, 2**31, True),
    "data": (None, [], "{}", 5),
    "tombstones": (None, [1], "x"),
    "revision": (None, "x", 2**63, -0.5),
    "edit_no": ("x", 1.5, True, {}, -1, "0", 2**63, 2**63 - 1),
    "login": (None, "", "Alice", 3),
    "columns": (
        None, [], {"colour": 1}, {"paused": "yes"}, {"enabled": None}, {"language": "fr"}, {"prefix": ""},
        {"prefix": "123456"}, {"edit_no": 1, "paused": True}, {"channel_id": 5}, {"language": None},
    ),
    "id": (None, "", 5),
    "at": (None, "yesterday-ish", 12, ""),
    "author": (None, 5),
    "text": (None, {}),
    "kind": (None, []),
    "reply": (5, [1], True),
}  # fmt: skip


class Edit(NamedTuple):
    """What a human does to a row, as SQL and as the values that the simulator's table editor is given."""

    verb: Literal["change", "enter", "delete"]
    sql: str = ""
    values: Mapping[str, Any] = MappingProxyType({})
    #: The values, where they depend on the row.
    of: Callable[[Row], Row] | None = None


DELETE, ENTER = Edit("delete"), Edit("enter")
#: Stamps typed by hand, and brought along by a row of another project.
STAMPS = (
    Edit("change", "epoch = 99, revision = 99, edit_no = 5", {"epoch": 99, "revision": 99, "edit_no": 5}),
    Edit("enter", values={"epoch": 2, "revision": 7, "edit_no": 1}),
    Edit("enter", values={"epoch": 2**53, "revision": 1}),
    Edit("enter", values={"epoch": 2**63 - 1, "revision": 3}),
)
CONFIG_EDITS = (
    Edit("change", "paused = not paused", of=lambda row: {"paused": not row["paused"]}),
    Edit("change", "language = 'en', prefix = '%%'", {"language": "en", "prefix": "%"}),
    Edit("change", "prefix = '123456'", {"prefix": "123456"}),
    Edit("enter", values={"language": "fr"}),
)
STATE_EDITS = (
    Edit("change", "version = version + 1", of=lambda row: {"version": row["version"] + 1}),
    Edit("change", """data = '{"by": ["a human", 1.5, null]}'""", {"data": {"by": ["a human", 1.5, None]}}),
    Edit("change", "data = '[]'", {"data": []}),
)


class Pair:
    """The same database twice."""

    def __init__(self, real: Database) -> None:
        self.real = real
        self.engine = Engine(lambda: NOW, self._last_entered_us, random.Random(0))
        self.engine.apply(read_fake_schema(SCHEMA_DIR))
        self.fake = self.engine.connection
        self.fake.row_factory = sqlite3.Row
        # Not truncate, which rewrites files: tables as small as these are emptied faster.
        real.edit("; ".join(f"delete from public.{table}" for table in KEYS))
        for table in KEYS:
            self.fake.execute(f"delete from {table}")
        self.both("insert into bot_writer (id) values (1)")

    def both(self, sql: str, *values: object) -> None:
        """The same statement of a human's, where no trigger counts it."""
        self.real.edit(sql, *values)
        self.fake.execute(sql.replace("%s", "?"), values)

    def rows(self) -> tuple[dict[str, list[Row]], dict[str, list[Row]]]:
        """Every row of every table, of PostgreSQL and of SQLite, without the server's times."""
        found = self.real.one(EVERYTHING)
        real = {table: _sorted(found[table]) for table in KEYS}
        fake = {table: _sorted(map(dict, self.fake.execute(f"select * from {table}"))) for table in KEYS}
        return real, fake

    def save(self, epoch: object, **lists: object) -> tuple[Any, Any]:
        """Both answers, an error as its code and words."""
        arguments = {"p_epoch": epoch, **{f"p_{name}": lists.get(name) for name in LISTS}}
        try:
            real: Any = self.real.one(
                "select byte_bot_save(%s, %s, %s, %s, %s) as answer",
                epoch,
                *(None if lists.get(name) is None else Jsonb(lists[name]) for name in LISTS),
            )["answer"]
        except psycopg.Error as error:
            real = (error.sqlstate, error.diag.message_primary)
        self.fake.execute("begin")
        try:
            fake: Any = save(self.fake, arguments, NOW)
        except FunctionError as error:
            self.fake.execute("rollback")
            fake = (error.sqlstate, error.message)
        else:
            self.fake.execute("commit")
        return _without_times(real), _without_times(fake)

    def take_epoch(self, seen: int | None) -> tuple[int, int]:
        """Both new epochs."""
        real = self.real.one("select byte_bot_take_epoch('x', %s) as epoch", seen)["epoch"]
        return real, take_epoch(self.fake, {"p_holder": "x", "p_seen": seen}, NOW)

    def edit(self, table: str, key: tuple[str, ...], edit: Edit) -> tuple[Any, Any]:
        """A human changes, enters or deletes one row; each database's refusal, code and words, or None."""
        names = KEYS[table]
        where = " and ".join(f"{name} = %s" for name in names)
        there = self._row(table, key)
        try:
            if edit.verb == "delete":
                self.real.edit(f"delete from {table} where {where}", *key)
            elif edit.verb == "change":
                self.real.edit(f"update {table} set {edit.sql} where {where}", *key)
            else:
                columns, values = (*names, *edit.values), (*key, *edit.values.values())
                self.real.edit(
                    f"insert into {table} ({', '.join(columns)}) values ({', '.join('%s' for _ in columns)})"
                    " on conflict do nothing",
                    *values,
                )
            real: Any = None
        except psycopg.Error as error:
            real = (error.sqlstate, error.diag.message_primary)
        return real, self._edit_fake(table, key, edit, there)

    def _edit_fake(self, table: str, key: tuple[str, ...], edit: Edit, there: Row | None) -> Any:
        named = [Filter(Field(name), "eq", (value,)) for name, value in zip(KEYS[table], key, strict=True)]
        query = Query(conditions=tuple(named))
        try:
            if edit.verb == "delete":
                self.engine.delete("postgres", table, query, Prefer())
            elif edit.verb == "change":
                values = edit.values if edit.of is None or there is None else edit.of(there)
                self.engine.update("postgres", table, values, query, Prefer())
            else:
                entered = dict(zip(KEYS[table], key, strict=True)) | dict(edit.values)
                once = Prefer(resolution="ignore-duplicates")
                self.engine.insert("postgres", table, entered, Query(), once)
        except PgError as error:
            return error.sqlstate, error.message
        return None

    def _last_entered_us(self) -> int:
        """The count that PostgreSQL's clock gave the row entered last: the only thing that the two cannot agree on."""
        newest = "greatest(" + ", ".join(f"(select max(edit_no) from {table})" for table in EDITABLE) + ")"
        return int(self.real.one(f"select coalesce({newest}, 0) as us")["us"])

    def _row(self, table: str, key: tuple[str, ...]) -> Row | None:
        where = " and ".join(f"{name} = ?" for name in KEYS[table])
        found = self.fake.execute(f"select * from {table} where {where}", key).fetchone()
        return None if found is None else dict(found)

    def edit_no(self, table: str, key: tuple[str, ...]) -> int | None:
        """What a load of one row would show; None when it is not there."""
        row = self._row(table, key)
        return None if row is None else int(row["edit_no"])


@dataclass
class Sender:
    """One bot process: its epoch, what it last loaded of each row, and the requests that it sent."""

    epoch: int
    known: dict[tuple[str, ...], int | None] = field(default_factory=dict)
    revision: int = 0
    sent: list[Row] = field(default_factory=list)


class Story:
    """One seed's story. ``seen`` collects what the answers were, to show that the stories reach everything."""

    def __init__(self, pair: Pair, seed: int) -> None:
        self.pair = pair
        self.rng = random.Random(seed)
        self.senders = [Sender(0)]
        self.seen: set[str] = set()

    def step(self) -> tuple[Any, Any]:
        """The next thing that happens: PostgreSQL's answer and SQLite's, both None where there is none."""
        rng = self.rng
        sender = rng.choice(self.senders[-2:])
        match rng.choices(
            ("edit", "load", "take", "save", "again", "restore", "odd"), (20, 15, 7, 40, 12, 2, 4)
        )[0]:
            case "edit":
                return self._edit()
            case "load":
                for table in EDITABLE:
                    for key in self._keys(table):
                        sender.known[table, *key] = self.pair.edit_no(table, key)
            case "take":
                real, fake = self.pair.take_epoch(
                    rng.choice([None, 0, sender.epoch, sender.epoch + 2, 2**63 - 1])
                )
                self.senders.append(Sender(real, dict(sender.known)))
                return real, fake
            case "save":
                return self._send(sender, self._request(sender))
            case "again" if sender.sent:
                # The answer was lost; or it is an old one that was under way for long; or it arrives twice.
                request = sender.sent[-1] if rng.random() < 0.6 else rng.choice(sender.sent)
                return self._send(sender, request)
            case "restore":
                # A backup: the writer's row is older than the senders, or not there at all.
                if rng.random() < 0.5:
                    self.pair.both("delete from bot_writer")
                else:
                    self.pair.both("update bot_writer set epoch = greatest(epoch - 1, 0)".replace(
                        "greatest(epoch - 1, 0)", "case when epoch > 0 then epoch - 1 else 0 end"))  # fmt: skip
            case "odd":
                request = {name: rng.choice([None, {}, "x", 5, []]) for name in rng.sample(LISTS, 2)}
                return self._send(
                    Sender(rng.choice([sender.epoch, sender.epoch - 1, sender.epoch + 1])), request
                )
        return None, None

    def _send(self, sender: Sender, request: Row) -> tuple[Any, Any]:
        real, fake = self.pair.save(sender.epoch, **request)
        sender.sent.append(request)
        if isinstance(real, dict):
            self.seen.add(real["status"])
            for refusal in real.get("refused", ()):
                self.seen.add(f"{refusal['reason']} {refusal['sqlstate'] or ''}".strip())
                # As the bot does it: what stands there is the next base.
                if refusal["row"] is not None and self.rng.random() < 0.7:
                    key = tuple(refusal["row"][name] for name in KEYS[refusal["table"]])
                    sender.known[refusal["table"], *key] = refusal["row"]["edit_no"]
        else:
            self.seen.add(real[0])
        return real, fake

    def _edit(self) -> tuple[Any, Any]:
        rng = self.rng
        table = rng.choice(EDITABLE)
        key = rng.choice(self._keys(table))
        edits = [DELETE, ENTER, *STAMPS, *(CONFIG_EDITS if table == "channels_config" else STATE_EDITS)]
        edit = rng.choice(edits)
        real, fake = self.pair.edit(table, key, edit)
        if real is not None:
            self.seen.add(f"edit {real[0]}")
        return real, fake

    def _keys(self, table: str) -> list[tuple[str, ...]]:
        names = [name.lower() for name in NAMES[:4]] if table == "channels_config" else list(NAMES[:4])
        if table == "component_state":
            return [(name, key) for name in names[:2] for key in NAMES[2:]]
        return [(name,) for name in names]

    def _request(self, sender: Sender) -> Row:
        rng = self.rng
        most = 30 if rng.random() < 0.15 else 5
        spoil = rng.choice([0.0, 0.0, 0.05, 0.3])
        request: Row = {}
        for name in LISTS:
            items = [self._item(name, sender) for _ in range(rng.randrange(most + 1))]
            if rng.random() < 0.6:
                # The bot sends each key once.
                items = list({_key_of(item): item for item in items}.values())
            request[name] = [self._spoiled(item, spoil) for item in items]
        return request

    def _item(self, name: str, sender: Sender) -> Row:
        rng = self.rng
        sender.revision += rng.choice([0, 1, 1, 1])
        revision = max(1, sender.revision - rng.choice([0, 0, 0, 2]))
        if name == "history":
            text = rng.choice(NAMES)
            return line(rng.choice(NAMES), text=text, reply=rng.choice([None, "yes"]), at=rng.choice(MOMENTS))
        if name == "events":
            return event(
                rng.choice(NAMES), at=rng.choice(MOMENTS), data={"n": [rng.choice(NAMES), None, 1.5]}
            )
        table = "channels_config" if name == "patches" else rng.choice(EDITABLE[1:])
        key = rng.choice(self._keys(table))
        edit_no = sender.known.get((table, *key), None)
        if rng.random() < 0.5:
            edit_no = self.pair.edit_no(table, key)
        elif rng.random() < 0.1:
            edit_no = rng.choice([None, 0, 1])
        if name == "patches":
            return {**patch(key[0], revision=revision, edit_no=edit_no), "columns": rng.choice(COLUMNS)}
        values: Row = {
            "revision": revision,
            "edit_no": edit_no,
            "version": rng.choice([1, 2]),
            "tombstones": rng.choice(TOMBSTONES),
            "data": {rng.choice(NAMES): {"é": [revision, "2", None, True, -1.25]}},
        }
        return state(*key, **values) if table == "channel_state" else component(*key, **values)

    def _spoiled(self, item: Row, probability: float) -> object:
        rng = self.rng
        if rng.random() >= probability:
            return item
        if rng.random() < 0.05:
            return rng.choice([5, None, [], "x", True])
        spoiled = dict(item)
        name = rng.choice(sorted(item))
        if rng.random() < 0.2:
            del spoiled[name]
        elif name in SPOILED:
            spoiled[name] = rng.choice(SPOILED[name])
        return spoiled


def _key_of(item: Row) -> tuple[object, ...]:
    return tuple(item.get(name) for name in ("table", "channel_id", "key", "login", "id"))


def _sorted(rows: Any) -> list[Row]:
    # The databases sort text differently.
    return sorted(map(_plain, rows), key=repr)


def _plain(row: Row) -> Row:
    plain: Row = {}
    for name in sorted(row):
        value = row[name]
        if name in ("updated_at", "taken_at"):
            continue
        if name in ("data", "tombstones") and isinstance(value, str):
            value = json.loads(value)
        elif name in ("enabled", "paused"):
            value = bool(value)
        elif name == "at":
            value = datetime.fromisoformat(value).astimezone(UTC).isoformat()
        plain[name] = value
    return plain


def _without_times(answer: Any) -> Any:
    if isinstance(answer, dict):
        for refusal in answer.get("refused", ()):
            if refusal["row"] is not None:
                assert refusal["row"].pop("updated_at").endswith("+00:00")
    return answer
