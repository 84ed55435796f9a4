"""What the tests of the SQL files say to a database, and the items that a save is made of.

`Database` holds one connection as the bot (role service_role, taken as PostgREST takes it) and one as a human (role
postgres, as Supabase's editors), and opens more. The functions build items with sensible values; a test names only
what it is about. Left out: everything over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

Row = dict[str, Any]


class Database:
    """One database of the server: connections by role, and short forms of what the tests do."""

    def __init__(self, uri_of: Callable[[str], str]) -> None:
        self._uri_of = uri_of
        self._others: list[psycopg.Connection[Row]] = []
        self.human = self.connect("postgres")
        self.bot = self.connect("service_role")
        self._others.clear()

    def close_others(self) -> None:
        """Closes every connection but the two that each database has: the server takes a hundred."""
        while self._others:
            self._others.pop().close()

    def close(self) -> None:
        """Closes every connection."""
        self.close_others()
        self.human.close()
        self.bot.close()

    def uri(self, user: str) -> str:
        """The address under which a user logs in himself."""
        return self._uri_of(user)

    def connect(self, role: str) -> psycopg.Connection[Row]:
        """A connection in autocommit mode: postgres logs in itself, other roles as PostgREST takes them."""
        user = "postgres" if role == "postgres" else "authenticator"
        connection = psycopg.connect(self.uri(user), autocommit=True, row_factory=dict_row)
        self._others.append(connection)
        if role != "postgres":
            connection.execute(f'set role "{role}"'.encode())
        return connection

    def take_epoch(self, holder: str = "test", seen: int = 0) -> int:
        """Takes an epoch as the bot does."""
        return int(self.one("select public.byte_bot_take_epoch(%s, %s) as epoch", holder, seen)["epoch"])

    def save(self, epoch: int, connection: psycopg.Connection[Row] | None = None, **lists: object) -> Row:
        """Calls byte_bot_save with rows, patches, history and events (default: empty)."""
        row = (
            (connection or self.bot)
            .execute(
                "select public.byte_bot_save(%s, %s, %s, %s, %s) as answer",
                [epoch, *(Jsonb(lists.get(name, [])) for name in ("rows", "patches", "history", "events"))],
            )
            .fetchone()
        )
        assert row is not None
        answer: Row = row["answer"]
        return answer

    def one(self, sql: str, *values: object) -> Row:
        """The only row of a query of the bot's."""
        (row,) = self.all(sql, *values)
        return row

    def all(self, sql: str, *values: object) -> list[Row]:
        """All rows of a query of the bot's."""
        return self.bot.execute(sql.encode(), values).fetchall()

    def edit(self, sql: str, *values: object) -> None:
        """A statement typed by a human into the SQL editor."""
        # Without values a % in the statement is a %, and several statements may stand in it.
        self.human.execute(sql.encode(), values or None)


def state(channel_id: str = "1", *, revision: int = 1, edit_no: int | None = None, **values: object) -> Row:
    """An item of p_rows for channel_state; by default of a sender that believes that there is no row."""
    return {
        "table": "channel_state", "channel_id": channel_id, "key": "", "version": 1, "data": {}, "tombstones": {},
        "revision": revision, "edit_no": edit_no, **values,
    }  # fmt: skip


def component(
    channel_id: str = "1",
    key: str = "counters",
    *,
    revision: int = 1,
    edit_no: int | None = None,
    **values: object,
) -> Row:
    """An item of p_rows for component_state."""
    item = state(channel_id, revision=revision, edit_no=edit_no)
    return {**item, "table": "component_state", "key": key, **values}


def patch(login: str = "alice", *, revision: int = 1, edit_no: int | None = None, **columns: object) -> Row:
    """An item of p_patches that changes the given columns."""
    return {"login": login, "columns": columns, "revision": revision, "edit_no": edit_no}


def line(line_id: str = "m1", **values: object) -> Row:
    """An item of p_history."""
    item = {
        "id": line_id,
        "channel_id": "1",
        "at": "2026-11-23T12:00:00.5Z",
        "author": "viewer",
        "text": "hi",
    }
    return {**item, "reply": None, **values}


def event(event_id: str = "e1", **values: object) -> Row:
    """An item of p_events."""
    return {"id": event_id, "at": "2026-11-23T12:00:00+00:00", "kind": "start", "data": {}, **values}
