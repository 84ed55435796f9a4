"""P3, the output gate: when a reply is heard, its message is in the journal, on the disk.

Every command that is answered is journaled as handled, in one record with whatever it changed. So if a reply can be read in
chat, the bot's disk must hold the message by then; a crash at this very instant would lose nothing. The one excuse is that
the bot has announced *journal degraded*, and counted a reply that left ungated since the command was given; or that the power was
cut while the reply was on its way, and with ``DURABILITY=process`` the disk has lost the commit since.

Left out: what the bot says without replying to a command. Where ``DURABILITY=off`` nothing is promised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.twitch.events import SentMessage

if TYPE_CHECKING:
    from simulator.world import World


class Gated:
    """See the module's docstring."""

    name = "gated"
    restless = False

    def started(self, world: World) -> None:
        """Listen to what the bot says."""

        def heard(message: SentMessage) -> None:
            if message.login != world.bot_login or not world.chat.was_command(message.reply_to):
                return
            reply_to, account = message.reply_to, world.account
            durable = any(disk.holds(reply_to) for disk in world.bot.disks)
            if not (durable or reply_to in account.ever_ungated or reply_to in account.forsaken):
                world.violated(self.name, f"{message.text!r} was said before its command was in the journal")

        if world.scenario.settings.get("durability") != "off":
            world.twitch.on_message(heard)

    def sampled(self, world: World) -> None:
        """Nothing: every reply was heard."""

    def converged(self, world: World) -> None:
        """Nothing: every reply was heard."""
