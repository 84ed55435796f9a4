"""EventSub's part of `byte-bot check`, against the fake Twitch on loopback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from byte_bot.check_eventsub import check_eventsub
from byte_bot.finding import Finding, Status
from byte_bot.settings import Settings
from simulator.loop import run
from tests.byte_bot.chat.eventsub.fake_twitch import BOT, SCOPES, LoopClock, Place


def found(
    prepare: Callable[[Place], None] = lambda place: None, *, access: str | None = None, **changes: Any
) -> Finding:
    """What the check finds."""

    async def body() -> Finding:
        place = Place()
        async with place.listener, httpx.AsyncClient() as http:
            prepare(place)
            settings = Settings(
                **{
                    "twitch_login": BOT,
                    "twitch_token": "0" * 30,
                    "twitch_channel_logins": ("lobby",),
                    "twitch_chat_mode": "eventsub",
                    "twitch_oauth_url": f"{place.listener.url}/oauth2",
                    "twitch_helix_url": f"{place.listener.url}/helix",
                    "twitch_eventsub_url": f"{place.listener.ws_url}/ws",
                    **changes,
                }
            )
            token = place.new_token(*SCOPES).access if access is None else access
            return await check_eventsub(settings, http, LoopClock(), token)

    return run(body(), hybrid=True)


def test_a_bot_that_can_chat_over_eventsub() -> None:
    """Helix takes its token, and a socket is welcomed."""
    finding = found()
    assert finding.status is Status.OK
    assert "welcomes the bot, and Helix takes its token" in finding.words


def test_helix_that_is_not_there() -> None:
    """The address is the advice."""
    finding = found(twitch_helix_url="http://127.0.0.1:9/helix")
    assert finding.status is Status.FAILED
    assert "TWITCH_HELIX_URL" in finding.advice


def test_a_socket_that_is_not_welcomed() -> None:
    """The address is the advice."""

    def prepare(place: Place) -> None:
        place.eventsub.accepting = False

    finding = found(prepare)
    assert finding.status is Status.FAILED
    assert "TWITCH_EVENTSUB_URL" in finding.advice


@pytest.mark.parametrize("access", ["", "nobody0knows0this0token0000000"])
def test_without_a_good_token_nothing_is_tried(access: str) -> None:
    """The token's own finding says what to do."""
    finding = found(access=access)
    assert finding.status is Status.SKIPPED
    assert "twitch token" in finding.advice


def test_without_twitchio_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not needed for IRC, so it may be missing."""
    monkeypatch.setitem(sys.modules, "twitchio", None)
    finding = found()
    assert finding.status is Status.FAILED
    assert "[eventsub]" in finding.advice
