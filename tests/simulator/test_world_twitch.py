"""The fake Twitch of a world, on each of the bot's transports."""

from __future__ import annotations

import asyncio

import pytest

from simulator.errors import NotSimulatedError
from simulator.faults import ConsentEnded, TokenExpires, TokenFault, TokenRevoked
from simulator.scenario import Scenario
from simulator.world import World, play
from simulator.world_twitch import implied_network, night_options
from tests.scenarios.places import PLACES

TWO = Scenario("two", "two channels", channels=("lobby", "arcade"))


@pytest.mark.parametrize("place", PLACES)
def test_where_the_bot_is_and_how_it_hears(place: str) -> None:
    """In its channels by one connection each, in none after a crash; a dead connection hears nothing."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert sorted(world.faces.bot_channels()) == ["arcade", "lobby"]
        (connection,) = world.faces.attending("lobby")
        assert world.faces.connections_made() >= 1
        if world.faces.eventsub is not None:
            world.faces.eventsub.half_open_all()
        else:
            world.irc.half_open_all()
        assert world.faces.attending("lobby") == ()
        await world.until(lambda: world.faces.attending("lobby") != (), 60)
        assert world.faces.attending("lobby") != (connection,), "another connection, another number"
        world.crash_bot()
        await world.until(lambda: world.faces.attending("lobby") == (), 60)

    play(story, TWO, **PLACES[place], judge=False)


def test_a_session_that_is_moved_stays_the_connection_by_which_the_bot_hears() -> None:
    """Twitch moves the subscriptions with it."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert world.faces.eventsub is not None
        before = world.faces.attending("lobby")
        world.faces.eventsub.session_reconnect()
        await world.until(lambda: world.faces.connections_made() == 2)
        assert world.faces.attending("lobby") == before
        assert world.faces.counts()["eventsub_reconnects"] == 1

    play(story, TWO, transport="eventsub")


def test_eventsub_needs_real_sockets() -> None:
    """TwitchIO opens them itself."""
    with pytest.raises(NotSimulatedError, match="needs the network 'tcp'"):
        play(lambda world: world.joined(), TWO, network="memory", transport="eventsub")


RENEWED = Scenario("renewed", "a token that is renewed", channels=("lobby",), renewable_token=True)


def test_a_bot_over_irc_renews_a_token_that_has_run_out() -> None:
    """Before it logs in again; the new pair is in the file, so the next process has it."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        store = world.faces.token_store()
        assert store is not None
        before = store.token.access
        world.break_database(TokenExpires(), name="token")
        await asyncio.sleep(1.0)
        world.irc.disconnect_all()
        await world.until(
            lambda: world.faces.connections_made() == 2 and bool(world.faces.attending("lobby"))
        )
        assert store.token.access != before
        await world.restart_bot()
        await world.joined()

    play(story, RENEWED)


@pytest.mark.parametrize("end", [TokenRevoked, ConsentEnded])
def test_a_token_that_cannot_be_renewed_is_waited_for_until_a_human_logs_in(end: type[TokenFault]) -> None:
    """The bot does not end; the heal of a night is such a human."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        world.break_database(end(), name="token")
        await asyncio.sleep(1.0)
        world.irc.disconnect_all()
        await asyncio.sleep(60.0)
        assert world.bot_runs and not world.faces.attending("lobby")
        world.heal()
        await world.joined(within_s=10)
        assert await world.ask("viewer", "!ping") == "Pong!"

    play(story, RENEWED)


def test_nobody_logs_a_bot_in_that_can_help_itself() -> None:
    """A token that works, or that can be renewed, is left alone; so is a bare one."""

    async def story(world: World) -> None:
        store = world.faces.token_store()
        assert store is not None
        before = store.token
        world.faces.log_in_if_needed()
        world.twitch.credentials.expire(before.access)
        world.faces.log_in_if_needed()
        assert store.token == before
        world.twitch.credentials.revoke(before.access)
        world.faces.log_in_if_needed()
        assert store.token != before

    async def bare(world: World) -> None:
        assert world.faces.token_store() is None
        world.faces.log_in_if_needed()

    play(story, RENEWED)
    play(bare, TWO)


def test_a_token_is_renewed_over_irc_in_memory_only() -> None:
    """Over loopback nothing would answer the bot."""
    with pytest.raises(NotSimulatedError, match="needs the network 'memory'"):
        play(lambda world: world.joined(), RENEWED, network="tcp")


def test_a_night_is_named_by_the_options_that_differ_from_the_usual() -> None:
    """What `byte-sim` has to be told to play it again."""
    assert (implied_network("irc"), implied_network("eventsub")) == ("memory", "tcp")
    assert night_options("memory", "irc", "fifo") == ()
    assert night_options("tcp", "irc", "random") == ("--network", "tcp", "--order", "random")
    assert night_options("tcp", "eventsub", "fifo") == ("--transport", "eventsub")
