"""Cross-thread: a synchronous thread changes a context through the bridge while the bot runs.

The one story on a real loop, in real time: threads are the point of it. The chat is on real loopback sockets, over IRC and over
EventSub with TwitchIO's own code; the database is the fake behind an httpx transport. In memory it cannot be told: there is no
chat for a real loop.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from byte_bot.app import Application, Surroundings
from byte_bot.chat.irc.connector import StreamConnector
from byte_bot.clock import SystemClock
from byte_bot.components.counters import Counters
from byte_bot.context.channel import ChannelContext
from byte_bot.errors import BridgeError, ExitCode
from byte_bot.persistence.journal import MemoryJournalStore
from byte_bot.persistence.schema import SCHEMA_DIR
from byte_bot.settings import Settings
from simulator.loop import START_UNIX_S
from simulator.rng import SeedTree
from simulator.supabase.faces import SupabaseTransport
from simulator.supabase.server import FakeSupabase
from simulator.trace import Trace
from simulator.twitch.state import TwitchState
from simulator.world_twitch import Transport, WorldTwitch

pytestmark = pytest.mark.parametrize("transport", ["irc", "eventsub"])

THREADS, INCREMENTS = 20, 50
#: Seconds until something that happens at once on an idle machine counts as failed.
PATIENCE_S = 20.0


class WatchedTransport(SupabaseTransport):
    """Notes which thread sends which request to the database."""

    def __init__(self, fake: FakeSupabase) -> None:
        super().__init__(fake)
        self.saved_by: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Note the thread of a save, and carry the request out."""
        if request.url.path.endswith("/rpc/byte_bot_save"):
            self.saved_by.append(threading.get_ident())
        return await super().handle_async_request(request)


class Studio:
    """The running application, its fakes, and the threads that want something of it."""

    def __init__(
        self, app: Application, fake: FakeSupabase, database: WatchedTransport, twitch: TwitchState
    ) -> None:
        self.app = app
        self.database = database
        self.twitch = twitch
        self.channel_id = twitch.channel("lobby").id
        self._fake = fake

    def stored(self, table: str, **key: str) -> dict[str, Any]:
        """A row of the database, {} if it is not there."""
        for row in self._fake.rows(table):
            if key.items() <= row.items():
                return dict(row)
        return {}

    def stored_counters(self) -> dict[str, int]:
        """The lobby's counters in the database."""
        row = self.stored("component_state", channel_id=self.channel_id, key="counters")
        return dict(row["data"]["values"]) if row else {}

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until ``condition()``."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110  # the fakes have no event for everything that is waited for here
                await asyncio.sleep(0.01)
        assert condition(), what


@asynccontextmanager
async def studio(transport: Transport) -> AsyncIterator[Studio]:
    """The whole bot, in the lobby, on a real loop."""
    loop = asyncio.get_running_loop()
    faces = WorldTwitch(
        loop,
        SeedTree(1),
        Trace(loop.time),
        network="tcp",
        transport=transport,
        latency_s=0.0,
        bot_login="byte_bot",
        bot_token="token",
    )
    twitch = faces.state
    twitch.add_user("byte_bot", verified=True)
    twitch.grant_token("token", "byte_bot")
    twitch.add_user("mod")
    twitch.add_channel("lobby", moderators=("mod", "byte_bot"))
    fake = FakeSupabase(SCHEMA_DIR, time_source=loop.time, unix_start=START_UNIX_S, rng=random.Random(3))
    database = WatchedTransport(fake)
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(faces.listening())
            http = await stack.enter_async_context(httpx.AsyncClient(transport=database))
            to_oauth, twitch_http = faces.oauth_transport(), None
            if to_oauth is not None:
                twitch_http = await stack.enter_async_context(httpx.AsyncClient(transport=to_oauth))
            app = Application(
                Settings(
                    **faces.settings(),
                    twitch_channel_logins=("lobby",),
                    supabase_url="https://project.supabase.test",
                    supabase_key=fake.secret_key,
                    flush_interval_s=0.1,
                ),
                Surroundings(
                    connector=StreamConnector(),
                    http=http,
                    clock=SystemClock(),
                    rng=random.Random(4),
                    journal_store=MemoryJournalStore(),
                    twitch_http=twitch_http,
                ),
            )
            running = asyncio.create_task(app.run())
            place = Studio(app, fake, database, twitch)
            await place.until(lambda: app.telemetry.counters["channels_joined"] == 1, "the bot in the lobby")
            yield place
            app.stop()
            assert await running == ExitCode.OK
        await faces.irc.wait_closed()
    finally:
        fake.close()


def add_death(context: ChannelContext) -> tuple[int, int]:
    """What a dashboard's handler asks for: one more; the new count, and the thread in which it was made."""
    values = context.state(Counters).values
    values["deaths"] = values.get("deaths", 0) + 1
    return values["deaths"], threading.get_ident()


async def test_a_threads_change_is_made_and_saved_on_the_main_loop(transport: Transport) -> None:
    """A synchronous thread asks; the change and its save run on the loop's thread, and the thread gets the result."""
    async with studio(transport) as place:
        main = threading.get_ident()
        callers: list[int] = []

        def dashboard() -> tuple[int, int]:
            callers.append(threading.get_ident())
            return place.app.bridge.change(place.channel_id, add_death)

        count, changed_by = await asyncio.to_thread(dashboard)
        await place.until(lambda: place.stored_counters() == {"deaths": 1}, "the save")
        assert (count, changed_by) == (1, main)
        assert callers != [main]
        assert place.database.saved_by and set(place.database.saved_by) == {main}


async def test_twenty_threads_with_fifty_increments_each_make_exactly_a_thousand(
    transport: Transport,
) -> None:
    """No increment is lost or made twice, in RAM and in the database; chat goes on meanwhile."""
    async with studio(transport) as place:
        bridge, channel_id = place.app.bridge, place.channel_id

        def clerk() -> list[int]:
            return [bridge.change(channel_id, add_death)[0] for _ in range(INCREMENTS)]

        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(THREADS) as threads:
            clerks = [loop.run_in_executor(threads, clerk) for _ in range(THREADS)]
            place.twitch.say("lobby", "mod", "!count wins +1")
            seen = [count for counts in await asyncio.gather(*clerks) for count in counts]
        total = THREADS * INCREMENTS
        assert sorted(seen) == list(range(1, total + 1)), "every increment saw a count of its own"
        count = await asyncio.to_thread(
            bridge.read, channel_id, lambda context: context.state(Counters).values["deaths"]
        )
        assert count == total
        expected = {"deaths": total, "wins": 1}
        await place.until(lambda: place.stored_counters() == expected, "all of it in the database")
        assert place.app.layer.telemetry.counters["saves_failed"] == 0


async def test_a_thread_pauses_a_channel_in_which_nobody_has_spoken(transport: Transport) -> None:
    """The configuration's row is found by the channel's login, which the bot knows since it joined."""
    async with studio(transport) as place:

        def pause(context: ChannelContext) -> None:
            context.config.paused = True

        await asyncio.to_thread(place.app.bridge.change, place.channel_id, pause)
        await place.until(
            lambda: place.stored("channels_config", login="lobby").get("paused") is True, "the pause"
        )
        assert not place.stored("channels_config", login="")


async def test_a_thread_that_fails_changes_nothing(transport: Transport) -> None:
    """The function's exception reaches the thread, its changes are rolled back; on the loop itself the bridge refuses."""

    def fail(context: ChannelContext) -> None:
        add_death(context)
        raise ValueError("a bug in the dashboard")

    async with studio(transport) as place:
        with pytest.raises(ValueError, match="a bug in the dashboard"):
            await asyncio.to_thread(place.app.bridge.change, place.channel_id, fail)
        with pytest.raises(BridgeError, match="for other threads"):
            place.app.bridge.change(place.channel_id, add_death)
        assert await asyncio.to_thread(place.app.bridge.change, place.channel_id, add_death) == (
            1,
            threading.get_ident(),
        )
