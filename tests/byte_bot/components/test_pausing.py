"""``!pause`` and ``!resume``."""

from __future__ import annotations

from byte_bot.components.info import InfoCommands
from byte_bot.components.pausing import PauseCommands
from byte_bot.context.stream_context import ChannelConfig, StreamContext
from simulator.loop import in_virtual_time
from tests.byte_bot.components.harness import chat_with


@in_virtual_time()
async def test_a_paused_channel_obeys_resume_alone() -> None:
    """Nothing is answered and nothing is read until a moderator wakes the bot."""
    async with chat_with(InfoCommands(), PauseCommands()) as chat:
        assert await chat.mod("!pause") == "Good night: I say nothing here until !resume."
        assert chat.state(ChannelConfig).paused
        lines = len(chat.state(StreamContext).chat_lines)
        assert await chat.viewer("!ping") == ""
        assert await chat.mod("!pause") == ""
        assert await chat.viewer("!resume") == ""
        assert len(chat.state(StreamContext).chat_lines) == lines
        assert await chat.mod("!resume") == "I am back."
        assert await chat.viewer("!ping") == "Pong!"
        assert await chat.mod("!resume") == "I was awake all the time."


@in_virtual_time()
async def test_viewers_cannot_pause() -> None:
    """A viewer is passed over in silence."""
    async with chat_with(PauseCommands()) as chat:
        assert await chat.viewer("!pause") == ""
        assert not chat.state(ChannelConfig).paused


@in_virtual_time()
async def test_portuguese() -> None:
    """The channel's language is used."""
    async with chat_with(PauseCommands(), language="pt-br") as chat:
        assert await chat.mod("!pause") == "Boa noite: fico em silêncio aqui até !resume."
        assert await chat.mod("!resume") == "Voltei."
