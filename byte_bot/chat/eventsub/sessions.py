"""The WebSocket sessions of one account: opened on demand, replaced when they end, moved when Twitch asks.

How it works. A *session* is what subscriptions hang on; the *line* is the socket on which it is at present. A session that
lived is replaced at once when the owner asks for another; after the n-th failure in a row the pause is drawn evenly between 0
and ``reconnect_base_s * 2**(n-1)``, at most ``reconnect_max_s``, as IRC's is.

*Moving* (``session_reconnect``): the new line is opened at exactly the address that Twitch gave, beside the old one, which is
read until the new one is welcomed and ``linger_s`` longer, and only then closed: what Twitch sent on the old one before its welcome on
the new one may come later. The subscriptions move with the session. If the new line fails the old one stays for as long as Twitch lets it.

*Dropped* are all sessions at once when the account has withdrawn its consent, or the transport ends. A line that is being opened then,
for a new session or for one that moves, is closed as soon as it is welcomed, and nobody hears of it.

Source: dev.twitch.tv/docs/eventsub/handling-websocket-events.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Protocol

import msgspec

from byte_bot.chat.errors import SocketFailed
from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.eventsub.twitchio_parts import Json, Socket, make_socket

log = logging.getLogger(__name__)


class SessionOwner(Protocol):
    """Who is told what happens; must not block."""

    def on_notification(self, message: Json) -> None:
        """An event came, perhaps not for the first time."""
        ...

    def on_revocation(self, subscription: Json) -> None:
        """Twitch took a subscription away."""
        ...

    def on_opened(self) -> int:
        """A session was welcomed; the number by which it will be called."""
        ...

    def on_lost(self, number: int, words: str) -> None:
        """A session is over, and every subscription on it."""
        ...

    def on_attempt(self) -> None:
        """An attempt to open a session is over, either way."""
        ...


class SessionCounts(msgspec.Struct):
    """What all sessions went through."""

    opened: int = 0
    lost: int = 0
    moved: int = 0


class _Session:
    """One session; ``line`` is None while its socket is gone and it may still be moved."""

    def __init__(self, opened_at_s: float) -> None:
        self.number = 0
        self.opened_at_s = opened_at_s
        self.line: _Line | None = None
        self.moving = False
        #: Asked after every wait for a welcome: the session is over, whatever Twitch thinks of its new line.
        self.dropped = False


class _Line:
    """One WebSocket of a session, and what it tells."""

    def __init__(self, sessions: Sessions, session: _Session, user_id: str, limits: EventSubLimits) -> None:
        self._sessions = sessions
        self.session = session
        self.socket: Socket = make_socket(user_id, self, limits)

    def on_notification(self, message: Json) -> None:
        self._sessions.owner.on_notification(message)

    def on_revocation(self, subscription: Json) -> None:
        self._sessions.owner.on_revocation(subscription)

    def on_reconnect(self, url: str) -> None:
        self._sessions.move_soon(self, url)

    def on_end(self, words: str) -> None:
        self._sessions.line_ended(self, words)


class Sessions:
    """See the module's docstring.

    Args:
        url: ``wss://eventsub.wss.twitch.tv/ws`` in production.
        user_id: of the account.
        tasks: owns everything that waits.
        limits: deadlines and bounds.
        rng: draws the pauses between attempts.
        owner: is told.
    """

    def __init__(
        self,
        url: str,
        user_id: str,
        tasks: asyncio.TaskGroup,
        limits: EventSubLimits,
        rng: random.Random,
        owner: SessionOwner,
    ) -> None:
        self._url = url
        self._user_id = user_id
        self._tasks = tasks
        self._limits = limits
        self._rng = rng
        self.owner = owner
        self._sessions: dict[int, _Session] = {}
        self._failures = 0
        self._closing = False
        #: The one that is being opened: one at a time.
        self._coming: _Session | None = None
        #: The loop time before which none should be opened.
        self.open_at_s = 0.0
        self.counts = SessionCounts()

    @property
    def any(self) -> bool:
        """True while a session stands."""
        return bool(self._sessions)

    @property
    def opening(self) -> bool:
        """True while a session is being opened."""
        return self._coming is not None

    def session_id(self, number: int) -> str | None:
        """Twitch's name for a session; None if it is over, or just now without a line."""
        session = self._sessions.get(number)
        return session.line.socket.session_id if session is not None and session.line is not None else None

    def open_soon(self) -> None:
        """Open one more session; ``on_opened`` or only ``on_attempt`` follows."""
        assert self._coming is None
        self._coming = session = _Session(asyncio.get_running_loop().time())
        self._tasks.create_task(self._open(session), name="session")

    async def close_all(self) -> None:
        """Close every session, within the deadline of one, telling nobody."""
        self._closing = True
        lines = [session.line for session in self._drop() if session.line is not None]
        self._sessions.clear()
        await asyncio.gather(*(line.socket.close() for line in lines))

    def lose_all(self, words: str) -> None:
        """End every session, as if Twitch had; one that is just being opened or moved too."""
        for session in self._drop():
            line, session.line = session.line, None
            if line is not None:
                self._tasks.create_task(line.socket.close(), name="close")
            self._lose(session, words)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _drop(self) -> list[_Session]:
        """Those that stand, all of them dropped now, with the one that is coming."""
        standing = list(self._sessions.values())
        for session in (*standing, *([] if self._coming is None else [self._coming])):
            session.dropped = True
        return standing

    async def _open(self, session: _Session) -> None:
        line = _Line(self, session, self._user_id, self._limits)
        separator = "&" if "?" in self._url else "?"
        try:
            await line.socket.open(
                f"{self._url}{separator}keepalive_timeout_seconds={self._limits.keepalive_s}"
            )
        except SocketFailed as error:
            log.warning("cannot open an EventSub session at %s: %s", self._url, str(error))
            self._pause(failed=True)
        else:
            if session.dropped:
                await line.socket.close()
            else:
                session.line, session.number = line, self.owner.on_opened()
                self._sessions[session.number] = session
                self.counts.opened += 1
        finally:
            self._coming = None
            self.owner.on_attempt()

    def _pause(self, *, failed: bool) -> None:
        limits = self._limits
        self._failures = self._failures + 1 if failed else 0
        pause_s = 0.0
        if failed:
            # The exponent is bounded so that a week of failures does not compute 2**100000.
            bound_s = limits.reconnect_base_s * 2.0 ** min(self._failures - 1, 30)
            pause_s = self._rng.uniform(0.0, min(limits.reconnect_max_s, bound_s))
        self.open_at_s = asyncio.get_running_loop().time() + pause_s

    def _lose(self, session: _Session, words: str) -> None:
        if self._sessions.pop(session.number, None) is None:
            return
        log.warning("an EventSub session ended, since %s", words)
        self.counts.lost += 1
        lived_s = asyncio.get_running_loop().time() - session.opened_at_s
        self._pause(failed=lived_s < self._limits.stable_after_s)
        self.owner.on_lost(session.number, words)

    async def _move(self, session: _Session, url: str) -> None:
        line = _Line(self, session, self._user_id, self._limits)
        old = session.line
        try:
            await line.socket.open(url)
        except SocketFailed as error:
            session.moving = False
            log.warning("cannot move an EventSub session, since %s", str(error))
            if session.line is None:
                self._lose(session, "it could not be moved, and the old socket is closed")
            return
        if session.dropped:
            await line.socket.close()
            return
        session.moving = False
        session.line = line
        self.counts.moved += 1
        if old is not None:
            try:
                await asyncio.sleep(self._limits.linger_s)
            finally:
                await old.socket.close()

    # ── what lines tell ──────────────────────────────────────────────────────────────────────────────────────────

    def move_soon(self, line: _Line, url: str) -> None:
        """Twitch wants a line's session on another socket."""
        session = line.session
        if session.line is line and not session.moving and not self._closing:
            session.moving = True
            self._tasks.create_task(self._move(session, url), name="move")

    def line_ended(self, line: _Line, words: str) -> None:
        """A socket is over: the session with it, unless the socket was left behind or is being replaced."""
        session = line.session
        if session.line is line:
            session.line = None
            if not session.moving:
                self._lose(session, words)
        if not self._closing:
            self._tasks.create_task(line.socket.close(), name="close")
