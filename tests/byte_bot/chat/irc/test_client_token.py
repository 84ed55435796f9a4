"""The IRC transport and its token: asked for before each login, complained about when refused, and the end when it is withdrawn."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from byte_bot.auth.token_source import Listener
from byte_bot.auth.user_token import UserToken
from byte_bot.chat.errors import LoginRejected
from byte_bot.chat.irc.client import IrcTransport
from byte_bot.chat.message import ChatEvent, Disconnected
from simulator.loop import in_virtual_time
from tests.byte_bot.chat.irc.wire import TinyTwitch


class Tokens:
    """A source whose token the test changes; None: nobody gets one."""

    renewable = True
    waiting = False

    def __init__(self, access: str | None = "first") -> None:
        self._access = access
        self._turn = asyncio.Event()
        self._listeners: list[Listener] = []
        self.asked = 0
        self.refused: list[str] = []

    def change(self, access: str | None) -> None:
        """This one from now on."""
        self._access = access
        self._turn.set()
        self._turn = asyncio.Event()
        for listener in self._listeners:
            listener(UserToken(access=access, login="byte_bot") if access else None)

    async def token(self) -> UserToken:
        """Today's, or a wait."""
        self.asked += 1
        while self._access is None:
            await self._turn.wait()
        return UserToken(access=self._access, login="byte_bot")

    async def rejected(self, access: str) -> None:
        """Written down; nobody gets it any more."""
        self.refused.append(access)
        if access == self._access:
            self._access = None

    def on_change(self, callback: Listener) -> None:
        """Remember it."""
        self._listeners.append(callback)

    async def run(self) -> None:
        """Nothing."""


class Story:
    """A transport with tokens, and the tiny Twitch it talks to."""

    def __init__(self, access: str | None = "first") -> None:
        self.twitch = TinyTwitch()
        self.tokens = Tokens(access)
        self.events: list[ChatEvent] = []
        self.transport = IrcTransport(
            self.twitch,
            host="irc.chat.twitch.tv",
            port=6697,
            tls=True,
            login="byte_bot",
            tokens=self.tokens,
            handler=self.events.append,
            rng=random.Random(1),
        )

    @property
    def passwords(self) -> list[str]:
        """What was logged in with, first to last."""
        return [line for wire in self.twitch.wires for line in wire.lines if line.startswith("PASS")]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The transport runs inside the block."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.transport.run())
            await asyncio.sleep(0.001)
            yield
            task.cancel()


@in_virtual_time()
async def test_every_login_asks_for_the_token_anew() -> None:
    """What was good an hour ago may not be now."""
    story = Story()
    async with story.running():
        await asyncio.sleep(100)
        story.tokens.change("second")
        assert story.transport.connected  # a new token is for the next login
        story.twitch.wire.drop()
        await asyncio.sleep(1)
        assert story.transport.connected
    assert story.passwords == ["PASS oauth:first", "PASS oauth:second"]
    assert story.tokens.asked == 2


@in_virtual_time()
async def test_nothing_is_connected_before_there_is_a_token() -> None:
    """A connection that cannot log in only troubles Twitch."""
    story = Story(None)
    async with story.running():
        await asyncio.sleep(1_000)
        assert story.twitch.opened_at == []
        story.tokens.change("first")
        await asyncio.sleep(0.01)
        assert story.transport.connected


@pytest.mark.parametrize("words", ["Login authentication failed", "Login unsuccessful"])
@in_virtual_time()
async def test_a_refused_token_is_complained_about_and_the_next_one_waited_for(words: str) -> None:
    """The bot does not end: with a new token it is back, and joins what it wanted to be in."""
    story = Story()
    story.transport.join(["ana"])
    story.twitch.refuse_login = words
    async with story.running():
        await asyncio.sleep(1_000)
        assert story.tokens.refused == ["first"]
        assert len(story.twitch.wires) == 1
        story.twitch.refuse_login = ""
        story.tokens.change("second")
        await asyncio.sleep(0.01)
        assert story.transport.joined == ("ana",)


@in_virtual_time()
async def test_logins_that_are_refused_again_and_again_keep_their_distance() -> None:
    """A source that always has another one does not make the bot hammer at Twitch."""
    story = Story()
    story.twitch.refuse_login = "Login authentication failed"
    async with story.running():
        for number in range(600):
            await asyncio.sleep(1)
            story.tokens.change(f"token{number}")
    assert len(story.twitch.wires) <= 80


@in_virtual_time()
async def test_a_refused_name_is_the_end_all_the_same() -> None:
    """No token helps against a wrong login."""
    story = Story()
    story.twitch.refuse_login = "Invalid NICK"
    with pytest.raises(LoginRejected, match="Invalid NICK"):
        await story.transport.run()
    assert story.tokens.refused == []


@in_virtual_time()
async def test_a_withdrawn_consent_ends_the_session() -> None:
    """Twitch wants every session with that token ended; the next one waits for a token."""
    story = Story()
    async with story.running():
        story.tokens.change(None)
        await asyncio.sleep(1)
        assert not story.transport.connected
        assert story.twitch.wire.is_closing()
        assert story.events[-1] == Disconnected("the account has withdrawn its consent")
        story.tokens.change("second")
        await asyncio.sleep(1)
        assert story.transport.connected
