"""A conversation knows who answered what, and how long it took."""

from __future__ import annotations

import asyncio
import random

import pytest

from simulator.account import Account
from simulator.conversation import Conversation, StoryError, spoken
from simulator.loop import START_UNIX_S, current_loop, run
from simulator.report import Line
from simulator.trace import Trace
from simulator.twitch.events import SentMessage
from simulator.twitch.state import TwitchState


class Stage:
    """A conversation on a fake Twitch, with a bot that says what the test makes it say."""

    def __init__(self) -> None:
        loop = current_loop()
        self.twitch = TwitchState(loop.time, random.Random(1), START_UNIX_S)
        for login in ("lobby", "arcade"):
            self.twitch.add_channel(login, moderators=("mod",))
        self.twitch.add_user("bot")
        self.heard: list[SentMessage] = []
        self.twitch.on_message(self.heard.append)
        self.trace = Trace(loop.time, keep=True)
        self.account = Account()
        self.seats = frozenset({1})
        self.processes = frozenset({1})
        self.ungated = 0
        self.chat = Conversation(
            self.twitch,
            self.trace,
            self.account,
            bot_login="bot",
            default_channel="lobby",
            attendance=lambda channel: self.seats,
            ungated_replies=lambda: self.ungated,
            processes=lambda: self.processes,
        )

    def reply(self, text: str, to: str = "", channel: str = "lobby") -> None:
        """The bot says something."""
        self.twitch.say(channel, "bot", text, reply_to=to)

    async def reply_later(self, delay_s: float, text: str) -> None:
        """The bot replies to whatever was said last."""
        await asyncio.sleep(delay_s)
        self.reply(text, self.heard[-1].id)


def test_an_answer_comes_with_its_latency() -> None:
    """``ask`` returns the reply to its own message; the time from command to reply is kept in milliseconds."""

    async def body() -> None:
        stage = Stage()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stage.reply_later(0.25, "deaths: 1 \u034f"))
            assert await stage.chat.ask("mod", "!count deaths +1") == "deaths: 1"
        assert stage.chat.latencies_ms == pytest.approx([250.0])
        assert stage.chat.unanswered == 0
        assert stage.account.confirmed == 1
        # Twitch keeps what clients sent; this bot is none.
        stage.twitch.transcript.extend(stage.heard)
        assert stage.chat.transcript == (Line(250_000, "lobby", "deaths: 1", stage.heard[-1].reply_to),)

    run(body())


def test_what_the_bot_says_plainly_answers_too() -> None:
    """A custom command is no reply to a message: the next thing said in that channel counts, in another it does not."""

    async def body() -> None:
        stage = Stage()

        async def speak() -> None:
            await asyncio.sleep(1)
            stage.reply("elsewhere", channel="arcade")
            await asyncio.sleep(1)
            stage.reply("Hello!")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(speak())
            assert await stage.chat.ask("newcomer", "!hello") == "Hello!"
        assert stage.chat.latencies_ms == []
        assert stage.chat.unanswered == 1

    run(body())


def test_silence_ends_a_story() -> None:
    """Nobody answers within the deadline of virtual time."""

    async def body() -> float:
        stage = Stage()
        with pytest.raises(StoryError, match="within 3 s: an answer to '!ping'"):
            await stage.chat.ask("viewer", "!ping", within_s=3)
        return current_loop().time()

    assert run(body()) == pytest.approx(3, abs=0.011)


def test_small_talk_is_recorded_and_waits_for_nothing() -> None:
    """Every message is in the trace; only commands count as asked."""

    async def body() -> None:
        stage = Stage()
        stage.chat.say("viewer", "hello")
        stage.chat.say("viewer", "!ping", channel="arcade", message_id="chosen")
        assert stage.chat.unanswered == 1
        recorded = [fields for _, _, fields in stage.trace.events("chat")]
        assert [(one["channel"], one["text"]) for one in recorded] == [
            ("lobby", "hello"),
            ("arcade", "!ping"),
        ]
        assert recorded[1]["id"] == "chosen"

    run(body())


def test_spoken_takes_the_invisible_mark_away() -> None:
    """Equal messages differ for Twitch by a mark that no viewer sees."""
    assert spoken("Pong! \u034f") == spoken("Pong!") == "Pong!"


def test_a_reply_is_ungated_if_one_left_so_since_its_command() -> None:
    """The account notes it, for the case that the bot dies; before the command it does not count."""

    async def body() -> None:
        stage = Stage()
        stage.ungated = 3
        first = stage.chat.say("mod", "!count deaths +1")
        stage.reply("deaths: 1", first)
        assert list(stage.account.ungated) == []
        second = stage.chat.say("mod", "!count deaths +1")
        stage.ungated += 1
        stage.reply("deaths: 2", second)
        assert list(stage.account.ungated) == [second]
        assert stage.chat.was_command(first) and not stage.chat.was_command("m0")
        # Heard on one connection and answered on the next: the process lived all the while, and knows what it said.
        reconnected = stage.chat.say("mod", "!count wins +1")
        stage.ungated, stage.seats = stage.ungated + 1, frozenset({2})
        stage.reply("wins: 1", reconnected)
        assert reconnected in stage.account.ungated
        # On its way when its sender died: the account was reckoned before it came.
        third = stage.chat.say("mod", "!count deaths +1")
        stage.ungated, stage.processes = stage.ungated + 1, frozenset({2})
        stage.reply("deaths: 3", third)
        assert stage.account.range_of("lobby", "deaths") == (2, 3)
        # Of two that ran when it was said one has died since: it may have been that one's.
        stage.processes = frozenset({2, 3})
        fourth = stage.chat.say("mod", "!count wins +1")
        stage.ungated, stage.processes = stage.ungated + 1, frozenset({3})
        stage.reply("wins: 2", fourth)
        assert stage.account.range_of("lobby", "wins") == (1, 2)
        # A second one that was started since has not taken the first one's memory.
        fifth = stage.chat.say("mod", "!count wins +1")
        stage.ungated, stage.processes = stage.ungated + 1, frozenset({3, 4})
        stage.reply("wins: 3", fifth)
        assert fifth in stage.account.ungated

    run(body())
