"""``!ping``, ``!status`` and ``!help``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from byte_bot.components.api import Component, Context, command
from byte_bot.components.builtin import setup
from byte_bot.components.info import InfoCommands, duration
from byte_bot.components.pausing import PauseCommands
from byte_bot.components.texts import Texts
from byte_bot.context.stream_context import ChannelConfig
from simulator.loop import in_virtual_time
from tests.byte_bot.components.harness import chat_with


@in_virtual_time()
async def test_ping_is_always_answered() -> None:
    """As a reply to the message, however often it is asked."""
    async with chat_with(InfoCommands()) as chat:
        for _ in range(3):
            (sent,) = await chat.hear("Ana", "!ping")
            assert sent.text == "Pong!"
            assert sent.reply_to.endswith("-Ana")


@in_virtual_time()
async def test_status_without_a_database() -> None:
    """It says so, and for how long the bot is up; asked again at once it is silent."""
    async with chat_with(InfoCommands()) as chat:
        await asyncio.sleep(3_723)
        assert await chat.viewer("!status") == (
            "No database is set up: what I know is gone when I restart. Up for 1 h 2 min."
        )
        assert await chat.viewer("!status") == ""


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "Chat has been going for 1 h 2 min."), ("pt-br", "O chat está rolando há 1 h 2 min.")],
)
@in_virtual_time()
async def test_status_says_how_long_chat_has_been_going(language: str, said: str) -> None:
    """From the first line after a long silence on."""
    async with chat_with(InfoCommands()) as chat:
        chat.state(ChannelConfig).language = language
        await chat.viewer("good evening")
        await asyncio.sleep(1_800)
        await chat.viewer("still here")
        await asyncio.sleep(1_923)
        assert said in await chat.viewer("!status")


@pytest.mark.parametrize(
    ("circuit", "rows", "said"),
    [
        ("closed", 0, "Database: fine, everything is saved."),
        ("closed", 3, "Database: fine, changes on their way: 3."),
        ("open", 12, "Database: away. Nothing is lost; changes waiting: 12, for 1 min 15 s."),
        ("half-open", 12, "Database: away. Nothing is lost; changes waiting: 12, for 1 min 15 s."),
        (
            "paused",
            1,
            "Database: it refuses me, and somebody must look at my log. Nothing is lost; changes waiting: 1, for 1 min 15 s.",
        ),
    ],
)
@in_virtual_time()
async def test_status_says_in_words_how_the_database_is(circuit: str, rows: int, said: str) -> None:
    """Every state of the circuit has its sentence; counters and error texts are not told to viewers."""
    status: dict[str, Any] = {
        "circuit": circuit,
        "rows_waiting": rows,
        "oldest_unsaved_s": 75.2,
        "uptime_s": 60.0,
        "reply_ms": {"p50": 1.0, "p99": 3.14, "max": 9.0},
        "degraded": True,
        "counters": {"secret": 1},
    }
    async with chat_with(StatusTeller(status)) as chat:
        assert await chat.viewer("!tell") == (
            f"{said} Up for 1 min. 99 of 100 answers within 3.1 ms. "
            "My disk is too slow: a crash now could cost the last seconds."
        )


class StatusTeller(Component):
    """Lets ``!status`` run against a status of the test's choice."""

    def __init__(self, status: dict[str, Any]) -> None:
        self._status = status

    @command()
    async def tell(self, ctx: Context) -> None:
        """Tells."""
        ctx.bot = StatusBot(self._status)
        await InfoCommands().status(ctx)


class StatusBot:
    """A bot that has nothing but a status."""

    commands = ()

    def __init__(self, status: dict[str, Any]) -> None:
        self._status = status

    def status(self) -> dict[str, Any]:
        """What the test says."""
        return self._status


@in_virtual_time()
async def test_help_lists_what_one_may_use() -> None:
    """Moderators see more than viewers."""
    async with chat_with(InfoCommands(), PauseCommands()) as chat:
        assert await chat.viewer("!help") == "Commands: !ping · !status · !help"
        await asyncio.sleep(2)
        assert await chat.mod("!commands") == "Commands: !ping · !status · !help · !pause · !resume"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("ping", "Usage: !ping — Says whether the bot is there."),
        ("!COMMANDS", "Usage: !help [name] — Lists the commands, or explains one. (also !commands)"),
        ("resume", "Usage: !resume — Wakes the bot up after a pause. For moderators."),
        ("nope{0}", "There is no command !nope{0}."),
        ("n" * 300, "There is no command !" + "n" * 29 + "…."),
    ],
)
@in_virtual_time()
async def test_help_explains_one_command(asked: str, said: str) -> None:
    """Usage, what it does, for whom, and its other names."""
    async with chat_with(InfoCommands(), PauseCommands()) as chat:
        assert await chat.viewer(f"!help {asked}") == said


@in_virtual_time()
async def test_help_of_every_built_in_command_speaks_both_languages() -> None:
    """Each has a first line of a docstring and its translation, and they differ."""
    async with chat_with() as chat:
        await setup(chat.bot)
        for known in chat.bot.commands:
            english, portuguese = known.summary("en"), known.summary("pt-br")
            assert english.endswith(".")
            assert portuguese.endswith(".")
            assert english != portuguese


@in_virtual_time()
async def test_portuguese() -> None:
    """The channel's language is used."""
    async with chat_with(InfoCommands(), language="pt-br") as chat:
        assert await chat.viewer("!help status") == "Uso: !status — Diz como vão o bot e o banco de dados."
        assert (await chat.viewer("!status")).startswith(
            "Nenhum banco de dados configurado: o que eu sei se perde quando eu reinicio. No ar há 0 s."
        )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (-3, "0 s"), (59.6, "1 min"), (3605, "1 h"), (90_061, "1 d 1 h"), (1e9, "11574 d 1 h")],
)
def test_durations_are_said_in_two_units(seconds: float, said: str) -> None:
    """The two largest units are enough for a person."""
    assert duration(seconds) == said


def test_texts_are_complete() -> None:
    """Every role has its sentence in both languages."""
    texts = InfoCommands.texts
    assert isinstance(texts, Texts)
    for language in ("en", "pt-br"):
        for role in ("everyone", "subscriber", "vip", "moderator", "broadcaster", "owner"):
            assert texts.get(language, f"role_{role}") or role == "everyone"
