"""The fake Twitch of a world: one state, and the faces over which the world's bot is connected to it.

Which faces listen depends on the bot's *transport* and the world's *network*:

* ``irc`` over ``memory``: chat through :class:`~simulator.network.MemoryNetwork`; pure virtual time.
* ``irc`` over ``tcp``: chat behind ``asyncio.start_server`` on loopback; a hybrid loop.
* ``eventsub`` (over ``tcp`` only): EventSub, Helix and OAuth on one loopback port, with the bot's own TwitchIO on the other side; a
  hybrid loop. People still chat by way of the state, so nobody listens for IRC.

What is asked of it is the same for all: where Twitch has the bot, and by which sound connection it hears a channel now.

The bot's token is a bare one over IRC, unless the scenario has it renewed (``renewable_token``): then it lies on a
:class:`~simulator.token_shelf.TokenShelf`, as it always does over EventSub, and the authorization server answers, in memory without a socket.
:meth:`WorldTwitch.log_in_anew` is a human's ``byte-bot login``, which is all that helps when a token cannot be renewed any more.

Left out: TLS, chat over WebSocket, a bot on both transports at once, a token that is renewed over IRC's real sockets.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

import httpx

from simulator.errors import NotSimulatedError
from simulator.loop import START_UNIX_S
from simulator.network import Chunking, MemoryNetwork
from simulator.oauth_transport import OAUTH_URL, OAuthTransport
from simulator.recording import RecordedTransport, recorded_chat, recorded_socket
from simulator.rng import SeedTree
from simulator.scenario import Scenario
from simulator.token_shelf import TokenShelf, shelved
from simulator.trace import Trace
from simulator.twitch.connection import LinkLatency
from simulator.twitch.credentials import ALL_SCOPES, DEFAULT_CLIENT_ID
from simulator.twitch.eventsub import EventSubServer
from simulator.twitch.irc import IrcServer
from simulator.twitch.limits import TwitchLimits
from simulator.twitch.listener import WebListener
from simulator.twitch.oauth import OAuth
from simulator.twitch.state import TwitchState
from simulator.twitch.stream_life import StreamLife
from simulator.twitch.web import WebFace, web_app

Network = Literal["memory", "tcp"]
Transport = Literal["irc", "eventsub"]

IRC_HOST, IRC_PORT = "irc.twitch.test", 6667
_LOOPBACK = "127.0.0.1"
_EVENTSUB_PATH = "/ws"
_CHAT_MESSAGE = "channel.chat.message"


def check_transport(transport: str, network: str) -> None:
    """Raise :class:`NotSimulatedError` for a transport that this network cannot carry, or for which something is not installed."""
    if transport != "eventsub":
        return
    if network != "tcp":
        raise NotSimulatedError(
            f"the transport 'eventsub' needs the network 'tcp': TwitchIO opens real sockets (network {network!r})"
        )
    try:
        # Lazy: an extra. Here, before the world's clock runs: what a library does while it is imported is no part of a night.
        import twitchio  # noqa: F401
    except ImportError as error:
        raise NotSimulatedError(
            f"the transport 'eventsub' needs TwitchIO ({error}): install byte-bot-twitch[eventsub]"
        ) from None


def implied_network(transport: Transport) -> Network:
    """The network of a night of which only the bot's transport is said."""
    return "memory" if transport == "irc" else "tcp"


def night_options(
    network: Network, transport: Transport, order: str, said: tuple[str, str] = ("irc", "fifo")
) -> tuple[str, ...]:
    """The options of ``byte-sim`` that make such a night of a scenario, or of a file which itself says transport and order."""
    return (
        *(("--transport", transport) if transport != said[0] else ()),
        *(("--network", network) if network != implied_network(transport) else ()),
        *(("--order", order) if order != said[1] else ()),
    )


class WorldTwitch:
    """See the module's docstring.

    Args:
        loop: the world's, or a real one.
        seeds, trace: the world's.
        network, transport: see above.
        latency_s: one way between Twitch and the bot, seconds.
        bot_login, bot_token: the bot's account.
        renewable_token: whether a bot over IRC can renew its token.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seeds: SeedTree,
        trace: Trace,
        *,
        network: Network,
        transport: Transport,
        latency_s: float,
        bot_login: str,
        bot_token: str,
        renewable_token: bool = False,
    ) -> None:
        check_transport(transport, network)
        if renewable_token and transport == "irc" and network != "memory":
            raise NotSimulatedError(
                f"a bot over IRC that renews its token needs the network 'memory' (network {network!r})"
            )
        self._trace = trace
        self._network = network
        self._transport = transport
        self._bot_login = bot_login
        self._bot_token = bot_token
        self._latency_s = latency_s
        self.memory = MemoryNetwork(seeds.stream("network"), latency_s=latency_s)
        self.state = TwitchState(loop.time, seeds.stream("twitch"), START_UNIX_S)
        self.irc = IrcServer(self.state, TwitchLimits(), seeds.stream("irc"))
        self.life = StreamLife(self.state, seeds.stream("life"))
        self.eventsub: EventSubServer | None = None
        self.web: WebFace | None = None
        self._irc_port = IRC_PORT
        self._listener: WebListener | None = None
        self._session_numbers: dict[str, int] = {}
        self._shelf: TokenShelf | None = None
        self._oauth: OAuth | None = None
        if renewable_token and transport == "irc":
            self._oauth = OAuth(self.state, seeds.stream("oauth"), lambda: OAUTH_URL, Counter())
        if transport == "eventsub":
            self.eventsub = EventSubServer(
                self.state, seeds.stream("eventsub"), unix_start=START_UNIX_S, ws_url=lambda: ""
            )
            self.eventsub.latency = LinkLatency(to_client_s=latency_s)
            self.web = WebFace(
                self.state,
                self.irc.rules,
                seeds.stream("web"),
                eventsub=self.eventsub,
                conduits=self.eventsub.conduits,
                life=self.life,
                unix_start=START_UNIX_S,
                public_url=lambda: self._web_url,
            )

    @property
    def _web_url(self) -> str:
        assert self._listener is not None, "nothing listens yet"
        return self._listener.url

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """The faces take connections."""
        handle = recorded_chat(self.irc.handle, self._trace)
        if self.eventsub is not None and self.web is not None:
            sockets = {_EVENTSUB_PATH: recorded_socket(self.eventsub.handler, self._trace)}
            async with WebListener(web_app(self.web), sockets, host=_LOOPBACK) as self._listener:
                yield
        elif self._network == "memory":
            self.memory.listen(IRC_HOST, IRC_PORT, handle)
            yield
        else:
            server = await asyncio.start_server(handle, _LOOPBACK, 0)
            self._irc_port = server.sockets[0].getsockname()[1]
            try:
                yield
            finally:
                server.close()
                self.irc.disconnect_all(abort=True)
                await server.wait_closed()

    def populate(self, scenario: Scenario) -> dict[str, str]:
        """Make the accounts of the bot and of ``mod``, the scenario's channels, and the bot's token; the channels' ids by login."""
        self.state.add_user(self._bot_login, display_name="ByteBot", verified=scenario.verified)
        self.state.grant_token(self._bot_token, self._bot_login)
        if self.web is not None or self._oauth is not None:
            self._shelf = shelved(self.state.credentials.tokens[self._bot_token], START_UNIX_S)
        self.state.add_user("mod", display_name="Mod")
        moderators = ("mod", self._bot_login) if scenario.moderated else ("mod",)
        return {login: self.state.add_channel(login, moderators=moderators).id for login in scenario.channels}

    # ── the bot's side ───────────────────────────────────────────────────────────────────────────────────────────

    def settings(self) -> dict[str, Any]:
        """The bot's settings about Twitch, by field name."""
        common = {"twitch_login": self._bot_login, "twitch_token": self._bot_token}
        app = self.state.credentials.apps[DEFAULT_CLIENT_ID]
        if self._shelf is not None:
            common |= {"twitch_client_id": app.client_id, "twitch_client_secret": app.secret}
        if self._oauth is not None:
            common["twitch_oauth_url"] = OAUTH_URL
        if self._transport == "irc":
            in_memory = self._network == "memory"
            return {
                **common,
                "twitch_irc_host": IRC_HOST if in_memory else _LOOPBACK,
                "twitch_irc_port": self._irc_port,
                "twitch_irc_tls": False,
            }
        assert self._listener is not None, "nothing listens yet"
        return {
            **common,
            "twitch_chat_mode": "eventsub",
            "twitch_oauth_url": f"{self._web_url}/oauth2",
            "twitch_helix_url": f"{self._web_url}/helix",
            "twitch_eventsub_url": f"{self._listener.ws_url}{_EVENTSUB_PATH}",
        }

    def oauth_transport(self) -> httpx.AsyncBaseTransport | None:
        """The way to the authorization server; None for a bot that never asks it."""
        if self._oauth is not None:
            return RecordedTransport(OAuthTransport(self._oauth, self._latency_s), self._trace)
        if self._transport == "irc":
            return None
        # Plain http: no certificates to read (30 ms). Idle connections would age by the machine's clock.
        plain = httpx.AsyncHTTPTransport(verify=False, limits=httpx.Limits(keepalive_expiry=None))
        return RecordedTransport(plain, self._trace)

    def token_store(self) -> TokenShelf | None:
        """Where the bot's token lies; None for a bot with a bare one, which is never renewed."""
        return self._shelf

    def log_in_anew(self) -> None:
        """A human plays ``byte-bot login``: the account gives its consent, and a new pair lies in the token's file."""
        assert self._shelf is not None, "this bot has a bare token"
        token = self.state.credentials.issue_user(DEFAULT_CLIENT_ID, self._bot_login, (ALL_SCOPES,))
        self._shelf.put(shelved(token, START_UNIX_S + self.state.now_s()).token)
        self._trace.record("logged_in_anew")

    def log_in_if_needed(self) -> None:
        """The same, if the token that lies there cannot be used any more, nor renewed: nothing but a human helps."""
        if self._shelf is None:
            return
        token, credentials = self._shelf.token, self.state.credentials
        known = credentials.tokens.get(token.access)
        renewable = known is not None and credentials.can_refresh(known)
        if not renewable and credentials.valid(token.access) is None:
            self.log_in_anew()

    # ── Twitch's side ────────────────────────────────────────────────────────────────────────────────────────────

    def bot_channels(self) -> tuple[str, ...]:
        """The channels in which Twitch has the bot, in the order in which they were joined."""
        if self.eventsub is None:
            return self.irc.joined(self._bot_login)
        return tuple(dict.fromkeys(login for login, _ in self._chat_subscriptions(self.eventsub)))

    def attending(self, channel: str) -> tuple[int, ...]:
        """The numbers of the sound connections by which the bot hears a channel now."""
        if self.eventsub is None:
            return self.irc.attending(self._bot_login, channel)
        sound = self.eventsub.sound_sessions(self._bot_login)
        return tuple(
            self._session_numbers.setdefault(session_id, len(self._session_numbers) + 1)
            for login, session_id in self._chat_subscriptions(self.eventsub)
            if login == channel and session_id in sound
        )

    def connections_made(self) -> int:
        """How often the bot has connected: logins on IRC, sockets on EventSub."""
        if self.eventsub is None:
            return self.irc.stats["logins"]
        return self.eventsub.stats["connections"]

    def _chat_subscriptions(self, eventsub: EventSubServer) -> list[tuple[str, str]]:
        """Channel and session of every enabled subscription of the bot to a chat."""
        by_id = {room.id: login for login, room in self.state.channels.items()}
        return [
            (by_id[one.condition["broadcaster_user_id"]], one.session_id)
            for one in eventsub.subscriptions(DEFAULT_CLIENT_ID, self._bot_login)
            if one.kind.name == _CHAT_MESSAGE and one.status == "enabled"
        ]

    def chunk(self) -> Callable[[Chunking | None], object] | None:
        """Splits and merges packets of chat; None where the kernel cuts them as it likes."""
        return partial(self.memory.chunk, IRC_HOST, IRC_PORT) if self._network == "memory" else None

    def heal(self) -> None:
        """End what is wrong with the connections, and with the token."""
        self.log_in_if_needed()
        self.irc.duplicate_probability = 0.0
        self.memory.chunk(IRC_HOST, IRC_PORT, None)

    def counts(self) -> dict[str, int]:
        """What the faces counted."""
        faces: dict[str, Counter[str]] = {"irc": self.irc.stats}
        if self.eventsub is not None and self.web is not None:
            faces |= {"eventsub": self.eventsub.stats, "web": self.web.stats}
        return {
            f"{face}_{name}": count for face, stats in faces.items() for name, count in sorted(stats.items())
        }
