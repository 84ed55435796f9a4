"""The fake Twitch of a world, on each of the bot's transports."""

from __future__ import annotations

import pytest

from simulator.errors import NotSimulatedError
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


def test_a_night_is_named_by_the_options_that_differ_from_the_usual() -> None:
    """What `byte-sim` has to be told to play it again."""
    assert (implied_network("irc"), implied_network("eventsub")) == ("memory", "tcp")
    assert night_options("memory", "irc", "fifo") == ()
    assert night_options("tcp", "irc", "random") == ("--network", "tcp", "--order", "random")
    assert night_options("tcp", "eventsub", "fifo") == ("--transport", "eventsub")
