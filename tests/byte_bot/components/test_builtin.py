"""What every bot can do."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest

from byte_bot.components import builtin
from byte_bot.components.api import Role
from byte_bot.components.counters import Counters
from byte_bot.components.custom_commands import CustomCommands
from byte_bot.components.quotes import Quotes
from byte_bot.context.stream_context import ChannelConfig, StreamContext
from simulator.loop import in_virtual_time
from tests.byte_bot.components.harness import Chat, chat_with

ALLOWED = ("byte_bot.components.api", "byte_bot.components.words", "byte_bot.context.stream_context")
FILES = ("counters", "custom_commands", "info", "pausing", "quotes", "stream")


@in_virtual_time()
async def test_all_commands_are_there() -> None:
    """In the order in which help lists them."""
    async with chat_with() as chat:
        await builtin.setup(chat.bot)
        assert await chat.mod("!help") == (
            "Commands: !ping · !status · !help · !game · !vibe · !style · !scene · !note · !count · !cmd · !quote · "
            "!pause · !resume"
        )


@in_virtual_time()
async def test_one_channels_state_is_not_anothers() -> None:
    """Two channels count for themselves."""
    async with chat_with() as chat:
        await builtin.setup(chat.bot)
        assert await chat.mod("!count deaths +1") == "deaths: 1"
        assert await chat.say("Ana", "!count deaths", channel="other", channel_id="2") == [
            "There is no counter called deaths."
        ]


@in_virtual_time()
async def test_a_viewer_changes_nothing_whatever_is_typed() -> None:
    """Every verb of every command, typed by somebody without a role, leaves no trace but the chat line."""
    attacks = [
        "!game x", "!vibe x", "!style x", "!scene movie x", "!scene movie -", "!note add x", "!note clear",
        "!note del 1", "!count a +1", "!count a del", "!cmd add a b", "!cmd edit c x", "!cmd del c", "!quote add x",
        "!quote del 1", "!pause", "!resume", "!{0.__class__}", "!cmd add {user} {args}", "!" + "x" * 499,
    ]  # fmt: skip
    async with chat_with() as chat:
        await builtin.setup(chat.bot)
        for line in (
            "!game g",
            "!scene movie m",
            "!note add n",
            "!count a =1",
            "!cmd add c t",
            "!quote add q",
        ):
            await chat.mod(line)
        before = picture(chat)
        for line in attacks:
            await chat.viewer(line)
        assert picture(chat) == before
        assert chat.count("handlers_failed") == 0


@in_virtual_time()
async def test_no_answer_of_the_bot_begins_with_the_prefix() -> None:
    """A channel's prefix may be ``.``: then ``.ban is ready`` would be a command to Twitch, with the bot's rights."""
    lines = [
        "ping", "status", "help", "help ban", "help count", "count", "count x", "count x +1", "count x y", "count a.b",
        "cmd", "cmd add ban x", "cmd add ban x", "cmd edit ban y", "cmd list", "ban", "cmd del ban", "cmd del ban",
        "cmd add ping x", "cmd add", "cmd what", "quote", "quote add x", "quote 1", "quote x", "game", "game .x",
        "scene", "scene what", "scene movie /x", "note add /ban x", "note", "note del", "note del 9", "pause", "resume",
    ]  # fmt: skip
    for language in ("en", "pt-br"):
        async with chat_with(language=language) as chat:
            await builtin.setup(chat.bot)
            chat.state(ChannelConfig).prefix = "."
            for line in lines:
                for said in await chat.say("mod", f".{line}", role=Role.MODERATOR, wait_s=5):
                    assert said[0] not in "./", f".{line} -> {said}"


def picture(chat: Chat) -> list[bytes]:
    """What the channel's states hold, less what chat itself leaves there."""
    stream = msgspec.structs.replace(chat.state(StreamContext), chat_lines=[], last_reply="")
    others = [chat.state(cls) for cls in (Counters, CustomCommands, Quotes, ChannelConfig)]
    return [msgspec.json.encode(state, order="sorted") for state in [stream, *others]]


@pytest.mark.parametrize("name", FILES)
def test_built_in_components_stand_on_the_public_api_alone(name: str) -> None:
    """What they can do, anybody's component can."""
    path = Path(builtin.__file__).with_name(f"{name}.py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [module for module in imported if module.startswith("byte_bot")]
    assert ours
    assert all(module in ALLOWED for module in ours)
