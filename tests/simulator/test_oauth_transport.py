"""The authorization server in memory: it answers what a bot that renews its token asks, and a spent refresh token stays spent."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import httpx
import pytest

from byte_bot.auth.errors import ClientRefused, TokenRefused
from byte_bot.auth.oauth import TwitchOAuth
from simulator.loop import START_UNIX_S, current_loop, in_virtual_time
from simulator.oauth_transport import OAUTH_URL, OAuthTransport
from simulator.twitch.credentials import ALL_SCOPES, DEFAULT_CLIENT_ID, Token
from simulator.twitch.oauth import OAuth
from simulator.twitch.state import TwitchState

LATENCY_S = 0.05


class Desk:
    """A Twitch with one account, and the bot's client to it."""

    def __init__(self) -> None:
        self.state = TwitchState(current_loop().time, random.Random(1), START_UNIX_S)
        self.state.add_user("byte_bot")
        oauth = OAuth(self.state, random.Random(2), lambda: OAUTH_URL, Counter())
        self.http = httpx.AsyncClient(transport=OAuthTransport(oauth, LATENCY_S))
        self.token: Token = self.state.credentials.issue_user(DEFAULT_CLIENT_ID, "byte_bot", (ALL_SCOPES,))

    def client(self, secret: str | None = None) -> TwitchOAuth:
        """Asks it."""
        app = self.state.credentials.apps[DEFAULT_CLIENT_ID]
        return TwitchOAuth(self.http, OAUTH_URL, DEFAULT_CLIENT_ID, app.secret if secret is None else secret)


@in_virtual_time()
async def test_a_token_is_validated_and_renewed() -> None:
    """It takes the way there and back; the old pair's refresh token is worth nothing after it."""
    desk = Desk()
    began_s = current_loop().time()
    assert (await desk.client().validate(desk.token.access)).login == "byte_bot"
    assert current_loop().time() - began_s == pytest.approx(2 * LATENCY_S)
    grant = await desk.client().refresh(desk.token.refresh)
    assert desk.state.credentials.valid(grant.access_token) is not None
    with pytest.raises(TokenRefused):
        await desk.client().refresh(desk.token.refresh)


@in_virtual_time()
async def test_what_twitch_refuses_is_refused_in_its_words() -> None:
    """A token that has ended, and an application with another secret."""
    desk = Desk()
    desk.state.credentials.disconnect(DEFAULT_CLIENT_ID, "byte_bot")
    with pytest.raises(TokenRefused, match="invalid access token"):
        await desk.client().validate(desk.token.access)
    with pytest.raises(ClientRefused, match="secret"):
        await desk.client("wrong").refresh(desk.token.refresh)


@in_virtual_time()
async def test_a_request_that_was_sent_is_carried_out_whoever_has_given_it_up() -> None:
    """As on a real network: the refresh token is spent, and nobody has the new pair."""
    desk = Desk()
    asking = asyncio.ensure_future(desk.client().refresh(desk.token.refresh))
    await asyncio.sleep(LATENCY_S / 2)
    asking.cancel()
    await asyncio.sleep(LATENCY_S)
    assert not desk.state.credentials.can_refresh(desk.token)


@in_virtual_time()
async def test_nothing_else_is_served_here() -> None:
    """The other endpoints are on sockets."""
    answer = await Desk().http.get(f"{OAUTH_URL}/userinfo")
    assert (answer.status_code, answer.json()["message"]) == (404, "not found")
