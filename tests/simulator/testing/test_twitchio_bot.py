"""One bot of TwitchIO is pointed at the fake; the library, and every other bot, goes on to Twitch."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
import twitchio.eventsub.websockets
import twitchio.http
from twitchio import eventsub
from twitchio.ext import commands

from simulator.faults import TwitchDisconnect
from simulator.loop import current_loop, run
from simulator.testing.errors import CannotConnect
from simulator.testing.fake_twitch import FakeTwitch
from simulator.testing.sim_faults import SimFaults
from simulator.testing.twitchio_bot import Addresses, client_of, point
from tests.simulator.testing.nights import play
from tests.simulator.testing.small_bot import Greetings, SmallBot

FAKE = Addresses("http://127.0.0.1:9/helix/", "http://127.0.0.1:9/", "ws://127.0.0.1:9/ws")


class Deaf:
    """An HTTP session that sends nothing: it notes where a request would go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed = True

    def request(self, _method: str, url: str, **_options: Any) -> Any:
        """Note it, and fail."""
        self.asked.append(url)
        raise ConnectionError("deaf")


async def addresses_of(bot: SmallBot) -> list[str]:
    """Where this bot's requests go: one to Helix, and one for a token by each of its two clients."""
    inner = getattr(bot.http, "_ManagedHTTPClient__isolated")  # noqa: B009  # mangled in this class otherwise
    session = Deaf()
    for client in (bot.http, inner):
        client._session = cast("Any", session)
    calls = (
        bot.http.get_users(ids=["1"], logins=None),
        inner.validate_token("letters"),
        bot.http.client_credentials_token(),
    )
    for call in calls:
        with pytest.raises(ConnectionError):
            await call
    return [url.partition("?")[0] for url in session.asked]


def test_only_this_bots_requests_are_moved() -> None:
    """Another bot, made before or after, asks Twitch; the library's own addresses are what they were."""

    async def main() -> None:
        before, mine = SmallBot("1"), SmallBot("1")
        point(client_of(mine), FAKE, current_loop().seeds.stream("pauses"))
        after = SmallBot("1")
        assert await addresses_of(mine) == [
            "http://127.0.0.1:9/helix/users",
            "http://127.0.0.1:9/oauth2/validate",
            "http://127.0.0.1:9/oauth2/token",
        ]
        for other in (before, after):
            assert await addresses_of(other) == [
                "https://api.twitch.tv/helix/users",
                "https://id.twitch.tv/oauth2/validate",
                "https://id.twitch.tv/oauth2/token",
            ]
        assert twitchio.http.Route.BASE == "https://api.twitch.tv/helix/"
        assert twitchio.eventsub.websockets.WSS == "wss://eventsub.wss.twitch.tv/ws"

    run(main())


def test_a_bot_starts_up_in_twitchios_order() -> None:
    """Tokens of accounts, which the test gives it, are validated; one of the app, which is too; who it is; a socket; then it answers."""
    twitch = FakeTwitch()

    async def test() -> None:
        lobby = twitch.add_channel("lobby")
        await twitch.connect(SmallBot(lobby.id))
        assert await twitch.ask("ana", "!hello") == "hello, ana"
        asked = [name for name in twitch.service.web.stats if not name.startswith("helix_")]
        assert asked == [
            "validated",
            "tokens_given_client_credentials",
            "GET users",
            "POST eventsub/subscriptions",
            "POST chat/messages",
        ], "each the first time"

    play(test, twitch)


def test_a_socket_on_which_nothing_comes_is_left_in_virtual_time() -> None:
    """TwitchIO's watchdog reads the machine's clock, of which no time passes here: this one reads the loop's."""
    twitch = FakeTwitch()

    async def test() -> None:
        lobby = twitch.add_channel("lobby")
        await twitch.connect(SmallBot(lobby.id))
        eventsub = twitch.service.eventsub
        await asyncio.sleep(120)
        assert eventsub.stats["connections"] == 1, "keepalives come"
        eventsub.mute_keepalives = True
        await asyncio.sleep(120)
        assert eventsub.stats["connections"] > 1

    play(test, twitch)


class CloudBot(commands.AutoBot):
    """As TwitchIO's own guide has it: its subscriptions are on a conduit."""

    def __init__(self, owner_id: str) -> None:
        chat = eventsub.ChatMessageSubscription(broadcaster_user_id=owner_id, user_id="4242")
        super().__init__(
            client_id="cloud-app",
            client_secret="hush",
            bot_id="4242",
            owner_id=owner_id,
            prefix="!",
            subscriptions=[chat],
        )

    async def setup_hook(self) -> None:
        """Load the commands."""
        await self.add_component(Greetings())


def test_an_autobot_has_its_shards_on_the_fake_and_brings_them_back() -> None:
    """Also after Twitch has closed them all."""
    twitch, faults = FakeTwitch(), SimFaults()

    async def test() -> None:
        lobby = twitch.add_channel("lobby")
        bot = CloudBot(lobby.id)
        await twitch.connect(bot)
        assert await twitch.ask("ana", "!hello") == "hello, ana"
        assert twitch.service.eventsub.stats["connections"] == 2, "two shards, TwitchIO's least"
        assert [name for name in twitch.service.web.stats if "eventsub" in name] == [
            "GET eventsub/conduits",
            "POST eventsub/conduits",
            "POST eventsub/subscriptions",
            "PATCH eventsub/conduits/shards",
        ], "each the first time: no shard has a transport yet when the conduit is subscribed on"
        faults.begin(TwitchDisconnect())
        await asyncio.sleep(120)
        assert twitch.service.eventsub.stats["connections"] > 2
        assert await twitch.ask("ana", "!wave") == "o/"

    play(test, twitch, faults)


def test_what_cannot_be_pointed_is_told() -> None:
    """With the way out."""

    async def main() -> None:
        with pytest.raises(CannotConnect, match=r"takes a bot of TwitchIO 3 .*, got str; .* irc_address"):
            client_of("a bot")
        started = SmallBot("1")
        started._login_called = True
        with pytest.raises(CannotConnect, match="was started before"):
            client_of(started)

    run(main())
