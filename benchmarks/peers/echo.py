"""``!echo N`` for Byte Bot: a component as a user writes one, loaded by name with the setting ``COMPONENTS``.

A command of its own since every reply must differ: Twitch refuses the same text within 30 s, so the shipped bot makes equal
replies differ by invisible marks, and lets no more than some 500 equal ones per channel through in that time. ``!ping`` would measure that rule.
"""

from __future__ import annotations

from byte_bot.components.api import Component, ComponentHost, Context, command


class Echo(Component):
    """See the module's docstring."""

    @command()
    async def echo(self, ctx: Context, number: str) -> None:
        """Says the number it was given."""
        await ctx.reply(f"pong {number}")


async def setup(bot: ComponentHost) -> None:
    """Byte Bot calls this at start."""
    await bot.add_component(Echo())
