"""Whose token a request carries."""

from __future__ import annotations

import asyncio

import pytest

from byte_bot.auth.errors import OAuthUnavailable
from byte_bot.auth.oauth import Grant
from byte_bot.auth.user_token import UserToken
from byte_bot.chat.errors import HelixUnavailable
from byte_bot.chat.eventsub.helix import APP, USER
from byte_bot.chat.eventsub.tokens import BotTokens
from simulator.loop import in_virtual_time
from tests.byte_bot.chat.eventsub.fake_twitch import HeldToken, LoopClock
from tests.byte_bot.written_log import written_log


class Server:
    """Gives out application tokens, each with a number."""

    def __init__(self, expires_in: float = 7_200.0) -> None:
        self.asked = 0
        self.away = False
        self._expires_in = expires_in

    async def app_token(self) -> Grant:
        """The next one, after a moment."""
        self.asked += 1
        await asyncio.sleep(0.1)
        if self.away:
            raise OAuthUnavailable("away")
        return Grant(f"app-{self.asked}", expires_in=self._expires_in)


def tokens(server: Server, keeper: HeldToken | None = None) -> BotTokens:
    """The tokens of a bot."""
    held = keeper if keeper is not None else HeldToken(UserToken("user-1", "byte_bot"))
    return BotTokens(held, server.app_token, LoopClock(), wait_s=10.0)


@in_virtual_time()
async def test_the_accounts_token_is_the_keepers() -> None:
    """And so is what Helix says of it."""
    keeper = HeldToken(UserToken("user-1", "byte_bot"))
    bot = tokens(Server(), keeper)
    assert await bot.access(USER) == "user-1"
    assert await bot.rejected(USER, "user-1")
    assert keeper.complaints == ["user-1"]


@in_virtual_time()
async def test_the_applications_token_is_fetched_once_however_many_ask() -> None:
    """And kept."""
    server = Server()
    bot = tokens(server)
    assert set(await asyncio.gather(*(bot.access(APP) for _ in range(5)))) == {"app-1"}
    assert server.asked == 1


@in_virtual_time()
async def test_a_token_that_ends_soon_or_is_refused_is_fetched_anew() -> None:
    """It cannot be refreshed; a complaint about an older one is late."""
    bot = tokens(Server())
    await bot.access(APP)
    await asyncio.sleep(7_200.0 - 800.0)
    assert await bot.access(APP) == "app-2"
    assert await bot.rejected(APP, "app-1")
    assert await bot.access(APP) == "app-2"
    await asyncio.sleep(60.0)
    assert await bot.rejected(APP, "app-2")
    assert await bot.access(APP) == "app-3"


@in_virtual_time()
async def test_a_token_that_was_fetched_a_moment_ago_is_not_fetched_anew() -> None:
    """Helix refuses the request rather than the token, and would refuse it with the next one; for a minute, no longer."""
    server = Server()
    bot = tokens(server)
    await bot.access(APP)
    await asyncio.sleep(59.0)
    assert not await bot.rejected(APP, "app-1")
    assert await bot.access(APP) == "app-1"
    await asyncio.sleep(1.0)
    assert await bot.rejected(APP, "app-1")
    assert await bot.rejected(APP, "app-1"), (
        "a second complaint about it, while nobody has asked for the next one"
    )
    assert await bot.access(APP) == "app-2"


@in_virtual_time()
async def test_a_token_that_never_ends_is_kept() -> None:
    """Old applications have such."""
    bot = tokens(Server(expires_in=0))
    await bot.access(APP)
    await asyncio.sleep(500_000.0)
    assert await bot.access(APP) == "app-1"


@in_virtual_time()
async def test_nobody_waits_for_ever() -> None:
    """What could not be asked for has certainly not been done."""
    keeper = HeldToken(UserToken("user-1", "byte_bot"))
    keeper.give(None)
    bot = tokens(Server(), keeper)
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(HelixUnavailable, match="no valid token") as caught:
        await bot.access(USER)
    assert caught.value.undelivered
    assert asyncio.get_running_loop().time() == began_s + 10.0


@in_virtual_time()
async def test_an_authorization_server_that_is_away_is_a_reason() -> None:
    """The next request asks it again."""
    server = Server()
    bot = tokens(server)
    server.away = True
    with pytest.raises(HelixUnavailable, match="no token of the application: away"):
        await bot.access(APP)
    server.away = False
    assert await bot.access(APP) == "app-2"


@in_virtual_time()
async def test_the_applications_token_never_gets_into_the_log() -> None:
    """Nor does the next one."""
    bot = tokens(Server())
    with written_log() as log:
        first = await bot.access(APP)
        assert log.hides(first)
        await asyncio.sleep(60.0)
        await bot.rejected(APP, first)
        second = await bot.access(APP)
        assert second != first
        assert log.hides(first, second)
