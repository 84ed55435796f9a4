"""Which source of the token the settings lead to."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from byte_bot.auth.choice import keeper_for, oauth_for, token_file_of
from byte_bot.auth.keeper import TokenKeeper
from byte_bot.auth.token_source import FixedToken
from byte_bot.settings import Settings
from simulator.loop import in_virtual_time
from tests.byte_bot.auth.small_twitch import CLIENT_ID, LoopClock, MemoryTokenStore, SmallTwitch


def settings(**changes: Any) -> Settings:
    """Settings with a bare token."""
    values = {"twitch_login": "my_bot", "twitch_token": "a" * 30, "twitch_channel_logins": ("lobby",)}
    return Settings(**{**values, **changes})


@in_virtual_time()
async def test_a_bare_token_is_used_as_it_is_and_draws_nothing() -> None:
    """Nobody is asked; the bot's other generators are what they always were."""
    draws: list[int] = []

    def new_rng() -> random.Random:
        draws.append(1)
        return random.Random(1)

    chosen = keeper_for(settings(), http=None, store=None, clock=LoopClock(), new_rng=new_rng)
    assert isinstance(chosen, FixedToken)
    assert not settings().asks_twitch
    assert (await chosen.token()).access == "a" * 30
    assert draws == []


@in_virtual_time()
async def test_with_a_client_id_the_token_is_kept() -> None:
    """The application and its server come from the settings."""
    twitch = SmallTwitch()
    chosen = settings(
        twitch_client_id=CLIENT_ID, twitch_client_secret="shh", twitch_oauth_url="http://localhost:1/oauth2/"
    )
    assert chosen.asks_twitch
    keeper = keeper_for(
        chosen,
        http=twitch.client(),
        store=MemoryTokenStore(),
        clock=LoopClock(),
        new_rng=lambda: random.Random(1),
    )
    assert isinstance(keeper, TokenKeeper)
    await oauth_for(chosen, twitch.client()).device_code(("chat:read",))
    assert twitch.asked[-1].form["client_id"] == CLIENT_ID


def test_only_an_application_s_token_has_a_file(tmp_path: Path) -> None:
    """In the user's data directory, or where the setting says."""
    assert token_file_of(settings(), {}) is None
    given = token_file_of(
        settings(twitch_client_id=CLIENT_ID, twitch_token="", twitch_token_file=f"{tmp_path}/"), {}
    )
    assert given is not None
    assert given.path == tmp_path / "my_bot.token.json"
