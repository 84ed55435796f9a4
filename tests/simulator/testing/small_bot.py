"""A small bot of TwitchIO 3 as somebody would write it: knows nothing of the simulator, and nothing of byte_bot."""

from __future__ import annotations

from twitchio import eventsub
from twitchio.ext import commands


class SmallBot(commands.Bot):
    """Answers `!hello`, in the channel of its owner."""

    def __init__(self, owner_id: str, *, listens: bool = True) -> None:
        super().__init__(
            client_id="small-app", client_secret="hush", bot_id="4242", owner_id=owner_id, prefix="!"
        )
        self.listens = listens
        self.closed = 0

    async def setup_hook(self) -> None:
        """Load the commands and listen to the chat."""
        await self.add_component(Greetings())
        if self.listens:
            chat = eventsub.ChatMessageSubscription(broadcaster_user_id=self.owner_id, user_id=self.bot_id)
            await self.subscribe_websocket(payload=chat)

    async def close(self) -> None:
        """Takes no options, as overridden ones often do not."""
        self.closed += 1
        await super().close()


class Greetings(commands.Component):
    """Two ways to say something."""

    @commands.command()
    async def hello(self, ctx: commands.Context[SmallBot]) -> None:
        """As a reply."""
        await ctx.reply(f"hello, {ctx.chatter.name}")

    @commands.command()
    async def wave(self, ctx: commands.Context[SmallBot]) -> None:
        """To everybody."""
        await ctx.send("o/")
