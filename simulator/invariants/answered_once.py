"""A command is answered at most once, however often Twitch delivers it, before and after a crash.

One that was given while two processes ran, the second started by mistake, may be answered by each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.world import World


class AnsweredOnce:
    """See the module's docstring."""

    name = "answered_once"
    restless = False

    def started(self, world: World) -> None:
        """Nothing: it judges the end."""

    def sampled(self, world: World) -> None:
        """Nothing."""

    def converged(self, world: World) -> None:
        """Count the replies to each message."""
        replies: dict[str, int] = {}
        for sent in world.twitch.transcript:
            if sent.login == world.bot_login and sent.reply_to:
                replies[sent.reply_to] = replies.get(sent.reply_to, 0) + 1
        for message_id, count in replies.items():
            if count > (2 if message_id in world.bot.heard_by_two else 1):
                world.violated(self.name, f"message {message_id} was answered {count} times")
