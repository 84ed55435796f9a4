"""What every bot can do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from byte_bot.components import builtin
from simulator.loop import in_virtual_time
from tests.byte_bot.components.harness import chat_with

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
        before = picture(chat.layer.rows.values())
        for line in attacks:
            await chat.viewer(line)
        assert picture(chat.layer.rows.values()) == before
        assert chat.count("handlers_failed") == 0


def picture(rows: object) -> dict[str, object]:
    """What the rows hold, less what chat itself leaves there."""
    kept = {}
    for row in rows:  # type: ignore[attr-defined]  # Row objects
        state = row._state
        kept["/".join(row.key)] = {
            name: getattr(state, name)
            for name in state.__struct_fields__
            if name not in ("chat_lines", "last_reply", "last_event")
        }
    return repr_of(kept)


def repr_of(kept: dict[str, object]) -> dict[str, object]:
    """A picture that does not change with the objects."""
    return {key: repr(value) for key, value in kept.items()}


@pytest.mark.parametrize("name", FILES)
def test_built_in_components_stand_on_the_public_api_alone(name: str) -> None:
    """What they can do, anybody's component can."""
    path = Path(builtin.__file__).with_name(f"{name}.py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [module for module in imported if module.startswith("byte_bot")]
    assert ours
    assert all(module in ALLOWED for module in ours)
