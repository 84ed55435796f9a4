"""Two faults inside the database: a body that is too large, and a table that is read as if emptied."""

from __future__ import annotations

import asyncio

import pytest

from simulator.faults import EmptyList, FaultError, Hang, TooLarge, fault_from_json
from simulator.scenario import Scenario
from simulator.world import World, play
from tests.simulator.supabase.project import answer, ask, closing, project


def test_a_request_that_is_too_large_is_refused_as_nginx_does() -> None:
    """Nothing is executed, whoever asks; a request without a body has none that is too large."""
    with closing(project(faults=(TooLarge(bytes_max=40),))) as fake:
        body = {"login": "a" * 25, "enabled": True}
        refused = ask(fake, "POST", "channels_config", body)
        assert (refused.status, dict(refused.headers)["content-type"]) == (413, "text/html")
        assert b"413 Request Entity Too Large" in refused.body
        assert ask(fake, "POST", "channels_config", {"login": "a"}).status == 201
        assert [row["login"] for row in answer(ask(fake, "GET", "channels_config?order=login"))] == [
            ".sentinel",
            "a",
        ]


@pytest.mark.parametrize("bytes_max", [0, -1, 0.5])
def test_a_limit_is_a_whole_number_of_bytes(bytes_max: float) -> None:
    """At least one."""
    with pytest.raises(FaultError, match="bytes_max"):
        fault_from_json({"kind": "too_large", "bytes_max": bytes_max})


def test_an_emptied_list_has_its_sentinel_and_nothing_else() -> None:
    """The table itself is as it was: for a human, for saves, and for everybody when the fault ends."""
    with closing(project()) as fake:
        fake.human_insert("channels_config", {"login": "lobby"})
        fake.faults.set("empty", EmptyList())
        shown = ask(fake, "GET", "channels_config?select=login&or=(login.eq.lobby,login.eq..sentinel)")
        assert answer(shown) == [{"login": ".sentinel"}]
        assert answer(ask(fake, "GET", "channels_config?login=gt..sentinel")) == []
        assert [row["login"] for row in fake.rows("channels_config")] == [".sentinel", "lobby"]
        fake.faults.clear("empty")
        assert len(answer(ask(fake, "GET", "channels_config"))) == 2


def test_a_bot_halves_what_is_too_large() -> None:
    """After an outage its batches are refused as a whole; in the end every row is saved."""
    logins = tuple(f"channel_{number}" for number in range(12))

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        world.break_database(Hang())
        for login in logins:
            await world.ask("mod", "!count deaths +1", channel=login)
        world.break_database(TooLarge(bytes_max=4_000))
        await asyncio.sleep(15)
        assert world.app is not None and world.app.telemetry.counters["saves_bisected"] > 0
        assert len(world.app.layer.dead_letters) == 0
        assert [world.counter(login, "deaths") for login in logins] == [1] * len(logins)

    play(story, Scenario("large", "an outage leaves a large save", channels=logins))


def test_an_emptied_list_parts_nobody_and_pauses_wait() -> None:
    """Chat goes on; what is said about the channel's configuration is saved when the list is back."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.until(world.drained)
        world.break_database(EmptyList())
        await asyncio.sleep(7)
        assert await world.ask("viewer", "!ping") == "Pong!"
        await world.ask("mod", "!pause")
        await asyncio.sleep(7)
        assert not world.config("lobby")["paused"]
        world.heal()
        await world.converge()
        assert world.config("lobby")["paused"]

    play(story, Scenario("emptied", "the list is emptied", settings={"config_refresh_s": 5.0}))
