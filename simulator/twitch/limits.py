"""Twitch's rate limits as pure objects: given the time, they say yes or no.

Every account has one `AccountLimiter`, whatever connections it uses, because Twitch counts per account. Times are seconds of any
steady clock, passed in by the caller and never going back.

The windows slide. The real buckets refill on a fixed schedule whose phase a client cannot know, so a client is only safe when it
satisfies every phase, which is what a sliding window checks: stricter than the real server for a burst across a refill, never laxer.

Numbers: dev.twitch.tv/docs/irc (rate limits) unless the comment says otherwise. Left out: the "known bot" tier, limits by address,
whispers, and the per-channel bucket for very fast chats, whose size is not published.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TwitchLimits:
    """The numbers the server enforces; a test may loosen or tighten any of them."""

    auth_max: int = 20
    auth_verified_max: int = 200
    auth_window_s: float = 10.0
    joins_max: int = 20
    joins_verified_max: int = 2_000
    join_window_s: float = 10.0
    messages_max: int = 20
    messages_privileged_max: int = (
        100  # moderator, VIP or broadcaster there; these messages count against the 20 as well
    )
    messages_verified_max: int = 7_500
    message_window_s: float = 30.0
    message_interval_s: float = 1.0  # per channel, unprivileged: the slow mode every channel has
    duplicate_window_s: float = 30.0
    duplicate_spares_privileged: bool = (
        True  # recorded by pajbot/tmi-rate-limits: moderators, VIPs, broadcasters are exempt
    )
    text_chars_max: int = 500  # longer texts are cut, as recorded by pajbot/tmi-rate-limits
    channels_max: int = 100
    ignored_s: float = 1_800.0  # "30 minutes" of the older documentation; the newer one says up to an hour


class MessageVerdict(enum.Enum):
    """What the limits say about one message."""

    ACCEPTED = "accepted"
    OVER_LIMIT = "over_limit"  # dropped without a word, and the account is ignored from now on
    IGNORED = "ignored"  # dropped without a word, because of an earlier OVER_LIMIT
    TOO_FAST = "too_fast"  # second message within the interval: NOTICE msg_ratelimit
    DUPLICATE = "duplicate"  # NOTICE msg_duplicate


class SlidingWindow:
    """At most `limit` events in any `window_s` seconds."""

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit = limit
        self._window_s = window_s
        self._times: deque[float] = deque()

    def count(self, now_s: float) -> int:
        """Return how many events the window ending now holds."""
        # An event exactly `window_s` old has left: "20 per 30 seconds" allows the 21st at second 30.
        while self._times and now_s - self._times[0] >= self._window_s:
            self._times.popleft()
        return len(self._times)

    def take(self, now_s: float, limit: int | None = None) -> bool:
        """Count one event if there is room under `limit` (default: the window's own); return whether there was."""
        if self.count(now_s) >= (self.limit if limit is None else limit):
            return False
        self._times.append(now_s)
        return True


class AccountLimiter:
    """Everything Twitch counts for one account."""

    def __init__(self, limits: TwitchLimits, *, verified: bool) -> None:
        self.limits = limits
        self.verified = verified
        self._auth = SlidingWindow(
            limits.auth_verified_max if verified else limits.auth_max, limits.auth_window_s
        )
        self._joins = SlidingWindow(
            limits.joins_verified_max if verified else limits.joins_max, limits.join_window_s
        )
        self._messages = SlidingWindow(limits.messages_max, limits.message_window_s)
        self._last_sent: dict[str, tuple[float, str]] = {}
        self._ignored_until_s = 0.0

    def take_auth(self, now_s: float) -> bool:
        """Count one login attempt and say whether it is within the limit."""
        return self._auth.take(now_s)

    def take_join(self, now_s: float) -> bool:
        """Count one channel of a JOIN and say whether it is within the limit."""
        return self._joins.take(now_s)

    def ignored(self, now_s: float) -> bool:
        """Say whether Twitch is dropping this account's messages where it has no privilege."""
        return now_s < self._ignored_until_s

    def take_message(self, now_s: float) -> MessageVerdict:
        """Count one unprivileged message; see `take_privileged_message` for the other kind."""
        return self._take(now_s, self.limits.messages_max, privileged=False)

    def take_privileged_message(self, now_s: float) -> MessageVerdict:
        """Count one message to a channel where the account is moderator, VIP or broadcaster."""
        return self._take(now_s, self.limits.messages_privileged_max, privileged=True)

    def _take(self, now_s: float, limit: int, *, privileged: bool) -> MessageVerdict:
        if self.ignored(now_s) and not privileged:
            return MessageVerdict.IGNORED
        if not self._messages.take(now_s, self.limits.messages_verified_max if self.verified else limit):
            self._ignored_until_s = now_s + self.limits.ignored_s
            return MessageVerdict.OVER_LIMIT
        return MessageVerdict.ACCEPTED

    def check_text(self, channel: str, text: str, now_s: float, *, privileged: bool) -> MessageVerdict:
        """Apply the interval and the duplicate rule of one channel, against the last message that was delivered there."""
        if channel not in self._last_sent:
            return MessageVerdict.ACCEPTED
        sent_s, sent_text = self._last_sent[channel]
        age_s = now_s - sent_s
        if age_s < self.limits.message_interval_s and not privileged:
            return MessageVerdict.TOO_FAST
        spared = privileged and self.limits.duplicate_spares_privileged
        if text == sent_text and age_s < self.limits.duplicate_window_s and not spared:
            return MessageVerdict.DUPLICATE
        return MessageVerdict.ACCEPTED

    def delivered(self, channel: str, text: str, now_s: float) -> None:
        """Remember the message that `check_text` will compare the next one with."""
        self._last_sent[channel] = (now_s, text)

    def silence_s(self, channel: str, now_s: float) -> float:
        """Return the seconds since the account's last delivered message in the channel, infinity when there is none."""
        return now_s - self._last_sent[channel][0] if channel in self._last_sent else float("inf")


class LimitBook:
    """One `AccountLimiter` per account id, made when first asked for; as many as accounts that log in."""

    def __init__(self, limits: TwitchLimits | None = None) -> None:
        self.limits = limits if limits is not None else TwitchLimits()
        self._accounts: dict[str, AccountLimiter] = {}

    def account(self, user_id: str, *, verified: bool = False) -> AccountLimiter:
        """Return the account's limiter; `verified` counts when it is made."""
        if user_id not in self._accounts:
            self._accounts[user_id] = AccountLimiter(self.limits, verified=verified)
        return self._accounts[user_id]

    def forget(self) -> None:
        """Count anew for every account, as on a Twitch that has just started."""
        self._accounts.clear()
