"""The world's own account of what viewers were told, kept without the bot's code.

It reads chat as a viewer does: ``!count deaths +1`` is a wish, and the bot's reply to that very message is the
confirmation. Confirmed changes are applied in the order of the wishes' confirmations to a plain dict. What is not a
number (games, notes, quotes, commands) is followed by :mod:`simulator.account_state`. What was confirmed can be *taken back*
(:mod:`simulator.losses` says when): then it may have been made or not, like a wish that was never answered. What was *forsaken* is taken
back for good, whatever is still said about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from simulator.account_state import StateAccount
from simulator.twitch.events import SentMessage

_COUNT = re.compile(r"^!count\s+(\S+)\s+([+=-])\s*(\d+)$", re.IGNORECASE)
_REMOVAL = re.compile(r"^!count\s+(\S+)\s+del$", re.IGNORECASE)
# Also who is told that there is none must find none, whatever the bot did not know of then.
_REMOVED = re.compile(
    r".*\b(is gone|foi apagado) \(|.*(There is no counter called|Não existe um contador chamado) "
)
_TOLD = re.compile(r"^(?:@\S+\s+)?(\S+): (-?\d+)[ \u034f]*$")


@dataclass
class Account:
    """Counters by (channel, name), as the confirmed changes make them; and everything else in :attr:`state`."""

    counters: dict[tuple[str, str], int] = field(default_factory=dict)
    #: Those that the database held before anything was said.
    opened: dict[tuple[str, str], None] = field(default_factory=dict)
    #: The value that the last reply about a counter named.
    told: dict[tuple[str, str], int] = field(default_factory=dict)
    #: How many changes of counters were confirmed.
    confirmed: int = 0
    state: StateAccount = field(default_factory=StateAccount)
    #: The messages whose confirmation left before it was durable, as the bot had announced.
    ungated: dict[str, None] = field(default_factory=dict)
    #: The same, and those that a death has been reckoned for since.
    ever_ungated: dict[str, None] = field(default_factory=dict)
    #: The messages that only a process has handled which is no longer the bot, and has not saved it; and those whose commit a disk
    #: has lost with its power.
    forsaken: dict[str, None] = field(default_factory=dict)
    _wishes: dict[str, tuple[str, str, str, int]] = field(default_factory=dict)
    _confirmed: dict[str, tuple[str, str, str, int]] = field(default_factory=dict)
    #: Sums that may be in a counter once more than they were told.
    _again: list[tuple[str, str, int]] = field(default_factory=list)

    def range_of(self, channel: str, counter: str) -> tuple[int, int] | None:
        """The least and the greatest value the counter may have; None if nothing can be said.

        Confirmed changes are certain. One that was wished and never confirmed (its reply was dropped at Twitch's limits,
        or the bot died before it left) or was taken back may have been made or not.
        """
        low = high = self.counters.get((channel, counter), 0)
        for wished_in, name, sign, number in self._wishes.values():
            if (wished_in, name) != (channel, counter):
                continue
            if sign in ("=", "del"):
                return None
            low -= number if sign == "-" else 0
            high += number if sign == "+" else 0
        for counted_in, name, number in self._again:
            if (counted_in, name) == (channel, counter):
                low, high = low + min(number, 0), high + max(number, 0)
        return low, high

    def open_with(self, channel: str, counter: str, value: int) -> None:
        """The database held this counter before anything was said."""
        key = channel, counter.lower()
        self.counters[key], self.opened[key] = value, None

    def number_in(self, text: str) -> int | None:
        """The value of a counter that a reply names; None if it names none."""
        told = _TOLD.match(text)
        return int(told.group(2)) if told else None

    def said(self, message: SentMessage) -> None:
        """A viewer said something: remember it if it wishes a change. Delivered again, a message wishes nothing new."""
        if not message.text.startswith("!") or message.id in self._confirmed:
            return
        self.state.said(message)
        match = _COUNT.match(message.text)
        if match:
            name, sign, number = match.groups()
            self._wishes[message.id] = (message.channel, name.lower(), sign, int(number))
        removal = _REMOVAL.match(message.text)
        if removal:
            self._wishes[message.id] = (message.channel, removal[1].lower(), "del", 0)

    def take_back(self, message_ids: Iterable[str]) -> None:
        """What these messages wished may have been made or not, whatever was said."""
        for message_id in list(message_ids):
            self.ungated.pop(message_id, None)
            self.state.take_back(message_id)
            wish = self._confirmed.pop(message_id, None)
            if wish is None:
                continue
            channel, name, sign, number = wish
            self._wishes[message_id] = wish
            if sign in "+-":
                self.counters[channel, name] -= number if sign == "+" else -number

    def lose(self, message_ids: Collection[str]) -> None:
        """Take back, now and for good, what these messages wished: a reply to one may still be on its way."""
        self.forsaken |= dict.fromkeys(message_ids)
        self.take_back(message_ids)

    def forsake(self, is_forsaken: Callable[[str, str], bool]) -> None:
        """Take back, now and for good, what was wished by the messages of which that is said (by id and channel)."""
        wished_in = {message_id: wish[0] for message_id, wish in (self._wishes | self._confirmed).items()}
        wished_in |= self.state.wished_in()
        self.lose([one for one, channel in wished_in.items() if is_forsaken(one, channel)])

    def may_be_made_twice(self, message_id: str) -> None:
        """What this message wished may have been made, or not, or twice over."""
        wish = self._wishes.get(message_id) or self._confirmed.get(message_id)
        self.state.may_be_made_twice(message_id)
        self.take_back([message_id])
        if wish is not None and wish[2] in "+-":
            channel, name, sign, number = wish
            self.may_count_again(channel, name, number if sign == "+" else -number)

    def may_count_again(self, channel: str, counter: str, number: int) -> None:
        """This sum may be in the counter once more than it was told."""
        self._again.append((channel, counter, number))

    def replied(self, message: SentMessage, *, ungated: bool = False) -> None:
        """The bot said something: apply the wish that it confirms, if it does.

        ``ungated`` says that it left before it was durable, as the bot had announced.
        """
        if message.reply_to in self.forsaken:
            return
        self.state.replied(message)
        if ungated:
            self.ungated[message.reply_to] = self.ever_ungated[message.reply_to] = None
        wish = self._wishes.get(message.reply_to)
        if wish is None:
            return
        channel, name, sign, number = wish
        key = (channel, name)
        if sign == "del":
            # Any other answer says how it is written.
            del self._wishes[message.reply_to]
            if _REMOVED.match(message.text):
                self.counters[key] = self.told[key] = 0
                self.confirmed += 1
                self._confirmed[message.reply_to] = wish
            return
        told = self.number_in(message.text)
        if told is None:
            return
        del self._wishes[message.reply_to]
        before = self.counters.get(key, 0)
        self.counters[key] = {"+": before + number, "-": before - number, "=": number}[sign]
        self.told[key] = told
        self.confirmed += 1
        self._confirmed[message.reply_to] = wish
