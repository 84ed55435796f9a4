"""P2: whoever asks is answered, whatever the database does.

Watched are commands that every bot of ours answers to that speaker: ``!ping``, ``!count`` and ``!count NAME`` by anybody, and
``!count NAME +1``, ``-1``, ``=1`` by moderators and broadcasters. The reply to that very message must reach Twitch within the way
there and back (longer while Twitch delivers out of order) and :data:`ANSWER_S`. Nothing else is an excuse than what the bot cannot help:

* it was not in the channel on a sound connection, or lost the connection on which it heard the command: a fault of Twitch,
  a crash, a restart. From its next JOIN on it has to answer again;
* the channel sleeps: it is paused, disabled or has another prefix, in the database or by ``!pause``, until the bot is next
  heard there (when it learns of a human's edit is another promise). So it may be too when the end of a process has taken what it had
  been told by ``!resume``: a power cut, or a death while its journal was degraded;
* Twitch does not let it speak there: ignored for having been over a limit, banned, refused, suspended, or in a chat mode that holds for it; or has refused this
  very answer for what its filters make of it. Two processes that count on the account's whole rate, one of them started by mistake, may
  both lose it for a while; and a process cannot know what another one, beside it or before it, has said last in the channel, so
  that Twitch may refuse its answer for coming too soon after that or repeating it;
* Helix is in trouble (over EventSub every answer is a request to it). Then an answer may be late, and behind it those of its channel, at
  most by :data:`PATIENCE_S`, or be given up, which the bot must count (what Twitch refuses, for all channels together);
* it has said almost as much as Twitch allows. Then a reply may wait until it has not, at most for :data:`PATIENCE_S`, after
  which the bot may drop it, if it counts it there: what it drops in one channel excuses nobody in another.

Left out: a bot that leaves its channels for no reason; where it is at the end is :mod:`~simulator.invariants.present`'s business.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from byte_bot.chat.outbox import QUEUE_FULL, TOO_OLD, UNCONFIRMED
from simulator.twitch.events import RoomModes, SentMessage
from simulator.twitch.limits import MessageVerdict
from simulator.twitch.rules import RefusedMessage
from simulator.twitch_faults import HELIX_FAULTS, REFUSALS, TwitchReordering

if TYPE_CHECKING:
    from simulator.world import World

#: Longer than the 0.25 s for which the first message of an unknown channel waits for a load, and short for a viewer.
ANSWER_S = 2.0
#: After so many seconds a reply that Twitch's limits hold back is no answer any more.
PATIENCE_S = 15.0
#: Of what Twitch allows in its window, so much must have been said for a limit to be an excuse.
NEARLY = 0.75

_FOR_ALL = re.compile(r"^!(?:ping|count(?: [a-z0-9_-]{1,25})?)$")
_FOR_MODERATORS = re.compile(r"^!count [a-z0-9_-]{1,25} [+=-][0-9]{1,9}$")
#: What comes of more messages than an account may send.
_OVER = (MessageVerdict.OVER_LIMIT.value, MessageVerdict.IGNORED.value)
_DROPS = (TOO_OLD, QUEUE_FULL)
_REFUSED = ("messages_refused",)
#: What Twitch refuses for what the account has said last in the channel.
_AFTER_THE_LAST = ("msg_ratelimit", "msg_duplicate")


class _Watched(msgspec.Struct, frozen=True):
    """A command to be answered within ``limit_s``: by which connections the bot heard it, and how many replies it had dropped in that
    channel by then."""

    message: SentMessage
    limit_s: float
    heard_by: frozenset[int]
    drops: int
    #: The same, with those that Helix did not take.
    given_up: int


class Answered:
    """See the module's docstring."""

    name = "answered"

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}
        self._seen: dict[str, None] = {}
        self._pauses: dict[str, None] = {}
        #: Where `!resume` was said, by the message's id, and the last end of a process that was looked at.
        self._resumes: dict[str, str] = {}
        self._ended_s = -math.inf
        #: The table of channels at the last look, and those that it puts to sleep.
        self._rows: object = None
        self._put_to_sleep: dict[str, None] = {}
        #: The channels that sleep, and when each was last found asleep.
        self._sleeping: dict[str, None] = {}
        self._asleep_s: dict[str, float] = {}
        #: When Helix was last in trouble.
        self._helix_s = -math.inf
        #: The messages whose answer Twitch has refused for reasons that the bot cannot help.
        self._refused: dict[str, None] = {}
        #: When the bot spoke: in each channel, and anywhere.
        self._said_s: dict[str, list[float]] = {}
        self._said_anywhere_s: list[float] = []

    @property
    def restless(self) -> bool:
        """True while somebody has no answer yet, or a channel is asleep."""
        return bool(self._watched or self._sleeping)

    def started(self, world: World) -> None:
        """Listen to everything that is said."""

        def heard(message: SentMessage) -> None:
            if message.login == world.bot_login:
                self._spoke(world, message)
            else:
                self._asked(world, message)

        def refused(message: RefusedMessage) -> None:
            if (
                message.reason in REFUSALS
                or (world.bot.heard_by_two and message.reason in _OVER)
                or (message.reason in _AFTER_THE_LAST and self._may_follow_another(world, message.channel))
            ):
                self._refused[message.reply_to] = None
            if message.reply_to in self._pauses:
                self._sleeping[message.channel] = None  # it sleeps, though nobody was told
                self._look_asleep(world, message.channel)

        world.twitch.on_message(heard)
        world.irc.rules.on_refusal(refused)

    def sampled(self, world: World) -> None:
        """Look at the commands whose time is over."""
        self._look_asleep(world, *world.channels)
        self._look_at_helix(world)
        now_s, broken = world.loop.time(), list[str]()
        for watched in list(self._watched.values()):
            if now_s > watched.message.at_s + watched.limit_s:
                verdict = self._judge(world, watched, now_s)
                if verdict is not None:
                    del self._watched[watched.message.id]
                    broken += [verdict] if verdict else []
        if broken:
            more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
            world.violated(self.name, broken[0] + more)

    def converged(self, world: World) -> None:
        """Look a last time."""
        self.sampled(world)

    def _asked(self, world: World, message: SentMessage) -> None:
        asked = world.chat.asked(message.id)
        repeated = message.id in self._seen  # Twitch delivers some messages twice
        self._seen[message.id] = None
        if message.text.startswith("!pause"):
            self._pauses[message.id] = None
        if message.text.startswith("!resume"):
            self._resumes[message.id] = message.channel
        if asked is None or repeated or not asked.heard_by or not must_be_answered(world, message):
            return
        self._look_asleep(world, message.channel)
        self._look_at_helix(world)
        self._watched[message.id] = _Watched(
            message,
            limit_s(world),
            asked.heard_by,
            world.bot.dropped(message.channel, _DROPS),
            _given_up(world, message.channel),
        )

    def _spoke(self, world: World, message: SentMessage) -> None:
        self._said_s.setdefault(message.channel, []).append(message.at_s)
        self._said_anywhere_s.append(message.at_s)
        # What is heard within the way of a message may be the last words of one that has just ended: the next one need not be awake.
        if message.at_s > _heard_of_s(world):
            self._sleeping.pop(message.channel, None)
        if message.reply_to in self._pauses:
            self._sleeping[message.channel] = None
        self._look_asleep(world, message.channel)

    def _look_asleep(self, world: World, *channels: str) -> None:
        """Note which of these channels sleep now."""
        self._look_at_ends(world)
        rows = world.supabase.view("channels_config")
        if rows is not self._rows:
            prefix = world.scenario.settings.get("default_prefix", "!")
            self._rows = rows
            self._put_to_sleep = {row["login"]: None for row in rows.values() if _sleeps(row, prefix)}
        for channel in channels:
            if channel in self._put_to_sleep:
                self._sleeping[channel] = None
            if channel in self._sleeping:
                self._asleep_s[channel] = world.loop.time()

    def _look_at_ends(self, world: World) -> None:
        if world.bot.last_end_s == self._ended_s:
            return
        self._ended_s = world.bot.last_end_s
        account = world.account
        for message_id, channel in list(self._resumes.items()):
            if message_id in account.forsaken or message_id in account.ever_ungated:
                del self._resumes[message_id]
                self._sleeping[channel] = None

    def _look_at_helix(self, world: World) -> None:
        if any(isinstance(fault, HELIX_FAULTS) for fault in world.faults.twitch_now()):
            self._helix_s = world.loop.time()

    def _judge(self, world: World, watched: _Watched, now_s: float) -> str | None:
        """What is wrong with the answer, "" if nothing is; None: it may still come."""
        message = watched.message
        answer = world.chat.answer_to(message.id)
        took_s = (now_s if answer is None else answer.at_s) - message.at_s
        if took_s <= watched.limit_s or self._excused(world, watched):
            return ""
        # A limit may have ended just before the look, and the replies that it held back are leaving.
        until_s = message.at_s + took_s
        lately_s = max(message.at_s, until_s - watched.limit_s)
        if took_s <= watched.limit_s + PATIENCE_S and self._near_a_limit(
            world, message.channel, lately_s, until_s
        ):
            return None if answer is None else ""
        if message.at_s <= self._helix_s + PATIENCE_S:
            if took_s <= watched.limit_s + PATIENCE_S:
                return None if answer is None else ""
            if _given_up(world, message.channel) > watched.given_up:
                return ""
        patience_ends_s = message.at_s + PATIENCE_S
        if world.bot.dropped(message.channel, _DROPS) > watched.drops and self._near_a_limit(
            world, message.channel, message.at_s, patience_ends_s
        ):
            return ""
        what = "not answered within" if answer is None else "answered only after"
        return (
            f"{message.text!r} by {message.login} in #{message.channel} at {message.at_s:.3f} s was "
            f"{what} {took_s:.1f} s"
        )

    def _excused(self, world: World, watched: _Watched) -> bool:
        message = watched.message
        room = world.twitch.channel(message.channel)
        return (
            not watched.heard_by <= world.attendance(message.channel)
            or message.id in self._refused
            or self._asleep_s.get(message.channel, -1.0) >= message.at_s
            or room.suspended
            or (not room.privileged(world.bot_login) and _is_ignored(world))
            or world.bot_login in room.bans
            or world.bot_login in room.refusals
            or (not room.privileged(world.bot_login) and room.modes != RoomModes())
        )

    def _may_follow_another(self, world: World, channel: str) -> bool:
        """Whether what was said last in the channel may be another process's: of one beside the bot, or one that has ended."""
        return world.bot.rival is not None or self._said_s[channel][-1] <= _heard_of_s(world)

    def _near_a_limit(self, world: World, channel: str, from_s: float, until_s: float) -> bool:
        """Whether Twitch's limits may hold a reply back at some moment between these two.

        One a second where the bot is nobody, else by what it has said in the window that ends then.
        """
        if not world.twitch.channel(channel).privileged(world.bot_login):
            return True
        limits = world.irc.limits.limits
        # A verified account has so much for each channel, another one for all its channels together.
        said_s = self._said_s.get(channel, []) if world.scenario.verified else self._said_anywhere_s
        first = bisect_left(said_s, from_s - limits.message_window_s)
        end = bisect_right(said_s, until_s)
        many = math.ceil(NEARLY * limits.messages_privileged_max)
        return any(
            said_s[at + many - 1] - said_s[at] <= limits.message_window_s
            for at in range(first, end - many + 1)
        )


def _sleeps(row: Mapping[str, Any], default_prefix: str) -> bool:
    """True if the bot answers no `!` command in the channel of this row."""
    return bool(row["paused"] or not row["enabled"] or (row["prefix"] or default_prefix) != "!")


def _heard_of_s(world: World) -> float:
    """Until when the last words of the process that ended last may be heard: they were still on their way."""
    return world.bot.last_end_s + world.scenario.latency_ms / 1000


def _given_up(world: World, channel: str) -> int:
    return world.bot.dropped(channel, (*_DROPS, UNCONFIRMED)) + world.bot.counted(_REFUSED)


def _is_ignored(world: World) -> bool:
    """True while Twitch drops what the account says where it is nobody; that it came to that is `within_limits`' business."""
    account = world.irc.limits.account(world.twitch.users[world.bot_login].id)
    return account.ignored(world.loop.time())


def limit_s(world: World) -> float:
    """Within how many seconds a command that is said now must be answered."""
    late_s = (fault.delay_s for fault in world.faults.twitch_now() if isinstance(fault, TwitchReordering))
    return ANSWER_S + 2 * world.scenario.latency_ms / 1000 + max(late_s, default=0.0)


def must_be_answered(world: World, message: SentMessage) -> bool:
    """True for a command that every bot of ours answers to this speaker."""
    room = world.twitch.channel(message.channel)
    if message.login == room.login or message.login in room.moderators:
        return bool(_FOR_ALL.match(message.text) or _FOR_MODERATORS.match(message.text))
    return bool(_FOR_ALL.match(message.text))
