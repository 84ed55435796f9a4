"""Which channels one connection is in, is asking for, and failed to enter. Pure.

How it works. Each wanted channel moves along this table; parting removes it from the table::

    QUEUED ──JOIN written──▶ ASKED ──ROOMSTATE──▶ JOINED
      ▲ ▲                     │ │                   │
      │ └─no answer───────────┘ │ refused, or no    │ put out
      │                         ▼ answer again      ▼ by Twitch
      └─after join_retry_s──── FAILED ◀─────────────┘

JOINs leave in batches as large as the account's window allows; the window belongs to the account, so it is
passed in and outlives the connection. Twitch drops the JOIN of a channel that does not exist in silence,
hence the deadline for an answer. JoinFailed is said once a failure; the channel is then asked for slowly for
as long as it is wanted (renamed, suspended, or an unlucky streak of lost JOINs), and a late ROOMSTATE counts
whenever it comes.

Left out: Twitch's limit of 100 joined channels for accounts that are moderator nowhere: the 101st fails like
any other.
"""

from __future__ import annotations

import enum
import re
from collections import deque
from collections.abc import Iterable

import msgspec

from byte_bot.chat.irc.limits import SessionLimits
from byte_bot.chat.limiter import SlidingWindow
from byte_bot.chat.message import ChannelJoined, ChannelParted, ChatEvent, JoinFailed, Standing

# Twitch logins: 1 to 25 of these. Also what keeps CR, LF, commas and spaces out of JOIN.
_LOGIN = re.compile(r"[a-z0-9_]{1,25}")

# A NOTICE with one of these, while a JOIN is unanswered, is its answer (dev.twitch.tv/docs/chat/irc,
# "NOTICE").
JOIN_REFUSALS = frozenset(
    {
        "msg_banned",
        "msg_channel_suspended",
        "msg_channel_blocked",
        "msg_room_not_found",
        "msg_suspended",
        "tos_ban",
    }
)

_JOIN_OVERHEAD = len("JOIN \r\n")


def normalize_channel(name: str) -> str:
    """A channel's login as this package writes it: lower case, without ``#`` and surrounding spaces."""
    login = name.strip().removeprefix("#").lower()
    # The same object where it may be: each of 100,000 channels' logins is kept in several places.
    return name if login == name else login


def is_login(channel: str) -> bool:
    """Whether a normalized name can be a Twitch login."""
    return _LOGIN.fullmatch(channel) is not None


class Membership(enum.Enum):
    """Where a wanted channel stands."""

    QUEUED = "queued"
    ASKED = "asked"
    JOINED = "joined"
    FAILED = "failed"


class _Channel(msgspec.Struct, gc=False):
    """Plain data: of 100,000 of them the garbage collector need not look at one."""

    login: str
    membership: Membership = Membership.QUEUED
    attempts: int = 0
    #: A JOIN was written since the last PART, perhaps before a failure: its answer may only be late.
    asked: bool = False
    deadline: float = 0.0
    failure_said: bool = False
    privileged: bool | None = None


class Memberships:
    """The channels of one connection.

    Args:
        joins: the account's window for JOINs.
        limits: deadlines and bounds.
    """

    def __init__(self, joins: SlidingWindow, limits: SessionLimits) -> None:
        self._joins = joins
        self._limits = limits
        #: Those that Twitch confirmed stand in the order of their confirmation.
        self._channels: dict[str, _Channel] = {}
        self._queue: deque[str] = deque()
        # (when, channels) and (when, channel), each with a constant delay, so sorted by themselves. A channel that moved
        # on is stale there. JOINs that left together are one entry: nearly all of them are answered, and there may
        # be 2,000 (a verified bot's window).
        self._unanswered: deque[tuple[float, list[str]]] = deque()
        self._retries: deque[tuple[float, str]] = deque()
        # PARTs of ours that Twitch has not echoed: such an echo says nothing about a JOIN sent since.
        self._parting: dict[str, int] = {}
        #: What happened since :meth:`take_events`; the session adds to it, so the order of events is that of the lines.
        self.events: list[ChatEvent] = []
        self.joins_sent = 0

    @property
    def joined(self) -> tuple[str, ...]:
        """The channels Twitch confirmed, in the order of their confirmation."""
        return tuple(
            login for login, known in self._channels.items() if known.membership is Membership.JOINED
        )

    def __contains__(self, channel: str) -> bool:
        """Whether a normalized name is that of a wanted channel; such a name can be a login."""
        return channel in self._channels

    def take_events(self) -> list[ChatEvent]:
        """What happened since the last call."""
        events = self.events.copy()
        self.events.clear()
        return events

    def want(self, channels: Iterable[str]) -> None:
        """Queue ``channels`` for joining; a known one is left alone, a failed one is tried again at once."""
        for name in channels:
            channel = normalize_channel(name)
            known = self._channels.get(channel)
            if known is not None and known.membership is not Membership.FAILED:
                continue
            if not is_login(channel):
                self.events.append(JoinFailed(channel[:50], "not a Twitch login"))
                continue
            self._channels[channel] = _Channel(channel, asked=known is not None)
            self._queue.append(channel)

    def unwant(self, channels: Iterable[str]) -> list[str]:
        """Forget ``channels``; those for which a PART must be written, since a JOIN of them was."""
        to_part: list[str] = []
        for name in channels:
            channel = normalize_channel(name)
            known = self._channels.pop(channel, None)
            # Its entries in the queues are stale now. A failed one is parted too: its answer may only be
            # late.
            if known is not None and known.asked:
                self._parting[channel] = self._parting.get(channel, 0) + 1
                to_part.append(channel)
        return to_part

    def next_deadline(self, now: float) -> float | None:
        """When ``next_joins`` has something to do, or None."""
        if not (self._queue or self._unanswered or self._retries or self.events):
            return None  # as nearly always
        due: list[float] = []
        if self.events:
            due.append(now)
        if self._queue:
            due.append(self._joins.ready_at(now))
        if self._unanswered:
            due.append(self._unanswered[0][0])
        if self._retries:
            due.append(self._retries[0][0])
        return min(due, default=None)

    def next_joins(self, now: float) -> list[str]:
        """The parameters of the JOIN commands to write at ``now``, each a list of channels with commas."""
        self._check_answers(now)
        commands: list[str] = []
        asked: list[str] = []
        batch: list[str] = []
        room = self._limits.join_line_bytes_max - _JOIN_OVERHEAD
        deadline = now + self._limits.join_answer_s
        while self._queue and self._joins.ready_at(now) <= now:
            channel = self._queue.popleft()
            known = self._channels.get(channel)
            if known is None or known.membership is not Membership.QUEUED:
                continue  # parted, or parted and asked for again, since it was queued
            self._joins.take(now)
            known.membership = Membership.ASKED
            known.attempts += 1
            known.asked = True
            known.deadline = deadline
            asked.append(channel)
            self.joins_sent += 1
            if len(channel) + 2 > room:
                commands.append(",".join(batch))
                batch, room = [], self._limits.join_line_bytes_max - _JOIN_OVERHEAD
            batch.append("#" + channel)
            room -= len(channel) + 2
        if batch:
            commands.append(",".join(batch))
        if asked:
            self._unanswered.append((deadline, asked))
        return commands

    def on_roomstate(self, channel: str, channel_id: str) -> None:
        """Twitch described a room: the answer to our JOIN, or a change of the room's modes."""
        known = self._channels.get(channel)
        if known is None or known.membership is Membership.JOINED or not known.asked:
            return  # it answers a JOIN from before a PART
        known.membership = Membership.JOINED
        known.failure_said = False
        known.deadline = 0.0
        self._channels[known.login] = self._channels.pop(known.login)
        # Twitch answers in order, so a PART without an echo by now never gets one.
        self._parting.pop(channel, None)
        self.events.append(ChannelJoined(known.login, channel_id))

    def on_userstate(self, channel: str, privileged: bool) -> None:
        """Twitch said what the bot is in ``channel``."""
        known = self._channels.get(channel)
        if known is not None and known.privileged is not privileged:
            known.privileged = privileged
            # The login that is kept already: each of 100,000 channels' logins is kept in several places.
            self.events.append(Standing(known.login, privileged))

    def on_part(self, channel: str, now: float) -> None:
        """Twitch took the bot out of ``channel``, as we asked or by itself: then it is tried again later."""
        expected = self._parting.pop(channel, 0)
        if expected > 1:
            self._parting[channel] = expected - 1
        if expected == 0:
            known = self._channels.get(channel)
            if known is None or known.membership is not Membership.JOINED:
                return
            self._retry_later(channel, known, now)
        self.events.append(ChannelParted(channel, by_twitch=expected == 0))

    def on_refusal(self, channel: str, reason: str, now: float) -> bool:
        """Twitch refused something in ``channel``; whether that was our JOIN."""
        known = self._channels.get(channel)
        if known is None or known.membership is not Membership.ASKED:
            return False
        self._fail(channel, known, reason, now)
        return True

    def _check_answers(self, now: float) -> None:
        """Ask again where Twitch did not answer, or give up for a while."""
        while self._unanswered and self._unanswered[0][0] <= now:
            deadline, channels = self._unanswered.popleft()
            for channel in channels:
                self._check_answer(channel, deadline, now)
        while self._retries and self._retries[0][0] <= now:
            deadline, channel = self._retries.popleft()
            known = self._channels.get(channel)
            if known is None or known.membership is not Membership.FAILED or known.deadline != deadline:
                continue
            known.membership = Membership.QUEUED
            self._queue.append(channel)

    def _check_answer(self, channel: str, deadline: float, now: float) -> None:
        known = self._channels.get(channel)
        if known is None or known.membership is not Membership.ASKED or known.deadline != deadline:
            return
        if known.attempts >= self._limits.join_attempts_max:
            self._fail(channel, known, "Twitch did not answer: no such channel, or it is closed", now)
        else:
            known.membership = Membership.QUEUED
            self._queue.append(channel)

    def _fail(self, channel: str, known: _Channel, reason: str, now: float) -> None:
        self._retry_later(channel, known, now)
        if not known.failure_said:
            known.failure_said = True
            self.events.append(JoinFailed(channel, reason))

    def _retry_later(self, channel: str, known: _Channel, now: float) -> None:
        known.membership = Membership.FAILED
        known.deadline = now + self._limits.join_retry_s
        self._retries.append((known.deadline, channel))
