"""The simulator's stand-ins against the SQL functions: the same edits and saves, the same answers and rows.

A seed draws a story of human edits, epochs taken, and saves from senders that know the database more or less well.
Each step is done on PostgreSQL and on SQLite; answers are compared word for word, and after each step every table.
Only the time of the server differs, so updated_at and taken_at are left out. What SQLite cannot show (locks, grants,
limits of an index page) is in the other files of this folder.
"""

from __future__ import annotations

import json
import random
import sqlite3
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from byte_bot.persistence.schema import SCHEMA_DIR
from simulator.supabase import sqlite_functions
from simulator.supabase.functions import FunctionError, save, take_epoch
from simulator.supabase.schema import read_schema as read_fake_schema
from tests.byte_bot.persistence.schema.database import Database, Row, component, event, line, patch, state

NOW = "2026-11-23T12:00:00+00:00"
TABLES = {
    "channels_config": ("login",),
    "channel_state": ("channel_id",),
    "component_state": ("channel_id", "key"),
    "channel_history": ("id",),
    "bot_events": ("id",),
    "bot_writer": ("id",),
}
NAMES = ("1", "2", "a", "Z", "é", "ю")
# Values that one column or another must refuse, by the field of the item that they replace.
SPOILED: dict[str, tuple[object, ...]] = {
    "table": (None, "bot_writer", "channels_config", 7),
    "channel_id": (None, "", 12),
    "key": (None, ""),
    "version": (None, "1", 1.5, 2**31, True),
    "data": (None, [], "{}", 5),
    "tombstones": (None, [1]),
    "revision": (None, "x", 2**63, -0.5),
    "edit_no": ("x", 1.5, True, {}),
    "login": (None, "", "Alice", 3),
    "columns": (
        None, [], {"colour": 1}, {"paused": "yes"}, {"enabled": None}, {"language": "fr"}, {"prefix": ""},
        {"prefix": "123456"}, {"edit_no": 1, "paused": True}, {"channel_id": 5},
    ),
    "id": (None, "", 5),
    "at": (None, "yesterday-ish", 12),
    "author": (None, 5),
    "text": (None,),
    "kind": (None, []),
}  # fmt: skip


class Pair:
    """The same database twice."""

    def __init__(self, real: Database, rng: random.Random) -> None:
        self.real = real
        self.rng = rng
        self.fake = sqlite3.connect(":memory:", isolation_level=None)
        self.fake.row_factory = sqlite3.Row
        sqlite_functions.register(self.fake, lambda: NOW, lambda: "")
        schema = read_fake_schema(SCHEMA_DIR)
        for table in schema.tables.values():
            self.fake.execute(table.ddl())
        self.fake.execute("insert into bot_writer (id) values (1)")

    def rows(self) -> tuple[list[Row], list[Row]]:
        """Every row of every table, of PostgreSQL and of SQLite, without the server's times."""
        real, fake = [], []
        for table, keys in TABLES.items():
            order = ", ".join(keys)
            real += [_plain(row) for row in self.real.all(f"select * from {table} order by {order}")]
            fake += [
                _plain(dict(row)) for row in self.fake.execute(f"select * from {table} order by {order}")
            ]
        # The databases sort text differently.
        return sorted(real, key=repr), sorted(fake, key=repr)

    def save(self, epoch: object, **lists: object) -> tuple[Any, Any]:
        """Both answers, an error as its code and words."""
        names = ("rows", "patches", "history", "events")
        arguments = {"p_epoch": epoch, **{f"p_{name}": lists.get(name) for name in names}}
        try:
            real: Any = self.real.one(
                "select byte_bot_save(%s, %s, %s, %s, %s) as answer",
                epoch,
                *(None if lists.get(name) is None else Jsonb(lists[name]) for name in names),
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

    def edit(self) -> None:
        """A human updates, deletes or enters a row; SQLite has no trigger, so the number is carried over."""
        table = self.rng.choice(["channels_config", "channel_state", "component_state"])
        keys = TABLES[table]
        values = {key: self.rng.choice(NAMES[:3]) for key in keys}
        where = " and ".join(f"{key} = %s" for key in keys)
        found = self.real.all(f"select * from {table} where {where}", *values.values())
        change = self.rng.choice(["update", "update", "delete"]) if found else "insert"
        if change == "delete":
            self.real.edit(f"delete from {table} where {where}", *values.values())
        elif change == "update":
            column = "paused = not paused" if table == "channels_config" else "version = version + 1"
            self.real.edit(f"update {table} set {column} where {where}", *values.values())
        else:
            names, marks = ", ".join(keys), ", ".join("%s" for _ in keys)
            self.real.edit(f"insert into {table} ({names}) values ({marks})", *values.values())
        self._copy(table, where, values)

    def _copy(self, table: str, where: str, values: Row) -> None:
        self.fake.execute(f"delete from {table} where {where.replace('%s', '?')}", tuple(values.values()))
        for row in self.real.all(f"select * from {table} where {where}", *values.values()):
            stored = [
                json.dumps(value) if isinstance(value, dict) else value.isoformat() if isinstance(value, datetime) else value
                for value in row.values()
            ]  # fmt: skip
            marks = ", ".join("?" for _ in stored)
            self.fake.execute(f"insert into {table} ({', '.join(row)}) values ({marks})", stored)

    def item(self, build: str) -> object:
        """One item: mostly of a sender that knows the row, sometimes not, sometimes spoiled."""
        rng = self.rng
        name, key = rng.choice(NAMES), rng.choice(NAMES)
        revision = rng.randrange(1, 6)
        if build == "history":
            item: Row = line(name, text=key, reply=rng.choice([None, "yes", 5]), at=_moment(rng))
        elif build == "events":
            item = event(name, at=_moment(rng), data={"n": [key, None, 1.5]})
        elif build == "patches":
            name = name.lower()
            columns = rng.choice(
                [{"paused": True}, {"enabled": False, "prefix": "?"}, {"channel_id": None}, {}]
            )
            item = {
                **patch(name, revision=revision, edit_no=self._base("channels_config", name)),
                "columns": columns,
            }
        elif rng.random() < 0.5:
            item = state(
                name, revision=revision, edit_no=self._base("channel_state", name), data={"n": revision}
            )
        else:
            base = self._base("component_state", name, key)
            item = component(name, key, revision=revision, edit_no=base, data={key: {"é": [1, "2", None]}})
        if rng.random() < 0.15:
            field = rng.choice(sorted(item))
            if rng.random() < 0.3:
                del item[field]
            elif field in SPOILED:
                item[field] = rng.choice(SPOILED[field])
        return rng.choice([5, None, [], "x"]) if rng.random() < 0.01 else item

    def _base(self, table: str, *key: str) -> int | None:
        where = " and ".join(f"{name} = %s" for name in TABLES[table])
        found = self.real.all(f"select edit_no from {table} where {where}", *key)
        if self.rng.random() < 0.15:
            return self.rng.choice([None, 0, 1])
        return found[0]["edit_no"] if found else None


def _moment(rng: random.Random) -> str:
    return rng.choice(["2026-11-23T12:00:00Z", "2026-11-23T12:00:00.25+02:00", "2026-11-23 09:30:00"])


def _plain(row: Row) -> Row:
    plain: Row = {}
    for name, value in row.items():
        if name in ("updated_at", "taken_at"):
            continue
        if name in ("data", "tombstones") and isinstance(value, str):
            value = json.loads(value)
        elif name in ("enabled", "paused"):
            value = bool(value)
        elif name == "at":
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
            value = moment.astimezone(UTC).isoformat()
        plain[name] = value
    return plain


def _without_times(answer: Any) -> Any:
    if isinstance(answer, dict):
        for refusal in answer.get("refused", ()):
            if refusal["row"] is not None:
                assert refusal["row"].pop("updated_at").endswith("+00:00")
    return answer


@pytest.mark.parametrize("seed", range(25))
def test_stand_ins_do_what_the_functions_do(database: Database, seed: int) -> None:
    """Whatever is edited and saved, both give the same answers and hold the same rows."""
    rng = random.Random(seed)
    pair = Pair(database, rng)
    epoch = 0
    for _ in range(25):
        step = rng.random()
        if step < 0.3:
            pair.edit()
        elif step < 0.4:
            real_epoch, fake_epoch = pair.take_epoch(rng.choice([None, 0, epoch, epoch + 2]))
            assert real_epoch == fake_epoch
            epoch = real_epoch
        else:
            lists: dict[str, object] = {
                name: [pair.item(name) for _ in range(rng.randrange(6))]
                for name in ("rows", "patches", "history", "events")
            }
            if rng.random() < 0.05:
                lists[rng.choice(sorted(lists))] = rng.choice([None, {}, "x"])
            sent = epoch if rng.random() < 0.95 else rng.choice([epoch - 1, epoch + 1, None])
            real, fake = pair.save(sent, **lists)
            assert fake == real
        real_rows, fake_rows = pair.rows()
        assert fake_rows == real_rows


def test_stories_reach_every_answer(database: Database) -> None:
    """The random stories are worth their time: together they see every status, reason and kind of error."""
    seen: set[str] = set()
    for seed in range(6):
        database.edit("truncate channels_config, channel_state, component_state, channel_history, bot_events")
        pair = Pair(database, random.Random(seed))
        epoch = database.take_epoch()
        pair.fake.execute("update bot_writer set epoch = ?", (epoch,))
        for _ in range(20):
            pair.edit()
            lists = {
                name: [pair.item(name) for _ in range(5)] for name in ("rows", "patches", "history", "events")
            }
            answer, _ = pair.save(epoch, **lists)
            assert answer["status"] == "ok"
            seen |= {
                f"{refusal['reason']} {refusal['sqlstate'] or ''}".strip() for refusal in answer["refused"]
            }
    assert {
        "edited", "stale", "invalid 22003", "invalid 22007", "invalid 22023", "invalid 22P02", "invalid 23514",
        "invalid 42703", "invalid 42P01",
    } <= seen  # fmt: skip
