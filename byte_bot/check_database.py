"""``byte-bot check``, its database part: is it reachable, is the schema there, may the key do what the bot does?

How it works. Plain HTTP requests to PostgREST, one after the other, each under a deadline, none of which changes a row or
disturbs a running bot:

* every table is asked for one row of the columns the bot uses, those with rows of state for the thousand that were changed last: of a
  row that a human has edited it is told if not even its JSON can be read;
* ``byte_bot_save`` is called with epoch -1, lower than any: it looks at the epoch (``FOR SHARE``, which a read-only
  database refuses), answers ``fenced`` and writes nothing;
* ``byte_bot_take_epoch`` must never be called here, since that would fence the running bot. It is sent text where it
  wants a number: PostgreSQL looks the function up, checks the privilege (42501) and then fails to read the argument
  (22P02), before the function begins (tried on PostgreSQL 18);
* the privilege to change rows is checked by an UPDATE whose filter matches nothing (the tables' CHECKs forbid an empty
  key) and by an INSERT of an empty list.

Plain HTTP and not the Supabase client, because a diagnosis needs what the client hides: status and headers.

Left out: whether a save really arrives (only a running bot writes), and whether a row fits its class, which only a component knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import msgspec

from byte_bot.clock import Clock
from byte_bot.errors import StateError
from byte_bot.finding import Finding, Status
from byte_bot.persistence.answers import StateRow, decoded
from byte_bot.persistence.operations import RowKey
from byte_bot.persistence.state import holds_object, stored_object
from byte_bot.persistence.supabase_store import PAGE_ROWS, SENTINEL_LOGIN, STATE_TABLES
from byte_bot.settings import Settings

# The columns that the bot reads and writes: a table made by an older schema may lack one.
TABLES: Final[Mapping[str, str]] = {
    "channels_config": "login,channel_id,enabled,paused,language,prefix,epoch,revision,edit_no,updated_at",
    "channel_state": "channel_id,version,data,tombstones,epoch,revision,edit_no,updated_at",
    "component_state": "channel_id,key,version,data,tombstones,epoch,revision,edit_no,updated_at",
    "channel_history": "id,channel_id,at,author,text,reply",
    "bot_events": "id,at,kind,data",
    "bot_writer": "id,epoch,holder,taken_at",
}
# What an UPDATE that matches nothing sets, and the key that no row can have.
_UPDATES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "channels_config": ("login", {"paused": False}),
    "channel_state": ("channel_id", {"version": 1}),
    "component_state": ("channel_id", {"version": 1}),
}
_APPENDED: Final = ("channel_history", "bot_events")

# Seconds. Chosen: time stamps that far off confuse people who read the tables; NTP keeps machines within 0.1 s. The
# server's Date header is in whole seconds, so less than 2 s cannot be told from nothing.
CLOCK_SKEW_MAX_S: Final = 5.0

_PASTE = (
    "paste the output of `byte-bot migrate --print` into the SQL editor of the Supabase dashboard and run it"
)
_SECRET_KEY = "set SUPABASE_KEY to the project's secret key (dashboard, Project Settings, API keys)"
_BROKEN_URL = "check SUPABASE_URL (dashboard, Project Settings, Data API)"

_MISSING_CODES: Final = frozenset({"42P01", "42703", "42883", "PGRST202", "PGRST204", "PGRST205"})
_NAMES: Final = ("schema", "functions", "grants", "sentinel row", "rows", "clock")
#: Unreadable rows that are named; the others are counted.
_ROWS_NAMED_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: ``code`` and ``message`` are PostgREST's (or the gateway's), empty where there are none."""

    status: int
    body: Any
    code: str
    message: str
    date: str
    content: bytes = b""

    @property
    def words(self) -> str:
        """For a human: status, code and message."""
        return " ".join(part for part in (f"HTTP {self.status}", self.code, self.message) if part)


class Unreachable(Exception):
    """No answer at all; the text says what happened instead."""


async def check_database(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> list[Finding]:
    """Ask the database everything the bot will ask of it, without changing anything.

    Args:
        settings: with Supabase set, or everything is reported as skipped.
        http: made without redirects and owned by the caller.
        clock: the wall clock to compare with the server's.
    """
    if not settings.has_database:
        words = "SUPABASE_URL and SUPABASE_KEY are not set: the bot runs, and forgets everything when it ends"
        return [
            Finding(
                "database", Status.SKIPPED, words, "make a free project at supabase.com, if you want more"
            )
        ]
    probe = _Probe(settings, http)
    loop = asyncio.get_running_loop()
    findings: list[Finding] = []
    try:
        started = loop.time()
        first = await probe.ask(
            "GET", "channels_config", {"select": "login", "login": f"eq.{SENTINEL_LOGIN}"}
        )
        elapsed_ms = (loop.time() - started) * 1000
        findings.append(_reading_of_gateway(first, settings.supabase_url, elapsed_ms))
        if findings[0].status is Status.OK:
            tables = {name: await probe.table(name) for name in TABLES}
            functions = {"byte_bot_save": await probe.save(), "byte_bot_take_epoch": await probe.take_epoch()}
            writes = {name: await probe.write(name) for name in (*_UPDATES, *_APPENDED)}
            findings.append(_schema(tables))
            findings.append(_functions(functions))
            findings.append(_grants({**tables, **functions}, writes))
            findings.append(_sentinel(first))
            findings.append(_rows({name: tables[name] for name in STATE_TABLES}))
        findings.append(_clock(first.date, clock.unix()))
    except Unreachable as error:
        advice = f"{_BROKEN_URL}, the network, and whether the project is paused"
        # What answered before counts for nothing if the next request gets lost.
        findings[:] = [Finding("database", Status.FAILED, f"{settings.supabase_url}: {error}", advice)]
    done = {finding.name for finding in findings}
    return findings + [
        Finding(name, Status.SKIPPED, "not asked: the database must answer first")
        for name in _NAMES
        if name not in done
    ]


class _Probe:
    """The requests."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        key = settings.supabase_key.get_secret_value()
        self._base = f"{settings.supabase_url}/rest/v1/"
        self._headers = {"apikey": key, "Authorization": f"Bearer {key}", "Accept": "application/json"}
        self._timeout_s = settings.database_timeout_s
        self._http = http

    async def table(self, name: str) -> Answer:
        if name in STATE_TABLES:
            newest = {"order": "updated_at.desc", "limit": str(PAGE_ROWS)}
            return await self.ask("GET", name, {"select": TABLES[name], **newest})
        return await self.ask("GET", name, {"select": TABLES[name], "limit": "1"})

    async def save(self) -> Answer:
        empty: dict[str, Any] = {"p_rows": [], "p_patches": [], "p_history": [], "p_events": []}
        return await self.ask("POST", "rpc/byte_bot_save", body={"p_epoch": -1, **empty})

    async def take_epoch(self) -> Answer:
        # Not a number, on purpose: see the module's docstring.
        body = {"p_holder": "byte-bot check", "p_seen": "only a check"}
        return await self.ask("POST", "rpc/byte_bot_take_epoch", body=body)

    async def write(self, name: str) -> Answer:
        if name in _UPDATES:
            key, values = _UPDATES[name]
            return await self.ask("PATCH", name, {key: "eq."}, body=dict(values))
        return await self.ask("POST", name, body=[])

    async def ask(
        self, method: str, path: str, params: Mapping[str, str] | None = None, *, body: Any = None
    ) -> Answer:
        """One request.

        Raises:
            Unreachable: no connection, no whole answer, or not in time.
        """
        try:
            # httpx's timeouts are per read: only an outer one ends a body that drips.
            async with asyncio.timeout(self._timeout_s):
                response = await self._http.request(
                    method, self._base + path, params=params, json=body, headers=self._headers
                )
        except TimeoutError:
            raise Unreachable(f"no answer within {self._timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise Unreachable(f"{type(error).__name__}: {error}".rstrip(": ")) from None
        return _answer(response)


def _answer(response: httpx.Response) -> Answer:
    try:
        body = response.json() if response.content else None
    except (ValueError, RecursionError):  # no JSON, or a number or nesting in one row that Python cannot hold
        body = response.text
    fields = body if isinstance(body, dict) and response.status_code >= 400 else {}
    message = " ".join(str(fields.get("message") or fields.get("error") or "").split())[:200]
    code, date = str(fields.get("code") or ""), response.headers.get("date", "")
    return Answer(response.status_code, body, code, message, date, response.content)


def _reading_of_gateway(first: Answer, url: str, elapsed_ms: float) -> Finding:
    """Whether PostgREST itself answered; its complaints about tables and privileges are other findings' business."""
    refused = first.status == 401 and first.code != "42501"
    if refused or first.code.startswith("PGRST30"):
        return Finding("database", Status.FAILED, f"{url} refuses the key ({first.words})", _SECRET_KEY)
    if first.status == 402:
        advice = "see the billing page of the Supabase dashboard"
        return Finding("database", Status.FAILED, f"the project is over its quota ({first.words})", advice)
    if first.status == 540:
        advice = "restore the project in the Supabase dashboard"
        return Finding("database", Status.FAILED, f"the project is paused ({first.words})", advice)
    if first.status == 429:
        return Finding(
            "database", Status.FAILED, f"too many requests ({first.words})", "try again in a minute"
        )
    if first.status >= 500:
        advice = "wait a little and try again; see status.supabase.com. The bot itself runs on without the database"
        return Finding("database", Status.FAILED, f"{url} is in trouble ({first.words})", advice)
    if 300 <= first.status < 400:
        return Finding("database", Status.FAILED, f"{url} redirects elsewhere ({first.words})", _BROKEN_URL)
    ours = first.code != "" if first.status >= 400 else isinstance(first.body, list)
    if not ours:
        return Finding(
            "database", Status.FAILED, f"{url} answers, but not as Supabase ({first.words})", _BROKEN_URL
        )
    return Finding("database", Status.OK, f"{url} answers in {elapsed_ms:.0f} ms and takes the key")


def _schema(tables: Mapping[str, Answer]) -> Finding:
    missing = [
        f"{name} ({answer.message})" for name, answer in tables.items() if answer.code in _MISSING_CODES
    ]
    odd = [
        f"{name} ({answer.words})"
        for name, answer in tables.items()
        if answer.status >= 400 and answer.code not in {*_MISSING_CODES, "42501"}
    ]
    if missing:
        return Finding("schema", Status.FAILED, f"missing or too old: {'; '.join(missing)}", _PASTE)
    if odd:
        return Finding("schema", Status.FAILED, f"cannot be read: {'; '.join(odd)}", _PASTE)
    return Finding("schema", Status.OK, f"{len(tables)} tables with all their columns")


def _functions(functions: Mapping[str, Answer]) -> Finding:
    save, take = functions["byte_bot_save"], functions["byte_bot_take_epoch"]
    missing = [name for name, answer in functions.items() if answer.code in _MISSING_CODES]
    if missing:
        return Finding("functions", Status.FAILED, f"missing or too old: {', '.join(missing)}", _PASTE)
    if save.code == "25006":
        advice = "free space or change the plan in the Supabase dashboard: a full disk makes the database read-only"
        return Finding("functions", Status.FAILED, "the database is read-only", advice)
    status = save.body.get("status") if isinstance(save.body, dict) else None
    if save.code != "42501" and status not in {"fenced", "unknown_epoch"}:
        return Finding("functions", Status.FAILED, f"byte_bot_save answers oddly ({save.words})", _PASTE)
    if take.code not in {"22P02", "42501"}:
        return Finding(
            "functions", Status.FAILED, f"byte_bot_take_epoch answers oddly ({take.words})", _PASTE
        )
    return Finding("functions", Status.OK, "byte_bot_save and byte_bot_take_epoch are there")


def _grants(reads: Mapping[str, Answer], writes: Mapping[str, Answer]) -> Finding:
    denied = [name for name, answer in reads.items() if answer.code == "42501"]
    denied += [
        f"{name} (to change it)"
        for name, answer in writes.items()
        if answer.code == "42501" and name not in denied
    ]
    if not denied:
        return Finding("grants", Status.OK, "the key may read and change what the bot needs")
    # PostgREST answers 42501 with 401 to the anonymous role, with 403 to any other.
    anonymous = any(answer.code == "42501" and answer.status == 401 for answer in reads.values())
    advice = _SECRET_KEY if anonymous else _PASTE
    return Finding("grants", Status.FAILED, f"the key may not use {', '.join(denied)}", advice)


def _sentinel(first: Answer) -> Finding:
    if first.status >= 400:
        return Finding("sentinel row", Status.SKIPPED, "not asked: channels_config cannot be read")
    if any(isinstance(row, dict) and row.get("login") == SENTINEL_LOGIN for row in first.body):
        return Finding("sentinel row", Status.OK, "channels_config shows its rows to this key")
    words = "channels_config looks empty to this key: its row .sentinel does not come back"
    return Finding("sentinel row", Status.FAILED, words, f"{_SECRET_KEY}; if it is, {_PASTE}")


def _rows(tables: Mapping[str, Answer]) -> Finding:
    if any(answer.status >= 400 for answer in tables.values()):
        return Finding("rows", Status.SKIPPED, "not asked: the tables cannot be read")
    odd: list[str] = []
    seen = 0
    for name, answer in tables.items():
        try:
            rows = decoded(answer.content, list[StateRow])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Finding("rows", Status.FAILED, f"{name} answers oddly ({error})", _PASTE)
        seen += len(rows)
        odd += [
            f"{RowKey(name, row.channel_id, row.key).name} ({why})" for row in rows if (why := _why_odd(row))
        ]
    if not odd:
        return Finding("rows", Status.OK, f"all of the {seen} changed last can be read")
    named = "; ".join(odd[:_ROWS_NAMED_MAX])
    more = f"; and {len(odd) - _ROWS_NAMED_MAX} more" if len(odd) > _ROWS_NAMED_MAX else ""
    advice = "correct the column data in the table editor; until then the bot goes on without the row, and does not write it"
    return Finding("rows", Status.WARNING, f"not to be read: {named}{more}", advice)


def _why_odd(row: StateRow) -> str:
    """Why the row's value cannot be read; empty if it can."""
    base = row.base
    if holds_object(base):
        return ""
    try:
        stored_object(base)
    except StateError as error:
        return str(error)
    return ""


def _clock(date: str, unix_s: float) -> Finding:
    try:
        server_s = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return Finding("clock", Status.SKIPPED, "the server told no time")
    skew_s = unix_s - server_s
    if abs(skew_s) <= CLOCK_SKEW_MAX_S:
        return Finding("clock", Status.OK, f"within {CLOCK_SKEW_MAX_S:g} s of the server's")
    words = (
        f"this machine's clock is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the server's"
    )
    return Finding("clock", Status.WARNING, words, "switch on time synchronisation (NTP)")
