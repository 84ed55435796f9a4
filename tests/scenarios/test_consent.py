"""What people allowed the bot is taken back in mid-life, and given again: over EventSub, where each request stands on it.

A token or a consent that ends is told of IRC in tests/byte_bot/test_app_token.py: there a connection outlives its token by up to an hour.
Application tokens, and subscriptions that Twitch takes away, are EventSub's alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from simulator.faults import ConsentEnded, Refused, TokenRevoked
from simulator.scenario import Scenario
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.world import BOT_LOGIN, World, play
from tests.scenarios.places import PLACES

NIGHT = Scenario(
    "consent", "what people allowed is taken back", channels=("lobby", "arcade"), fixed=("lobby",)
)
#: A bot in the cloud speaks with the application's token, and is nobody in these channels.
CLOUD = replace(NIGHT, moderated=False, settings={"twitch_bot_auth": "cloud"})
#: How long a channel that Twitch took away is left alone.
AGAIN_S = 60.0


def told(logs: list[Any], event: str) -> list[dict[str, Any]]:
    """The lines of the log about one event."""
    return [dict(entry) for entry in logs if entry["event"] == event]


@pytest.mark.parametrize("end", [TokenRevoked, ConsentEnded])
@pytest.mark.parametrize("database", ["up", "down"])
def test_a_token_that_ends_is_waited_for_and_nothing_confirmed_is_lost(
    end: type[TokenRevoked | ConsentEnded], database: str
) -> None:
    """The bot says what to do, once, and waits; after `byte-bot login` it is back by itself, with everything that it had confirmed.

    What is said meanwhile nobody hears, as on IRC: Twitch keeps nothing for a bot that is away.
    """

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert await world.ask("mod", "!count deaths +10") == "deaths: 10"
        if database == "down":
            await world.until(world.drained)
            world.break_database(Refused())
        assert await world.ask("mod", "!count deaths +1") == "deaths: 11"
        world.break_database(end(login=BOT_LOGIN), name="token")
        await asyncio.sleep(1.0)
        # The first that is said shows the bot that its token is dead, unless Twitch took the subscriptions with it.
        missed = [world.say("mod", "!note add a reply", channel=channel) for channel in NIGHT.channels]
        await asyncio.sleep(90.0)
        assert world.bot_runs
        assert world.app is not None and not world.app.transport.connected
        assert world.faces.bot_channels() == ()
        while_away = world.say("mod", "!count deaths +100")
        world.faces.log_in_anew()
        await world.joined(within_s=30)
        assert await world.ask("mod", "!count deaths +1") == "deaths: 12"
        assert await world.ask("viewer", "!ping", channel="arcade") == "Pong!"
        assert all(world.chat.asked(message_id) is not None for message_id in [while_away, *missed])
        world.heal()
        await world.converge()
        assert world.counter("lobby", "deaths") == 12
        world.judge()

    with capture_logs() as logs:
        play(story, NIGHT, seed=1, **PLACES["eventsub"])
    (unusable,) = told(logs, "token_unusable")
    assert unusable["what_it_means"] == "the bot waits for a new token"
    assert "byte-bot login" in unusable["what_to_do"]
    assert len(told(logs, "token_works_again")) == 1


def test_a_broadcaster_takes_the_consent_back_and_gives_it_again() -> None:
    """The application may not speak there meanwhile: what it would have said is counted, the rest goes on, and no change is lost."""

    async def story(world: World) -> None:
        credentials = world.twitch.credentials
        for login in CLOUD.channels:
            credentials.consent(DEFAULT_CLIENT_ID, login, ("channel:bot",))
        world.start_bot()
        await world.joined()
        assert "Celeste" in await world.ask("mod", "!game Celeste")
        credentials.disconnect(DEFAULT_CLIENT_ID, "lobby")
        await asyncio.sleep(2.0)
        unheard = world.say("mod", "!game Hades")
        assert await world.ask("viewer", "!ping", channel="arcade") == "Pong!"
        await asyncio.sleep(5.0)
        assert world.chat.answer_to(unheard) is None
        assert world.app is not None and world.app.layer.telemetry.counters["messages_refused"] == 1
        credentials.consent(DEFAULT_CLIENT_ID, "lobby", ("channel:bot",))
        assert "Hades" in await world.ask("viewer", "!game")
        await world.converge()
        world.judge()

    with capture_logs() as logs:
        play(story, CLOUD, seed=1, **PLACES["eventsub"])
    (refused,) = told(logs, "message_refused")
    assert (refused["channel"], refused["why"]) == ("lobby", "helix_401")
    assert "channel:bot" in refused["twitch_says"]


def test_a_channel_that_twitch_takes_away_is_asked_for_again() -> None:
    """Its subscriptions end with authorization_revoked: the bot says so, leaves it alone for a minute, and is in it again."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        eventsub, revoked_s = world.faces.eventsub, world.loop.time()
        assert eventsub is not None
        lobby_id = world.channels["lobby"]
        for one in eventsub.subscriptions(DEFAULT_CLIENT_ID, BOT_LOGIN):
            if one.condition["broadcaster_user_id"] == lobby_id:
                eventsub.revoke(one.id, "authorization_revoked")
        assert world.faces.bot_channels() == ("arcade",)
        assert await world.ask("viewer", "!ping", channel="arcade") == "Pong!"
        await asyncio.sleep(AGAIN_S - 10.0)
        assert world.faces.bot_channels() == ("arcade",)
        await world.joined(within_s=15)
        assert world.loop.time() >= revoked_s + AGAIN_S
        assert await world.ask("mod", "!count deaths +1") == "deaths: 2"
        await world.converge()
        world.judge()

    with capture_logs() as logs:
        play(story, NIGHT, seed=1, **PLACES["eventsub"])
    assert [line["channel"] for line in told(logs, "put_out_of_channel")] == ["lobby"]
