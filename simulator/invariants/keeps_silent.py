"""P3, a promise of silence: where viewers were told "I say nothing here until !resume", nothing is said until then.

Not by the next process either, whatever has become of the database meanwhile: it knows of the pause from its journal (a change
that is not saved yet) or from its snapshot. Watched is what the bot says in a channel after it has confirmed ``!pause`` there, until a
moderator says ``!resume``: answered or not, since Twitch's limits may hold an answer back until it is dropped for its age.

Nothing is said where the promise has its boundary: a disk that did not outlive its process or has lost the commit, ``DURABILITY=off``, a
confirmation that left while the journal was degraded, two processes at the same time, a row that a human has edited or deleted, or
that a list came back without; and where Twitch delivers messages out of order, so that nobody knows which came last.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from simulator.invariants import had_company
from simulator.table_faults import EmptyList
from simulator.twitch.events import SentMessage
from simulator.twitch_faults import TwitchReordering

if TYPE_CHECKING:
    from simulator.world import World

#: How the bot confirms it, in its languages.
_CONFIRMED = re.compile(r"^(?:@\S+\s+)?(?:Good night|Boa noite): ")


class KeepsSilent:
    """See the module's docstring."""

    name = "keeps_silent"
    restless = False

    def __init__(self) -> None:
        #: How often moderators had said `!resume` in the channel when this `!pause` was said, by the message's id.
        self._pauses: dict[str, int] = {}
        self._resumes: Counter[str] = Counter()
        #: The `!pause` that was confirmed last in each channel that was not woken up since, and how often humans had edited its row by then.
        self._silent: dict[str, tuple[str, object]] = {}

    def started(self, world: World) -> None:
        """Listen to everything that is said."""
        scenario = world.scenario
        if scenario.disk != "kept" or scenario.settings.get("durability") == "off":
            return
        if any(isinstance(fault, EmptyList | TwitchReordering) for fault in scenario.faults):
            return

        def heard(message: SentMessage) -> None:
            if message.login == world.bot_login:
                self._spoke(world, message)
            elif message.text.startswith("!pause"):
                self._pauses[message.id] = self._resumes[message.channel]
            elif message.text.startswith("!resume") and _may_wake(world, message):
                self._resumes[message.channel] += 1
                self._silent.pop(message.channel, None)

        world.twitch.on_message(heard)

    def sampled(self, world: World) -> None:
        """Nothing: every line was heard."""

    def converged(self, world: World) -> None:
        """Nothing: every line was heard."""

    def _spoke(self, world: World, message: SentMessage) -> None:
        channel = message.channel
        pause_id, edits = self._silent.pop(channel, ("", None))
        if pause_id and not self._excused(world, channel, pause_id, edits):
            world.violated(
                self.name,
                f"{message.text!r} was said in #{channel}, where viewers were told that nothing is said until !resume",
            )
        if self._pauses.get(message.reply_to) == self._resumes[channel] and _CONFIRMED.match(message.text):
            self._silent[channel] = (message.reply_to, _edits(world, channel))

    def _excused(self, world: World, channel: str, pause_id: str, edits: object) -> bool:
        account = world.account
        return (
            pause_id in account.forsaken
            or pause_id in account.ever_ungated
            or had_company(world)
            or _edits(world, channel) != edits
        )


def _may_wake(world: World, message: SentMessage) -> bool:
    room = world.twitch.channel(message.channel)
    return message.login == room.login or message.login in room.moderators


def _edits(world: World, channel: str) -> object:
    """How often humans have edited the channel's row; None if there is none."""
    row = world.supabase.view("channels_config").get((channel,))
    return None if row is None else row["edit_no"]
