"""Whether a message from a client may be posted, and what Twitch answers when it may not.

`ChatRules.judge` applies, in this order: the account's rate limits, the channel's suspension, bans and timeouts, forced refusals
(`refuse_messages`), the text itself (cut to 500 characters, neighbouring spaces merged), the one-second interval, the room's modes,
the duplicate rule. Messages refused for another reason still use up the rate limit, as recorded by pajbot/tmi-rate-limits. The limits come
first because an account over them is ignored (dev.twitch.tv/docs/irc, rate limits): it hears nothing, not even that it is banned.

Of commands only `/me` is left, with a dot in place of the slash too. Any other is answered with "Unrecognized command: /ban" and not posted,
since February 2023 (discuss.dev.twitch.tv/t/40486; recorded in TwitchLib#1114 with a slash and #1128 with a dot, whose answer has the slash;
Chatterino/chatterino2#4455). A dot that no letter follows is text: "...", ".5".

A fault is an attribute that may change at any time: `refusal_probability`, with which a message that nothing else stands against is
refused as `refusal_id`. Whoever judges a bot hears of every refusal from `on_refusal`.

The broadcaster, moderators and VIPs are exempt from modes and duplicates. Left out: AutoMod, repetitiveness filters, the real order of
checks where it cannot be seen from outside.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from simulator.twitch.events import Channel, User
from simulator.twitch.limits import AccountLimiter, LimitBook, MessageVerdict
from simulator.twitch.notices import notice_text
from simulator.twitch.state import TwitchState


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that is not posted; `notice_id` is empty when Twitch says nothing at all."""

    reason: str
    notice_id: str = ""
    text: str = ""


class Ruling(msgspec.Struct, frozen=True):
    """The outcome of `judge`: the text as it is to be posted, or a refusal."""

    text: str = ""
    is_action: bool = False
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """What an account tried to say in a channel, in answer to `reply_to`, and the reason for which it was not posted."""

    at_s: float
    channel: str
    login: str
    reply_to: str
    reason: str


class ChatRules:
    """The rules of one fake Twitch for messages from clients, whatever face they came through."""

    def __init__(self, state: TwitchState, limits: LimitBook, rng: random.Random | None = None) -> None:
        """`rng` feeds the fault only (default: seed 0)."""
        self._state = state
        self._limits = limits
        self._rng = rng if rng is not None else random.Random(0)
        self._observers: list[Callable[[RefusedMessage], None]] = []
        self.refusal_probability = 0.0
        self.refusal_id = "msg_rejected_mandatory"

    def on_refusal(self, observer: Callable[[RefusedMessage], None]) -> Callable[[], None]:
        """Call `observer` with every message that is refused from now on; returns a function that stops it."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def limiter(self, user: User) -> AccountLimiter:
        """Return what Twitch counts for the account."""
        return self._limits.account(user.id, verified=user.verified)

    def judge(self, user: User, channel: Channel, text: str, reply_to: str = "") -> Ruling:
        """Decide about one message, which may answer the message `reply_to`; uses up the account's limits."""
        ruling = self._judged(user, channel, text, reply_to)
        if ruling.refusal is not None:
            refused = RefusedMessage(
                self._state.now_s(), channel.login, user.login, reply_to, ruling.refusal.reason
            )
            for observer in tuple(self._observers):
                observer(refused)
        return ruling

    def _judged(self, user: User, channel: Channel, text: str, reply_to: str) -> Ruling:
        now_s = self._state.now_s()
        privileged = channel.privileged(user.login)
        limiter = self.limiter(user)
        counted = limiter.take_privileged_message(now_s) if privileged else limiter.take_message(now_s)
        if counted is not MessageVerdict.ACCEPTED:
            # Over the limit nothing comes back, not even a notice: the account only sees that nobody answers.
            return Ruling(refusal=Refusal(counted.value))
        standing = self._standing(user, channel, now_s)
        if standing is not None:
            return Ruling(refusal=standing)
        body, is_action, command = _normalize(text, limiter.limits.text_chars_max)
        if command:
            return Ruling(refusal=_refusal("unrecognized_cmd", command=command))
        if not body:
            return Ruling(refusal=Refusal("empty"))
        # Twitch compares texts as they arrive in chat, so the mention that it puts before a reply counts.
        shown = self._state.mention(channel, reply_to) + body
        refusal = None if privileged else self._room(user, channel, body, now_s)
        if refusal is None:
            refusal = _from_verdict(limiter.check_text(channel.login, shown, now_s, privileged=privileged))
        if refusal is None and self._fault_strikes():
            refusal = _refusal(self.refusal_id)
        if refusal is not None:
            return Ruling(refusal=refusal)
        limiter.delivered(channel.login, shown, now_s)
        return Ruling(body, is_action)

    def _fault_strikes(self) -> bool:
        # Drawn only while the fault is on: switching it on shifts nothing else.
        return self.refusal_probability > 0 and self._rng.random() < self.refusal_probability

    def _standing(self, user: User, channel: Channel, now_s: float) -> Refusal | None:
        if channel.suspended:
            return _refusal("msg_channel_suspended")
        until_s = channel.bans.get(user.login, 0.0)
        if until_s == math.inf:
            return _refusal("msg_banned", channel=channel.login)
        if until_s > now_s:
            return _refusal("msg_timedout", channel=channel.login, seconds=math.ceil(until_s - now_s))
        forced = channel.refusals.get(user.login)
        if forced is not None:
            return _refusal(forced, channel=channel.login, seconds=1, minutes=10, command="")
        return None

    def _room(self, user: User, channel: Channel, text: str, now_s: float) -> Refusal | None:
        """Apply the channel's modes to an account that is not privileged."""
        modes = channel.modes
        if modes.subs_only and user.login not in channel.subscribers:
            return _refusal("msg_subsonly", channel=channel.login)
        if modes.followers_only >= 0 and user.login not in channel.followers:
            if modes.followers_only == 0:
                return _refusal("msg_followersonly_zero", channel=channel.login)
            return _refusal("msg_followersonly", channel=channel.login, minutes=modes.followers_only)
        if modes.emote_only and any(word not in self._state.emotes for word in text.split(" ")):
            return _refusal("msg_emoteonly")
        if modes.r9k and self._state.said_before(channel, text):
            return _refusal("msg_r9k")
        wait_s = modes.slow_s - self.limiter(user).silence_s(channel.login, now_s)
        if wait_s > 0:
            return _refusal("msg_slowmode", seconds=math.ceil(wait_s))
        return None


def _normalize(text: str, chars_max: int) -> tuple[str, bool, str]:
    """Return the text as it is shown, whether it is an action, and the name of a slash command that Twitch refuses."""
    is_action = False
    if text.startswith("\x01ACTION "):
        text, is_action = text.removeprefix("\x01ACTION ").removesuffix("\x01"), True
    elif text.startswith(("/me ", ".me ")):
        text, is_action = text[4:], True
    elif text.startswith(("/", ".")) and text[1:2].isalpha():
        return "", False, "/" + text[1:].split(" ", 1)[0]
    shown = text[:chars_max]
    # Control characters never reach viewers: with one, a text could end the ACTION wrapping or the line.
    for control in "\x01\r\n\0":
        shown = shown.replace(control, "")
    return " ".join([word for word in shown.split(" ") if word]), is_action, ""


def _from_verdict(verdict: MessageVerdict) -> Refusal | None:
    if verdict is MessageVerdict.TOO_FAST:
        return _refusal("msg_ratelimit")
    if verdict is MessageVerdict.DUPLICATE:
        return _refusal("msg_duplicate")
    return None


def _refusal(notice_id: str, **values: str | int) -> Refusal:
    return Refusal(notice_id, notice_id, notice_text(notice_id, **values))
