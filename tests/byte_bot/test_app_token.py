"""The whole bot with a token that it renews, on the simulator's Twitch: chat and authorization server over one state.

From `byte-bot login` on: expiry in mid-life, a reconnect, a consent that is withdrawn, and a new login; in virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from byte_bot.app import DRAIN_S, FLUSH_S, JOURNAL_S
from byte_bot.auth.timing import FINISH_S, KeeperTiming
from byte_bot.errors import ExitCode
from byte_bot.settings import Settings
from simulator.faults import ConsentEnded, Refused, TokenRevoked
from simulator.scenario import Scenario
from simulator.world import BOT_LOGIN, BOT_TOKEN, World, play
from tests.byte_bot.auth.desk import CLIENT_ID, OAUTH_URL, Desk, Desks
from tests.scenarios.places import PLACES

HOUR_S = 3_600.0
#: A world's hours cost seconds: a token of ten minutes is renewed after seven and a half.
SHORT_LIFE_S = 600.0
TOKEN_SETTINGS: dict[str, Any] = {
    "twitch_token": "",
    "twitch_client_id": CLIENT_ID,
    "twitch_client_secret": "",
    "twitch_oauth_url": OAUTH_URL,
}
NIGHT = Scenario(
    "night", "a story told by a test", channels=("lobby",), fixed=("lobby",), settings=TOKEN_SETTINGS
)
SETTINGS = Settings(twitch_login=BOT_LOGIN, twitch_channel_logins=("lobby",), **TOKEN_SETTINGS)

Story = Callable[[World, Desk, Desks], Awaitable[None]]

on_both_transports = pytest.mark.parametrize("where", ["memory", "eventsub"])


def tell(story: Story, tmp_path: Path, where: str = "memory") -> list[Any]:
    """Play a story with a desk, over IRC in memory or over EventSub; the log's lines."""
    desks = Desks(tmp_path / "bot.token.json")

    async def body(world: World) -> None:
        await story(world, desks.at(world.twitch), desks)

    with capture_logs() as lines:
        play(body, NIGHT, application=desks.build, strict=False, **PLACES[where])
    return list(lines)


def count(lines: list[Any], event: str) -> int:
    """How often an event was logged."""
    return len([line for line in lines if line["event"] == event])


def test_from_the_login_on_the_bot_chats(tmp_path: Path) -> None:
    """Device flow, file, validation, chat: with the token of the file and no other."""

    async def story(world: World, desk: Desk, desks: Desks) -> None:
        token = await desk.log_in(SETTINGS, desks.file)
        world.twitch.revoke_token(BOT_TOKEN)
        world.start_bot()
        await world.joined()
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        assert desk.face.stats["validated"] == 2  # by the login and at the start
        assert [one.access for one in desk.tokens_of(BOT_LOGIN)] == [token.access]
        assert await world.stop_bot() == ExitCode.OK

    tell(story, tmp_path)


def test_a_token_that_ends_in_mid_life_is_renewed_before_the_reconnect(tmp_path: Path) -> None:
    """IRC has no 401: the connection outlives the token, and the next login must not be refused."""

    async def story(world: World, desk: Desk, desks: Desks) -> None:
        desk.face.oauth.user_token_lifetime_s = SHORT_LIFE_S
        first = await desk.log_in(SETTINGS, desks.file)
        world.start_bot()
        await world.joined()
        await asyncio.sleep(2 * SHORT_LIFE_S)
        assert world.twitch.credentials.valid(first.access) is None
        world.irc.disconnect_all()
        await asyncio.sleep(0.01)
        before_s = world.loop.time()
        await world.joined()
        assert world.loop.time() - before_s < 2
        assert world.irc.stats["logins_rejected"] == 0
        kept = desks.file.read()
        assert kept is not None
        assert [one.access for one in desk.tokens_of(BOT_LOGIN)][-1] == kept.access

    lines = tell(story, tmp_path)
    assert count(lines, "token_refreshed") == 2
    assert count(lines, "token_unusable") == 0


def test_a_login_that_is_refused_is_tried_again_with_a_new_token(tmp_path: Path) -> None:
    """The token died after it was looked at: refreshed, and the bot is back; no exit code 3."""

    async def story(world: World, desk: Desk, desks: Desks) -> None:
        first = await desk.log_in(SETTINGS, desks.file)
        world.start_bot()
        await world.joined()
        await asyncio.sleep(60)
        world.twitch.credentials.expire(first.access)
        world.irc.disconnect_all()
        await asyncio.sleep(0.05)
        await world.joined()
        assert world.irc.stats["logins_rejected"] == 1
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        assert world.bot_runs

    lines = tell(story, tmp_path)
    assert count(lines, "token_refreshed") == 1
    assert count(lines, "login_refused") == 0


def test_a_withdrawn_consent_ends_the_session_and_a_new_login_brings_the_bot_back(tmp_path: Path) -> None:
    """Within the hour the bot leaves chat and says what to do; after `byte-bot login` it is back by itself, state and all."""

    async def story(world: World, desk: Desk, desks: Desks) -> None:
        await desk.log_in(SETTINGS, desks.file)
        world.start_bot()
        await world.joined()
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        world.break_database(ConsentEnded(login=BOT_LOGIN))
        await asyncio.sleep(KeeperTiming().validate_every_s + 10)
        assert world.app is not None
        assert not world.app.transport.connected
        await asyncio.sleep(HOUR_S)
        assert world.bot_runs
        await desk.log_in(SETTINGS, desks.file)
        await world.joined(within_s=60)
        assert await world.ask("mod", "!count deaths +1") == "deaths: 2"

    lines = tell(story, tmp_path)
    assert count(lines, "token_unusable") == 2
    assert count(lines, "token_works_again") == 1
    first = next(line for line in lines if line["event"] == "token_unusable")
    assert "byte-bot login" in first["what_to_do"]


def test_a_revoked_token_and_a_database_that_is_down_lose_nothing_that_was_confirmed(tmp_path: Path) -> None:
    """The connection outlives the token, and the next login is refused: the bot waits with what it has to save."""

    async def story(world: World, desk: Desk, desks: Desks) -> None:
        await desk.log_in(SETTINGS, desks.file)
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        world.break_database(Refused())
        world.break_database(TokenRevoked(login=BOT_LOGIN), name="token")
        await asyncio.sleep(60)
        assert await world.ask("mod", "!count deaths +10") == "deaths: 10"
        world.irc.disconnect_all()
        await asyncio.sleep(60)
        assert world.bot_runs
        assert world.app is not None and not world.app.transport.connected
        await desk.log_in(SETTINGS, desks.file)
        await world.joined()
        assert await world.ask("mod", "!count deaths +1") == "deaths: 11"
        world.heal()
        await world.converge()
        assert world.counter("lobby", "deaths") == 11

    lines = tell(story, tmp_path)
    assert (count(lines, "token_unusable"), count(lines, "token_works_again")) == (1, 1)
    assert count(lines, "login_refused") == 0


@on_both_transports
def test_without_a_token_the_bot_waits_and_fences_nobody(tmp_path: Path, where: str) -> None:
    """No epoch is taken before there is a token, so a bot that runs elsewhere goes on; then everything starts."""

    async def story(world: World, desk: Desk, desks: Desks) -> None:
        requests = world.supabase.requests_total
        world.start_bot()
        await asyncio.sleep(300)
        assert world.supabase.requests_total == requests
        assert world.irc.stats["connections"] == world.faces.connections_made() == 0
        await desk.log_in(SETTINGS, desks.file)
        await world.joined()
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"

    lines = tell(story, tmp_path, where)
    assert count(lines, "token_unusable") == 1
    assert count(lines, "twitch_away") == 0


@on_both_transports
def test_a_bot_that_waits_for_a_token_stops_at_once(tmp_path: Path, where: str) -> None:
    """Ctrl-C is obeyed in every state."""

    async def story(world: World, desk: Desk, desks: Desks) -> None:
        world.start_bot()
        await asyncio.sleep(60)
        before_s = world.loop.time()
        assert await world.stop_bot() == ExitCode.OK
        assert world.loop.time() - before_s < 1

    tell(story, tmp_path, where)


def test_the_end_of_a_refresh_fits_into_the_time_that_there_is() -> None:
    """Beside the other stages of the stop: under the 8 s of all."""
    assert DRAIN_S + FLUSH_S + JOURNAL_S + FINISH_S < 8.0


def test_two_tellings_of_one_night_are_the_same(tmp_path: Path) -> None:
    """Keeper, file and desk keep a world replayable: the same lines at the same instants."""
    heard: list[list[Any]] = []

    async def story(world: World, desk: Desk, desks: Desks) -> None:
        desk.face.oauth.user_token_lifetime_s = SHORT_LIFE_S
        await desk.log_in(SETTINGS, desks.file)
        world.start_bot()
        await world.joined()
        await asyncio.sleep(SHORT_LIFE_S)
        world.irc.disconnect_all()
        await asyncio.sleep(1)
        await world.joined()
        await world.ask("mod", "!count deaths +1")
        heard.append([world.transcript[-1].text, world.loop.time(), desks.file.read()])

    for night in ("one", "two"):
        tell(story, tmp_path / night)
    assert heard[0] == heard[1]


def test_a_bare_token_asks_nobody() -> None:
    """Without a client id the bot speaks to chat alone, as it always did: no HTTP to Twitch."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await asyncio.sleep(600)
        assert world.app is not None
        assert not world.app.keeper.renewable

    play(story, replace(NIGHT, settings={}))
