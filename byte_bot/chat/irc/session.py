"""One connection to Twitch's IRC, as a pure object: bytes and times go in, events and bytes come out.

Theory of operation
-------------------
A session lives as long as one connection. Its owner (``client.py``) calls ``start``, then ``receive_data``
with whatever the socket gave and ``tick`` when ``next_deadline`` is reached; after each call it writes
``data_to_send()`` and hands the returned events on. When ``closed`` is set the connection is over, and
``closed`` says why. Nothing here waits, reads a clock or draws a number: the same bytes at the same times
give the same events, however the bytes are cut into pieces.

::

    NEW ──start──▶ REGISTERING ──001──▶ READY
                        │                 │
                        └── refused, RECONNECT, no welcome, no PONG, end of stream ──▶ CLOSED

*Login.* ``CAP REQ`` goes first so that the welcome is already tagged, then ``PASS``, then ``NICK`` (the other
way round Twitch answers ``Improperly formatted auth``). A refused capability ends the connection: without
tags there are no ids and no roles.

*Channels* are wanted with ``join`` and no longer wanted with ``part``; ``memberships.py`` has their table.

*Dead sockets.* Any byte received is a sign of life. After ``ping_idle_s`` without one the session sends its
own PING, and without any byte for ``pong_within_s`` more it declares the connection dead. (Twitch's own PING
comes only every 5 minutes.)

*Bad input.* A line that cannot be read, is too long, or lacks what every such line of Twitch has, is skipped
and counted. Of a line without an end no more than ``LINE_BYTES_MAX`` bytes are kept.

Sources: dev.twitch.tv/docs/chat/irc and its pages on authentication, capabilities, commands and tags; the
lines in ``tests/data/twitch-wire-lines.txt``.

Left out: whispers, membership lists (the JOINs and PARTs of others are read and ignored), reading from one
connection while the next is made after RECONNECT (a few messages may be missed then).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

import msgspec

from byte_bot.chat.errors import IrcLineError, NotConnected
from byte_bot.chat.irc.limits import SessionLimits
from byte_bot.chat.irc.line import (
    LINE_BYTES_MAX,
    IrcLine,
    decode,
    format_action,
    format_line,
    format_privmsg,
)
from byte_bot.chat.irc.memberships import JOIN_REFUSALS, Memberships, is_login, normalize_channel
from byte_bot.chat.irc.translation import TRANSLATORS, read_privileged
from byte_bot.chat.limiter import SlidingWindow
from byte_bot.chat.message import ChatEvent, Connected, MessageRefused
from byte_bot.chat.utterance import ACTION_PREFIX, clean


class State(enum.Enum):
    """Where a session is."""

    NEW = "new"
    REGISTERING = "registering"
    READY = "ready"
    CLOSED = "closed"


class Step(enum.Enum):
    """What moves a session on."""

    START = "start"
    WELCOME = "welcome"
    END = "end"


# Every legal move; one that is not here is a bug of the session's owner.
TRANSITIONS: Mapping[tuple[State, Step], State] = {
    (State.NEW, Step.START): State.REGISTERING,
    (State.NEW, Step.END): State.CLOSED,
    (State.REGISTERING, Step.WELCOME): State.READY,
    (State.REGISTERING, Step.END): State.CLOSED,
    (State.READY, Step.WELCOME): State.READY,
    (State.READY, Step.END): State.CLOSED,
    (State.CLOSED, Step.END): State.CLOSED,
}


class EndKind(enum.Enum):
    """What the owner should do about the end of a session."""

    LOST = "lost"  # connect again, after a pause if it happens often
    RECONNECT = "reconnect"  # Twitch asked for it: connect again
    LOGIN_REFUSED = "login refused"  # another token, or give up


class End(msgspec.Struct, frozen=True):
    """Why a session ended; ``words`` are Twitch's or ours, for a human."""

    kind: EndKind
    words: str


class SessionCounts(msgspec.Struct):
    """What a session, or all of them together, went through."""

    lines: int = 0
    lines_unreadable: int = 0
    lines_overlong: int = 0
    lines_incomplete: int = 0
    messages_sent: int = 0
    joins_sent: int = 0
    pings_sent: int = 0

    def add(self, other: SessionCounts) -> None:
        """Add the counts of ``other`` to these."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


CAPABILITIES = ("twitch.tv/commands", "twitch.tv/membership", "twitch.tv/tags")

# dev.twitch.tv/docs/chat/irc, "Authenticating"; "Login unsuccessful" is what a token without the chat scopes
# gets.
LOGIN_REFUSALS = frozenset(
    {"Login authentication failed", "Improperly formatted auth", "Login unsuccessful", "Invalid NICK"}
)

#: Those of them that another token may cure.
TOKEN_REFUSALS = frozenset({"Login authentication failed", "Login unsuccessful"})

# NOTICEs about something the bot said whose id does not begin with ``msg_``.
_OTHER_REFUSALS = frozenset({"no_permission", "unrecognized_cmd"})


class IrcSession:
    """One connection to Twitch's IRC, without the connection.

    Args:
        login: the bot's login.
        token: its user access token, with or without ``oauth:``.
        joins: the account's window for JOINs; it outlives the session.
        limits: deadlines and bounds.
    """

    def __init__(
        self, *, login: str, token: str, joins: SlidingWindow, limits: SessionLimits | None = None
    ) -> None:
        self.login = login.lower()
        self._pass = "oauth:" + token.removeprefix("oauth:")
        self._limits = limits if limits is not None else SessionLimits()
        self._memberships = Memberships(joins, self._limits)
        self.state = State.NEW
        #: True while logged in.
        self.ready = False
        self.closed: End | None = None
        self._counts = SessionCounts()
        self._out = bytearray()
        self._in = b""
        self._skipping = False
        self._events = self._memberships.events
        self._now = 0.0
        self._welcome_by = 0.0
        self._heard_at = 0.0
        self._pong_by: float | None = None

    def __repr__(self) -> str:
        return f"IrcSession(login={self.login!r}, token=[redacted], state={self.state.value})"

    @property
    def joined(self) -> tuple[str, ...]:
        """The channels Twitch confirmed, in the order of their confirmation."""
        return self._memberships.joined

    @property
    def counts(self) -> SessionCounts:
        """What happened so far."""
        self._counts.joins_sent = self._memberships.joins_sent
        return self._counts

    def start(self, now: float) -> None:
        """The connection is open: log in."""
        self._step(Step.START)
        self._now = self._heard_at = now
        self._welcome_by = now + self._limits.welcome_within_s
        self._write(IrcLine("CAP", ("REQ", " ".join(CAPABILITIES))))
        self._write(IrcLine("PASS", (self._pass,)))
        self._write(IrcLine("NICK", (self.login,)))

    def receive_data(self, data: bytes, now: float) -> list[ChatEvent]:
        """Take bytes from the socket at ``now`` (s); what happened."""
        assert self.state is not State.NEW, "start() comes first"
        self._now = self._heard_at = now
        self._pong_by = None
        *lines, self._in = (self._in + data).split(b"\n")
        for raw in lines:
            if self.closed is not None:
                break
            self._receive_line(raw)
        if len(self._in) > LINE_BYTES_MAX:
            # The rest of this line is skipped as it comes, so a line without an end never grows in memory.
            self._skipping = True
            self._in = b""
        return self._memberships.take_events()

    def receive_eof(self, words: str) -> None:
        """The socket came to its end, for the reason ``words``; a half-received last line is dropped."""
        self._end(EndKind.LOST, words)

    def tick(self, now: float) -> list[ChatEvent]:
        """Do what is due at ``now`` (s); what happened."""
        self._now = now
        if self.state is State.REGISTERING and now >= self._welcome_by:
            self._end(EndKind.LOST, f"no welcome within {self._limits.welcome_within_s:g} s")
        elif self.ready:
            self._check_life()
        if self.ready:
            self._send_joins()
        return self._memberships.take_events()

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do (the caller's clock); None before ``start`` and after the end."""
        if self.state is State.REGISTERING:
            return self._welcome_by
        if not self.ready:
            return None
        alive = self._pong_by if self._pong_by is not None else self._heard_at + self._limits.ping_idle_s
        channels = self._memberships.next_deadline(self._now)
        return alive if channels is None else min(alive, channels)

    def data_to_send(self) -> bytes:
        """The bytes to write now; each is given once."""
        if not self._out:
            return b""
        data = bytes(self._out)
        self._out.clear()
        return data

    def join(self, channels: Iterable[str]) -> None:
        """Want to be in ``channels``; JOINs leave with the next ``tick``, after the welcome, as fast as
        allowed.

        A name that cannot be a Twitch login gives JoinFailed.
        """
        self._memberships.want(channels)

    def part(self, channels: Iterable[str]) -> None:
        """Want to be in ``channels`` no longer; PART is written for those that were asked for."""
        for channel in self._memberships.unwant(channels):
            if self.ready:
                self._write(IrcLine("PART", ("#" + channel,)))

    def say(self, channel: str, text: str, reply_to: str = "") -> None:
        """Say ``text`` in ``channel``; ``/me …`` is said as an action.

        Line feeds and control characters are taken out: whatever a viewer made the bot say stays one PRIVMSG.

        Raises:
            NotConnected: not logged in (yet, or any more).
            IrcLineError: ``channel`` or ``reply_to`` cannot be one.
        """
        if not self.ready:
            raise NotConnected(f"cannot say anything in #{channel}: the session is {self.state.value}")
        if channel not in self._memberships:  # those have been looked at
            channel = normalize_channel(channel)
            if not is_login(channel):
                raise IrcLineError(f"not a Twitch login: {channel[:50]!r}")
        text = clean(text)
        if text.startswith(ACTION_PREFIX):
            text = format_action(text[len(ACTION_PREFIX) :])
        self._out += format_privmsg(channel, text, reply_to).encode("utf-8", "replace") + b"\r\n"
        self._counts.messages_sent += 1

    def _step(self, step: Step) -> None:
        assert (self.state, step) in TRANSITIONS, f"{step} while {self.state}"
        self.state = TRANSITIONS[self.state, step]
        self.ready = self.state is State.READY

    def _end(self, kind: EndKind, words: str) -> None:
        if self.closed is None:
            self.closed = End(kind, words)
        self._step(Step.END)

    def _write(self, line: IrcLine) -> None:
        self._out += format_line(line).encode("utf-8", "replace") + b"\r\n"

    def _send_joins(self) -> None:
        for channels in self._memberships.next_joins(self._now):
            self._write(IrcLine("JOIN", (channels,)))

    def _check_life(self) -> None:
        if self._pong_by is not None:
            if self._now >= self._pong_by:
                waited = self._limits.ping_idle_s + self._limits.pong_within_s
                self._end(EndKind.LOST, f"nothing received for {waited:g} s, not even an answer to PING")
        elif self._now >= self._heard_at + self._limits.ping_idle_s:
            self._pong_by = self._now + self._limits.pong_within_s
            self._counts.pings_sent += 1
            self._write(IrcLine("PING", ("byte-bot",)))

    def _receive_line(self, raw: bytes) -> None:
        if self._skipping or len(raw) > LINE_BYTES_MAX:
            self._skipping = False
            self._counts.lines_overlong += 1
            return
        if raw in (b"", b"\r"):
            return
        self._counts.lines += 1
        try:
            line = decode(raw)
        except IrcLineError:
            self._counts.lines_unreadable += 1
            return
        try:
            if (translate := TRANSLATORS.get(line.command)) is not None:
                event = translate(line)
                if event is not None:
                    self._events.append(event)
            elif (handler := self._HANDLERS.get(line.command)) is not None:
                handler(self, line)
        except (KeyError, IndexError, ValueError):
            # It lacks a tag or a parameter that every such line has.
            self._counts.lines_incomplete += 1

    def _on_welcome(self, line: IrcLine) -> None:
        first = not self.ready
        self._step(Step.WELCOME)
        if first:
            self._events.append(Connected())
            # Here, and not at the end of the packet: what follows must not depend on how the packets were
            # cut.
            self._send_joins()

    def _on_cap(self, line: IrcLine) -> None:
        if line.params[1].upper() == "NAK":
            self._end(EndKind.LOST, f"Twitch refused the capabilities {line.params[-1]!r}")

    def _on_ping(self, line: IrcLine) -> None:
        # A bare PING wants a bare PONG; a text must come back as it was.
        self._write(IrcLine("PONG", line.params))

    def _on_reconnect(self, line: IrcLine) -> None:
        self._end(EndKind.RECONNECT, "Twitch asked to reconnect")

    def _on_notice(self, line: IrcLine) -> None:
        target, text = line.params[0], line.params[-1]
        if not target.startswith("#"):
            if text in LOGIN_REFUSALS:
                self._end(EndKind.LOGIN_REFUSED, text)
            return
        channel, notice_id = normalize_channel(target), line.tags.get("msg-id", "")
        if notice_id in JOIN_REFUSALS and self._memberships.on_refusal(
            channel, f"{notice_id}: {text}", self._now
        ):
            return
        if notice_id.startswith("msg_") or notice_id in _OTHER_REFUSALS:
            self._events.append(MessageRefused(channel, notice_id, text))

    def _on_roomstate(self, line: IrcLine) -> None:
        self._memberships.on_roomstate(normalize_channel(line.params[0]), line.tags["room-id"])

    def _on_userstate(self, line: IrcLine) -> None:
        channel = normalize_channel(line.params[0])
        self._memberships.on_userstate(channel, channel == self.login or read_privileged(line.tags))

    def _on_part(self, line: IrcLine) -> None:
        if line.nick == self.login:
            self._memberships.on_part(normalize_channel(line.params[0]), self._now)

    #: Of the class, not of the session: a session that holds its own methods is freed by the garbage collector only, and
    #: with 100,000 channels it is 10 MB that each lost connection leaves behind (:mod:`byte_bot.garbage`).
    _HANDLERS: ClassVar[Mapping[str, Callable[[IrcSession, IrcLine], None]]] = {
        "001": _on_welcome,
        "CAP": _on_cap,
        "NOTICE": _on_notice,
        "PART": _on_part,
        "PING": _on_ping,
        "RECONNECT": _on_reconnect,
        "ROOMSTATE": _on_roomstate,
        "USERSTATE": _on_userstate,
    }
