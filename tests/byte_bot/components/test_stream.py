"""``!game``, ``!vibe``, ``!style``, ``!scene`` and ``!note``."""

from __future__ import annotations

import typing

import pytest

from byte_bot.components.stream import StreamCommands
from byte_bot.context.stream_context import NOTES_MAX, OBSERVABLE_TYPES, StreamContext
from simulator.loop import in_virtual_time
from tests.byte_bot.components.harness import chat_with


@pytest.mark.parametrize(("name", "label"), [("game", "Game"), ("vibe", "Vibe"), ("style", "Style")])
@in_virtual_time()
async def test_moderators_set_and_everybody_reads(name: str, label: str) -> None:
    """One word for reading and writing; ``-`` and ``clear`` take the value away."""
    async with chat_with(StreamCommands()) as chat:
        assert await chat.viewer(f"!{name}") == f"No {name} is set."
        assert await chat.mod(f"!{name} Hollow  Knight {{user}}") == f"{label}: Hollow  Knight {{user}}"
        assert await chat.viewer(f"!{name}") == f"{label}: Hollow  Knight {{user}}"
        assert await chat.viewer(f"!{name} mine") == ""
        assert await chat.viewer(f"!{name} {'x' * 450}") == ""
        assert await chat.mod(f"!{name} {'x' * 401}") == "That is too long: at most 400 characters."
        assert await chat.viewer(f"!{name}") == f"{label}: Hollow  Knight {{user}}"
        assert await chat.mod(f"!{name} -") == f"No {name} is set."
        await chat.mod(f"!{name} again")
        assert await chat.mod(f"!{name} CLEAR") == f"No {name} is set."


@in_virtual_time()
async def test_each_setter_has_its_own_field() -> None:
    """Game, vibe and style end up where the StreamContext has them."""
    async with chat_with(StreamCommands()) as chat:
        await chat.mod("!game Doom")
        await chat.mod("!vibe calm")
        await chat.mod("!style haiku")
        stream = chat.state(StreamContext)
        assert (stream.current_game, stream.vibe, stream.style_profile) == ("Doom", "calm", "haiku")


@in_virtual_time()
async def test_scenes_by_type() -> None:
    """Set, read one, list all in a fixed order, take one away."""
    async with chat_with(StreamCommands()) as chat:
        assert await chat.viewer("!scene") == "Nothing is on screen that I know of."
        assert await chat.mod("!scene topic tests") == "On screen: topic: tests"
        assert await chat.mod("!scene MOVIE Alien") == "On screen: movie: Alien"
        assert chat.state(StreamContext).observability == {"topic": "tests", "movie": "Alien"}
        assert await chat.viewer("!scene") == "On screen: movie: Alien · topic: tests"
        assert await chat.viewer("!scene movie") == "On screen: movie: Alien"
        assert await chat.viewer("!scene x") == "On screen: no X that I know of."
        assert await chat.viewer("!scene movie mine") == ""
        assert (
            await chat.viewer("!scene play") == "Usage: !scene [game|movie|series|youtube|x|topic] [what...]"
        )
        assert await chat.mod("!scene movie -") == "On screen: no movie that I know of."
        assert await chat.mod("!scene topic clear") == "On screen: no topic that I know of."
        assert await chat.mod("!scene topic " + "x" * 401) == "That is too long: at most 400 characters."
        assert chat.state(StreamContext).observability == {}


@in_virtual_time()
async def test_all_scenes_fit_one_message() -> None:
    """Six long values are listed short, and read whole one by one."""
    async with chat_with(StreamCommands()) as chat:
        for kind in OBSERVABLE_TYPES:
            await chat.mod(f"!scene {kind} {'w' * 400}")
        assert len(await chat.viewer("!scene")) <= 500
        assert "w" * 400 in await chat.viewer("!scene series")


def test_scene_takes_the_types_of_the_stream_context() -> None:
    """The types a moderator can type are those the StreamContext knows."""
    (kinds, _) = typing.get_args(typing.get_type_hints(StreamCommands.scene)["kind"])
    assert typing.get_args(kinds) == OBSERVABLE_TYPES


@in_virtual_time()
async def test_notes_are_kept_listed_and_deleted_by_place() -> None:
    """Numbers are places in the list, oldest first."""
    async with chat_with(StreamCommands()) as chat:
        assert await chat.viewer("!note") == "There are no notes."
        for text in ("milk", "eggs {0}", "tea"):
            await chat.mod(f"!note add {text}")
        assert await chat.viewer("!notes") == "Notes: 1) milk · 2) eggs {0} · 3) tea"
        assert await chat.mod("!note del 1") == "Note 1 is gone."
        assert await chat.viewer("!note list") == "Notes: 1) eggs {0} · 2) tea"
        assert await chat.viewer("!note list 2") == "Notes: 2) tea"
        assert await chat.mod("!note del 3") == "There is no note 3."
        assert await chat.viewer("!note list 7") == "There is no note 7."
        assert await chat.mod("!note clear") == "All notes are gone (2)."
        assert chat.state(StreamContext).notes == {}


@in_virtual_time()
async def test_only_moderators_write_notes() -> None:
    """Viewers hear nothing when they try."""
    async with chat_with(StreamCommands()) as chat:
        await chat.mod("!note add mine")
        for line in ("!note add x", "!note del 1", "!note clear"):
            assert await chat.viewer(line) == ""
        assert len(chat.state(StreamContext).notes) == 1


@in_virtual_time()
async def test_many_notes_are_shown_page_by_page() -> None:
    """The list says how to go on, and pages cover every note once."""
    async with chat_with(StreamCommands()) as chat:
        for n in range(NOTES_MAX):
            assert await chat.mod(f"!note add {'long text ' * 5}{n}") == f"Note {n + 1} is kept."
        assert await chat.mod("!note add one more") == (
            "There are 50 notes already, and that is the most: remove one with !note del N"
        )
        line, numbers = await chat.viewer("!note"), []
        for _ in range(NOTES_MAX):
            assert len(line) <= 500
            numbers += [int(word[:-1]) for word in line.split() if word[:-1].isdigit() and word.endswith(")")]
            _, more, following = line.rpartition("!note list ")
            if not more:
                break
            line = await chat.viewer(f"!note list {following}")
        assert numbers == list(range(1, NOTES_MAX + 1))


@pytest.mark.parametrize("typed", ["!note add", "!note del", "!note del x", "!note del 99999999999999999999"])
@in_virtual_time()
async def test_mistakes_are_explained(typed: str) -> None:
    """What is no text and no number shows how it is written."""
    async with chat_with(StreamCommands()) as chat:
        assert await chat.mod(typed) == "Like this: !note add TEXT, !note list, !note del N, !note clear"


@in_virtual_time()
async def test_portuguese() -> None:
    """The channel's language is used, for the types on screen too."""
    async with chat_with(StreamCommands(), language="pt-br") as chat:
        assert await chat.mod("!game Celeste") == "Jogo: Celeste"
        assert await chat.mod("!scene series Dark") == "Na tela: série: Dark"
        assert await chat.mod("!note add café") == "A nota 1 foi guardada."
