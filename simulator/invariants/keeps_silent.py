"""P3, a promise of silence: where viewers were told "I say nothing here until !resume", nothing is said until then.

Not by the next process either, whatever has become of the database meanwhile: it knows of the pause from its journal (a change
that is not saved yet) or from its snapshot. Watched is what the bot says in a channel after it has confirmed ``!pause`` there; the answer
to ``!resume`` ends it.

Nothing is said where the promise has its boundary: a disk that did not outlive its process or has lost the commit, ``DURABILITY=off``, a
confirmation that left while the journal was degraded, two processes at the same time, a row that a human has edited or deleted, or
that a list came back without.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simulator.invariants import had_company
from simulator.table_faults import EmptyList
from simulator.twitch.events import SentMessage

if TYPE_CHECKING:
    from simulator.world import World

#: How the bot confirms it, in its languages.
_CONFIRMED = re.compile(r"^(?:@\S+\s+)?(?:Good night|Boa noite): ")


class KeepsSilent:
    """See the module's docstring."""

    name = "keeps_silent"
    restless = False

    def __init__(self) -> None:
        self._pauses: dict[str, None] = {}
        self._resumes: dict[str, None] = {}
        #: The `!pause` that was confirmed last in each channel that was not woken up since, and how often humans had edited its row by then.
        self._silent: dict[str, tuple[str, object]] = {}

    def started(self, world: World) -> None:
        """Listen to everything that is said."""
        if world.scenario.disk != "kept" or world.scenario.settings.get("durability") == "off":
            return

        def heard(message: SentMessage) -> None:
            if message.login == world.bot_login:
                self._spoke(world, message)
            elif message.text.startswith("!pause"):
                self._pauses[message.id] = None
            elif message.text.startswith("!resume"):
                self._resumes[message.id] = None

        world.twitch.on_message(heard)

    def sampled(self, world: World) -> None:
        """Nothing: every line was heard."""

    def converged(self, world: World) -> None:
        """Nothing: every line was heard."""

    def _spoke(self, world: World, message: SentMessage) -> None:
        channel = message.channel
        if message.reply_to in self._resumes:
            self._silent.pop(channel, None)
            return
        pause_id, edits = self._silent.pop(channel, ("", None))
        if pause_id and not self._excused(world, channel, pause_id, edits):
            world.violated(
                self.name,
                f"{message.text!r} was said in #{channel}, where viewers were told that nothing is said until !resume",
            )
        if message.reply_to in self._pauses and _CONFIRMED.match(message.text):
            self._silent[channel] = (message.reply_to, _edits(world, channel))

    def _excused(self, world: World, channel: str, pause_id: str, edits: object) -> bool:
        account = world.account
        return (
            pause_id in account.forsaken
            or pause_id in account.ever_ungated
            or had_company(world)
            or _edits(world, channel) != edits
            or any(isinstance(fault, EmptyList) for fault in world.scenario.faults)
        )


def _edits(world: World, channel: str) -> object:
    """How often humans have edited the channel's row; None if there is none."""
    row = world.supabase.view("channels_config").get((channel,))
    return None if row is None else row["edit_no"]
