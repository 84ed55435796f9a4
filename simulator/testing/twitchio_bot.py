"""Points one TwitchIO 3 bot at a fake Twitch, and leaves the library and every other bot as they are.

TwitchIO has no option for other hosts: its addresses are class variables of `Route` and a variable of `eventsub.websockets`. Setting those
would move every bot of the process, and would stay. So the objects of this one bot get another way to the same end:

* **Helix and OAuth.** The bot's two HTTP clients (its own, and the one within it that asks for tokens) get a `request` of their own, which
  moves the route's address and then goes on as before.
* **EventSub.** The bot becomes an object of a class of its own, made of its former one and a link in front of TwitchIO's `Client`. Whoever
  overrides `subscribe_websocket` (`commands.Bot` does), what arrives at the link is what `Client` would do. It opens the first socket, an
  object of a subclass of TwitchIO's `Websocket` that connects to the fake wherever TwitchIO would take the real address (also when it
  connects again), and leaves the rest to `Client`. An `AutoBot` gets a link in front of `AutoClient`, which makes its shards' sockets so.

Two more things are put right in that subclass, or a test would not see what a live bot does: the keepalive's watchdog reads the
machine's clock, of which no time passes in virtual time (here it reads the loop's), and pauses before reconnecting are drawn from a
generator that nobody seeded (here from the test's seed).

What still reads the machine's clock: command cooldowns and routines with a time of day (`twitchio.ext`), the hourly validation of tokens.
Not pointed: pictures (`Asset`), which are on other hosts. Left out: webhooks. Names that TwitchIO calls private are used;
`CannotConnect` says so if they are missing. TwitchIO is imported when a bot is pointed, since the fakes do without it.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from simulator.testing.errors import CannotConnect

if TYPE_CHECKING:
    from twitchio import Client
    from twitchio.authentication.oauth import OAuth
    from twitchio.eventsub.websockets import Websocket
    from twitchio.http import Route

#: TwitchIO's own tolerance: a message must come within the keepalive's interval and so much more.
KEEPALIVE_GRACE_S: Final = 5.0
_INNER: Final = "_ManagedHTTPClient__isolated"


@dataclass(frozen=True)
class Addresses:
    """Where the fake is: `helix` and `oauth` (the host, as TwitchIO has it) end in a slash, `eventsub` is the WebSocket's."""

    helix: str
    oauth: str
    eventsub: str


def client_of(bot: object) -> Client:
    """The bot, if it is a client of TwitchIO 3 that can be pointed; raises `CannotConnect` with what to do."""
    try:
        # Lazy: an extra, and half a second that the other fakes do not need.
        import twitchio
    except ImportError as error:
        raise CannotConnect(
            f"fake_twitch.connect takes a bot of TwitchIO 3, which is not installed ({error})"
        ) from None
    if not isinstance(bot, twitchio.Client):
        raise CannotConnect(
            f"fake_twitch.connect takes a bot of TwitchIO 3 (twitchio.ext.commands.Bot), got {type(bot).__name__}; for other libraries "
            "fake_twitch has the addresses: irc_address, helix_url, oauth_url, eventsub_url"
        )
    if getattr(bot, "_login_called", False):
        raise CannotConnect(
            "this bot was started before: connect a new one, and leave the starting to connect"
        )
    missing = [name for name in ("_http", "_websockets") if not hasattr(bot, name)]
    if missing or not hasattr(bot._http, _INNER):
        raise CannotConnect(
            f"this TwitchIO ({twitchio.__version__}) is built otherwise than 3.3, for which this was written"
        )
    return bot


def point(client: Client, to: Addresses, rng: random.Random) -> None:
    """Let this client, and no other, talk to these addresses; `rng` draws its pauses before reconnecting."""
    for http in (client.http, getattr(client.http, _INNER)):
        _point_http(http, to)
    cast("Any", client.http._backoff)._rand = rng.uniform
    _point_sockets(client, to, rng)


def let_go(client: Client) -> None:
    """Forget the sessions of a bot that was killed; its sockets went with its process, and finalisers would complain of the sessions."""
    for http in (client.http, getattr(client.http, _INNER)):
        session: Any = http._session
        if session and not session.closed:
            session.connector._conns.clear()
            session.detach()


def _point_http(http: OAuth, to: Addresses) -> None:
    from twitchio.http import Route as Routes  # lazy, as above

    moves = {Routes.BASE: to.helix, Routes.ID_BASE: to.oauth}
    original = http.request

    async def request(route: Route) -> Any:
        for real, fake in moves.items():
            if route.url.startswith(real):
                route._url = fake + route.url.removeprefix(real)
        return await original(route)

    cast("Any", http).request = request


def _point_sockets(client: Client, to: Addresses, rng: random.Random) -> None:
    from twitchio import AutoClient  # lazy, as above
    from twitchio import Client as Clients

    class Link(Clients):
        """Stands in the order of bases just before `Client`."""

        async def subscribe_websocket(self, payload: Any, **options: Any) -> Any:
            user_id = _subscriber(client, payload, options)
            if user_id and not client._websockets[user_id] and not options.get("socket_id"):
                socket = make_socket(client, to.eventsub, rng, user_id=user_id)
                await socket.connect(fail_once=True)
                client._websockets[user_id] = {str(socket.session_id): socket}
            return await super().subscribe_websocket(payload, **options)

    class ConduitLink(AutoClient):
        """The same before `AutoClient`, whose sockets are the shards of a conduit."""

        async def _process_batched(self, batched: list[Websocket]) -> None:
            # In place: the list is what AutoClient goes on with.
            batched[:] = [make_socket(client, to.eventsub, rng, shard_id=one._shard_id) for one in batched]
            await super()._process_batched(batched)

    kind: Any = type(client)
    link = ConduitLink if isinstance(client, AutoClient) else Link
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    cast("Any", client).__class__ = type(kind)(kind.__name__, (kind, link), names)


def _subscriber(client: Client, payload: Any, options: dict[str, Any]) -> str:
    """Whose token a subscription carries, as `Client` decides it; "" where it will refuse it in its own words."""
    defaults = payload.default_auth
    as_bot, token_for = options.get("as_bot"), options.get("token_for")
    if as_bot is None:
        as_bot = defaults.get("as_bot", False)
    if token_for is None:
        token_for = defaults.get("token_for")
    whose = client._bot_id if as_bot else token_for
    return str(getattr(whose, "id", whose) or "")


def make_socket(
    client: Client,
    address: str,
    rng: random.Random,
    *,
    user_id: str | None = None,
    shard_id: str | None = None,
) -> Websocket:
    """A WebSocket of TwitchIO's, a user's or a shard's, that is not open yet and will always go to this address."""
    from twitchio.eventsub.websockets import Websocket  # lazy, as above
    from twitchio.exceptions import WebsocketConnectionException

    class _Socket(Websocket):
        _heard_at_s = 0.0

        def __init__(self) -> None:
            super().__init__(client=client, token_for=user_id, shard_id=shard_id, http=client.http)
            cast("Any", self._backoff)._rand = rng.uniform

        @property
        def _last_keepalive(self) -> Any:
            return self._heard_at_s

        @_last_keepalive.setter
        def _last_keepalive(self, _machine_time: Any) -> None:
            # TwitchIO sets it at every message, to the machine's time.
            self._heard_at_s = asyncio.get_running_loop().time() if _machine_time is not None else 0.0

        async def connect(
            self, *, url: str | None = None, reconnect: bool = False, fail_once: bool = False
        ) -> None:
            to = url or f"{address}?keepalive_timeout_seconds={self._keep_alive_timeout}"
            await super().connect(url=to, reconnect=reconnect, fail_once=fail_once)

        async def _reconnect(self, url: str) -> None:
            # TwitchIO makes a Websocket here, which would go to the real address the next time: ours, with all else as there.
            socket = _Socket()
            socket._subscriptions = self._subscriptions
            try:
                await socket.connect(url=url, reconnect=False, fail_once=True)
            except WebsocketConnectionException:
                await (self.close() if shard_id is not None else self.connect(reconnect=True))
                return
            cast("Any", client._websockets)[user_id][str(socket.session_id)] = socket
            await self.close()

        async def _process_keepalive(self) -> None:
            loop = asyncio.get_running_loop()
            while True:
                await asyncio.sleep(self._keep_alive_timeout)
                if self._heard_at_s + self._keep_alive_timeout + KEEPALIVE_GRACE_S < loop.time():
                    await self._create_connection_task()
                    return

    return _Socket()
