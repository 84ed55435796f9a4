"""P3, what the bot remembers: whatever it says a counter is, is what viewers were told that it is.

A confirmed change survives the end of the process, and the next one starts from it, during an outage too: it answers from its
journal and its snapshot. So each number in a reply about a counter (a counter it does not know is 0) must be one that the confirmed
changes make, with those that were wished and may or may not have been made (:meth:`~simulator.account.Account.range_of`). At the end `agreement` compares the same
account with the database; a bot that goes back in time during an outage, and catches up afterwards, shows here only.

Nothing is said where the promise has its boundary: a disk that did not outlive its process, ``DURABILITY=off``, two processes at
the same time, a counter that a human has edited, or that the database held before anybody spoke.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simulator.invariants import had_company
from simulator.twitch.events import SentMessage

if TYPE_CHECKING:
    from simulator.world import World

#: What the bot says of a counter that it does not know, in its languages.
_UNKNOWN = re.compile(r"^(?:@\S+\s+)?(?:There is no counter called|Não existe um contador chamado) ")
_ABOUT = re.compile(r"^!count\s+(\S+)(?:\s+[+=-]\s*\d+)?$", re.IGNORECASE)


class Remembers:
    """See the module's docstring."""

    name = "remembers"
    restless = False

    def __init__(self) -> None:
        #: The counter that a message is about, by the message's id, until it is answered.
        self._asked: dict[str, str] = {}

    def started(self, world: World) -> None:
        """Listen to questions and answers."""
        if world.scenario.disk != "kept" or world.scenario.settings.get("durability") == "off":
            return

        def heard(message: SentMessage) -> None:
            if message.login != world.bot_login:
                about = _ABOUT.match(message.text)
                if about is not None:
                    self._asked[message.id] = about[1].lower()
                return
            counter = self._asked.pop(message.reply_to, "")
            if counter:
                self._compare(world, message, counter)

        world.twitch.on_message(heard)

    def sampled(self, world: World) -> None:
        """Nothing: every reply was heard."""

    def converged(self, world: World) -> None:
        """Nothing: every reply was heard."""

    def _compare(self, world: World, message: SentMessage, counter: str) -> None:
        account, channel = world.account, message.channel
        said = 0 if _UNKNOWN.match(message.text) else account.number_in(message.text)
        possible = account.range_of(channel, counter)
        if said is None or possible is None or possible[0] <= said <= possible[1]:
            return
        row = world.supabase.view("component_state").get((world.channels[channel], "counters"))
        edited = row is not None and row["edit_no"]
        if edited or (channel, counter) in account.opened or had_company(world):
            return
        world.violated(
            self.name,
            f"{message.text!r} was said in #{channel}, where viewers were told changes that make "
            f"{possible[0]} to {possible[1]}",
        )
