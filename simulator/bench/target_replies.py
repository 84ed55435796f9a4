"""Which reply of a bot that nobody here knows answers which message. Pure.

Exact where the bot helps: a reply that names its message (Twitch's `reply-parent-msg-id`), or a text with the message's
number ({n} in `--send` and `--expect`). Any other reply is only known to answer some earlier message of its channel.

Taking the oldest open one, as long as the bot answers all, is right. But a bot that leaves ten messages out during an
outage would then look late by ten messages for ever. So these replies are matched at the end, in order, each to the latest
message that leaves enough for the replies before it (`match_latest`). For a bot that answered everything this is the same;
for one that did not it is the best that can have been: exactly as many messages are unanswered as the bot left out, and no
reply looks later than it must. A reply while no message of its channel is open answers nothing, so that a bot which says two
things for each command is not taken for one that is ahead of its viewers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from simulator.bench.matching import Asked, Expectation


class TargetReplies:
    """Every message of a load and its reply; `asked` is complete after `settle`. Moments in seconds of the loop's clock."""

    def __init__(self, expectation: Expectation) -> None:
        self._expectation = expectation
        self._by_id: dict[str, Asked] = {}
        self._by_key: dict[tuple[str, str], Asked] = {}
        self._asked_in: dict[str, list[Asked]] = {}
        self._vague: dict[str, list[float]] = {}  # channel -> moments of replies that name no message
        self._open: Counter[str] = Counter()  # channel -> messages that have no reply yet
        self.asked: list[Asked] = []
        self.strange = 0  # texts that answered nothing

    @property
    def has_numbers(self) -> bool:
        """Whether replies tell the number of their message."""
        return "key" in self._expectation.pattern.groupindex

    @property
    def outstanding(self) -> int:
        """How many messages have no reply yet."""
        return self._open.total()

    def ask(self, message_id: str, channel: str, number: int, at: float) -> None:
        """Note a message that was sent, and the moment at which it was due."""
        asked = Asked(at, True)
        self.asked.append(asked)
        self._by_id[message_id] = asked
        self._by_key[channel, str(number)] = asked
        self._asked_in.setdefault(channel, []).append(asked)
        self._open[channel] += 1

    def heard(self, channel: str, text: str, reply_to: str, at: float) -> bool:
        """Note what the bot said; return whether it answered a message."""
        read = self._expectation.read(text)
        if read is None or not self._open[channel] or not self._takes(channel, read[0], reply_to, at):
            self.strange += 1
            return False
        self._open[channel] -= 1
        return True

    def _takes(self, channel: str, key: str, reply_to: str, at: float) -> bool:
        asked = self._by_key.get((channel, key)) if self.has_numbers else self._by_id.get(reply_to)
        if asked is None:
            # A reply with the wrong number answers nothing; one without a name answers some message.
            if not self.has_numbers:
                self._vague.setdefault(channel, []).append(at)
            return not self.has_numbers
        if asked.replied_at is not None:
            return False
        asked.replied_at = at
        return True

    def settle(self) -> Sequence[Asked]:
        """Match what is left; every message, in the order in which they were due."""
        for channel, moments in self._vague.items():
            match_latest([asked for asked in self._asked_in[channel] if asked.replied_at is None], moments)
        self._vague.clear()
        return self.asked


def match_latest(asked: Sequence[Asked], moments: Sequence[float]) -> None:
    """Give each reply, the last first, the latest message before it that has none yet; both are in order of time."""
    left = list(asked)
    for at in reversed(moments):
        while left and left[-1].intended_at > at:
            left.pop()
        if not left:
            return
        left.pop().replied_at = at
