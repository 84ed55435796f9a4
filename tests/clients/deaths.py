"""A component as its author writes it: a file beside the bot, which imports the public API and nothing else.

test_deaths_component.py starts the bot with ``COMPONENTS=deaths`` in a folder that holds this file.
"""

from __future__ import annotations

from typing import Annotated

from byte_bot.components.api import Add, ChannelState, Component, ComponentHost, Context, command


class Deaths(ChannelState, key="deaths"):
    total: Annotated[int, Add] = 0  # changes made before a late load add up; other fields: newest wins
    last: str = ""


class DeathCounter(Component):
    @command(aliases=["d"], role="moderator", cooldown_s=2)
    async def death(self, ctx: Context, *, how: str = "") -> None:
        deaths = ctx.state(Deaths)  # typed, in RAM: no await
        deaths.total += 1
        deaths.last = how
        await ctx.reply(f"Deaths: {deaths.total}")


async def setup(bot: ComponentHost) -> None:
    """Called by the bot when it starts."""
    await bot.add_component(DeathCounter())
