"""Which reply answers which message, and what a viewer was last told: a pure object fed with both.

A reply that names the message it answers (Twitch's `reply-parent-msg-id`) is matched by it. Any other is matched by order:
it answers the oldest open message of its channel with the same *key*, which the expectation reads from the reply's text (the
counter's name, say; for a bot that always says the same there is one key a channel). A text that the expectation does not
recognise answers nothing and is counted.

What order cannot tell: a bot which leaves out one reply and gives the following ones looks as if every later reply of that key
were late by one message. That is against the bot, and only while it leaves messages unanswered.
"""

from __future__ import annotations

import re
from collections import deque

import msgspec


class Asked(msgspec.Struct):
    """One message that asks for a reply; times in seconds of the loop's clock."""

    intended_at: float
    sampled: bool  # False: it warms the bot up and is in no percentile
    replied_at: float | None = None


class Expectation:
    """What a reply looks like: a regular expression, found anywhere in its text.

    A group `key` tells apart replies to different messages of one channel; a group `value` is a whole number that only grows,
    which the bot has confirmed to its viewers and must not lose. Raises `re.error` for a broken pattern.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = re.compile(pattern)
        groups = self.pattern.groupindex
        self._has_key, self.has_value = "key" in groups, "value" in groups

    def read(self, text: str) -> tuple[str, int | None] | None:
        """The key ("" without that group) and the value of a reply, None for a text that is no reply."""
        found = self.pattern.search(text)
        if found is None:
            return None
        return found["key"] if self._has_key else "", int(found["value"]) if self.has_value else None


class ReplyBook:
    """Every message and its reply; see the module's docstring. `clear` forgets messages, never confirmed values."""

    def __init__(self, expectation: Expectation) -> None:
        self._expectation = expectation
        self._open: dict[str, tuple[str, str]] = {}  # message id -> channel, key
        self._queues: dict[tuple[str, str], deque[tuple[str, Asked]]] = {}
        self._by_id: dict[str, Asked] = {}
        self.asked: list[Asked] = []
        self.confirmed: dict[tuple[str, str], int] = {}  # channel, key -> the largest value told to viewers
        self.unrecognised = 0

    @property
    def outstanding(self) -> int:
        """How many messages have no reply yet."""
        return len(self._open)

    def ask(
        self, message_id: str, channel: str, key: str, intended_at: float, *, sampled: bool = True
    ) -> None:
        """Note a message that was sent and the key of the reply it expects."""
        asked = Asked(intended_at, sampled)
        self.asked.append(asked)
        self._open[message_id] = (channel, key)
        self._by_id[message_id] = asked
        self._queues.setdefault((channel, key), deque()).append((message_id, asked))

    def heard(self, channel: str, text: str, reply_to: str, at: float) -> bool:
        """Note what the bot said at a moment; return whether it answered an open message."""
        read = self._expectation.read(text)
        if read is None:
            self.unrecognised += 1
            return False
        key, value = read
        if value is not None:
            place = (channel, key)
            self.confirmed[place] = max(value, self.confirmed.get(place, value))
        message_id = reply_to if reply_to in self._open else self._oldest(channel, key, named=bool(reply_to))
        if message_id is None:
            self.unrecognised += 1
            return False
        del self._open[message_id]
        self._by_id.pop(message_id).replied_at = at
        return True

    def _oldest(self, channel: str, key: str, *, named: bool) -> str | None:
        """The oldest open message of a key, None if there is none or the reply names one that is not open."""
        if named:
            return None
        queue = self._queues.get((channel, key), deque())
        while queue:
            message_id, asked = queue.popleft()
            if asked.replied_at is None and message_id in self._open:
                return message_id
        return None

    def clear(self) -> None:
        """Forget every message, answered or not; a reply to a forgotten one counts as unrecognised."""
        self._open.clear()
        self._queues.clear()
        self._by_id.clear()
        self.asked = []
