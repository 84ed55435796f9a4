"""The fake Supabase project: keys, routes, counters, and what a human does in its dashboard.

`FakeSupabase.execute` takes a `Request` and gives a `Response`, at once and without a network: it is what happens
inside the database at one instant. The faces (`faces.py`, `sockets.py`) put time and faults around it. A human's
actions (`human_update`, `drop_function`, `revoke`, ...) need no key and meet no fault.

Everything is deterministic: time comes from ``time_source``, ids from ``rng``, and answers carry no Date header.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from simulator.faults import (
    EmptyList,
    FaultBoard,
    HumanEdit,
    MissingFunction,
    MissingGrant,
    ReadOnly,
    TooLarge,
)
from simulator.supabase import errors, pgtypes, rpc, wire
from simulator.supabase.engine import Engine, Restrictions, Role, Row, decode_body
from simulator.supabase.functions import FUNCTIONS, StandIn
from simulator.supabase.prefer import Prefer
from simulator.supabase.query import Filter, Query, parse_query
from simulator.supabase.scanner import Field
from simulator.supabase.schema import Schema, read_schema
from simulator.supabase.view import Key
from simulator.supabase.wire import Request, Response

# Supabase's default for PostgREST's db-max-rows (dashboard, API settings, "Max rows").
ROWS_MAX = 1000
# What nginx answers to a body that is too large for it.
TOO_LARGE = Response(
    413,
    (("content-type", "text/html"),),
    b"<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n<center><h1>413 Request Entity "
    b"Too Large</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
)
# Requests and saves kept for tests and the control address; older ones are forgotten, the counters stay.
LOG_MAX = 1000
# A human sees what they have changed.
_SHOWN = Prefer(representation="representation")
# Obviously fake, in the shape of real ones; both fixed so that logs and replays never differ.
SECRET_KEY = "sb_secret_fake0000000000000000simulator"
PUBLISHABLE_KEY = "sb_publishable_fake00000000000simulator"
URL = "http://project.supabase.test"


#: Told of a row that a human has changed: its table, what it was (None: made), what it is (None: deleted). Not to be written to.
EditObserver = Callable[[str, Row | None, Row | None], None]


@dataclass(frozen=True)
class RequestRecord:
    """What is remembered of a request: when it was executed, what it asked and how it was answered."""

    at_s: float
    method: str
    path: str
    query: str
    role: str
    status: int
    code: str = ""


@dataclass(frozen=True)
class SaveRecord:
    """What is remembered of a call of byte_bot_save: how much it carried and what became of it."""

    at_s: float
    epoch: int
    rows: int
    patches: int
    history: int
    events: int
    status: str
    saved: int
    refused: int


class FakeSupabase:
    """One project, its tables read from a directory of SQL files (None: a project with no schema yet).

    ``time_source`` is the loop's time in seconds, ``unix_start`` the unix time at its zero; ``faults`` the board
    that the faces consult, whose data faults (read-only, missing grant, missing function, too large, empty list, human edits) act here.
    """

    def __init__(
        self,
        schema_dir: Path | None,
        *,
        time_source: Callable[[], float],
        unix_start: float,
        rng: random.Random,
        faults: FaultBoard | None = None,
        rows_max: int = ROWS_MAX,
    ) -> None:
        self.secret_key = SECRET_KEY
        self.publishable_key = PUBLISHABLE_KEY
        self.url = URL
        self.rng = rng
        self.faults = faults or FaultBoard(time_source, rng)
        self.rows_max = rows_max
        self.read_only = False
        self.attempts_total = 0  # counted by the faces: what a fault kept from the database included
        self.requests_total = 0
        self.requests_by_path: dict[str, int] = {}
        self.saves_total = 0
        self.requests: deque[RequestRecord] = deque(maxlen=LOG_MAX)
        self.saves: deque[SaveRecord] = deque(maxlen=LOG_MAX)
        self._time_source = time_source
        self._unix_start = unix_start
        self._dropped_functions: dict[str, None] = {}
        self._bodies: dict[str, StandIn] = dict(FUNCTIONS)
        self._observers: list[Callable[[RequestRecord], None]] = []
        self._save_observers: list[Callable[[Mapping[str, Any]], None]] = []
        self._edit_observers: list[EditObserver] = []
        self.engine = Engine(self.now_iso, self._unix_us, rng)
        if schema_dir is not None:
            self.apply_schema(schema_dir)

    # --- time ---------------------------------------------------------------------------------------------------

    @property
    def time_s(self) -> float:
        """The loop's time, in seconds."""
        return self._time_source()

    def now_iso(self) -> str:
        """The database's time, ISO 8601 in UTC."""
        return pgtypes.iso_utc(self._unix_start + self._time_source())

    def _unix_us(self) -> int:
        return round((self._unix_start + self._time_source()) * 1_000_000)

    # --- requests -----------------------------------------------------------------------------------------------

    async def handle(self, request: Request) -> Response:
        """`execute`, for callers that await."""
        return self.execute(request)

    def execute(self, request: Request) -> Response:
        """Carry out a request now, with no network in between, and record it."""
        self._settle_edits()
        self._look_up_restrictions()
        role: Role | None = None
        limit = self.engine.restrictions.body_bytes_max
        try:
            if limit is not None and len(request.body) > limit:
                response = TOO_LARGE
            else:
                role = self._role(request)
                response = self._route(role, request)
        except (errors.PgError, errors.ApiError) as error:
            answer = errors.answer_for(error, anonymous=role == "anon")
            response = Response(answer.status, answer.headers, answer.body)
        if request.method == "HEAD":
            response = replace(response, body=b"")
        self.record(request, response, role or "")
        return response

    def record(self, request: Request, response: Response, role: str = "") -> None:
        """Count a request and tell the observers; the faces do so for answers that never reached the database."""
        path = request.path.removeprefix("/rest/v1/")
        self.requests_total += 1
        self.requests_by_path[path] = self.requests_by_path.get(path, 0) + 1
        code = next(
            (value.partition("error=")[2] for name, value in response.headers if name == "proxy-status"), ""
        )
        entry = RequestRecord(
            self._time_source(), request.method, request.path, request.query, role, response.status, code
        )
        self.requests.append(entry)
        for observer in tuple(self._observers):
            observer(entry)

    def observe(self, observer: Callable[[RequestRecord], None]) -> Callable[[], None]:
        """Call ``observer`` after every request; returns the function that ends it."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def observe_saves(self, observer: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        """Call ``observer`` with the arguments of every byte_bot_save, just before it is carried out.

        What became of it is in the tables when the observers of `observe` are called for the same request; nothing
        happens in between. Returns the function that ends it.
        """
        self._save_observers.append(observer)
        return lambda: self._save_observers.remove(observer)

    def observe_edits(self, observer: EditObserver) -> Callable[[], None]:
        """Call ``observer`` with every row that a human inserts, changes or deletes; returns the function that ends it."""
        self._edit_observers.append(observer)
        return lambda: self._edit_observers.remove(observer)

    def _settle_edits(self) -> None:
        # Edits planned on the fault board are carried out when somebody next looks: nobody can tell the difference.
        for edit in self.faults.take_due(HumanEdit):
            self.human_update(edit.table, edit.where, edit.values, edit.merge)

    def _look_up_restrictions(self) -> None:
        active = self.faults.database_draw(ReadOnly, MissingGrant, MissingFunction, TooLarge, EmptyList)
        missing = [fault.name for fault in active if isinstance(fault, MissingFunction)]
        self.engine.restrictions = Restrictions(
            read_only=self.read_only or any(isinstance(fault, ReadOnly) for fault in active),
            denied_tables=tuple(fault.table for fault in active if isinstance(fault, MissingGrant)),
            missing_functions=(*self._dropped_functions, *missing),
            emptied=any(isinstance(fault, EmptyList) for fault in active),
            body_bytes_max=min(
                (fault.bytes_max for fault in active if isinstance(fault, TooLarge)), default=None
            ),
        )

    def _role(self, request: Request) -> Role:
        key = request.headers.get("apikey") or dict(parse_qsl(request.query)).get("apikey", "")
        if not key:
            raise errors.no_api_key()
        roles: dict[str, Role] = {self.secret_key: "service_role", self.publishable_key: "anon"}
        if key not in roles:
            raise errors.invalid_api_key()
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if bearer and bearer not in roles:
            raise errors.bad_jwt(len(bearer.split(".")))
        return roles[bearer or key]

    def _route(self, role: Role, request: Request) -> Response:
        for header in ("accept-profile", "content-profile"):
            if request.headers.get(header, "public") not in ("public", "graphql_public"):
                raise errors.invalid_schema(request.headers[header])
        prefix, _, rest = request.path.partition("/rest/v1")
        if prefix or (rest and not rest.startswith("/")):
            raise errors.no_route()
        parts = [unquote(part) for part in rest.strip("/").split("/")]
        if parts == [""]:
            paths: dict[str, dict[str, str]] = {f"/{name}": {} for name in self.engine.schema.tables}
            description = wire.encode({"swagger": "2.0", "paths": paths})
            return Response(200, (("content-type", "application/openapi+json; charset=utf-8"),), description)
        if len(parts) == 2 and parts[0] == "rpc":
            return self._call(role, parts[1], request)
        if len(parts) != 1:
            raise errors.invalid_path()
        return self._table(role, parts[0], request)

    def _table(self, role: Role, name: str, request: Request) -> Response:
        self.engine.table(name)
        query, prefer, shape = (
            parse_query(request.query),
            wire.preferences_of(request),
            wire.shape_of(request),
        )
        single = shape.single
        if request.method in ("GET", "HEAD"):
            query = wire.ranged(query, request)
            result = self.engine.select(role, name, query, count=bool(prefer.count), rows_max=self.rows_max)
            return wire.read_response(result, query, prefer, shape)
        if request.method == "POST":
            result = self.engine.insert(role, name, decode_body(request.body), query, prefer, single=single)
            if prefer.resolution == "merge-duplicates" and not result.inserted:
                # Also without a representation: the one 200 with an empty body.
                return replace(wire.write_response(result, prefer, shape, 201, "*"), status=200)
            return wire.write_response(result, prefer, shape, 201, "*")
        if request.method == "PATCH":
            result = self.engine.update(role, name, decode_body(request.body), query, prefer, single=single)
            extent = f"0-{result.affected - 1}" if result.affected else "*"
            return wire.write_response(result, prefer, shape, 200, extent)
        if request.method == "DELETE":
            # supabase-py sends a DELETE with the body "{}": PostgREST never reads it.
            result = self.engine.delete(role, name, query, prefer, single=single)
            return wire.write_response(result, prefer, shape, 200, "*")
        if request.method == "PUT":
            raise errors.not_modelled("PUT on tables")
        raise errors.unsupported_method(request.method)

    def _call(self, role: Role, name: str, request: Request) -> Response:
        prefer = wire.preferences_of(request)
        wire.shape_of(request)
        if request.method == "POST":
            arguments = decode_body(request.body) if request.body else {}
            if not isinstance(arguments, Mapping):
                raise errors.not_modelled("functions called with an array of arguments")
        elif request.method in ("GET", "HEAD"):
            arguments = dict(parse_query(request.query, is_function=True).arguments)
        else:
            raise errors.rpc_method(request.method)
        if name == "byte_bot_save":
            for observer in tuple(self._save_observers):
                observer(arguments)
        answer = rpc.call(self.engine, role, name, arguments, self.now_iso(), self._bodies)
        if name == "byte_bot_save":
            self._log_save(arguments, answer)
        return wire.call_response(answer, prefer)

    def _log_save(self, arguments: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        self.saves_total += 1
        self.saves.append(
            SaveRecord(
                self._time_source(),
                epoch=int(arguments["p_epoch"]),
                rows=len(arguments.get("p_rows") or ()),
                patches=len(arguments.get("p_patches") or ()),
                history=len(arguments.get("p_history") or ()),
                events=len(arguments.get("p_events") or ()),
                status=str(answer.get("status")),
                saved=int(answer.get("saved", 0)),
                refused=len(answer.get("refused", ())),
            )
        )

    # --- what a human does --------------------------------------------------------------------------------------

    def rows(self, table: str) -> list[Row]:
        """Every row of a table as JSON values, in the order of its primary key."""
        self._settle_edits()
        return self.engine.rows(table)

    def view(self, table: str) -> Mapping[Key, Row]:
        """The same by primary key, and without copies: to be looked at only."""
        self._settle_edits()
        return self.engine.view(table)

    def human_insert(self, table: str, values: Mapping[str, Any]) -> Row:
        """A human adds a row in the table editor; the trigger counts it. Returns the row as stored."""
        with self._watched(table):
            return self.engine.insert("postgres", table, dict(values), Query(), _SHOWN).rows[0]

    def human_update(
        self,
        table: str,
        where: Mapping[str, Any],
        values: Mapping[str, Any],
        merge: Mapping[str, Any] | None = None,
    ) -> list[Row]:
        """A human changes columns of the rows where each column equals; the trigger counts it. Returns them.

        ``merge`` goes into the JSON of the column ``data`` of each row, and leaves the rest of it as it is (RFC 7396).
        """
        with self._watched(table):
            if not merge:
                return self.engine.update("postgres", table, dict(values), _where(where), _SHOWN).rows
            changed: list[Row] = []
            key = self.engine.table(table).primary_key
            rows_max = len(self.engine.view(table))
            found = self.engine.select("postgres", table, _where(where), count=False, rows_max=rows_max)
            for row in found.rows:
                merged = {**values, "data": _patched(row.get("data"), merge)}
                its_key = _where({name: row[name] for name in key})
                changed += self.engine.update("postgres", table, merged, its_key, _SHOWN).rows
            return changed

    def human_delete(self, table: str, where: Mapping[str, Any]) -> list[Row]:
        """A human deletes the rows where each column equals. Returns what they were."""
        with self._watched(table):
            return self.engine.delete("postgres", table, _where(where), _SHOWN).rows

    @contextmanager
    def _watched(self, table: str) -> Iterator[None]:
        """Tell who watches which rows a human has changed meanwhile."""
        if not self._edit_observers:
            yield
            return
        before = self.engine.view(table)
        yield
        after = self.engine.view(table)
        for key in dict.fromkeys((*before, *after)):
            old, new = before.get(key), after.get(key)
            if old is not new:
                for observer in tuple(self._edit_observers):
                    observer(table, old, new)

    def apply_schema(self, schema_dir: Path) -> None:
        """A human pastes the schema files into the SQL editor: what is missing is created, functions replaced."""
        self.engine.apply(read_schema(schema_dir))
        self._dropped_functions.clear()
        self._bodies.update(FUNCTIONS)

    def drop_function(self, name: str) -> None:
        """A human drops a function, or never created it."""
        self._dropped_functions[name] = None

    def replace_function(self, name: str, body: StandIn) -> None:
        """A human replaces a function's body; what the schema declares of it (parameters, grants) stays."""
        self._bodies[name] = body

    def drop_table(self, name: str) -> None:
        """A human drops a table, or never created it; raises ApiError if there is none."""
        self.engine.table(name)
        self.engine.connection.execute(f'DROP TABLE "{name}"')
        schema = self.engine.schema
        left = {other: table for other, table in schema.tables.items() if other != name}
        self.engine.schema = Schema(left, schema.functions, schema.grants, schema.seeds)

    def grant(self, table: str, role: str = "service_role", *privileges: str) -> None:
        """A human grants privileges on a table (all that the API uses, unless named)."""
        held = self.engine.schema.grants.tables.setdefault(table, {}).setdefault(role, {})
        held.update(dict.fromkeys(privileges or ("select", "insert", "update", "delete")))

    def revoke(self, table: str, role: str = "service_role", *privileges: str) -> None:
        """A human takes privileges on a table back (all, unless named)."""
        held = self.engine.schema.grants.tables.setdefault(table, {}).setdefault(role, {})
        for privilege in privileges or tuple(held):
            held.pop(privilege, None)

    def close(self) -> None:
        """Close the database."""
        self.engine.close()


def _where(where: Mapping[str, Any]) -> Query:
    """A human's choice of rows: every named column equals the value."""
    conditions = [
        Filter(Field(column), "is", ("null",))
        if value is None
        else Filter(Field(column), "eq", (_literal(value),))
        for column, value in where.items()
    ]
    return Query(conditions=tuple(conditions))


def _patched(target: object, patch: object) -> Any:
    """A JSON value after a merge patch (RFC 7396); neither of the two is changed."""
    if not isinstance(patch, Mapping):
        return patch
    answer = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            answer.pop(name, None)
        else:
            answer[name] = _patched(answer.get(name), value)
    return answer


def _literal(value: Any) -> str:
    return value if isinstance(value, str) else wire.encode(value).decode()
