"""The components every bot has, in the order in which ``!help`` lists their commands."""

from __future__ import annotations

from byte_bot.components.api import ComponentHost
from byte_bot.components.counters import CounterCommands
from byte_bot.components.custom_commands import CustomCommandCommands
from byte_bot.components.info import InfoCommands
from byte_bot.components.pausing import PauseCommands
from byte_bot.components.quotes import QuoteCommands
from byte_bot.components.stream import StreamCommands


async def setup(bot: ComponentHost) -> None:
    """Add them all."""
    await bot.add_component(InfoCommands())
    await bot.add_component(StreamCommands())
    await bot.add_component(CounterCommands())
    await bot.add_component(CustomCommandCommands())
    await bot.add_component(QuoteCommands())
    await bot.add_component(PauseCommands())
