"""One client's IRC session as a pure object: lines in, bytes out through a `Wire`, effects through a `SessionHost`.

A session is unregistered until PASS and NICK were right, in this order, with CAP before, between or after them as clients please.
NICK decides at once; CAP END is taken but nothing waits for it, since clients differ in whether they send it. From then on JOIN, PART
and PRIVMSG work, each as Twitch does it:

* An account is known by its token. A NICK that differs is ignored, and the 001 carries the token's login.
* The token needs the scope `chat:read` to log in ("Login unsuccessful" without, recorded in twitchdev/issues#166) and `chat:edit` to
  speak (NOTICE `no_permission` without, as recorded for commands in twitchdev/issues#446). The legacy scope `chat_login` is both.
* A token is looked at once, at the login: one that expires or is revoked in mid-life leaves the connection as it is, and only the next
  login fails (recorded in Chatterino/chatterino2#1762).
* `justinfan` followed by digits is anonymous: it may read, its messages go nowhere.
* JOIN of an unknown channel, or over a limit, is dropped without an answer.
* Own messages are not echoed to the connection they came from; it gets a USERSTATE.
* PRIVMSG needs no JOIN (dank-twitch-irc sends on a connection that never joins).

Every `Broadcast` is filtered by the capabilities asked for. Left out: SASL, WHISPER, and 421 before a login, where the real server
answers some unknown commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from simulator.twitch import messages
from simulator.twitch.events import Channel, User
from simulator.twitch.line import BadLine, Line, format_line, parse
from simulator.twitch.messages import HOST, Broadcast
from simulator.twitch.notices import IMPROPER_AUTH, LOGIN_FAILED, LOGIN_UNSUCCESSFUL, notice_text
from simulator.twitch.rules import ChatRules
from simulator.twitch.state import TOKEN_PREFIX, TwitchState

_READ_SCOPES = ("chat:read", "chat_login")
_EDIT_SCOPES = ("chat:edit", "chat_login")
_ANONYMOUS = re.compile(r"justinfan[0-9]+")
_CHANNEL = re.compile(r"#[a-z0-9_]{1,25}")
# The real server takes these after a login and does nothing (recorded by pajbot/tmi-rate-limits, which lists every command that is not
# answered with 421); anything else gets 421. So does NAMES: Twitch no longer documents it (discuss.dev.twitch.tv/t/25568), and the list
# of a channel's people comes with its JOIN alone.
_IGNORED_COMMANDS = ("MODE", "PASS", "USER")


class Wire(Protocol):
    """What a session needs of its connection."""

    def send(self, data: bytes, *, extra_delay_s: float = 0.0) -> None:
        """Queue bytes for the client; with a delay, in seconds, later ones may overtake them."""

    def close(self, reason: str) -> None:
        """Close after everything queued is out."""

    def pong(self) -> None:
        """Note that the client answered a PING."""


class SessionHost(Protocol):
    """What a session needs of its server."""

    state: TwitchState
    rules: ChatRules

    def count(self, what: str) -> None:
        """Count one occurrence under a name."""

    def drops_join(self) -> bool:
        """Say whether this JOIN is lost (a fault)."""

    def enter(self, session: IrcSession, channel: Channel) -> None:
        """Deliver the channel to this session and tell the others."""

    def leave(self, session: IrcSession, login: str) -> None:
        """Stop delivering the channel to this session and tell the others."""

    def occupants(self, channel: Channel, besides: str) -> tuple[str, ...]:
        """Return who else is in the room, in the order they came."""

    def channels_held(self, session: IrcSession) -> int:
        """Return how many channels the account has joined that count against its 100."""


class IrcSession:
    """The state of one connection between its first byte and its last."""

    def __init__(self, host: SessionHost, wire: Wire) -> None:
        self._host = host
        self.wire = wire
        self._password: str | None = None
        self._state_sent = False
        self._may_speak = False
        self.capabilities: dict[str, None] = {}
        self.joined: dict[str, None] = {}
        self.nick = ""
        self.user: User | None = None  # None before the login and for anonymous sessions
        self.registered = False
        self._handlers: dict[str, Callable[[Line], None]] = {
            "CAP": self._cap,
            "PASS": self._pass,
            "NICK": self._nick,
            "PING": self._ping,
            "PONG": self._pong,
            "QUIT": self._quit,
            "JOIN": self._join,
            "PART": self._part,
            "PRIVMSG": self._privmsg,
        }

    def receive(self, text: str) -> None:
        """Handle one line from the client; a client's own prefix is ignored, a broken line is counted and skipped."""
        try:
            line = parse(text)
        except BadLine:
            self._host.count("unreadable_lines")
            return
        handler = self._handlers.get(line.command)
        if self.registered and line.command in _IGNORED_COMMANDS:
            return
        if handler is None or (not self.registered and line.command in ("JOIN", "PART", "PRIVMSG")):
            self._unknown(line)
            return
        handler(line)

    def deliver(self, line: Broadcast) -> bool:
        """Send a line in the form this session's capabilities ask for; return whether it gets any."""
        data = line.for_capabilities(self.capabilities)
        if data is not None:
            self.wire.send(data)
        return data is not None

    def ended(self) -> None:
        """Leave every channel, when the connection is gone."""
        for login in tuple(self.joined):
            self._host.leave(self, login)
        self.joined.clear()

    # -- before the login -----------------------------------------------------------------------------------------------------------

    def _cap(self, line: Line) -> None:
        subcommand = line.params[0].upper() if line.params else ""
        if subcommand == "LS":
            self._reply("CAP", "*", "LS", trailing=" ".join(messages.CAPABILITIES))
        elif subcommand == "LIST":
            self._reply("CAP", "*", "LIST", trailing=" ".join(self.capabilities))
        elif subcommand == "REQ":
            asked = " ".join(line.params[1:])
            # All or nothing, case-sensitive (IRCv3 capability negotiation; dev.twitch.tv/docs/irc/capabilities).
            if all(name.removeprefix("-") in messages.CAPABILITIES for name in asked.split()):
                self._take_capabilities(asked.split())
                self._reply("CAP", "*", "ACK", trailing=asked)
                self._send_global_state()
            else:
                self._reply("CAP", "*", "NAK", trailing=asked)

    def _take_capabilities(self, names: list[str]) -> None:
        for name in names:
            if name.startswith("-"):
                self.capabilities.pop(name[1:], None)
            else:
                self.capabilities[name] = None

    def _pass(self, line: Line) -> None:
        self._password = line.params[0] if line.params else ""

    def _nick(self, line: Line) -> None:
        if self.registered:
            self.wire.close(
                "NICK after the login"
            )  # the real server disconnects (recorded by pajbot/tmi-rate-limits)
            return
        nick = line.params[0].lower() if line.params else ""
        if _ANONYMOUS.fullmatch(nick):
            self._welcome(nick)
        elif not nick or self._password is None or not self._password.startswith(TOKEN_PREFIX):
            self._reject(IMPROPER_AUTH)
        else:
            self._log_in(self._password.removeprefix(TOKEN_PREFIX), nick)

    def _log_in(self, token: str, nick: str) -> None:
        state, rules = self._host.state, self._host.rules
        found = state.credentials.valid(token)
        user = state.user_of_token(token)
        # Attempts are limited, and not only good ones: a token that is nobody's counts for the account whose name was given.
        account = user if user is not None else state.users.get(nick)
        if account is not None and not rules.limiter(account).take_auth(state.now_s()):
            # What the real server says here is not recorded; a closed connection promises the client the least.
            self._host.count("logins_over_limit")
            self.wire.close("too many logins")
        elif found is None or user is None:  # an app's own token has no user either
            self._reject(LOGIN_FAILED)
        elif not found.has_scope(*_READ_SCOPES):
            self._reject(LOGIN_UNSUCCESSFUL)
        else:
            self.user, self._may_speak = user, found.has_scope(*_EDIT_SCOPES)
            self._welcome(user.login)

    def _welcome(self, nick: str) -> None:
        self.nick, self.registered, self._password = nick, True, None
        self.wire.send(messages.welcome(nick))
        self._host.count("logins")
        self._send_global_state()

    def _send_global_state(self) -> None:
        # Once, and also for clients that ask for capabilities after the login (twitchio 2).
        if self.user is not None and not self._state_sent:
            self._state_sent = self.deliver(messages.globaluserstate(self.user))

    def _reject(self, text: str) -> None:
        self._host.count("logins_rejected")
        self._reply("NOTICE", "*", trailing=text)
        self.wire.close(text)

    # -- at any time ------------------------------------------------------------------------------------------------------------------

    def _ping(self, line: Line) -> None:
        if not line.params:
            self.wire.send(b"PONG\r\n")  # tmi.js sends a bare PING and wants an answer without a prefix
        else:
            self._reply("PONG", HOST, trailing=line.params[0])  # twurple wants its own text back

    def _pong(self, line: Line) -> None:
        self.wire.pong()  # with or without a text: clients send "PONG", "PONG x" and "PONG :x"

    def _quit(self, line: Line) -> None:
        self.wire.close("QUIT")

    def _unknown(self, line: Line) -> None:
        self._host.count("unknown_commands")
        if self.registered:
            self._reply("421", self.nick, line.command, trailing="Unknown command")

    # -- channels -----------------------------------------------------------------------------------------------------------------------

    def _join(self, line: Line) -> None:
        for name in line.params[0].split(",") if line.params else ():
            self._join_one(name.lower())

    def _join_one(self, name: str) -> None:
        state, login = self._host.state, name.removeprefix("#")
        if login in self.joined or not _CHANNEL.fullmatch(name):
            return
        limiter = self._host.rules.limiter(self.user) if self.user is not None else None
        if limiter is not None and not limiter.take_join(state.now_s()):
            self._host.count("joins_over_limit")
            return
        channel = state.channels.get(login)
        if self._host.drops_join():
            self._host.count("joins_dropped")
        elif channel is None:
            self._host.count("joins_unknown")
        elif channel.suspended:
            self._refuse(login, "msg_channel_suspended", notice_text("msg_channel_suspended"))
        elif self._is_full(channel):
            self._host.count("joins_over_channels")
        else:
            self._enter(channel)

    def _is_full(self, channel: Channel) -> bool:
        if self.user is None:
            return False
        if counts_against_limit(channel, self.user):
            return self._host.channels_held(self) >= self._host.rules.limiter(self.user).limits.channels_max
        return False

    def _enter(self, channel: Channel) -> None:
        others: tuple[str, ...] = ()
        if messages.MEMBERSHIP in self.capabilities:
            others = self._host.occupants(channel, self.nick)
        self.joined[channel.login] = None
        self.wire.send(
            format_line("JOIN", "#" + channel.login, prefix=messages.user_prefix(self.nick))
            + messages.names(self.nick, channel.login, others)
        )
        if self.user is not None:
            self.deliver(messages.userstate(self.user, channel))  # before ROOMSTATE, or tmi.js's join() fails
        self.deliver(messages.roomstate(channel))
        self._host.enter(self, channel)

    def _part(self, line: Line) -> None:
        for name in line.params[0].split(",") if line.params else ():
            self.part(name.lower().removeprefix("#"))

    def part(self, login: str) -> None:
        """Leave one channel, because the client says so or because the channel is gone; nothing where it is not joined."""
        if login in self.joined:
            del self.joined[login]
            self.wire.send(format_line("PART", "#" + login, prefix=messages.user_prefix(self.nick)))
            self._host.leave(self, login)

    def _privmsg(self, line: Line) -> None:
        if self.user is None or len(line.params) < 2:
            self._host.count("messages_without_author_or_text")
            return
        name, text = line.params[0].lower().removeprefix("#"), line.params[1]
        reply_to = line.tags.get("reply-parent-msg-id", "")
        channel = self._host.state.channels.get(name)
        if channel is None:
            if _CHANNEL.fullmatch("#" + name):
                self._refuse(name, "msg_channel_suspended", notice_text("msg_channel_suspended"))
            return
        if not self._may_speak:
            self._host.count("refused_no_permission")
            self._refuse(name, "no_permission", notice_text("no_permission"))
            return
        ruling = self._host.rules.judge(self.user, channel, text, reply_to)
        if ruling.refusal is not None:
            self._host.count("refused_" + ruling.refusal.reason)
            if ruling.refusal.notice_id:
                self._refuse(name, ruling.refusal.notice_id, ruling.refusal.text)
            return
        nonce = line.tags.get("client-nonce", "")
        message = self._host.state.publish(
            channel,
            self.user,
            ruling.text,
            reply_to=reply_to,
            is_action=ruling.is_action,
            client_nonce=nonce,
            origin=self,
        )
        self.deliver(messages.userstate(self.user, channel, message_id=message.id, client_nonce=nonce))

    def _refuse(self, channel: str, notice_id: str, text: str) -> None:
        self.deliver(messages.notice(channel, notice_id, text))

    def _reply(self, command: str, *middle: str, trailing: str) -> None:
        try:
            self.wire.send(format_line(command, *middle, trailing=trailing, prefix=HOST))
        except BadLine:
            self._host.count(
                "unreadable_lines"
            )  # the client's own word came back in the answer and was not writable


def counts_against_limit(channel: Channel, user: User) -> bool:
    """Say whether a joined channel is one of the account's 100: moderated ones and those that granted channel:bot are not."""
    moderated = user.login == channel.login or user.login in channel.moderators
    return not moderated and user.login not in channel.granted_bots
