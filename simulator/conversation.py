"""Chat as the world sees it: people say things, the bot answers, and how long that takes is measured.

Latency is counted from the moment Twitch has a command to the moment Twitch has the reply to that very message, in virtual
milliseconds. What the bot says without replying to a message (custom commands) has no such measure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from simulator.account import Account
from simulator.errors import SimulatorError
from simulator.report import Line
from simulator.trace import Trace
from simulator.twitch.events import SentMessage
from simulator.twitch.state import TwitchState

#: How closely stories wait for something, virtual seconds.
POLL_S = 0.01


class StoryError(SimulatorError):
    """What a story waited for did not happen."""


class Asked(msgspec.Struct, frozen=True):
    """A command, and by which connections the bot heard the channel when it was said (none: it was away)."""

    message: SentMessage
    heard_by: frozenset[int]
    #: How many replies had left before they were durable by then.
    ungated_before: int = 0
    #: Which of the bot's processes ran then.
    processes: frozenset[int] = frozenset()


class Conversation:
    """Everything said in a world; see the module's docstring.

    Args:
        twitch: where it is said.
        trace: records every message.
        account: keeps what viewers were told.
        bot_login: who the bot is.
        default_channel: where people speak who name no channel.
        attendance: by which connections the bot hears a channel at this moment.
        ungated_replies: how many replies have left before they were durable, as the bot had announced and counts.
        processes: the numbers of the bot's processes that run now: one, two while one was started by mistake, none.
    """

    def __init__(
        self,
        twitch: TwitchState,
        trace: Trace,
        account: Account,
        *,
        bot_login: str,
        default_channel: str,
        attendance: Callable[[str], frozenset[int]],
        ungated_replies: Callable[[], int],
        processes: Callable[[], frozenset[int]],
    ) -> None:
        self._twitch = twitch
        self._trace = trace
        self._account = account
        self._bot_login = bot_login
        self._default_channel = default_channel
        self._attendance = attendance
        self._ungated_replies = ungated_replies
        self._processes = processes
        self._asked: dict[str, Asked] = {}
        self._answered: dict[str, None] = {}
        self._answers: dict[str, list[SentMessage]] = {}
        self._said_plainly: dict[str, list[SentMessage]] = {}
        self.latencies_ms: list[float] = []
        twitch.on_message(self._heard)

    @property
    def unanswered(self) -> int:
        """How many commands have had no reply so far."""
        return len(self._asked)

    @property
    def unanswered_away(self) -> int:
        """How many of those were said while the bot was not there."""
        return sum(not asked.heard_by for asked in self._asked.values())

    def asked(self, message_id: str) -> Asked | None:
        """The command of this id, while nobody has replied to it."""
        return self._asked.get(message_id)

    def was_command(self, message_id: str) -> bool:
        """True if this is the id of a command that somebody gave."""
        return message_id in self._asked or message_id in self._answered

    def answer_to(self, message_id: str) -> SentMessage | None:
        """The first reply to this message, if there is one."""
        return next(iter(self._answers.get(message_id, ())), None)

    @property
    def transcript(self) -> tuple[Line, ...]:
        """What the bot said, in order."""
        return tuple(
            Line(round(sent.at_s * 1_000_000), sent.channel, spoken(sent.text), sent.reply_to)
            for sent in self._twitch.transcript
            if sent.login == self._bot_login
        )

    def say(self, login: str, text: str, *, channel: str = "", message_id: str | None = None) -> str:
        """Somebody says something; the message's id. Unknown people come into being; ``mod`` is a moderator."""
        if login not in self._twitch.users:
            self._twitch.add_user(login)
        return self._twitch.say(channel or self._default_channel, login, text, message_id=message_id)

    async def ask(self, login: str, text: str, *, channel: str = "", within_s: float = 5.0) -> str:
        """Say something and wait for the bot's reply to it, or for the next thing it says in the channel; its text.

        Raises:
            StoryError: no reply within ``within_s`` virtual seconds.
        """
        channel = channel or self._default_channel
        said_before = len(self._said_plainly.get(channel, ()))
        message_id = self.say(login, text, channel=channel)
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + within_s
        while True:
            answers = self._answers.get(message_id) or self._said_plainly.get(channel, [])[said_before:]
            if answers:
                return spoken(answers[0].text)
            if loop.time() >= deadline_s:
                raise StoryError(f"did not happen within {within_s:g} s: an answer to {text!r}")
            await asyncio.sleep(POLL_S)

    def _heard(self, message: SentMessage) -> None:
        self._trace.record(
            "chat",
            channel=message.channel,
            login=message.login,
            text=message.text,
            id=message.id,
            reply_to=message.reply_to,
        )
        if message.login != self._bot_login:
            if message.text.startswith("!"):
                self._asked[message.id] = Asked(
                    message, self._attendance(message.channel), self._ungated_replies(), self._processes()
                )
            self._account.said(message)
            return
        if message.reply_to:
            self._answers.setdefault(message.reply_to, []).append(message)
        else:
            self._said_plainly.setdefault(message.channel, []).append(message)
        asked = self._asked.pop(message.reply_to, None)
        ungated = False
        if asked is not None:
            self._answered[message.reply_to] = None
            self.latencies_ms.append((message.at_s - asked.message.at_s) * 1000)
            # Whether it was this very reply or another one meanwhile cannot be seen from outside.
            ungated = self._ungated_replies() > asked.ungated_before
        self._account.replied(message, ungated=ungated)
        if ungated and asked is not None and not asked.processes <= self._processes():
            # It was on its way when its sender died (of two it may have been either): what the death took with it was reckoned
            # before. One that lives and has only lost its connection meanwhile knows what it said.
            self._account.take_back([message.reply_to])


def spoken(text: str) -> str:
    """A reply as a viewer reads it: without the invisible mark that tells equal messages apart for Twitch."""
    return text.rstrip(" \u034f")
