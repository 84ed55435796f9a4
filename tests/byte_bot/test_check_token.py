"""The token's lines of ``byte-bot check``, against the simulator's authorization server in virtual time."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import httpx

from byte_bot.auth.token_file import TokenFile
from byte_bot.check_token import check_application, check_token
from byte_bot.finding import Finding, Status
from byte_bot.settings import Settings
from simulator.loop import START_UNIX_S, current_loop, in_virtual_time
from simulator.twitch.state import TwitchState
from tests.byte_bot.auth.desk import CLIENT_ID, OAUTH_URL, Desk, LoopClock

LOGIN = "my_bot"


def new_desk(secret: str = "") -> Desk:
    """A desk with the bot's account and somebody's."""
    state = TwitchState(current_loop().time, random.Random(2), START_UNIX_S)
    for login in (LOGIN, "somebody"):
        state.add_user(login)
    return Desk(state, secret)


def make_settings(**changes: Any) -> Settings:
    """Settings of a bot that renews its token."""
    values = {
        "twitch_login": LOGIN,
        "twitch_client_id": CLIENT_ID,
        "twitch_oauth_url": OAUTH_URL,
        "twitch_channel_logins": ("lobby",),
    }
    return Settings(**{**values, **changes})


def bare(access: str, **changes: Any) -> Settings:
    """Settings of a bot with a token that was copied by hand."""
    return make_settings(twitch_client_id="", twitch_token=access, **changes)


async def look(desk: Desk, settings: Settings, file: TokenFile | None = None) -> tuple[Finding, str]:
    """The finding, and the token to log in with."""
    async with desk.client() as http:
        return await check_token(settings, http, LoopClock(), file)


@in_virtual_time()
async def test_a_good_token_is_described(tmp_path: Path) -> None:
    """Whose it is, its scopes, its end, where it lies, and that the bot renews it; never the token."""
    desk, file = new_desk(), TokenFile(tmp_path / "t.json")
    token = await desk.log_in(make_settings(), file)
    await asyncio.sleep(120)
    finding, access = await look(desk, make_settings(), file)
    assert (finding.name, finding.status, access) == ("twitch token", Status.OK, token.access)
    assert finding.words.startswith(f"belongs to my_bot (id {token.user_id}), scopes chat:edit chat:read ")
    assert f"ends in 3 h 58 min; the bot renews it before; in {file.path}" in finding.words
    assert token.access not in finding.words
    assert token.refresh not in finding.words


@in_virtual_time()
async def test_a_bare_token_is_described_too() -> None:
    """Without a client id it is only asked about here."""
    desk = new_desk()
    access = desk.issue(LOGIN).access
    finding, given = await look(desk, bare(access))
    assert (finding.status, given) == (Status.OK, access)
    assert finding.words.endswith("ends in 4 h 0 min; in TWITCH_TOKEN")


@in_virtual_time()
async def test_missing_scopes_are_named_with_what_does_not_work() -> None:
    """And how to get them, depending on where the token comes from."""
    desk = new_desk()
    access = desk.state.credentials.issue_user(CLIENT_ID, LOGIN, ("chat:read",)).access
    finding, _ = await look(desk, bare(access))
    assert finding.status is Status.FAILED
    assert finding.words.endswith("lacks chat:edit (the bot can say nothing)")
    assert "TWITCH_TOKEN" in finding.advice
    assert "byte-bot login" in finding.advice


@in_virtual_time()
async def test_a_token_of_another_account_is_found_out() -> None:
    """With both ways out; an application's own token has no account at all."""
    desk = new_desk()
    finding, _ = await look(desk, bare(desk.issue("somebody").access))
    assert finding.status is Status.FAILED
    assert finding.words.startswith("belongs to somebody (id ")
    assert finding.words.endswith("not to my_bot")
    assert finding.advice.endswith("or set TWITCH_LOGIN=somebody")
    finding, _ = await look(desk, bare(desk.state.credentials.issue_app(CLIENT_ID).access))
    assert "to no account" in finding.words


@in_virtual_time()
async def test_a_token_that_has_ended_is_the_bot_s_to_refresh(tmp_path: Path) -> None:
    """Check changes nothing: nobody logs in with it, and it is only a warning. A bare one is a failure."""
    desk, file = new_desk(), TokenFile(tmp_path / "t.json")
    token = await desk.log_in(make_settings(), file)
    desk.state.credentials.expire(token.access)
    before = file.path.read_bytes()
    finding, access = await look(desk, make_settings(), file)
    assert (finding.status, access) == (Status.WARNING, "")
    assert "the bot refreshes it when it starts" in finding.words
    assert file.path.read_bytes() == before
    finding, access = await look(desk, bare(token.access))
    assert (finding.status, access) == (Status.FAILED, token.access)
    assert "invalid access token" in finding.words


@in_virtual_time()
async def test_no_token_at_all_is_said_with_what_to_do(tmp_path: Path) -> None:
    """And where it is looked for."""
    desk, file = new_desk(), TokenFile(tmp_path / "t.json")
    finding, access = await look(desk, make_settings(), file)
    assert (finding.status, access, finding.advice) == (Status.FAILED, "", "start `byte-bot login`")
    assert str(file.path) in finding.words


@in_virtual_time()
async def test_a_file_that_must_not_be_used_is_named(tmp_path: Path) -> None:
    """Damaged, or made with another application."""
    desk, file = new_desk(), TokenFile(tmp_path / "t.json")
    await desk.log_in(make_settings(), file)
    finding, access = await look(desk, make_settings(twitch_client_id="other"), file)
    assert (finding.status, access) == (Status.FAILED, "")
    assert "another TWITCH_CLIENT_ID" in finding.words
    file.path.write_text("?", encoding="utf-8")
    finding, _ = await look(desk, make_settings(), file)
    assert finding.status is Status.FAILED
    assert "is damaged" in finding.words


@in_virtual_time()
async def test_a_server_that_is_away_is_a_warning() -> None:
    """The bot itself goes on with its token meanwhile."""
    refuse = httpx.MockTransport(lambda request: httpx.Response(503))
    async with httpx.AsyncClient(transport=refuse) as http:
        finding, access = await check_token(bare("a" * 30), http, LoopClock(), None)
        assert (finding.status, access) == (Status.WARNING, "a" * 30)
        assert "answers 503" in finding.words
        (other,) = await check_application(make_settings(twitch_client_secret="shh"), http)
        assert other.status is Status.WARNING


@in_virtual_time()
async def test_twitch_is_not_asked_about_a_simulator_s_token() -> None:
    """Chat is somebody else's, and the authorization server was left at Twitch's: nothing is sent there."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"asked {request.url}")

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as http:
        settings = bare("a" * 30, twitch_oauth_url="https://id.twitch.tv/oauth2", twitch_irc_host="127.0.0.1")
        finding, access = await check_token(settings, http, LoopClock(), None)
    assert (finding.status, access) == (Status.SKIPPED, "a" * 30)


@in_virtual_time()
async def test_a_token_of_another_application_is_a_warning() -> None:
    """It works for IRC, and cannot be used with this client id elsewhere."""
    desk = new_desk()
    access = desk.issue(LOGIN).access
    finding, _ = await look(desk, make_settings(twitch_client_id="other", twitch_token=access))
    assert finding.status is Status.WARNING
    assert f"made by another application ({CLIENT_ID})" in finding.words


@in_virtual_time()
async def test_a_wrong_secret_shows_itself_before_it_is_needed() -> None:
    """Hours later, that is; the token that is got to try it is given back. A public application has none to try."""
    desk = new_desk("right")
    async with desk.client() as http:
        (fine,) = await check_application(make_settings(twitch_client_secret="right"), http)
        (wrong,) = await check_application(make_settings(twitch_client_secret="wrong"), http)
        assert await check_application(make_settings(), http) == []
    assert (fine.name, fine.status) == ("application", Status.OK)
    assert wrong.status is Status.FAILED
    assert "invalid client secret" in wrong.words
    assert [token for token in desk.state.credentials.tokens.values() if token.kind == "app"] == []
