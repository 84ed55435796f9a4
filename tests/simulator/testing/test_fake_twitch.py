"""A Twitch for somebody's bot: a bot of TwitchIO 3 that knows nothing of us, and one that connects by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from simulator.conversation import StoryError
from simulator.faults import EventsubClose, TwitchReconnect
from simulator.loop import current_loop
from simulator.testing.errors import CannotConnect, NotHere, NotYet, PromiseBroken
from simulator.testing.fake_twitch import FakeTwitch
from simulator.testing.sim_faults import SimFaults
from simulator.testing.sim_world import SimWorld, WorldPlan
from tests.simulator.testing.nights import play
from tests.simulator.testing.small_bot import SmallBot


def test_a_bot_is_connected_answers_and_is_closed_at_the_end() -> None:
    """Its app, account and tokens come into being; replies and plain messages are answers; it hears what is said in time of its own."""
    twitch = FakeTwitch()
    bots: list[SmallBot] = []

    async def test() -> None:
        lobby = twitch.add_channel("lobby")
        bots.append(SmallBot(lobby.id))
        await twitch.connect(bots[0], login="helper")
        assert await twitch.ask("ana", "!hello") == "hello, ana"
        assert await twitch.ask("ana", "!wave") == "o/"
        assert [(said.login, said.text) for said in twitch.transcript] == [
            ("helper", "hello, ana"),
            ("helper", "o/"),
        ]
        with pytest.raises(StoryError, match="within 5 s: an answer to '!nothing'"):
            await twitch.ask("ana", "!nothing")
        assert current_loop().time() < 10

    play(test, twitch)
    assert bots[0].closed


def test_a_bot_that_was_killed_is_gone_and_another_takes_its_place() -> None:
    """Nothing of it runs again; one that is closed has said goodbye."""
    twitch = FakeTwitch()

    async def test() -> None:
        first, second = SmallBot("77"), SmallBot("77")
        await twitch.connect(first)
        assert list(twitch.state.channels) == ["owner_77"], (
            "the owner's channel is there since the bot names it"
        )
        twitch.crash(first)
        assert first.closed == 0
        assert first.http._session.closed, "or its finaliser complains, whenever that is"
        with pytest.raises(StoryError, match="not connected"):
            twitch.crash(first)
        with pytest.raises(StoryError, match="within 2 s"):
            await twitch.ask("ana", "!hello", within_s=2)
        await twitch.connect(second)
        assert await twitch.ask("ana", "!hello") == "hello, ana"
        await twitch.disconnect(second)
        assert second.closed

    play(test, twitch)


def test_a_bot_that_lost_its_socket_comes_back_to_the_fake() -> None:
    """TwitchIO connects again by itself, to the address that it was pointed at, after pauses that the seed draws."""

    def back_after_s(seed: int) -> float:
        twitch, faults = FakeTwitch(), SimFaults()
        after: list[float] = []

        async def test() -> None:
            lobby = twitch.add_channel("lobby")
            await twitch.connect(SmallBot(lobby.id))
            eventsub = twitch.service.eventsub
            started_s, eventsub.accepting = current_loop().time(), False
            faults.begin(EventsubClose(code=4006))
            await asyncio.sleep(10)
            eventsub.accepting = True
            await twitch.until(lambda: eventsub.stats["connections"] == 2, 300)
            after.append(current_loop().time() - started_s)
            await asyncio.sleep(5)
            assert await twitch.ask("ana", "!hello") == "hello, ana"

        play(test, twitch, faults, seed=seed)
        return after[0]

    assert back_after_s(1) == back_after_s(1)


def test_a_bot_that_was_asked_to_reconnect_comes_back_the_next_time_too() -> None:
    """The socket that TwitchIO opens beside the old one must know the fake's address as well."""
    twitch, faults = FakeTwitch(), SimFaults()

    async def test() -> None:
        lobby = twitch.add_channel("lobby")
        await twitch.connect(SmallBot(lobby.id))
        for fault, connections in ((TwitchReconnect(), 2), (EventsubClose(code=4006), 3)):
            faults.begin(fault)
            await asyncio.sleep(60)
            assert twitch.service.eventsub.stats["connections"] == connections
            assert await twitch.ask("ana", "!hello") == "hello, ana"
            await asyncio.sleep(60)

    play(test, twitch, faults)


def test_nothing_is_written_to_the_folder_of_the_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot of TwitchIO keeps its tokens in a file there: the fake's are not to be found by the live one."""
    monkeypatch.chdir(tmp_path)
    twitch = FakeTwitch()

    async def test() -> None:
        await twitch.connect(SmallBot("77"))

    play(test, twitch)
    assert not list(tmp_path.iterdir())


def test_a_bot_that_does_not_listen_is_told_of() -> None:
    """Unless it is said that it does not mean to."""
    twitch = FakeTwitch()

    async def test() -> None:
        await twitch.connect(SmallBot("77", listens=False), hears_chat=False)
        with pytest.raises(CannotConnect, match="has no subscription to channel"):
            await twitch.connect(SmallBot("77", listens=False))

    play(test, twitch)


def test_what_ends_a_bot_comes_out() -> None:
    """Its own error, and not a time that is over."""
    twitch = FakeTwitch()

    class Broken(SmallBot):
        async def setup_hook(self) -> None:
            raise LookupError("no coffee")

    async def test() -> None:
        await twitch.connect(Broken("77"))

    with pytest.raises(LookupError, match="no coffee"):
        play(test, twitch)


def test_a_login_that_is_somebody_elses_is_refused() -> None:
    """With both ids."""
    twitch = FakeTwitch()

    async def test() -> None:
        twitch.add_channel("lobby", channel_id="1")
        with pytest.raises(CannotConnect, match="'lobby' has the id 1, and the bot has bot_id='4242'"):
            await twitch.connect(SmallBot("1"), login="lobby")

    play(test, twitch)


def test_a_bot_of_another_library_is_given_the_addresses() -> None:
    """Over IRC, with a token; `bot_is` says whose answers are waited for."""
    twitch = FakeTwitch()

    async def test() -> None:
        twitch.add_channel("lobby")
        reader, writer = await asyncio.open_connection(*twitch.irc_address)
        writer.write(f"PASS oauth:{twitch.token('parrot')}\r\nNICK parrot\r\nJOIN #lobby\r\n".encode())
        twitch.bot_is("parrot")

        async def parrot() -> None:
            async for line in reader:
                _, _, said = line.decode().rstrip().partition(" PRIVMSG #lobby :")
                if said:
                    writer.write(f"PRIVMSG #lobby :{said}, {said}\r\n".encode())

        chatting = asyncio.create_task(parrot())
        await twitch.until(lambda: "lobby" in twitch.service.irc.joined("parrot"))
        assert await twitch.ask("ana", "hello") == "hello, hello"
        assert twitch.irc_websocket_url.startswith("ws://127.0.0.1:")
        assert twitch.helix_url.endswith("/helix")
        assert twitch.client_id
        assert twitch.client_secret
        chatting.cancel()
        writer.close()

    play(test, twitch)


def test_own_invariants_and_events() -> None:
    """As in a world."""
    twitch = FakeTwitch()

    async def test() -> None:
        twitch.add_channel("lobby")
        twitch.record("mine", number=1)
        twitch.watch(nobody_shouts)
        twitch.say("ana", "HELLO", role="vip")
        assert "ana" in twitch.state.channel("lobby").vips

    def nobody_shouts(fake: FakeTwitch) -> None:
        assert not fake.state.channel("lobby").chatted, "somebody did"

    with pytest.raises(PromiseBroken, match=r"nobody_shouts at 0\.000000 s: somebody did"):
        play(test, twitch)


def test_beside_a_world_it_is_the_worlds() -> None:
    """One Twitch: its people and verbs are here, its addresses are not."""
    world, twitch = SimWorld(WorldPlan()), FakeTwitch()

    async def test() -> None:
        twitch.state.timeout("lobby", "byte_bot", 5)
        twitch.say("mod", "!ping")
        await asyncio.sleep(1)
        assert world.transcript == ()
        await asyncio.sleep(6)
        assert await twitch.ask("mod", "!ping") == "Pong!"
        with pytest.raises(NotHere, match="take fake_twitch without it"):
            _ = twitch.helix_url

    play(test, world, twitch)


def test_before_the_test_nobody_listens() -> None:
    """A fixture's object alone has no state, and nobody answers before a bot is connected."""
    with pytest.raises(NotYet, match="fake_twitch can be used while the test runs"):
        FakeTwitch().say("ana", "hello")
    twitch = FakeTwitch()

    async def test() -> None:
        twitch.add_channel("lobby")
        with pytest.raises(StoryError, match="connect"):
            await twitch.ask("ana", "hello")

    play(test, twitch)


def test_two_bots_have_a_transcript_each() -> None:
    """What one says is no answer of the other's; both stand, in order, in what all have said."""
    twitch = FakeTwitch()

    async def test() -> None:
        lobby = twitch.add_channel("lobby")
        await twitch.connect(SmallBot(lobby.id), login="helper")
        twitch.bot_is("greeter")
        assert await twitch.ask("ana", "!hello", bot="helper") == "hello, ana"
        with pytest.raises(StoryError, match="within 1 s"):
            await twitch.ask("ana", "!wave", within_s=1)
        twitch.say("greeter", "welcome")
        assert {
            login: [said.text for said in all_said] for login, all_said in twitch.transcripts.items()
        } == {
            "helper": ["hello, ana", "o/"],
            "greeter": ["welcome"],
        }
        assert [said.login for said in twitch.transcript] == ["helper", "helper", "greeter"]
        with pytest.raises(StoryError, match="'nobody' is no bot's login here; there are: helper, greeter"):
            await twitch.ask("ana", "!hello", bot="nobody")

    play(test, twitch)
