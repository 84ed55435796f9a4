"""``!cmd`` and the commands made with it."""

from __future__ import annotations

import asyncio
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.components.api import Role
from byte_bot.components.counters import CounterCommands
from byte_bot.components.custom_commands import (
    ANSWER_CHARS_MAX,
    COMMANDS_MAX,
    COOLDOWN_S,
    CustomCommand,
    CustomCommandCommands,
    CustomCommands,
    expanded,
)
from simulator.loop import in_virtual_time
from tests.byte_bot.components.harness import CHANNEL, chat_with


@in_virtual_time()
async def test_a_command_is_made_used_changed_and_deleted() -> None:
    """The whole life of a custom command."""
    async with chat_with(CustomCommandCommands()) as chat:
        assert await chat.viewer("!hug Bob") == ""
        assert (
            await chat.mod("!cmd add hug {user} hugs {args} in {channel}, hug no. {count}")
            == "The command !hug is ready."
        )
        assert await chat.viewer("!hug Bob") == "Ana hugs Bob in streamer, hug no. 1"
        assert await chat.mod("!HUG  the  mods") == "mod hugs the  mods in streamer, hug no. 2"
        assert await chat.mod("!cmd edit !hug Hugs: {count}") == "The command !hug is changed."
        assert await chat.mod("!hug") == "Hugs: 3"
        assert await chat.viewer("!cmd list") == "Commands of this channel: !hug"
        assert await chat.viewer("!cmd") == "Commands of this channel: !hug"
        assert await chat.mod("!cmd del hug") == "The command !hug is gone."
        assert await chat.mod("!hug") == ""
        await chat.mod("!cmd add hug again {count}")
        assert await chat.mod("!hug") == "again 1"


@in_virtual_time()
async def test_an_answer_is_said_in_the_channel_and_not_as_a_reply() -> None:
    """A custom command speaks for the channel; ``/me`` would not work in a reply."""
    async with chat_with(CustomCommandCommands()) as chat:
        await chat.mod("!cmd add dance /me dances with {user}")
        (sent,) = await chat.hear("Ana", "!dance")
        assert sent == (CHANNEL, "/me dances with Ana", "")


@in_virtual_time()
async def test_viewers_make_no_commands() -> None:
    """Add, edit and del are for moderators; others hear nothing."""
    async with chat_with(CustomCommandCommands()) as chat:
        await chat.mod("!cmd add a b")
        for line in ("!cmd add x y", "!cmd edit a y", "!cmd del a"):
            assert await chat.viewer(line) == ""
            assert await chat.say("v", line, role=Role.VIP) == []
        assert list(chat.state(CustomCommands).commands) == ["a"]


@in_virtual_time()
async def test_names_of_the_bots_own_commands_cannot_be_taken() -> None:
    """Neither a name nor an alias of any component, in any case."""
    async with chat_with(CustomCommandCommands(), CounterCommands()) as chat:
        for name in ("count", "COUNTER", "cmd", "!cmd"):
            said = await chat.mod(f"!cmd add {name} x")
            assert said.endswith("is one of my own: choose another name.")
        assert chat.state(CustomCommands).commands == {}


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("!cmd add a", "Like this: !cmd add NAME TEXT, !cmd edit NAME TEXT, !cmd del NAME, !cmd list"),
        ("!cmd del", "Like this: !cmd add NAME TEXT, !cmd edit NAME TEXT, !cmd del NAME, !cmd list"),
        ("!cmd add old x", "The command !old exists already: change it with !cmd edit old TEXT"),
        ("!cmd edit new x", "There is no command !new of this channel's own."),
        ("!cmd del new", "There is no command !new of this channel's own."),
        ("!cmd add {user} x", "A command's name has 1 to 30 letters or digits, - and _, and no spaces."),
        (
            "!cmd add " + "n" * 31 + " x",
            "A command's name has 1 to 30 letters or digits, - and _, and no spaces.",
        ),
        ("!cmd add new " + "x" * 401, "That is too long: at most 400 characters."),
        ("!cmd nonsense", "Usage: !cmd [add|edit|del|list] [name] [text...]"),
    ],
)
@in_virtual_time()
async def test_mistakes_are_explained(line: str, answer: str) -> None:
    """Each refusal names the limit or the way out, and changes nothing."""
    async with chat_with(CustomCommandCommands()) as chat:
        await chat.mod("!cmd add old text")
        assert await chat.mod(line) == answer
        assert list(chat.state(CustomCommands).commands) == ["old"]


@in_virtual_time()
async def test_at_the_cap_the_bot_says_so() -> None:
    """The 201st command is refused; editing goes on; the list stays one message."""
    async with chat_with(CustomCommandCommands()) as chat:
        state = chat.state(CustomCommands)
        state.commands.update({f"command-{n:03}": CustomCommand("x") for n in range(COMMANDS_MAX)})
        assert await chat.mod("!cmd add extra x") == (
            "There are 200 commands already, and that is the most: remove one with !cmd del NAME"
        )
        assert await chat.mod("!cmd edit command-007 y") == "The command !command-007 is changed."
        line = await chat.viewer("!cmd list")
        assert len(line) <= 500
        assert line.endswith("more")


@in_virtual_time()
async def test_a_second_use_within_the_cooldown_is_passed_over() -> None:
    """Per command and channel; moderators do not wait; what was passed over is not counted."""
    async with chat_with(CustomCommandCommands()) as chat:
        await chat.mod("!cmd add a A {count}")
        await chat.mod("!cmd add b B")
        assert await chat.viewer("!a") == "A 1"
        assert await chat.viewer("!a") == ""
        assert await chat.viewer("!b") == "B"
        assert await chat.say("Ana", "!a", channel="other", channel_id="2") == []
        assert await chat.mod("!a") == "A 2"
        await asyncio.sleep(COOLDOWN_S)
        assert await chat.viewer("!a") == "A 3"


@in_virtual_time()
async def test_texts_keep_their_braces_and_words_of_viewers_stay_words() -> None:
    """Nothing in a text is a format string, and nothing in a viewer's words is a placeholder."""
    async with chat_with(CustomCommandCommands()) as chat:
        await chat.mod("!cmd add f {0} {user.__class__} {{user}} {nope} }{ %s {args}")
        assert await chat.mod("!f {user} {count} {args} {0.real}") == (
            "{0} {user.__class__} {mod} {nope} }{ %s {user} {count} {args} {0.real}"
        )


def line(text: str, args: str = "", user: str = "Ana") -> str:
    """The answer of a command with this text."""
    return expanded(text, user=user, channel="streamer", count=3, args=args)


@pytest.mark.parametrize(
    ("text", "args", "said"),
    [
        ("/ban {args}", "bob", "› /ban bob"),
        (".timeout {args}", "bob", "› .timeout bob"),
        ("{args}", "/ban bob", "› /ban bob"),
        ("{args}", ".ban bob", "› .ban bob"),
        ("{args}", "!ban bob", "› !ban bob"),
        ("{args}", "/me smiles", "› /me smiles"),
        ("{args}", "@bob hello", "@bob hello"),
        ("{args}", "hello", "hello"),
        ("!so {args}", "bob", "!so bob"),
        ("\u200b/ban {args}", "bob", "› /ban bob"),
        (" \x01\u034f{args}", "\u200b /ban", "› /ban"),
        ("/me waves at {args}", "/ban", "/me waves at /ban"),
        ("/me {args}", "/ban", "/me › /ban"),
        ("/me", "", "› /me"),
        ("/me  ", "", ""),
        ("{args}", "", ""),
        ("{args} {args}", "{args}", "› {args} {args}"),
        ("...", "", "› ..."),
    ],
)
def test_no_answer_is_a_command_to_anybody(text: str, args: str, said: str) -> None:
    """Twitch's commands get a visible mark in front, and so does punctuation that a viewer put first."""
    assert line(text, args) == said


ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=500)
TEXT = st.lists(
    st.one_of(st.sampled_from(["{user}", "{args}", "{count}", "/", ".", " ", "/me ", "\u200b"]), ANYTHING),
    max_size=8,
).map("".join)


@given(TEXT, ANYTHING)
def test_every_answer_is_one_safe_message(text: str, args: str) -> None:
    """Whatever a moderator wrote and a viewer types: one message, and its first visible character is no command's."""
    said = line(text, args)
    assert len(said) <= ANSWER_CHARS_MAX + 6 <= 500
    body = said.removeprefix("/me ") if text.startswith("/me ") else said
    assert body[:1] not in ("/", ".") or not body
    if text.startswith("{args}") and args and args[0] in string.punctuation.replace("@", ""):
        assert body.startswith("› ")


@in_virtual_time()
async def test_portuguese() -> None:
    """The channel's language is used."""
    async with chat_with(CustomCommandCommands(), language="pt-br") as chat:
        assert (
            await chat.viewer("!cmd")
            == "Este canal ainda não tem comandos próprios. Um moderador cria um assim: !cmd add oi Oi, {user}!"
        )
        assert await chat.mod("!cmd add oi Oi, {user}!") == "O comando !oi está pronto."
        assert await chat.viewer("!oi") == "Oi, Ana!"
