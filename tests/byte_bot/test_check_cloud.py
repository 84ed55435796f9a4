"""The cloud bot's part of `byte-bot check`, against the fake Twitch on loopback: each thing that can be missing, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from byte_bot.check_cloud import NAME, check_cloud
from byte_bot.finding import Finding, Status
from byte_bot.settings import Settings
from simulator.loop import run
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from tests.byte_bot.chat.eventsub.fake_twitch import BOT, SCOPES, LoopClock, Place
from tests.byte_bot.written_log import written_log

NEEDED = ("user:bot", "user:read:chat", "user:write:chat")


def consent(place: Place, login: str, *scopes: str) -> None:
    """Let an account allow the application."""
    place.state.credentials.issue_user(DEFAULT_CLIENT_ID, login, scopes)


def found(
    prepare: Callable[[Place], None] = lambda place: None,
    *,
    scopes: tuple[str, ...] = (*NEEDED, *SCOPES),
    access: str | None = None,
    given: list[str] | None = None,
    **changes: Any,
) -> list[Finding]:
    """What the check finds about a bot whose account granted these scopes, in one channel; the tokens it was given go to ``given``."""

    async def overhear(response: httpx.Response) -> None:
        if given is not None and response.url.path.endswith("/token"):
            await response.aread()
            given.append(response.json()["access_token"])

    async def body() -> list[Finding]:
        place = Place(scopes=scopes)
        async with place.listener, httpx.AsyncClient(event_hooks={"response": [overhear]}) as http:
            prepare(place)
            app = place.state.credentials.apps[DEFAULT_CLIENT_ID]
            settings = Settings(
                **{
                    "twitch_login": BOT,
                    "twitch_channel_logins": ("lobby",),
                    "twitch_chat_mode": "eventsub",
                    "twitch_bot_auth": "cloud",
                    "twitch_client_id": app.client_id,
                    "twitch_client_secret": app.secret,
                    "twitch_oauth_url": f"{place.listener.url}/oauth2",
                    "twitch_helix_url": f"{place.listener.url}/helix",
                    "twitch_eventsub_url": f"{place.listener.ws_url}/ws",
                    **changes,
                }
            )
            token = place.new_token(*scopes).access if access is None else access
            findings = await check_cloud(settings, http, LoopClock(), token)
            left = [one for one in place.state.credentials.tokens.values() if one.kind == "app"]
            assert left == [], "the application's token was left behind"
            return findings

    return run(body(), hybrid=True)


def the_one(findings: list[Finding]) -> Finding:
    (finding,) = findings
    assert finding.name == NAME
    return finding


@pytest.mark.parametrize("changes", [{"twitch_bot_auth": "installed"}, {"twitch_chat_mode": "irc"}])
def test_only_a_bot_in_the_cloud_is_asked_about(changes: dict[str, str]) -> None:
    """An installed one speaks with its own token."""
    assert found(**changes) == []


def test_a_bot_that_everybody_let_in() -> None:
    """The account's consent and the broadcaster's."""
    finding = the_one(found(lambda place: consent(place, "lobby", "channel:bot")))
    assert (finding.status, finding.words) == (Status.OK, f"the application may speak as {BOT}: lobby")


def test_without_user_bot_the_login_is_what_is_missing() -> None:
    """Each scope that is missing is named, with what does not work."""
    finding = the_one(found(scopes=("user:read:chat",)))
    assert finding.status is Status.FAILED
    assert "has not granted this application user:bot (the application may not appear" in finding.words
    assert "user:write:chat (it can say nothing)" in finding.words
    assert "user:read:chat" not in finding.words
    assert "byte-bot login" in finding.advice


def test_without_channel_bot_the_broadcaster_is_named() -> None:
    """Only the channels that are closed; nowhere a moderator."""
    finding = the_one(
        found(lambda place: consent(place, "lobby", "channel:bot"), twitch_channel_logins=("lobby", "arcade"))
    )
    assert finding.status is Status.FAILED
    assert finding.words == (
        "arcade: the broadcaster has not granted this application channel:bot, and "
        f"{BOT} is no moderator there"
    )
    assert "moderator" in finding.advice


def test_a_moderator_needs_no_channel_bot() -> None:
    """As the account's own token tells."""
    finding = the_one(found(lambda place: place.state.set_role("lobby", BOT, "moderator")))
    assert finding.status is Status.OK


def test_where_the_own_token_does_not_tell_it_is_a_warning() -> None:
    """Without user:read:moderated_channels, and without a token."""
    for options in ({"scopes": NEEDED}, {"access": ""}):
        finding = the_one(found(**options))  # type: ignore[arg-type]
        assert finding.status is Status.WARNING
        assert "could not be asked" in finding.words


def test_a_wrong_secret_is_told_elsewhere() -> None:
    """Once is enough."""
    finding = the_one(found(twitch_client_secret="x" * 30))
    assert finding.status is Status.SKIPPED
    assert "there is no token of the application" in finding.words and finding.advice == "see `application`"


def test_helix_that_is_not_there_and_a_bot_that_is_not() -> None:
    """The setting is the advice."""
    finding = the_one(found(twitch_helix_url="http://127.0.0.1:9/helix"))
    assert (finding.status, "TWITCH_HELIX_URL" in finding.advice) == (Status.FAILED, True)
    finding = the_one(found(twitch_login="nobody_at_all"))
    assert (finding.status, finding.words) == (Status.FAILED, "Twitch has no account nobody_at_all")


def test_the_applications_token_never_gets_into_the_log() -> None:
    """It is ended with the check, which may fail."""
    given: list[str] = []
    with written_log() as log:
        found(given=given)
        assert log.hides(*given)
