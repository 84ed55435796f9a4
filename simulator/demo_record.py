"""What happened in a demo: every command somebody said, when, in which phase, and what the bot answered.

A `Recorder` listens to the fake Twitch. A message that begins with "!" and did not come from a client is a command; the
bot's first message that replies to it is its answer. Latency is what a viewer sees: from the moment Twitch has the command
to the moment Twitch has the reply, both read from one clock, less the stalls of that clock's own process (`stalls.py`).
Nothing here knows the bot's code.

Bounded by the demo's length: a few thousand exchanges.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from simulator.twitch.events import SentMessage

Phase: TypeAlias = Literal["warm-up", "before", "during", "after"]
PHASES: tuple[Phase, ...] = (
    "before",
    "during",
    "after",
)  # what the verdict compares; the warm-up is left out

# A bot appends marks that nobody sees to a text which it said shortly before; the fake keeps them as they were sent.
_INVISIBLE_TAIL = re.compile(r"[\u034f\u200b\u2060\ufe0f\U000e0000\s]+$")

LINES_MAX = 40  # chat lines remembered per channel, for the screen


@dataclass
class Exchange:
    """A command and its answer; times in seconds of the stage, `phase` as it was when the command was said."""

    channel: str
    login: str
    text: str
    asked_s: float
    phase: Phase
    reply: str = ""
    replied_s: float | None = None
    stalled_s: float = 0.0

    @property
    def raw_ms(self) -> float | None:
        """Milliseconds until the reply, as the clock says; None while there is none."""
        return None if self.replied_s is None else (self.replied_s - self.asked_s) * 1_000

    @property
    def subtracted_ms(self) -> float:
        """How many of `raw_ms` are not in `latency_ms`."""
        raw_ms, latency_ms = self.raw_ms, self.latency_ms
        return 0.0 if raw_ms is None or latency_ms is None else raw_ms - latency_ms

    @property
    def latency_ms(self) -> float | None:
        """Milliseconds until the reply, less those in which this process was held up; None while there is none."""
        if self.replied_s is None:
            return None
        return max(0.0, self.replied_s - self.asked_s - self.stalled_s) * 1_000


@dataclass(frozen=True)
class ChatLine:
    """A line for the screen; `latency_ms` only for the bot's replies."""

    login: str
    text: str
    from_bot: bool
    latency_ms: float | None = None


class Recorder:
    """Give `heard` to `TwitchState.on_message`.

    At each command `phase` is asked for the phase; at each command and reply `stalled_s` for the stalls so far, in seconds.
    """

    def __init__(self, phase: Callable[[], Phase], stalled_s: Callable[[], float] = float) -> None:
        self._phase = phase
        self._stalled_s = stalled_s
        self._waiting: dict[str, Exchange] = {}
        self.exchanges: list[Exchange] = []
        self.lines: dict[str, deque[ChatLine]] = {}
        self.replies_total = 0

    def heard(self, message: SentMessage) -> None:
        """Take one message of the chat, whoever wrote it."""
        latency_ms = None
        if message.from_client:
            self.replies_total += 1
            exchange = self._waiting.pop(message.reply_to, None)
            if exchange is not None:
                exchange.reply, exchange.replied_s = message.text, message.at_s
                exchange.stalled_s += self._stalled_s()
                latency_ms = exchange.latency_ms
        elif message.text.startswith("!"):
            exchange = Exchange(message.channel, message.login, message.text, message.at_s, self._phase())
            # Negative until the reply comes: the difference of the two readings is what counts.
            exchange.stalled_s = -self._stalled_s()
            self.exchanges.append(exchange)
            self._waiting[message.id] = exchange
        lines = self.lines.setdefault(message.channel, deque(maxlen=LINES_MAX))
        lines.append(ChatLine(message.login, visible(message.text), message.from_client, latency_ms))

    @property
    def outstanding(self) -> int:
        """Commands that have no answer yet."""
        return len(self._waiting)

    def latencies_ms(self, phase: Phase | None = None, *, since_s: float = 0.0) -> list[float]:
        """The latencies of the answered commands of a phase (None: all), said at `since_s` or later, in their order."""
        found = []
        for exchange in reversed(self.exchanges):
            if exchange.asked_s < since_s:
                break
            if exchange.latency_ms is not None and phase in (None, exchange.phase):
                found.append(exchange.latency_ms)
        return found[::-1]


def visible(text: str) -> str:
    """The text as people see it: without invisible marks and blanks at its end."""
    return _INVISIBLE_TAIL.sub("", text)
