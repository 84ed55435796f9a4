"""The two parts of TwitchIO 3 that the transport stands on, each with what it lacks. No other module touches the library.

Used are TwitchIO's **WebSocket** (handshake, welcome, JSON, the kinds of messages, ping frames, closing) and its **Helix
client** (routes, parameters, headers, the one retry after a 503). Not used are ``Client`` and what hangs on it: it keeps tokens
in a book of its own, refreshes them behind the keeper's back and starts a task for every event. What is put right here, each
with a test that shows it:

====================================================  ================================================================
TwitchIO 3.3                                          here
====================================================  ================================================================
addresses are module and class attributes             given to each object (``connect(url=)``; a route's address is
                                                      moved before it is asked)
close 4001 and 4003: gives up without a word          every end is told, with its code; connecting again is the
other closes: reconnects by itself, over ``WSS``      transport's business
the keepalive watchdog reads the wall clock           it reads the loop's
``session_reconnect``: reads nothing from the old     told; the transport opens the new socket beside the old one
socket until the new one is welcomed
a notification becomes a model, or is lost if a       the JSON is handed on
field is missing
a refresh after 401 by itself, and 429 raised         the keeper is told of a 401, once; of a 429 its headers are kept
without its headers
====================================================  ================================================================

TwitchIO is an extra (``byte-bot-twitch[eventsub]``), since who chats over IRC needs neither it nor aiohttp: hence the imports
inside functions, and the classes with them. Both lean on names that TwitchIO calls private; the version is pinned to 3.3.x.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

from byte_bot.chat.errors import SocketFailed, TwitchIoMissing
from byte_bot.chat.eventsub.limits import EventSubLimits

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from twitchio.http import HTTPClient

Json = Mapping[str, Any]


class SocketListener(Protocol):
    """What a socket tells, on the loop; must not block."""

    def on_notification(self, message: Json) -> None:
        """An event: ``metadata`` and ``payload`` as they came."""
        ...

    def on_revocation(self, subscription: Json) -> None:
        """Twitch took a subscription away."""
        ...

    def on_reconnect(self, url: str) -> None:
        """Twitch wants the client on another socket, at exactly this address, within 30 s."""
        ...

    def on_end(self, words: str) -> None:
        """The socket is over; told once, and nothing after it."""
        ...


class Socket(Protocol):
    """One EventSub WebSocket."""

    @property
    def session_id(self) -> str | None:
        """Twitch's name for the session; None before the welcome."""
        ...

    async def open(self, url: str) -> None:
        """Connect and wait for the welcome; raises :class:`~byte_bot.chat.errors.SocketFailed`."""
        ...

    async def close(self) -> None:
        """Close, within a deadline; does nothing the second time."""
        ...


#: dev.twitch.tv/docs/eventsub/handling-websocket-events, "Close message".
CLOSE_WORDS: Mapping[int, str] = {
    4000: "internal server error",
    4001: "Twitch says that the client sent something",
    4002: "Twitch got no pong",
    4003: "no subscription within Twitch's 10 s",
    4004: "the time to reconnect was over",
    4005: "network timeout",
    4006: "network error",
    4007: "invalid reconnect address",
}


def check_installed() -> None:
    """Raise :class:`TwitchIoMissing` if TwitchIO is not installed."""
    try:
        import twitchio  # noqa: F401  # lazy: an extra
    except ImportError as error:
        raise TwitchIoMissing(
            f"TWITCH_CHAT_MODE=eventsub needs TwitchIO, which is not installed ({error}): install byte-bot-twitch[eventsub], "
            "or write TWITCH_CHAT_MODE=irc"
        ) from None


def make_socket(user_id: str, listener: SocketListener, limits: EventSubLimits) -> Socket:
    """A WebSocket for the account ``user_id`` that is not open yet."""
    from twitchio.eventsub.websockets import Websocket  # lazy: an extra
    from twitchio.exceptions import WebsocketConnectionException

    class _Socket(Websocket):
        def __init__(self) -> None:
            # What TwitchIO asks of a client: sockets by owner, and somebody to tell things that nobody here wants.
            no_client: Any = SimpleNamespace(_websockets={}, dispatch=lambda event, payload=None: None)
            no_http: Any = None  # only for subscribing again, which is ours
            super().__init__(
                keep_alive_timeout=limits.keepalive_s,
                reconnect_attempts=None,
                client=no_client,
                token_for=user_id,
                http=no_http,
            )
            #: Until it is open nobody is told of its end: whoever opens it learns it by the error.
            self._opened = self._ended = False

        async def open(self, url: str) -> None:
            try:
                async with asyncio.timeout(limits.connect_timeout_s):
                    await self.connect(url=url, fail_once=True)
            except (WebsocketConnectionException, TimeoutError) as error:
                await self.close()
                cause = error.__cause__ or error
                raise SocketFailed(str(cause) or type(cause).__name__) from None
            except BaseException:
                await self.close()
                raise
            if self._ended or self.session_id is None:
                await self.close()
                raise SocketFailed("Twitch closed the socket before its welcome")
            self._opened = True

        async def close(self, cleanup: bool = True, *, reassociate: bool = True) -> None:
            # First of all: closing may take a while, and whoever waits for the next socket must not.
            self._tell_end("")
            try:
                async with asyncio.timeout(limits.close_timeout_s):
                    await super().close(cleanup, reassociate=reassociate)
            except TimeoutError:
                # A dead line: what TwitchIO had not come to.
                for task in (self._keep_alive_task, self._listen_task):
                    if task is not None:
                        task.cancel()
            # A connect() that waits for the welcome goes on, and finds that the socket is over.
            self._ready.set()

        def _tell_end(self, words: str) -> None:
            if self._ended:
                return
            self._ended = True
            if not self._opened:
                return
            code = self._socket.close_code if self._socket is not None else None
            if code is not None:
                words = words or f"close {code}, {CLOSE_WORDS.get(code, 'without a reason')}"
            listener.on_end(words or "the line broke")

        async def _create_connection_task(self) -> None:
            await self.close()

        async def _process_keepalive(self) -> None:
            loop = asyncio.get_running_loop()
            limit_s = self._keep_alive_timeout + limits.keepalive_grace_s
            # TwitchIO notes the wall clock at every message; only whether the note has changed is looked at.
            noted, heard_at_s = self._last_keepalive, loop.time()
            while not self._ended:
                await asyncio.sleep(limits.watchdog_tick_s)
                if self._last_keepalive is not noted:
                    noted, heard_at_s = self._last_keepalive, loop.time()
                elif loop.time() >= heard_at_s + limit_s:
                    self._tell_end(f"nothing heard for {limit_s:g} s, not even a keepalive")

        async def _process_notification(self, data: Any) -> None:
            if not self._ended:
                listener.on_notification(data)

        async def _process_revocation(self, data: Any) -> None:
            if not self._ended:
                listener.on_revocation(data["payload"]["subscription"])

        async def _process_reconnect(self, data: Any) -> None:
            if not self._ended:
                listener.on_reconnect(data["payload"]["session"]["reconnect_url"])

    return _Socket()


class Tokens(Protocol):
    """Whose token a request carries; ``kind`` is ``user`` or ``app``."""

    async def access(self, kind: str) -> str:
        """An access token that is valid as far as known; waits until there is one."""
        ...

    async def rejected(self, kind: str, access: str) -> bool:
        """Helix answered 401 to this one; whether to ask again, with what :meth:`access` gives then."""
        ...


OnHeaders = Callable[[str, int, Mapping[str, str]], None]


def make_http_session(limits: EventSubLimits, on_headers: OnHeaders) -> ClientSession:
    """The connections to Helix; ``on_headers`` gets path, status and headers of every answer. To be closed by the caller."""
    import aiohttp  # lazy: comes with TwitchIO

    async def tell(_session: Any, _context: Any, ended: aiohttp.TraceRequestEndParams) -> None:
        on_headers(ended.url.path, ended.response.status, ended.response.headers)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(tell)
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=limits.helix_timeout_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[trace],
    )


def make_helix_http(session: ClientSession, client_id: str, helix_url: str, tokens: Tokens) -> HTTPClient:
    """TwitchIO's Helix client, at ``helix_url``, with the tokens of the keeper; ``token_for`` of a call says which kind."""
    from twitchio.exceptions import HTTPException  # lazy: an extra
    from twitchio.http import HTTPClient, Route

    base = helix_url.rstrip("/") + "/"

    class _HelixHttp(HTTPClient):
        async def request(self, route: Route) -> Any:
            route._url = base + route.url.removeprefix(Route.BASE).removeprefix(base)
            # TwitchIO names nobody where only the application may ask.
            kind = route.token_for or "app"
            access = await tokens.access(kind)
            try:
                return await self._with(route, access)
            except HTTPException as error:
                if error.status != 401 or not await tokens.rejected(kind, access):
                    raise
            return await self._with(route, await tokens.access(kind))

        def _with(self, route: Route, access: str) -> Awaitable[Any]:
            route.headers["Authorization"] = f"Bearer {access}"
            return super().request(route)

    return _HelixHttp(session, client_id=client_id)
