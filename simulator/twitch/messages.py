"""What happens in a channel, written as IRC lines: the one place that knows which command carries what.

A `Broadcast` holds one line in the two forms a connection may want, with tags and without, each written when first asked for and then
shared by all connections. `needs` is the capability without which Twitch does not send that kind of line; a connection without
`twitch.tv/tags` gets the same line without tags.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.twitch import tags
from simulator.twitch.events import (
    Channel,
    ChatCleared,
    ChatHappening,
    ChatSaid,
    MessageDeleted,
    Noticed,
    RoomChanged,
    SentMessage,
    User,
    ViewerCame,
)
from simulator.twitch.line import format_line

HOST = "tmi.twitch.tv"
COMMANDS = "twitch.tv/commands"
MEMBERSHIP = "twitch.tv/membership"
TAGS = "twitch.tv/tags"
CAPABILITIES = (COMMANDS, MEMBERSHIP, TAGS)

# Chosen: a 353 line stays near the 512 bytes of the RFC, as recorded NAMES replies do.
NAMES_CHARS_MAX = 400


def user_prefix(login: str) -> str:
    """Return "login!login@login.tmi.twitch.tv"."""
    return f"{login}!{login}@{login}.{HOST}"


class Broadcast:
    """One line for many connections."""

    def __init__(
        self,
        command: str,
        *middle: str,
        trailing: str | None = None,
        prefix: str = HOST,
        tags: Mapping[str, str] | None = None,
        needs: str = "",
    ) -> None:
        self.needs = needs
        self._command = command
        self._middle = middle
        self._trailing = trailing
        self._prefix = prefix
        self._tags = tags
        self._written: dict[bool, bytes] = {}  # with tags, and without; each once, whoever asks for it

    def for_capabilities(self, capabilities: Mapping[str, None]) -> bytes | None:
        """Return the bytes for a connection with these capabilities, None when Twitch would not send it the line."""
        if self.needs and self.needs not in capabilities:
            return None
        tagged = TAGS in capabilities
        if tagged not in self._written:
            self._written[tagged] = format_line(
                self._command,
                *self._middle,
                trailing=self._trailing,
                prefix=self._prefix,
                tags=self._tags if tagged else None,
            )
        return self._written[tagged]


def broadcast(happening: ChatHappening, emotes: Mapping[str, str]) -> Broadcast:
    """Write a happening as the line that every connection in its channel gets."""
    room = "#" + happening.channel.login
    match happening:
        case ChatSaid(user=user, message=message, shown_text=shown):
            return Broadcast(
                "PRIVMSG",
                room,
                trailing=wrap_action(message, shown),
                prefix=user_prefix(user.login),
                tags=tags.privmsg(happening, emotes),
            )
        case ChatCleared(target=target):
            login = target.login if target is not None else None
            return Broadcast(
                "CLEARCHAT", room, trailing=login, tags=tags.clearchat(happening), needs=COMMANDS
            )
        case MessageDeleted(message=message):
            text = wrap_action(message, message.text)
            return Broadcast("CLEARMSG", room, trailing=text, tags=tags.clearmsg(happening), needs=COMMANDS)
        case Noticed(text=text):
            notice_tags = tags.usernotice(happening, emotes)
            return Broadcast("USERNOTICE", room, trailing=text or None, tags=notice_tags, needs=COMMANDS)
        case RoomChanged(channel=channel, changed=changed):
            return Broadcast("ROOMSTATE", room, tags=tags.roomstate(channel, changed), needs=COMMANDS)
        case ViewerCame(login=login, here=here):
            return membership(login, happening.channel.login, here=here)


def wrap_action(message: SentMessage, text: str) -> str:
    """Wrap a /me text as CTCP ACTION, leave any other as it is."""
    return f"\x01ACTION {text}\x01" if message.is_action else text


def membership(login: str, channel: str, *, here: bool) -> Broadcast:
    """Return the JOIN or PART of somebody else, which needs the membership capability."""
    return Broadcast("JOIN" if here else "PART", "#" + channel, prefix=user_prefix(login), needs=MEMBERSHIP)


def userstate(user: User, channel: Channel, *, message_id: str = "", client_nonce: str = "") -> Broadcast:
    """Return the account's standing in the channel, sent after a JOIN and after each of its messages."""
    standing = tags.userstate(user, channel, message_id=message_id, client_nonce=client_nonce)
    return Broadcast("USERSTATE", "#" + channel.login, tags=standing, needs=COMMANDS)


def roomstate(channel: Channel) -> Broadcast:
    """Return all modes of the channel, sent after a JOIN."""
    return Broadcast("ROOMSTATE", "#" + channel.login, tags=tags.roomstate(channel), needs=COMMANDS)


def globaluserstate(user: User) -> Broadcast:
    """Return the account itself, sent after the login."""
    return Broadcast("GLOBALUSERSTATE", tags=tags.globaluserstate(user), needs=COMMANDS)


def notice(channel: str, notice_id: str, text: str) -> Broadcast:
    """Return why something was refused in a channel."""
    return Broadcast("NOTICE", "#" + channel, trailing=text, tags={"msg-id": notice_id}, needs=COMMANDS)


def welcome(nick: str) -> bytes:
    """Return the seven lines after a login, in the words of the real server."""
    numerics = (
        ("001", "Welcome, GLHF!"),
        ("002", f"Your host is {HOST}"),
        ("003", "This server is rather new"),
        ("004", "-"),
        ("375", "-"),
        ("372", "You are in a maze of twisty passages, all alike."),
        ("376", ">"),
    )
    return b"".join(format_line(number, nick, trailing=text, prefix=HOST) for number, text in numerics)


def names(nick: str, channel: str, others: tuple[str, ...]) -> bytes:
    """Return the 353 lines, others first and the joining account in a line of its own, and 366."""
    sender, room = f"{nick}.{HOST}", "#" + channel
    lines = [
        format_line("353", nick, "=", room, trailing=chunk, prefix=sender)
        for chunk in (*_chunks(others), nick)
    ]
    lines.append(format_line("366", nick, room, trailing="End of /NAMES list", prefix=sender))
    return b"".join(lines)


def _chunks(words: tuple[str, ...]) -> list[str]:
    chunks: list[str] = []
    for word in words:
        if chunks and len(chunks[-1]) + len(word) < NAMES_CHARS_MAX:
            chunks[-1] += " " + word
        else:
            chunks.append(word)
    return chunks
