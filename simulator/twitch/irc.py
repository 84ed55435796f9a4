"""The fake Twitch chat server: one `handle(reader, writer)` behind in-memory streams and real TCP alike.

Give `handle` to `MemoryNetwork.listen` or to `asyncio.start_server` (with an SSL context for TLS); `irc_websocket` puts it behind WebSockets. The server is one face of a
`TwitchState`: what happens there is written once as a line (`messages`) and delivered to every session in the channel; what a client
sends goes through its `session` to `rules` and back into the state. Connections, their timers and latency are in `connection`.

Faults are attributes that may change at any time, and verbs: `duplicate_probability` (a chat message comes twice),
`reorder_probability` (one comes `reorder_delay_s` late, overtaken by others), `drop_join_probability` (a JOIN is never answered),
`latency`, `accepting` (False: connections are closed as they come), `disconnect_all`, `half_open_all`, `send_reconnect`.

Draws come from streams of their own per purpose, and only while a fault is on, so that switching one on does not shift another.
Nothing here reads a clock but the loop's. Left out: the batching of other people's JOINs, limits by address. WebSocket is an adapter
(`irc_websocket`), TLS the listener's.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

from simulator.twitch import messages
from simulator.twitch.connection import Connection, LinkLatency, Timing
from simulator.twitch.events import Channel, ChannelHappening, ChatSaid, Happening, ViewerCame
from simulator.twitch.limits import LimitBook, TwitchLimits
from simulator.twitch.line import raw_line
from simulator.twitch.rules import ChatRules
from simulator.twitch.session import IrcSession, Wire, counts_against_limit
from simulator.twitch.state import TwitchState

MEMBERSHIP_MAX = 1_000  # documented: above, JOIN and PART of others are not sent
RECONNECT_GRACE_S = 30.0  # chosen: the documentation says only that the connection ends "after a while"


class IrcServer:
    """A fake tmi.twitch.tv; `stats` counts what it did and refused, by name."""

    def __init__(
        self,
        state: TwitchState,
        limits: LimitBook | TwitchLimits | None = None,
        rng: random.Random | None = None,
        *,
        timing: Timing | None = None,
    ) -> None:
        """Attach to the state; faces of one Twitch share one `LimitBook`. `rng` feeds faults only (default: seed 0)."""
        source = rng if rng is not None else random.Random(0)
        self.state = state
        self.limits = limits if isinstance(limits, LimitBook) else LimitBook(limits)
        self.timing = timing if timing is not None else Timing()
        self._duplicate_rng = random.Random(source.getrandbits(64))
        self._reorder_rng = random.Random(source.getrandbits(64))
        self._join_rng = random.Random(source.getrandbits(64))
        self._latency_rng = random.Random(source.getrandbits(64))
        self.rules = ChatRules(state, self.limits, random.Random(source.getrandbits(64)))
        self._connections: dict[int, tuple[Connection, IrcSession]] = {}
        self._rooms: dict[
            str, dict[int, IrcSession]
        ] = {}  # login -> sessions by id(), in the order they came
        self._seats: dict[str, dict[str, int]] = {}  # nick -> channel -> how many of its sessions are there
        self._next_connection = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self.stats: Counter[str] = Counter()
        self.accepting = True
        self.duplicate_probability = 0.0
        self.reorder_probability = 0.0
        self.reorder_delay_s = 0.25
        self.drop_join_probability = 0.0
        self.latency = LinkLatency()
        state.attach(self._deliver)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends; whoever accepted it owns this coroutine."""
        if not self.accepting:
            self.stats["connections_refused"] += 1
            writer.close()
            return
        connection = Connection(
            reader,
            writer,
            timing=self.timing,
            delay_up_s=lambda: self._delay_s(self.latency.to_server_s),
            delay_down_s=lambda: self._delay_s(self.latency.to_client_s),
            count=self.count,
        )
        session = IrcSession(self, connection)
        number, self._next_connection = self._next_connection, self._next_connection + 1
        self._connections[number] = (connection, session)
        self._empty.clear()
        self.stats["connections"] += 1
        try:
            await connection.run(session)
        finally:
            session.ended()
            del self._connections[number]
            if not self._connections:
                self._empty.set()

    def _delay_s(self, base_s: float) -> float:
        jitter_s = self.latency.jitter_s
        return base_s + (self._latency_rng.random() * jitter_s if jitter_s > 0 else 0.0)

    # -- looking -----------------------------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> tuple[str, ...]:
        """The nick of every connection that is logged in, oldest first; an account may be there more than once."""
        return tuple(session.nick for _, session in self._connections.values() if session.registered)

    def joined(self, login: str) -> tuple[str, ...]:
        """Return the channels in which the account has a session, each once."""
        return tuple(self._seats.get(login.lower(), {}))

    def attending(self, login: str, channel: str) -> tuple[int, ...]:
        """Return the numbers of the account's connections that are in the channel and sound: neither ending nor half-open."""
        room = self._rooms.get(channel.lower(), {})
        return tuple(
            number
            for number, (connection, session) in self._connections.items()
            if session.nick == login.lower() and id(session) in room and connection.sound
        )

    def sound(self, login: str) -> tuple[int, ...]:
        """Return the numbers of the account's connections that are logged in and neither ending nor half-open."""
        return tuple(
            number
            for number, (connection, session) in self._connections.items()
            if session.registered and session.nick == login.lower() and connection.sound
        )

    def in_channel(self, channel: str) -> tuple[str, ...]:
        """Return the nicks of the sessions in the channel, in the order they came."""
        return tuple(
            session.nick for session in self._rooms.get(channel.removeprefix("#").lower(), {}).values()
        )

    async def wait_closed(self) -> None:
        """Wait until no connection is left, for instance after `disconnect_all`."""
        await self._empty.wait()

    def probe(self, answered: Callable[[float], None]) -> int:
        """PING every connection that is logged in; `answered` gets the seconds until each PONG. Return how many were asked."""
        chosen = [connection for connection, session in self._connections.values() if session.registered]
        for connection in chosen:
            connection.probe(answered)
        return len(chosen)

    # -- faults ------------------------------------------------------------------------------------------------------------------------

    def disconnect_all(self, *, login: str = "", abort: bool = False) -> int:
        """Close all connections (or only the account's), with `abort` by a reset that loses what is queued; return how many."""
        chosen = self._chosen(login)
        for connection, _ in chosen:
            if abort or connection.half_open:
                connection.abort("disconnected")
            else:
                connection.close("disconnected")
        return len(chosen)

    def half_open_all(self, *, login: str = "") -> int:
        """Make all connections (or only the account's) half-open: silent both ways, closed by nobody; return how many."""
        chosen = self._chosen(login)
        for connection, _ in chosen:
            connection.go_half_open()
        return len(chosen)

    def send_reconnect(self, grace_s: float = RECONNECT_GRACE_S, *, login: str = "") -> int:
        """Send RECONNECT to all connections (or only the account's) and close them after `grace_s`; return how many.

        The real server closes too: a client that ignores the line (twurple) is disconnected all the same.
        """
        line = messages.Broadcast("RECONNECT", needs=messages.COMMANDS)
        chosen = self._chosen(login)
        for connection, session in chosen:
            session.deliver(line)
            connection.close_in(grace_s, "RECONNECT")
        return len(chosen)

    def send_line(self, channel: str, text: str) -> int:
        """Send one raw line, whatever it says, to every connection in the channel; return how many. Raises `BadLine`."""
        data = raw_line(text)
        room = self._rooms.get(channel.removeprefix("#").lower(), {})
        for session in room.values():
            session.wire.send(data)
        return len(room)

    def remove_channel(self, login: str) -> None:
        """Let every connection part from a channel that is about to be gone."""
        for session in tuple(self._rooms.get(login, {}).values()):
            session.part(login)

    def remove_user(self, login: str) -> None:
        """End the connections of an account that is about to be gone."""
        for connection, session in self._chosen(login):
            session.ended()
            connection.abort("the account is gone")

    def _chosen(self, login: str) -> list[tuple[Connection, IrcSession]]:
        return [pair for pair in self._connections.values() if not login or pair[1].nick == login.lower()]

    # -- SessionHost --------------------------------------------------------------------------------------------------------------------

    def count(self, what: str) -> None:
        """Count one occurrence under a name."""
        self.stats[what] += 1

    def drops_join(self) -> bool:
        """Draw whether this JOIN is lost."""
        return self.drop_join_probability > 0 and self._join_rng.random() < self.drop_join_probability

    def enter(self, session: IrcSession, channel: Channel) -> None:
        """Deliver the channel to this session and tell the others."""
        seats = self._seats.setdefault(session.nick, {})
        if channel.login not in seats:
            self._announce(session.nick, channel.login, here=True)
        seats[channel.login] = seats.get(channel.login, 0) + 1
        self._rooms.setdefault(channel.login, {})[id(session)] = session
        self.stats["joins"] += 1

    def leave(self, session: IrcSession, login: str) -> None:
        """Stop delivering the channel to this session and tell the others."""
        room, seats = self._rooms[login], self._seats[session.nick]
        del room[id(session)]
        seats[login] -= 1
        if not room:
            del self._rooms[login]
        if seats[login] == 0:
            del seats[login]
            self._announce(session.nick, login, here=False)
        if not seats:
            del self._seats[session.nick]

    def _announce(self, nick: str, channel: str, *, here: bool) -> None:
        """Tell a room that somebody came or went: only with an account's first session, and after its last."""
        if not self._too_many(channel):
            self._to_room(channel, messages.membership(nick, channel, here=here))

    def _too_many(self, channel: str) -> bool:
        return len(self._rooms.get(channel, {})) + len(self.state.channels[channel].viewers) > MEMBERSHIP_MAX

    def occupants(self, channel: Channel, besides: str) -> tuple[str, ...]:
        """Return who else is in the room; above 1,000 only the moderators (documented)."""
        present = dict.fromkeys(session.nick for session in self._rooms.get(channel.login, {}).values())
        present |= channel.viewers
        if self._too_many(channel.login):
            present = {login: None for login in present if login in channel.moderators}
        present.pop(besides, None)
        return tuple(present)

    def channels_held(self, session: IrcSession) -> int:
        """Return how many channels the account has joined, over all its connections, that count against its 100."""
        user = session.user
        if user is None:
            return 0
        return sum(
            counts_against_limit(self.state.channels[name], user) for name in self.joined(session.nick)
        )

    # -- delivery ------------------------------------------------------------------------------------------------------------------------

    def _deliver(self, happening: Happening) -> None:
        if isinstance(happening, ChatSaid):  # first: nearly all are
            self._deliver_chat(happening)
            return
        if isinstance(happening, ChannelHappening):
            return
        channel = happening.channel.login
        if not (isinstance(happening, ViewerCame) and self._too_many(channel)):
            self._to_room(channel, messages.broadcast(happening, self.state.emotes))

    def _to_room(self, channel: str, line: messages.Broadcast) -> None:
        for session in self._rooms.get(channel, {}).values():
            session.deliver(line)

    def _deliver_chat(self, said: ChatSaid) -> None:
        room = self._rooms.get(said.channel.login)
        listeners = [session for session in room.values() if session is not said.origin] if room else ()
        if not listeners:
            return  # before the line is written: of a bot's replies nobody else may be told
        line = messages.broadcast(said, self.state.emotes)
        for session in listeners:
            data = line.for_capabilities(session.capabilities)
            if data is not None:
                self._send_chat(session.wire, data)

    def _send_chat(self, wire: Wire, data: bytes) -> None:
        """Send one chat message, once or twice, now or late, as the faults have it."""
        copies = 1
        if self.duplicate_probability > 0 and self._duplicate_rng.random() < self.duplicate_probability:
            copies = 2
            self.stats["messages_duplicated"] += 1
        delay_s = 0.0
        if self.reorder_probability > 0 and self._reorder_rng.random() < self.reorder_probability:
            delay_s = self.reorder_delay_s
            self.stats["messages_reordered"] += 1
        for _ in range(copies):
            wire.send(data, extra_delay_s=delay_s)
