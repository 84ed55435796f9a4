"""One fake Twitch with all its faces on loopback ports: chat, chat over WebSocket, EventSub, Helix and OAuth, in plain and under TLS.

One state, one set of rules and limits, one life of the broadcasts behind every face: what is said on IRC arrives as an event, a ban
holds everywhere. Listening are: IRC over TCP; one port for everything that begins as HTTP (`/helix`, `/oauth2`, EventSub at `/ws`, IRC
over WebSocket at `/irc` and, for clients that cannot name a path, at `/`); and with an authority the same two under TLS.

EventSub's reconnect_url is the address by which the client came; the page for a device's code is named by the plain one.
Works in real time and in a hybrid virtual loop: nothing polls.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from simulator.certificates import ThrowAwayAuthority
from simulator.errors import SimulatorError
from simulator.listening import Listening
from simulator.rng import SeedTree
from simulator.twitch import irc_websocket
from simulator.twitch.archive import Archive
from simulator.twitch.conduit_snapshot import restore_conduits, take_conduits
from simulator.twitch.eventsub import EventSubServer
from simulator.twitch.irc import IrcServer
from simulator.twitch.limits import LimitBook
from simulator.twitch.listener import WebListener
from simulator.twitch.snapshot import apply, gone, restore, take
from simulator.twitch.snapshot_parts import Snapshot
from simulator.twitch.state import TwitchState
from simulator.twitch.stream_life import StreamLife
from simulator.twitch.web import WebFace, web_app

HOST = "127.0.0.1"
EVENTSUB_PATH = "/ws"
IRC_PATHS = ("/irc", "/")  # the second for clients that cannot name a path


class ServeError(SimulatorError):
    """The fakes cannot be served as asked; the message says what to change."""


@dataclass(frozen=True)
class TwitchPorts:
    """Where to listen; 0 takes any free port."""

    irc: int = 0
    web: int = 0
    irc_tls: int = 0
    web_tls: int = 0


class TwitchService(Listening):
    """The faces, listening while the context is entered; entering raises `ServeError` when a port is taken.

    `time_source` gives seconds from 0, `unix_start_s` is the wall time of its zero; with an `authority` everything is served under TLS too.
    """

    def __init__(
        self,
        time_source: Callable[[], float],
        unix_start_s: float,
        seeds: SeedTree,
        *,
        ports: TwitchPorts | None = None,
        authority: ThrowAwayAuthority | None = None,
    ) -> None:
        super().__init__()
        self._ports = ports if ports is not None else TwitchPorts()
        self._authority = authority
        self._archive = Archive()
        self._limits = LimitBook()
        self.state = TwitchState(time_source, seeds.stream("twitch"), unix_start_s, archive=self._archive)
        self.life = StreamLife(self.state, seeds.stream("life"))
        self.irc = IrcServer(self.state, self._limits, seeds.stream("irc"))
        self.eventsub = EventSubServer(
            self.state,
            seeds.stream("eventsub"),
            unix_start=unix_start_s,
            ws_url=lambda: "",  # each client back to the address it came by
        )
        self.web = WebFace(
            self.state,
            self.irc.rules,
            seeds.stream("web"),
            eventsub=self.eventsub,
            conduits=self.eventsub.conduits,
            life=self.life,
            unix_start=unix_start_s,
            public_url=lambda: self._web.url,
        )
        self.web.chat.occupants = self.irc.in_channel  # GET /chat/chatters shows who is connected

    # -- life -----------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        enter, ports = self._resources.enter_async_context, self._ports
        with port_in_words("irc", ports.irc):
            self.irc_port = await enter(self._irc_listener(ports.irc, None))
        with port_in_words("web", ports.web):
            self._web = await enter(self._web_listener(ports.web, None))
        if self._authority is None:
            return
        with port_in_words("irc-tls", ports.irc_tls):
            self._irc_tls_port = await enter(
                self._irc_listener(ports.irc_tls, self._authority.server_context())
            )
        with port_in_words("web-tls", ports.web_tls):
            self._web_tls = await enter(self._web_listener(ports.web_tls, self._authority.server_context()))

    def _web_listener(self, port: int, tls: ssl.SSLContext | None) -> WebListener:
        over_websocket = irc_websocket.handler(self.irc)
        sockets = {EVENTSUB_PATH: self.eventsub.handler, **dict.fromkeys(IRC_PATHS, over_websocket)}
        return WebListener(web_app(self.web), sockets, host=HOST, port=port, ssl=tls)

    @contextlib.asynccontextmanager
    async def _irc_listener(self, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
        server = await asyncio.start_server(self.irc.handle, HOST, port, ssl=tls)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            self.irc.disconnect_all(abort=True)
            await self.irc.wait_closed()
            await server.wait_closed()

    # -- the state ------------------------------------------------------------------------------------------------------

    def restore(self, snapshot: Snapshot) -> None:
        """Make the state equal to the snapshot; connections stay, those of users and channels that go are let go of."""
        users, channels = gone(self.state, snapshot)
        for login in channels:
            self.irc.remove_channel(login)
        for login in users:
            self.irc.remove_user(login)
        removed = {self.state.users[login].id: None for login in users}
        about_them = [
            subscription.id
            for client_id in self.state.credentials.apps
            for subscription in self.eventsub.subscriptions(client_id)
            if removed.keys() & subscription.condition.values()
        ]
        restore(self.state, snapshot)
        for subscription_id in about_them:
            self.eventsub.revoke(subscription_id, "user_removed")
        restore_conduits(self.eventsub.conduits, snapshot.conduits, self.eventsub.has_session)

    def apply(self, snapshot: Snapshot) -> None:
        """Add what the snapshot names, or change what is there to it; conduits come in place of those there are."""
        apply(self.state, snapshot)
        restore_conduits(self.eventsub.conduits, snapshot.conduits, self.eventsub.has_session)

    def reset(self, beginning: Snapshot) -> None:
        """Go back to the beginning: the state, and besides it what was said, what limits have counted, types that a test made up."""
        self.restore(beginning)
        self.eventsub.forget_declared()
        self._archive.clear()
        self._limits.forget()
        self.web.helix.rates.forget()

    def snapshot(self) -> Snapshot:
        """The state as it is now."""
        return take(self.state).model_copy(update={"conduits": take_conduits(self.eventsub.conduits)})

    # -- where it is ----------------------------------------------------------------------------------------------------

    def addresses(self) -> dict[str, Any]:
        """Where each face is; under TLS as well, if there is an authority."""
        found: dict[str, Any] = {"irc": {"host": HOST, "port": self.irc_port}, **_web_addresses(self._web)}
        if self._authority is not None:
            found["irc_tls"] = {"host": HOST, "port": self._irc_tls_port}
            for name, address in _web_addresses(self._web_tls).items():
                found[name]["tls_url"] = address["url"]
        return found


def _web_addresses(listener: WebListener) -> dict[str, dict[str, Any]]:
    return {
        "irc_ws": {"url": listener.ws_url + IRC_PATHS[0]},
        "eventsub": {"url": listener.ws_url + EVENTSUB_PATH},
        "helix": {"url": f"{listener.url}/helix"},
        "oauth": {"url": f"{listener.url}/oauth2"},
        "web": {"url": listener.url, "host": HOST, "port": listener.port},
    }


@contextlib.contextmanager
def port_in_words(name: str, port: int) -> Iterator[None]:
    """Turn the operating system's refusal of a port into words."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServeError(
            f"cannot listen on {HOST}:{port} for {name}: {reason}. Choose another --{name}-port, or leave it out for a free one."
        ) from error
