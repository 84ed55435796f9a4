"""From a chat line to a command."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.chat.message import ChatMessage, ChatNotice, Follow, Gift, Raid, Role, Subscription
from byte_bot.components.api import EVENTS, Component, Context, command, listener
from byte_bot.components.router import (
    Invocation,
    Router,
    cooldown_passed,
    heard_as,
    parse_invocation,
    without_mention,
)
from byte_bot.errors import ComponentError


class Greeter(Component):
    """Two commands and a listener."""

    @command("Hello", aliases=["HI"], cooldown_s=2)
    async def say_hello(self, ctx: Context) -> None:
        """Greets."""

    @command()
    async def bye(self, ctx: Context) -> None:
        """Takes leave."""

    @listener("notice")
    async def on_notice(self, ctx: Context) -> None:
        """Hears."""


class Rival(Component):
    """Wants a name that is taken, after one that is not."""

    @command()
    async def fresh(self, ctx: Context) -> None:
        """Free."""

    @command(aliases=["hi"])
    async def other(self, ctx: Context) -> None:
        """Taken."""


class Twice(Component):
    """Wants one name twice."""

    @command(aliases=["b"])
    async def a(self, ctx: Context) -> None:
        """One."""

    @command()
    async def b(self, ctx: Context) -> None:
        """Two."""


def test_names_and_aliases_are_found_in_lower_case() -> None:
    """However they were declared."""
    router = Router()
    router.add(Greeter())
    assert [known.names for known in router.commands] == [("hello", "hi"), ("bye",)]
    assert router.find("hi") is router.find("hello") is router.commands[0]
    assert router.find("hey") is None
    assert len(router.listeners("notice")) == 1
    assert router.listeners("message") == ()


@pytest.mark.parametrize("component", [Rival(), Twice()])
def test_a_taken_name_registers_nothing(component: Component) -> None:
    """The error names both; the component is not half there."""
    router = Router()
    router.add(Greeter())
    with pytest.raises(ComponentError, match="exists already in"):
        router.add(component)
    assert len(router.commands) == 2
    assert len(router.components) == 1
    assert router.find("fresh") is None


def test_an_object_cannot_be_added_twice() -> None:
    """Even one without commands: its listeners would hear everything twice."""
    router = Router()
    component = Component()
    router.add(component)
    with pytest.raises(ComponentError, match="added already"):
        router.add(component)


def test_a_removed_component_leaves_its_names() -> None:
    """Another may have them then; removing it again is nothing."""
    router = Router()
    greeter = Greeter()
    router.add(greeter)
    router.remove(greeter)
    router.remove(greeter)
    router.add(Rival())
    assert router.find("hi") is not None
    assert router.listeners("notice") == ()


@pytest.mark.parametrize(
    ("text", "prefix", "found"),
    [
        ("!Ping", "!", Invocation("ping", "")),
        ("!count  deaths   +1 ", "!", Invocation("count", "deaths   +1")),
        ("!count\u3000deaths", "!", Invocation("count", "deaths")),
        ("?!ping", "?!", Invocation("ping", "")),
        ("!!ping", "!", Invocation("!ping", "")),
        ("! ping", "!", None),
        ("!", "!", None),
        ("", "!", None),
        ("ping", "!", None),
        (" !ping", "!", None),
    ],
)
def test_what_is_a_command(text: str, prefix: str, found: Invocation | None) -> None:
    """The prefix directly followed by a name."""
    assert parse_invocation(text, prefix) == found


@given(st.text(max_size=100), st.sampled_from(["!", "?!", "bot."]))
def test_any_line_is_parsed(text: str, prefix: str) -> None:
    """No text breaks the parser, and a name has no blanks."""
    found = parse_invocation(text, prefix)
    if found is not None:
        assert found.name
        assert not any(character.isspace() for character in found.name)


def test_a_cooldown_counts_from_the_last_use_that_counted() -> None:
    """Uses that were passed over do not prolong it."""
    known = Greeter().declared_commands()[0]
    uses: dict[str, float] = {}
    assert [cooldown_passed(uses, known, at) for at in (0.0, 1.0, 1.999, 2.0, 3.9, 4.0)] == [
        True, False, False, True, False, True,
    ]  # fmt: skip


def test_no_cooldown_is_remembered_where_there_is_none() -> None:
    """A command without one runs at once again."""
    known = Greeter().declared_commands()[1]
    uses: dict[str, float] = {}
    assert cooldown_passed(uses, known, 0.0)
    assert cooldown_passed(uses, known, 0.0)
    assert uses == {}


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("@Byte !ping", "!ping"),
        ("@byte   !ping now", "!ping now"),
        ("!ping @byte", "!ping @byte"),
        ("@byte", ""),
    ],
)
def test_a_threaded_reply_begins_with_whom_it_answers(text: str, rest: str) -> None:
    """One mention in front is Twitch's; everything else was typed."""
    assert without_mention(text) == rest


def said(bits: int = 0) -> ChatMessage:
    """A line of chat."""
    return ChatMessage("m1", "7", "lobby", "9", "ana", "Ana", Role.EVERYONE, "hi", bits=bits)


@pytest.mark.parametrize(
    ("event", "kinds"),
    [
        (said(), ("message",)),
        (said(bits=100), ("message", "cheer")),
        (ChatNotice("lobby", "7", "announcement", "ana", "", ""), ("notice",)),
        (Raid("lobby", "7", "raid", "ana", "", ""), ("notice", "raid")),
        (Subscription("lobby", "7", "sub", "ana", "", ""), ("notice", "subscription")),
        (Gift("lobby", "7", "subgift", "ana", "", ""), ("notice", "gift")),
        (Follow("lobby", "7", "follow", "ana", "", ""), ("follow",)),
    ],
)
def test_what_listeners_an_event_has(event: ChatMessage | ChatNotice, kinds: tuple[str, ...]) -> None:
    """The general one first; a follow is no announcement of chat."""
    assert heard_as(event) == kinds
    assert set(kinds) <= set(EVENTS)
