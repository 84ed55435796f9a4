"""How much Twitch lets an account say, join and log in, as pure counting; the caller passes the time in.

How it works. Twitch does not tell when its buckets refill, so a bucket of our own can be wrong by a whole
refill (20 + 20 in one window). A **sliding window** cannot: it remembers when the last N things were done,
and allows the next one when the N-th last is older than the window. Messages pass two of them: the account's,
where a message to a channel in which the bot is moderator, VIP or broadcaster ("privileged") may use 100
places and any other only 20 *of the same* places, and the channel's, which matters to verified bots, whose
account has 7,500. An unprivileged channel also takes one message a second. Last, the same text within 30 s
would be refused there (``msg_duplicate``), so it is made distinct with invisible marks; moderators, VIPs and
broadcasters may repeat themselves (recorded by pajbot/tmi-rate-limits). What was said while privileged is not
remembered: after a demotion one repetition may be refused.

Sources: dev.twitch.tv/docs/chat, "Rate limits" (the numbers; "the channel limits also apply" to verified
bots); that the 20 and the 100 are counted together was said by Twitch's staff (discuss.dev.twitch.com, topic
1108). Over the limit Twitch drops messages in silence and may ignore the account for an hour, so being early
costs far more than being late.

Send Chat Message (EventSub's way to speak) has a bucket of its own, which the same messages fill and whose size Twitch tells
only in its answers. So nothing is counted a second time: when an answer says that it is empty, :meth:`MessageLimiter.hold`
stops everything until Twitch fills it again.

A process that takes the place of another one does not begin with empty windows: what leaves is told to the journal
(:meth:`MessageLimiter.take_untold`), and at boot the account's window is filled with what is known of it
(:meth:`MessageLimiter.recall`). Going over it would cost half an hour of silence.

Left out: what the process before said last *in a channel* (its pace and repetitions cost one message; the hundred messages of a
verified account's channel are out of reach of a bot that has just started), what another process beside this one sends; slow mode.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable, Mapping

import msgspec

from byte_bot.chat.utterance import CHARS_MAX, distinct

#: The most messages in a window with which an account's window outlives the process: of one that may say more nothing is told, since
#: nobody says a verified account's 7,500 twice over because it was started anew, and a busy chat would pay for it with each line.
UNTOLD_MAX = 100


class Tier(enum.StrEnum):
    """What Twitch granted the bot's account; ``verified`` must be applied for."""

    NORMAL = "normal"
    VERIFIED = "verified"


class Rates(msgspec.Struct, frozen=True):
    """Twitch's limits for one tier. Counts are per window; all times in seconds.

    ``margin_s`` is ours: what is sent 30 s apart can arrive 29.8 s apart. Chosen above the jitter of an
    ordinary line.
    """

    messages_unprivileged: int = 20
    messages_privileged: int = 100
    channel_unprivileged: int = 20
    channel_privileged: int = 100
    message_window_s: float = 30.0
    channel_spacing_s: float = 1.0
    duplicate_window_s: float = 30.0
    joins: int = 20
    logins: int = 20
    join_window_s: float = 10.0
    margin_s: float = 0.25


RATES: Mapping[Tier, Rates] = {
    Tier.NORMAL: Rates(),
    Tier.VERIFIED: Rates(messages_unprivileged=7_500, messages_privileged=7_500, joins=2_000, logins=200),
}


def rates_for(tier: Tier | str, *, messages: int = 0, channel_messages: int = 0) -> Rates:
    """The tier's rates with what Twitch granted one account beyond them.

    Args:
        tier: ``normal`` or ``verified``.
        messages: messages per window of the account, in any channel; 0 for the tier's.
        channel_messages: messages per window of a channel in which the account is privileged; 0 for the tier's.
    """
    rates = RATES[Tier(tier)]
    if messages:
        rates = msgspec.structs.replace(rates, messages_unprivileged=messages, messages_privileged=messages)
    if channel_messages:
        rates = msgspec.structs.replace(rates, channel_privileged=channel_messages)
    return rates


class SlidingWindow:
    """At most ``count_max`` things in any ``window_s`` seconds, exactly.

    Args:
        count_max: at least 1.
        window_s: seconds, above 0.
    """

    def __init__(self, count_max: int, window_s: float) -> None:
        assert count_max >= 1 and window_s > 0
        self._count_max = count_max
        self._window_s = window_s
        self._taken: deque[float] = deque()

    def ready_at(self, now: float, count_max: int | None = None) -> float:
        """The earliest time (``now`` or later) at which one more is allowed.

        Args:
            now: seconds on the clock that ``take`` is given; must not go back.
            count_max: a lower limit over the same things, 1 to the window's own.
        """
        limit = self._count_max if count_max is None else count_max
        taken = self._taken
        while taken and taken[0] + self._window_s <= now:
            taken.popleft()
        if len(taken) < limit:
            return now
        return max(now, taken[-limit] + self._window_s)

    def take(self, now: float) -> None:
        """Count one thing done at ``now``."""
        self._taken.append(now)
        # Whoever takes past the limit cannot make the memory grow: only the last ``count_max`` are ever asked
        # for.
        if len(self._taken) > self._count_max:
            self._taken.popleft()


class _Channel:
    """What the limiter knows of one channel."""

    __slots__ = ("last_at", "privileged", "recent", "window")

    def __init__(self, rates: Rates) -> None:
        self.privileged = False
        self.last_at = float("-inf")
        self.window = SlidingWindow(
            max(rates.channel_privileged, rates.channel_unprivileged), rates.message_window_s + rates.margin_s
        )
        # Text as sent -> when, oldest first. At most as many as the window lets through.
        self.recent: dict[str, float] = {}


class MessageLimiter:
    """When the next message may leave, and in which form.

    The account and the channel are asked and told separately, because waiting for them is different: a
    channel makes only its own replies wait, the account makes everybody queue.

    Args:
        tier: ``normal`` or ``verified``.
        rates: the numbers, instead of the tier's own (for tests, and for the day Twitch changes them).
    """

    def __init__(self, tier: Tier | str = Tier.NORMAL, *, rates: Rates | None = None) -> None:
        self.rates = rates if rates is not None else RATES[Tier(tier)]
        self._account = SlidingWindow(
            max(self.rates.messages_privileged, self.rates.messages_unprivileged),
            self.rates.message_window_s + self.rates.margin_s,
        )
        #: Only of channels that got a message: of the quiet ones the standing is enough.
        self._channels: dict[str, _Channel] = {}
        self._privileged: dict[str, None] = {}
        self._held_until_s = float("-inf")
        #: Whether what the account says is told to the process after this one.
        self.tells = max(self.rates.messages_privileged, self.rates.messages_unprivileged) <= UNTOLD_MAX
        self._untold: deque[float] = deque(maxlen=UNTOLD_MAX if self.tells else 0)

    def _channel(self, channel: str) -> _Channel:
        found = self._channels.get(channel)
        if found is None:
            found = self._channels[channel] = _Channel(self.rates)
            found.privileged = channel in self._privileged
        return found

    def privileged(self, channel: str) -> bool:
        """Whether the bot is known to be moderator, VIP or broadcaster of ``channel``; False until told."""
        return channel in self._privileged

    def set_privileged(self, channel: str, privileged: bool) -> None:
        """Tell what Twitch said about the bot's standing in ``channel``."""
        if privileged:
            self._privileged[channel] = None
        else:
            self._privileged.pop(channel, None)
        if (found := self._channels.get(channel)) is not None:
            found.privileged = privileged

    def account_ready_at(self, privileged: bool, now: float) -> float:
        """When the account may send one more message to a channel of that standing, ``now`` or later."""
        rates = self.rates
        limit = rates.messages_privileged if privileged else rates.messages_unprivileged
        return max(self._account.ready_at(now, limit), self._held_until_s)

    def hold(self, until_s: float) -> None:
        """Let nothing of the account leave before ``until_s``: Twitch's own bucket is empty (Send Chat Message says so)."""
        self._held_until_s = max(self._held_until_s, until_s)

    def take_account(self, now: float) -> None:
        """Count one message of the account."""
        self._account.take(now)
        self._untold.append(now)

    def take_untold(self) -> list[float]:
        """When the account's messages left that were not told of before: the last :data:`UNTOLD_MAX`, oldest first."""
        if not self._untold:
            return []
        untold = list(self._untold)
        self._untold.clear()
        return untold

    def recall(self, taken: Iterable[float], waiting: Mapping[bool, int], until: float) -> None:
        """Count what the process before this one said; before anything else is counted.

        Args:
            taken: when messages of it left, none later than now.
            waiting: how many more may have left, to channels in which the bot was privileged and to others. No more
                than the limits let through by then, and as late as they can have: what is not known makes nobody early.
            until: when the last of those can have left, at most now.
        """
        for at in sorted(taken):
            self._account.take(at)
        for privileged, count in waiting.items():
            for _ in range(count):
                if self.account_ready_at(privileged, until) > until:
                    break
                self.take_account(until)

    def channel_ready_at(self, channel: str, text: str, now: float) -> float:
        """When ``channel`` may get ``text``, ``now`` or later, as far as the channel is concerned."""
        return self._ready_at(self._channel(channel), text, now)

    def _ready_at(self, state: _Channel, text: str, now: float) -> float:
        rates = self.rates
        limit = rates.channel_privileged if state.privileged else rates.channel_unprivileged
        ready = state.window.ready_at(now, limit)
        if state.privileged:
            return ready
        ready = max(ready, state.last_at + rates.channel_spacing_s + rates.margin_s)
        if ready <= now and self._free_form(state, text, now) is None:
            # Too long for a mark: it must wait until its twin is forgotten.
            ready = state.recent[text] + rates.duplicate_window_s + rates.margin_s
        return ready

    def form(self, channel: str, text: str, now: float) -> str:
        """``text``, or what looks the same but is not equal to anything ``channel`` got lately.

        To be asked only when ``channel_ready_at`` said now.
        """
        return self._form(self._channel(channel), text, now)

    def _form(self, state: _Channel, text: str, now: float) -> str:
        if state.privileged:
            return text
        form = self._free_form(state, text, now)
        assert form is not None, "asked for a form before channel_ready_at allowed it"
        return form

    def take_channel(self, channel: str, form: str, now: float) -> None:
        """Count one message to ``channel``, as it was sent."""
        self._take_channel(self._channel(channel), form, now)

    def _take_channel(self, state: _Channel, form: str, now: float) -> None:
        state.window.take(now)
        state.last_at = now
        if not state.privileged:
            state.recent.pop(form, None)
            state.recent[form] = now

    def take(self, channel: str, text: str, now: float) -> str | None:
        """Count one message and return the form in which it may leave now; None if anything makes it wait."""
        state = self._channel(channel)
        if self._ready_at(state, text, now) > now or self.account_ready_at(state.privileged, now) > now:
            return None
        form = self._form(state, text, now)
        self.take_account(now)
        self._take_channel(state, form, now)
        return form

    def _free_form(self, state: _Channel, text: str, now: float) -> str | None:
        """The first form of ``text`` not sent in the duplicate window, or None if none fits a message."""
        recent = state.recent
        keep_s = self.rates.duplicate_window_s + self.rates.margin_s
        while recent:
            oldest = next(iter(recent))
            if recent[oldest] + keep_s > now:
                break
            del recent[oldest]
        for copies in range(len(recent) + 1):
            form = distinct(text, copies)
            if len(form) > CHARS_MAX and copies:
                return None
            if form not in recent:
                return form
        raise AssertionError("n + 1 forms cannot all be among n texts")
