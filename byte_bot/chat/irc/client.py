"""The IRC transport: the thin shell that gives an :class:`IrcSession` a socket and a clock.

How it works. ``run`` makes one connection after the other. While one is open two tasks work on it: one reads
and feeds the session, the other sleeps until the session's next deadline. Whichever sees the end first, the
other is cancelled, the socket is closed, and after a pause the next attempt begins. What the bot wants to be
in is kept here, so every new session is told all of it and nothing that was parted.

*Pauses.* The first attempt and the one after a connection that lasted are made at once; after the n-th
failure in a row the pause is drawn evenly between 0 and ``reconnect_base_s * 2**(n-1)``, at most
``reconnect_max_s`` ("full jitter": a thousand bots must not come back in step). The account's window for
logins holds on top of it.

*The token* is asked for before each attempt, and that may take as long as a human needs for a new one. If Twitch refuses
it, its source hears of it, and the next attempt uses what the source has then; with a token that cannot be renewed ``run``
ends instead.

*Deadlines.* Connecting, every flush and closing have one; reading has the session's PING. A write that is
stuck for ``write_timeout_s`` ends the connection.

Left out: several connections for one account, and overlapping connections at RECONNECT.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable

from byte_bot.auth.token_source import TokenSource
from byte_bot.auth.user_token import UserToken
from byte_bot.chat.errors import LoginRejected, NotConnected, SendUnconfirmed
from byte_bot.chat.irc.limits import SessionLimits
from byte_bot.chat.irc.memberships import normalize_channel
from byte_bot.chat.irc.session import TOKEN_REFUSALS, End, EndKind, IrcSession, SessionCounts
from byte_bot.chat.limiter import RATES, SlidingWindow, Tier
from byte_bot.chat.message import ChatEvent, Connected, Disconnected
from byte_bot.chat.transport import Connector, EventHandler

log = logging.getLogger(__name__)

# One read: large enough for a raid in one go, small enough (some 200 lines) not to hold the loop for more
# than about 2 ms.
_READ_BYTES = 65_536

# More than this in the buffer, and the peer does not take what is written: from then on writes have a deadline.
# Chosen: a few dozen of the longest messages.
_UNSENT_BYTES_MAX = 65_536


class IrcTransport:
    """Chat over Twitch's IRC; implements :class:`~byte_bot.chat.transport.ChatTransport`.

    Args:
        connector: opens the byte streams.
        host: ``irc.chat.twitch.tv`` in production.
        port: 6697 with TLS, 6667 without (dev.twitch.tv/docs/chat/irc).
        tls: whether to use TLS.
        login: the bot's login.
        tokens: where its user access token comes from.
        handler: gets every event, in order, on the loop; must not block, and an exception in it ends ``run``.
        rng: draws the pauses between attempts.
        tier: the account's tier, for the JOIN and login windows.
        limits: deadlines and bounds of one session.
        connect_timeout_s: TCP and TLS handshake. Chosen: three SYN retransmissions (1 + 2 + 4 s) fit.
        write_timeout_s: how long the peer may refuse to take bytes. Chosen: as patient as with a PING.
        close_timeout_s: how long closing may take before the socket is simply dropped.
        reconnect_base_s: upper bound of the first pause. Chosen: Twitch restarts chat servers one by one.
        reconnect_max_s: upper bound of every pause. Chosen: back within half a minute of the end of an
            outage.
        stable_after_s: a connection that lived this long resets the pauses. Chosen above the time in which a
            server under pressure accepts and drops again.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        host: str,
        port: int,
        tls: bool,
        login: str,
        tokens: TokenSource,
        handler: EventHandler,
        rng: random.Random,
        tier: Tier | str = Tier.NORMAL,
        limits: SessionLimits | None = None,
        connect_timeout_s: float = 10.0,
        write_timeout_s: float = 10.0,
        close_timeout_s: float = 1.0,
        reconnect_base_s: float = 1.0,
        reconnect_max_s: float = 30.0,
        stable_after_s: float = 30.0,
    ) -> None:
        self._connector = connector
        self._host = host
        self._port = port
        self._tls = tls
        self._login = login.lower()
        self._tokens = tokens
        self._handler = handler
        self._rng = rng
        self._limits = limits if limits is not None else SessionLimits()
        self._connect_timeout_s = connect_timeout_s
        self._write_timeout_s = write_timeout_s
        self._close_timeout_s = close_timeout_s
        self._reconnect_base_s = reconnect_base_s
        self._reconnect_max_s = reconnect_max_s
        self._stable_after_s = stable_after_s
        rates = RATES[Tier(tier)]
        window_s = rates.join_window_s + rates.margin_s
        self._joins = SlidingWindow(rates.joins, window_s)
        self._logins = SlidingWindow(rates.logins, window_s)
        # A dict for its order: channels are joined in the order in which they were wanted.
        self._wanted: dict[str, None] = {}
        self._connection: _Connection | None = None
        self._past = SessionCounts()
        self.attempts = 0
        self.connections = 0
        tokens.on_change(self._token_changed)

    def __repr__(self) -> str:
        return f"IrcTransport({self._login!r} at {self._host}:{self._port}, token=[redacted])"

    @property
    def connected(self) -> bool:
        """True while logged in."""
        return self._connection is not None and self._connection.session.ready

    @property
    def joined(self) -> tuple[str, ...]:
        """The channels Twitch confirmed on this connection, in the order of their confirmation."""
        return self._connection.session.joined if self._connection is not None else ()

    @property
    def counts(self) -> SessionCounts:
        """What all connections together went through."""
        total = SessionCounts()
        total.add(self._past)
        if self._connection is not None:
            total.add(self._connection.session.counts)
        return total

    def join(self, channels: Iterable[str]) -> None:
        """Want to be in ``channels`` from now on, over reconnects too; may be called before ``run``."""
        names = [normalize_channel(name) for name in channels]
        self._wanted.update(dict.fromkeys(names))
        if self._connection is not None:
            self._connection.session.join(names)
            self._connection.wake()

    def part(self, channels: Iterable[str]) -> None:
        """Want to be in ``channels`` no longer. ChannelParted follows if Twitch was asked and answers."""
        names = [normalize_channel(name) for name in channels]
        for name in names:
            self._wanted.pop(name, None)
        if self._connection is not None:
            self._connection.session.part(names)
            self._connection.wake()

    @property
    def writable(self) -> bool:
        """True while logged in and the connection takes bytes as fast as they come."""
        connection = self._connection
        return connection is not None and connection.session.ready and connection.keeps_up

    def post(self, channel: str, text: str, reply_to: str = "") -> None:
        """Say ``text`` in ``channel`` with the next write; all that is posted in one turn of the loop leaves together.

        Raises:
            NotConnected: nothing will be written.
            IrcLineError: ``channel`` or ``reply_to`` cannot be one.
        """
        connection = self._connection
        if connection is None:
            raise NotConnected(f"cannot say anything in #{channel}: no connection to {self._host}")
        connection.session.say(channel, text, reply_to)
        connection.write_soon()

    async def send(self, channel: str, text: str, reply_to: str = "") -> None:
        """Say ``text`` in ``channel``; returns when the operating system, not Twitch, has taken it.

        Raises:
            NotConnected: nothing was written.
            SendUnconfirmed: it was written, and the connection broke.
            IrcLineError: ``channel`` or ``reply_to`` cannot be one.
        """
        connection = self._connection
        if connection is None:
            raise NotConnected(f"cannot say anything in #{channel}: no connection to {self._host}")
        connection.session.say(channel, text, reply_to)
        if not await connection.flush():
            raise SendUnconfirmed(f"the connection broke while writing to #{channel}")

    def _token_changed(self, token: UserToken | None) -> None:
        """A new token serves the next login; without one the session ends, as Twitch wants it (validate-tokens)."""
        if token is None and self._connection is not None:
            self._connection.session.receive_eof("the account has withdrawn its consent")
            self._connection.wake()

    async def run(self) -> None:
        """Connect and stay connected until cancelled.

        Raises:
            LoginRejected: Twitch refused the login, or a token that cannot be renewed; trying again would not help.
        """
        failures = 0
        while True:
            await self._pause(failures)
            ended_well = await self._live_once()
            failures = 0 if ended_well else failures + 1

    async def _pause(self, failures: int) -> None:
        """Wait before an attempt: jitter after ``failures`` in a row, and the account's window for logins."""
        loop = asyncio.get_running_loop()
        if failures:
            # The exponent is bounded so that a week of failures does not compute 2**100000.
            bound_s = min(self._reconnect_max_s, self._reconnect_base_s * 2.0 ** min(failures - 1, 30))
            await asyncio.sleep(self._rng.uniform(0.0, bound_s))
        wait_s = self._logins.ready_at(loop.time()) - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._logins.take(loop.time())

    async def _live_once(self) -> bool:
        """One attempt and, if it succeeds, one connection to its end; whether the next may follow at once."""
        loop = asyncio.get_running_loop()
        # IRC has no 401 in mid-life: whether the token is good is settled before each login.
        token = await self._tokens.token()
        self.attempts += 1
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                reader, writer = await self._connector.open(self._host, self._port, tls=self._tls)
        except (OSError, TimeoutError) as error:
            log.warning(
                "cannot connect to %s:%d: %s", self._host, self._port, str(error) or type(error).__name__
            )
            return False
        session = IrcSession(login=self._login, token=token.access, joins=self._joins, limits=self._limits)
        session.join(self._wanted)
        connection = _Connection(session, reader, writer, self._handler, self._write_timeout_s)
        self._connection = connection
        opened_at = loop.time()
        gracefully = True
        try:
            end = await connection.live()
            gracefully = end.kind is not EndKind.LOST
        finally:
            # First of all: from here on ``connected`` is False and a send says so.
            self._connection = None
            self._past.add(session.counts)
            await _close(writer, self._close_timeout_s, gracefully=gracefully)
        log.warning("connection to %s:%d ended: %s", self._host, self._port, end.words)
        if connection.was_ready:
            self.connections += 1
            self._handler(Disconnected(end.words))
        if end.kind is EndKind.LOGIN_REFUSED:
            if not self._tokens.renewable or end.words not in TOKEN_REFUSALS:
                raise LoginRejected(self._login, end.words)
            await self._tokens.rejected(token.access)
        return connection.was_ready and loop.time() - opened_at >= self._stable_after_s


class _Connection:
    """One open connection: the session, its streams, and the two tasks that live on them."""

    def __init__(
        self,
        session: IrcSession,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handler: EventHandler,
        write_timeout_s: float,
    ) -> None:
        self.session = session
        self.was_ready = False
        self._reader = reader
        self._writer = writer
        self._transport = writer.transport
        self._handler = handler
        self._write_timeout_s = write_timeout_s
        self._wake = asyncio.Event()
        self._sleeping_until: float | None = None
        self._write_failure = ""
        self._write_handle: asyncio.Handle | None = None

    async def live(self) -> End:
        """Work until the session is over; why it is."""
        self.session.start(asyncio.get_running_loop().time())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._read()), group.create_task(self._keep_time())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
        assert self.session.closed is not None, "a task ends only with the session"
        return self.session.closed

    def wake(self) -> None:
        """The session has a new deadline or something to write."""
        self._wake.set()

    @property
    def keeps_up(self) -> bool:
        """True while what was written before is on its way; False: wait with :meth:`flush`."""
        transport = self._transport
        return not transport.is_closing() and transport.get_write_buffer_size() < _UNSENT_BYTES_MAX

    def write_soon(self) -> None:
        """Write what the session has to say at the end of this turn of the loop."""
        if self._write_handle is None:
            self._write_handle = asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._write_handle = None
        data = self.session.data_to_send()
        if data and not self._transport.is_closing():
            self._writer.write(data)

    async def flush(self) -> bool:
        """Write what the session has to say, within the deadline; False if the connection broke.

        It does not end the connection by itself: what Twitch said before (a refusal, say) is still to be
        read.
        """
        data = self.session.data_to_send()
        if not data:
            return True
        try:
            self._writer.write(data)
            async with asyncio.timeout(self._write_timeout_s):
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            # The reader comes to the end of the stream after an abort, and ends the connection.
            self._write_failure = f"cannot write: {str(error) or type(error).__name__}"
            self._transport.abort()
            return False
        return True

    async def _read(self) -> None:
        """Feed the session until it or the stream ends. No deadline of its own: the session's PING is one."""
        loop = asyncio.get_running_loop()
        session = self.session
        await self.flush()
        while session.closed is None:
            try:
                data = await self._reader.read(_READ_BYTES)
            except OSError as error:
                session.receive_eof(f"the connection broke: {str(error) or type(error).__name__}")
                break
            if not data:
                session.receive_eof(self._write_failure or "Twitch closed the connection")
                break
            self._dispatch(session.receive_data(data, loop.time()))
            await self.flush()
            deadline = session.next_deadline()
            if deadline is not None and (self._sleeping_until is None or deadline < self._sleeping_until):
                self._wake.set()

    async def _keep_time(self) -> None:
        """Tick the session whenever it is due, or woken."""
        loop = asyncio.get_running_loop()
        session = self.session
        while session.closed is None:
            self._sleeping_until = session.next_deadline()
            try:
                async with asyncio.timeout_at(self._sleeping_until):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if session.closed is not None:
                break
            self._dispatch(session.tick(loop.time()))
            await self.flush()

    def _dispatch(self, events: list[ChatEvent]) -> None:
        for event in events:
            # Not session.ready: a welcome and a RECONNECT may come in one packet.
            self.was_ready = self.was_ready or isinstance(event, Connected)
            self._handler(event)


async def _close(writer: asyncio.StreamWriter, timeout_s: float, *, gracefully: bool) -> None:
    """Close a stream; a dead one is aborted, because flushing it would wait for the peer."""
    if gracefully:
        writer.close()
    else:
        writer.transport.abort()
    try:
        async with asyncio.timeout(timeout_s):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()
