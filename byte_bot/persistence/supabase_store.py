"""The store on Supabase: the official client's part for PostgREST, with its errors translated at this boundary.

How it works
------------
* One ``httpx.AsyncClient`` is injected (HTTP/1.1, no redirects: a redirected POST becomes a GET that "succeeds") and
  shared; the library's own retries and timeouts are off. An outer deadline stands round every call, since httpx's
  are per read and a dripping body outlives them.
* The client hides the HTTP status of an error body that is PostgREST's; a response hook keeps the response in a
  context variable, which is right under concurrency since every call runs in its own context.
* A 200 with something else than JSON, or with nothing, raises nothing in the client. What it made of an answer's body is left
  alone: for a number with too many digits in one row it gives a text in place of all rows, or raises. The body that the hook has
  kept is decoded anew (:mod:`byte_bot.persistence.answers`), so that such a row is its own business.

**Classification** (facts: PostgREST's ``Error.hs``, Supabase's gateway)

========================================================  =========================================
no answer, 408, 429, 5xx, PGRST103, odd answers            :class:`DatabaseUnavailable`
401, 402, 403, 540, 3xx; class 42 (42P01, 42501, …),      :class:`DatabasePaused`
25006; PGRST2xx, PGRST3xx; no sentinel row; every other
SQLSTATE, PGRST code or status with 4xx
SQLSTATEs of classes 21, 22, 23, 44, 54, P0001 and those  :class:`RequestRefused`
that only a trigger of the owner's can have made; PGRST102
with 4xx; 413, 414, 431 (size)
========================================================  =========================================

What may be the fault of a row stands in a list; all else pauses. The other way round one schema taken out of the API, or
restored without the private one, would make a dead letter of every row that waits.

Only a save carries data of ours that can be at fault: what refuses an epoch or a load for good pauses the database.
Left out: auth, storage, realtime and everything else of the official client: `supabase` itself would import them all, for a
quarter of the time that a start takes, and brings a dozen packages that nothing here needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import httpx
import msgspec
from postgrest import APIError, AsyncPostgrestClient, CountMethod
from postgrest.base_request_builder import RequestConfig

from byte_bot.errors import DatabasePaused, DatabaseUnavailable, RequestRefused
from byte_bot.persistence.answers import (
    ConfigRow,
    RefusedItem,
    SavedBody,
    StateRow,
    config_row,
    decoded,
    is_null,
    state_row,
)
from byte_bot.persistence.operations import ABSENT, Base, RowKey
from byte_bot.persistence.row import CONFIG_TABLE
from byte_bot.persistence.save_body import save_body
from byte_bot.persistence.store import UNENCODABLE, Refusal, SaveAnswer, SaveRequest

#: A login that Twitch cannot have. A list of channels counts only if this row comes back with it: a wrong key is
#: answered with ``200 []``, which is not an empty list but no answer at all.
SENTINEL_LOGIN = ".sentinel"
STATE_TABLES = ("channel_state", "component_state")
#: Supabase's default for the most rows an answer may have ("Max rows", project settings).
PAGE_ROWS = 1000
#: Ids in one request; 100 ids of 10 digits keep the URL far under the usual 8 KB.
LOAD_IDS_MAX = 100
#: Rows of a load that are read before the loop has its turn; measured: 20 full rows take about a millisecond.
ROWS_AT_ONCE = 20
#: The same for a page of ``channels_config``, whose rows are short.
PAGE_ROWS_AT_ONCE = 200
#: Brackets round the value of a column in a row that a save was refused for: the answer's, the list's, the item's, the row's.
_REFUSED_COLUMN_LEVEL = 4

_PAUSING_CODES: Mapping[str, str] = {
    "42P01": "a table is missing: paste the output of `byte-bot migrate --print` into Supabase's SQL editor",
    "42703": "a column is missing: paste the output of `byte-bot migrate --print` into Supabase's SQL editor",
    "42883": "a function is missing: paste the output of `byte-bot migrate --print` into Supabase's SQL editor",
    "3F000": "a schema is missing (byte_bot_private?): paste the output of `byte-bot migrate --print` into Supabase's SQL editor",
    "PGRST106": "the API does not show the schema public: add it to the exposed schemas (dashboard, Project settings, Data API)",
    "42501": "the key may not use the tables: paste the output of `byte-bot migrate --print` (it grants) and use the secret key",
    "25006": "the database is read-only (disk quota reached?): see the project's dashboard",
}
_PAUSING_STATUS: Mapping[int, str] = {
    401: "the key is refused: set SUPABASE_KEY to the project's secret key (Project settings, API keys)",
    402: "the project is restricted, over its quota or with a bill overdue: see usage and billing of its organization in "
    "the dashboard; Supabase may take a day to lift it",
    403: "the key may not do this: set SUPABASE_KEY to the project's secret key",
    540: "project paused: restore it in the dashboard",
}
_SCHEMA_ADVICE = (
    "the schema is missing or old: paste the output of `byte-bot migrate --print` into Supabase's SQL editor"
)
_ADDRESS_ADVICE = "no Supabase project answers there: check SUPABASE_URL (https://<project>.supabase.co)"
#: Too large in itself, or in its line or headers: half of it may pass.
_SIZE_STATUS = frozenset({413, 414, 431})
#: SQLSTATE classes that are the data's fault, whatever the status (PostgREST answers some with 5xx, although trying again
#: cannot help): cardinality, data, constraints, a view's check, limits.
_DATA_CLASSES = ("21", "22", "23", "44", "54")
#: PostgREST's code for a body that it cannot read.
_UNREADABLE_BODY = "PGRST102"
#: What a trigger of the owner's says of a row: `raise` without a code (P0001), or with one of a class that the SQL standard
#: leaves to everybody and PostgreSQL uses for nothing.
_OWNERS_CODE = re.compile("P0001|(?!53|54|55|57|58|72|P0|XX)[5-9I-Z][0-9A-Z]{4}")

_last_response: contextvars.ContextVar[httpx.Response | None] = contextvars.ContextVar(
    "byte_bot_last_response", default=None
)


class SupabaseStore:
    """The database behind a Supabase project.

    Args:
        url: the project's URL, ``https://….supabase.co``.
        key: the secret key (service role).
        http: the injected HTTP client; its owner closes it.
        timeout_s: outer deadline of every call, seconds.
    """

    def __init__(self, url: str, key: str, http: httpx.AsyncClient, *, timeout_s: float = 5.0) -> None:
        http.event_hooks = {
            **http.event_hooks,
            "response": [*http.event_hooks.get("response", []), _remember_response],
        }
        self._timeout_s = timeout_s
        # The headers that the whole client sends: the gateway looks at the first, PostgREST at the second.
        self._client = AsyncPostgrestClient(
            f"{url.rstrip('/')}/rest/v1",
            headers={"apiKey": key, "Authorization": f"Bearer {key}"},
            http_client=http,
            retry_enabled=False,
        )

    async def take_epoch(self, holder: str, seen: int) -> int:
        """See :class:`~byte_bot.persistence.store.DatabaseStore`."""
        arguments = {"p_holder": holder, "p_seen": seen}
        # postgrest types every argument as str, and sends whatever JSON can hold.
        body = await self._call(
            lambda: self._client.rpc("byte_bot_take_epoch", cast("dict[str, str]", arguments)).execute()
        )
        with _odd_unless_read("byte_bot_take_epoch", body):
            return decoded(body, int)

    async def save(self, request: SaveRequest) -> SaveAnswer:
        """See :class:`~byte_bot.persistence.store.DatabaseStore`."""
        body = await self._attempt(lambda: self._post_save(request))
        with _odd_unless_read("byte_bot_save", body):
            answer = decoded(body, SavedBody, level=_REFUSED_COLUMN_LEVEL)
            refused = [_refusal(item) for item in answer.refused]
        return SaveAnswer(answer.status, answer.epoch, refused, answer.holder or "")

    async def _post_save(self, request: SaveRequest) -> Any:
        """Call ``byte_bot_save`` with a body encoded here: the client's encoder holds the loop 10 ms for a megabyte."""
        body = await save_body(request)
        call = self._client.rpc("byte_bot_save", {})
        sent = call.request
        call.request = _EncodedRequest(
            sent.session,
            sent.path,
            sent.http_method,
            sent.headers,
            sent.params,
            sent.auth,
            None,
            retry_enabled=sent.retry_enabled,
        )
        call.request.content = body
        return await call.execute()

    async def load_states(self, channel_ids: Sequence[str]) -> dict[RowKey, Base]:
        """See :class:`~byte_bot.persistence.store.DatabaseStore`."""
        found: dict[RowKey, Base] = {}
        # One string a channel and one a component, however many rows name them: keys live as long as their rows.
        ours = {channel_id: channel_id for channel_id in channel_ids}
        for table in STATE_TABLES:
            for number, row in enumerate(await self._pages(table, list(channel_ids)), start=1):
                channel_id = ours.get(row.channel_id, row.channel_id)
                found[RowKey(table, channel_id, sys.intern(row.key))] = row.base
                if number % ROWS_AT_ONCE == 0:
                    await asyncio.sleep(0)
        return found

    async def list_channels(self) -> dict[str, Base]:
        """See :class:`~byte_bot.persistence.store.DatabaseStore`."""
        bases: dict[str, Base] = {}
        after = ""
        while page := await self._config_page(after):
            for number, row in enumerate(page, start=1):
                if number % PAGE_ROWS_AT_ONCE == 0:
                    await asyncio.sleep(0)
                after = row.login
                if after in bases:
                    # Whoever answers ignores the filter (a cache, a proxy): the last page would never come.
                    raise DatabaseUnavailable(f"{CONFIG_TABLE}: {after!r} came twice, on two pages")
                bases[after] = row.base
        if bases.pop(SENTINEL_LOGIN, None) is None:
            raise DatabasePaused(
                "no sentinel",
                f"channels_config came back with {len(bases)} rows and without its sentinel row",
                "the key sees nothing: use the project's secret key, and paste the output of `byte-bot migrate --print` "
                "into Supabase's SQL editor if that was never done",
            )
        return bases

    async def _config_page(self, after: str) -> list[ConfigRow]:
        query = self._client.table(CONFIG_TABLE).select("*").order("login").limit(PAGE_ROWS)
        if after:
            query = query.gt("login", after)
        body = await self._call(query.execute)
        with _odd_unless_read(CONFIG_TABLE, body):
            return decoded(body, list[ConfigRow])

    async def _pages(self, table: str, channel_ids: list[str]) -> list[StateRow]:
        """All rows of the channels, however few the server returns at a time."""
        rows: list[StateRow] = []
        while True:
            query = self._client.table(table).select("*", count=CountMethod.exact)
            query = query.in_("channel_id", channel_ids).order("channel_id")
            if table == "component_state":
                query = query.order("key")
            # offset 0 is left out: the same request line as other clients send.
            query = query.limit(PAGE_ROWS).offset(len(rows)) if rows else query.limit(PAGE_ROWS)
            total = 0

            async def execute(query: Any = query) -> None:
                nonlocal total
                try:
                    await query.execute()
                finally:
                    total = _total()

            body = await self._call(execute)
            if total < 0:
                # Without it a cut page looks like a whole one, and what is missing like what never was.
                raise DatabaseUnavailable(f"{table}: an answer without a count of its rows (Content-Range)")
            with _odd_unless_read(table, body):
                page = decoded(body, list[StateRow])
            rows.extend(page)
            if not page or len(rows) >= total:
                return rows

    async def _call(self, execute: Callable[[], Awaitable[Any]]) -> bytes:
        """:meth:`_attempt` for what carries no data of ours that could be at fault."""
        try:
            return await self._attempt(execute)
        except RequestRefused as error:
            raise DatabasePaused(error.code, error.words, _SCHEMA_ADVICE) from None

    async def _attempt(self, execute: Callable[[], Awaitable[Any]]) -> bytes:
        """Run one request under the deadline; the body of the answer, or one of our errors."""
        _last_response.set(None)
        try:
            with _translated(self._timeout_s):
                async with asyncio.timeout(self._timeout_s):
                    try:
                        await execute()
                    except (ValueError, RecursionError):
                        # The client cannot make objects of the body; one value in one row may be to blame.
                        if (answered := _last_response.get()) is None or not answered.is_success:
                            raise
            response = _last_response.get()
            if response is None or not response.content:
                raise DatabaseUnavailable("an answer with an empty body")
            return response.content
        finally:
            _let_go(_last_response.get())
            _last_response.set(None)  # its body can be large


class _EncodedRequest(RequestConfig[httpx.AsyncClient]):
    """A request of the client's whose body is encoded already; the same on the wire."""

    content = b""

    def send(self, additional_headers: httpx.Headers) -> Awaitable[httpx.Response]:
        """Send it; the client's overloads are for its synchronous twin."""
        additional_headers.update(self.headers)
        additional_headers["Content-Type"] = "application/json"
        return self.session.request(
            self.http_method,
            str(self.path),
            content=self.content,
            params=self.params,
            headers=additional_headers,
            auth=self.auth or self.session.auth,
        )


async def _remember_response(response: httpx.Response) -> None:
    _last_response.set(response)


def _let_go(response: httpx.Response | None) -> None:
    """Free an answer when nobody needs it any more."""
    if response is not None:
        # httpx's answer and its stream hold each other. That waits for the garbage collector, which never looks again
        # at what was alive during a collection (byte_bot.garbage): the body, 200 KB of it, would stay for ever.
        response.stream = httpx.ByteStream(b"")


def _retry_after_s(response: httpx.Response) -> float | None:
    """What the server asks for in seconds; the form with a date is not sent by Supabase's gateway, and is no word."""
    words = response.headers.get("retry-after", "")
    return float(words) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", words) else None


@contextlib.contextmanager
def _translated(timeout_s: float) -> Iterator[None]:
    """Foreign exceptions become ours here and nowhere else."""
    try:
        yield
    except TimeoutError:
        raise DatabaseUnavailable(f"no answer within {timeout_s:g} s") from None
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        words = f"{type(error).__name__}: {error}"
        raise DatabaseUnavailable(words, surely_not_executed=True) from None
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from None
    except APIError as error:
        raise classify(error) from None
    except (ValueError, TypeError, RecursionError) as error:
        # pydantic's ValidationError (an answer that is no list) and an unencodable argument both land here, and so does what
        # is nested a thousand deep.
        if _last_response.get() is None:
            raise RequestRefused(UNENCODABLE, str(error)) from None
        why = "nested too deep" if isinstance(error, RecursionError) else type(error).__name__
        raise DatabaseUnavailable(f"an answer that cannot be read: {why}") from None


def classify(error: APIError) -> DatabaseUnavailable | DatabasePaused | RequestRefused:
    """Our error for one of PostgREST's or the gateway's; uses the status of the last response in this context."""
    response = _last_response.get()
    status = response.status_code if response is not None else 0
    code = error.code or (str(status) if status else "no code")
    words = (error.message or "no message")[:300]
    if code in _PAUSING_CODES:
        return DatabasePaused(code, words, _PAUSING_CODES[code])
    if code == "PGRST103":
        # An offset past the end: rows were deleted between two pages of a load.
        return DatabaseUnavailable(f"{code}: {words}")
    sqlstate = re.fullmatch("[0-9A-Z]{5}", code) is not None
    if code.startswith("PGRST2") or (sqlstate and code.startswith("42")):
        return DatabasePaused(code, words, _SCHEMA_ADVICE)
    if code.startswith("PGRST3"):
        # The token is refused, whatever the status: a project without a JWT secret says 500 (PGRST300).
        return DatabasePaused(code, words, _PAUSING_STATUS[401])
    if status in _PAUSING_STATUS:
        return DatabasePaused(code, words, _PAUSING_STATUS[status])
    if 300 <= status < 400:
        return DatabasePaused(code, words, "SUPABASE_URL redirects: set it to the address it redirects to")
    if (sqlstate and code.startswith(_DATA_CLASSES)) or status in _SIZE_STATUS:
        return RequestRefused(code, words)
    if status in (408, 429) or not 400 <= status < 500:
        retry_after_s = _retry_after_s(response) if response is not None else None
        return DatabaseUnavailable(f"{code}: {words}", retry_after_s=retry_after_s)
    if code == _UNREADABLE_BODY or _OWNERS_CODE.fullmatch(code):
        return RequestRefused(code, words)
    known = sqlstate or code.startswith("PGRST")
    return DatabasePaused(code, words, _SCHEMA_ADVICE if known else _ADDRESS_ADVICE)


@contextlib.contextmanager
def _odd_unless_read(what: str, body: bytes) -> Iterator[None]:
    """Whatever of an answer is of another shape than was asked for makes it none."""
    try:
        yield
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        shown = body[:80].decode(errors="replace")
        raise DatabaseUnavailable(
            f"{what} answered with something else than expected: {shown!r} ({error})"
        ) from None


def _total() -> int:
    """How many rows the last answer says that there are; -1 if it does not."""
    response = _last_response.get()
    words = response.headers.get("content-range", "") if response is not None else ""
    return int(total) if re.fullmatch("[0-9]{1,18}", total := words.rpartition("/")[2]) else -1


def _refusal(item: RefusedItem) -> Refusal:
    base = ABSENT
    if not is_null(item.row):
        base = config_row(item.row).base if item.table == CONFIG_TABLE else state_row(item.row).base
    key = RowKey(item.table, item.channel_id, item.key or "")
    return Refusal(key, item.reason, item.sqlstate or "", item.message or "", base)
