"""A component with the faults that no auditor sees: what it says depends on addresses, or on the hashes of strings."""

from __future__ import annotations

from byte_bot.components.api import Component, ComponentHost, Context, command

# Nothing of an earlier world is freed, so that the next one gets other addresses.
KEPT: list[object] = []


class Planted(Component):
    """`!address` says where something lies, `!names` says names in the order of a set."""

    @command()
    async def address(self, ctx: Context) -> None:
        """Say an address."""
        KEPT.append(object())
        await ctx.reply(f"it lies at {id(KEPT[-1])}")

    @command()
    async def names(self, ctx: Context) -> None:
        """Say some names."""
        names = {"ana", "bruno", "clara", "davi", "elisa", "fabio", "gisele", "hugo"}
        await ctx.reply(" ".join(names))


async def setup(bot: ComponentHost) -> None:
    """Add the component."""
    await bot.add_component(Planted())
