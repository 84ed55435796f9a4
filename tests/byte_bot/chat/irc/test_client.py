"""The IRC transport over connections in memory, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from byte_bot.auth.token_source import FixedToken
from byte_bot.chat.errors import LoginRejected, NotConnected, SendUnconfirmed
from byte_bot.chat.irc.client import IrcTransport
from byte_bot.chat.irc.session import IrcSession, SessionCounts
from byte_bot.chat.message import (
    ChannelJoined,
    ChannelParted,
    ChatEvent,
    ChatMessage,
    Connected,
    Disconnected,
)
from byte_bot.chat.transport import ChatTransport
from simulator.loop import in_virtual_time
from tests.byte_bot.chat.irc.wire import WELCOME, TinyTwitch, privmsg


class Story:
    """A transport, the tiny Twitch it talks to, and what it reported."""

    def __init__(self, seed: int = 1, **options: Any) -> None:
        self.twitch = TinyTwitch()
        self.events: list[tuple[float, ChatEvent]] = []
        self.transport = IrcTransport(
            self.twitch,
            host="irc.chat.twitch.tv",
            port=6697,
            tls=True,
            login="byte_bot",
            tokens=FixedToken("s3cret", "byte_bot"),
            handler=self._hear,
            rng=random.Random(seed),
            **options,
        )

    def _hear(self, event: ChatEvent) -> None:
        self.events.append((asyncio.get_running_loop().time(), event))

    def heard(self, kind: type[ChatEvent]) -> list[float]:
        """When events of a kind came."""
        return [at for at, event in self.events if isinstance(event, kind)]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The transport runs inside the block."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.transport.run())
            await asyncio.sleep(0.001)
            yield
            task.cancel()


@in_virtual_time()
async def test_it_connects_joins_hears_and_says() -> None:
    """The whole path once, at the first instant: no pause before the first attempt."""
    story = Story()
    transport: ChatTransport = story.transport
    transport.join(["Ana", "#bob"])
    assert not transport.connected
    async with story.running():
        assert transport.connected
        assert transport.joined == ("ana", "bob")
        story.twitch.wire.say(privmsg("ana", "hello"))
        await asyncio.sleep(1)
        await transport.send("ana", "hi", "m1")
        assert story.twitch.wire.lines[-1] == "@reply-parent-msg-id=m1 PRIVMSG #ana :hi"
    assert story.twitch.opened_at == [0.0]
    assert story.events[0] == (0.0, Connected())
    assert (0.0, ChannelJoined("bob", "3")) in story.events
    assert [event.text for _, event in story.events if isinstance(event, ChatMessage)] == ["hello"]
    assert not transport.connected
    assert transport.joined == ()


@in_virtual_time()
async def test_joining_and_parting_while_connected_happens_at_once() -> None:
    """No timer stands between the wish and the wire."""
    story = Story()
    async with story.running():
        story.transport.join(["ana"])
        story.transport.part(["ana"])
        story.transport.join(["bob"])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert story.twitch.wire.lines[-1] == "JOIN #bob"
        story.transport.part(["bob"])
        await asyncio.sleep(0.5)
        assert story.twitch.wire.lines[-1] == "PART #bob"
        assert (0.001, ChannelParted("bob")) in story.events


@in_virtual_time()
async def test_a_lost_connection_is_made_again_and_every_channel_rejoined() -> None:
    """Of what was joined, in its order, and not of what was parted; after a long life at once."""
    story = Story()
    story.transport.join(["a", "bb", "ccc"])
    async with story.running():
        story.transport.part(["bb"])
        await asyncio.sleep(99)
        story.twitch.wire.drop()
        await asyncio.sleep(0.001)
        assert story.transport.connected
        assert story.transport.joined == ("a", "ccc")
        assert "JOIN #a,#ccc" in story.twitch.wire.lines
    at = story.heard(Disconnected)
    assert story.twitch.opened_at == [0.0, *at]
    assert (at[0], Disconnected("Twitch closed the connection")) in story.events


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Only reference counts free anything within the test."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("reset", [None, ConnectionResetError("reset by peer")])
@in_virtual_time()
async def test_a_lost_connection_leaves_nothing_to_the_garbage_collector(
    reset: ConnectionResetError | None,
) -> None:
    """What it knew of its channels, megabytes of 100,000, is freed at once: the collector no longer looks there."""
    story = Story()
    story.transport.join(["a", "bb"])
    async with story.running():
        for _ in range(3):
            await asyncio.sleep(60)
            story.twitch.wire.drop(reset)
            await asyncio.sleep(0.001)
            assert story.transport.joined == ("a", "bb")
        assert len([thing for thing in gc.get_objects() if type(thing) is IrcSession]) == 1


@in_virtual_time()
async def test_a_reset_connection_is_made_again() -> None:
    """RST instead of FIN."""
    story = Story()
    async with story.running():
        await asyncio.sleep(60)
        story.twitch.wire.drop(ConnectionResetError("reset by peer"))
        await asyncio.sleep(0.001)
        assert len(story.twitch.wires) == 2
        assert story.transport.connected


@in_virtual_time()
async def test_reconnect_is_obeyed_at_once() -> None:
    """Twitch asks, the bot leaves before it is thrown out."""
    story = Story()
    story.transport.join(["a"])
    async with story.running():
        await asyncio.sleep(60)
        first = story.twitch.wire
        first.say(":tmi.twitch.tv RECONNECT")
        await asyncio.sleep(0.001)
        assert first.is_closing()
        assert story.transport.joined == ("a",)
        assert len(story.twitch.wires) == 2


@in_virtual_time()
async def test_every_connected_gets_its_disconnected() -> None:
    """Even when welcome and RECONNECT come in one packet."""
    story = Story()
    story.twitch.silent = True
    async with story.running():
        story.twitch.wire.say(WELCOME, ":tmi.twitch.tv RECONNECT")
        await asyncio.sleep(0.001)
    assert [type(event) for _, event in story.events[:2]] == [Connected, Disconnected]


@in_virtual_time()
async def test_a_half_open_socket_is_noticed_by_our_own_ping() -> None:
    """Nothing comes and nothing fails: within 40 s it is given up."""
    story = Story()
    async with story.running():
        first = story.twitch.wire
        story.twitch.silent = True
        await asyncio.sleep(35)
        assert first.lines[-1] == "PING :byte-bot"
        story.twitch.silent = False
        await asyncio.sleep(10)
        assert first.aborted
        assert story.transport.connected
    assert story.heard(Disconnected) == [40.0]


@in_virtual_time()
async def test_a_quiet_but_living_connection_is_kept() -> None:
    """An hour without chat: PING, PONG, and no reconnect."""
    story = Story()
    async with story.running():
        await asyncio.sleep(3_600)
        assert len(story.twitch.wires) == 1
        assert story.transport.counts.pings_sent == 120


@in_virtual_time()
async def test_failed_attempts_are_spread_and_bounded() -> None:
    """Full jitter: pauses differ, grow on the whole, and none is longer than the cap."""
    story = Story(reconnect_base_s=1.0, reconnect_max_s=30.0)
    story.twitch.refusals = [ConnectionRefusedError("refused") for _ in range(40)]
    async with story.running():
        await asyncio.sleep(41 * 30)
        assert story.transport.connected
    at = story.twitch.opened_at
    pauses = [after - before for before, after in itertools.pairwise(at)]
    assert len(pauses) == 40
    assert all(pause <= min(30.0, 2.0**n) for n, pause in enumerate(pauses))
    assert max(pauses) > 20
    assert min(pauses[5:]) < 5
    assert story.heard(Disconnected) == []


@in_virtual_time()
async def test_two_bots_do_not_come_back_in_step() -> None:
    """Different seeds, different pauses; the same seed, the same."""

    async def attempts(seed: int) -> list[float]:
        story = Story(seed)
        story.twitch.refusals = [OSError("down") for _ in range(5)]
        async with story.running():
            await asyncio.sleep(60)
        start = story.twitch.opened_at[0]
        return [round(at - start, 6) for at in story.twitch.opened_at]

    assert await attempts(1) == await attempts(1)
    assert await attempts(1) != await attempts(2)


@in_virtual_time()
async def test_a_connection_that_never_opens_is_given_up() -> None:
    """Accept-and-hang on the handshake costs ten seconds, not forever."""
    story = Story()
    story.twitch.hanging = True
    async with story.running():
        await asyncio.sleep(9)
        assert len(story.twitch.opened_at) == 1
        await asyncio.sleep(3)
        assert len(story.twitch.opened_at) == 2


@in_virtual_time()
async def test_a_server_that_never_welcomes_is_given_up() -> None:
    """Connected is not logged in."""
    story = Story()
    story.twitch.silent = True
    async with story.running():
        await asyncio.sleep(9)
        assert not story.transport.connected
        story.twitch.silent = False
        await asyncio.sleep(3)
        assert story.transport.connected
    assert story.heard(Connected)[0] > 10


@in_virtual_time()
async def test_a_server_that_drops_after_the_welcome_does_not_make_it_spin() -> None:
    """Only a connection that lasted resets the pauses, and logins stay within Twitch's window."""
    story = Story(reconnect_base_s=0.01, reconnect_max_s=0.01)
    story.twitch.drops_after_welcome = True
    async with story.running():
        await asyncio.sleep(60)
    at = story.twitch.opened_at
    assert len(at) > 100
    assert all(later - earlier >= 10.0 for earlier, later in zip(at, at[20:], strict=False))


@in_virtual_time()
async def test_a_refused_token_ends_it() -> None:
    """LoginRejected with Twitch's words, after one attempt."""
    story = Story()
    story.twitch.refuse_login = "Login authentication failed"
    with pytest.raises(LoginRejected, match="Login authentication failed"):
        await story.transport.run()
    assert len(story.twitch.wires) == 1
    assert story.heard(Disconnected) == []


@in_virtual_time()
async def test_sending_without_a_connection_is_refused() -> None:
    """Before, between and after connections: NotConnected, and nothing is written."""
    story = Story()
    with pytest.raises(NotConnected):
        await story.transport.send("a", "too early")
    story.twitch.silent = True
    async with story.running():
        with pytest.raises(NotConnected):
            await story.transport.send("a", "not logged in")
    with pytest.raises(NotConnected):
        await story.transport.send("a", "too late")
    assert not any("PRIVMSG" in line for line in story.twitch.wire.lines)


@in_virtual_time()
async def test_a_peer_that_takes_no_bytes_is_given_up() -> None:
    """A stuck write ends the connection after its deadline; what was written counts as perhaps sent."""
    story = Story()
    async with story.running():
        first = story.twitch.wire
        first.refuse_bytes()
        with pytest.raises(SendUnconfirmed):
            await story.transport.send("a", "hello?")
        assert asyncio.get_running_loop().time() == pytest.approx(10.001)
        await asyncio.sleep(5)
        assert first.aborted
        assert story.transport.connected
        assert len(story.twitch.wires) == 2


@in_virtual_time()
async def test_joins_keep_the_accounts_window_over_reconnects() -> None:
    """The window is the account's: a new connection does not start with a full one."""
    story = Story()
    story.transport.join(f"chan{n}" for n in range(20))
    async with story.running():
        await asyncio.sleep(5)
        story.twitch.wire.drop()
        await asyncio.sleep(2)
        assert story.transport.connected
        assert story.transport.joined == ()
        await asyncio.sleep(4)
        assert len(story.transport.joined) == 20


@in_virtual_time()
async def test_an_error_of_the_handler_ends_the_run() -> None:
    """A bug behind the transport is not swallowed by it."""

    class Bug(Exception):
        pass

    def broken(event: ChatEvent) -> None:
        raise Bug

    story = Story()
    transport = IrcTransport(
        story.twitch,
        host="h",
        port=1,
        tls=False,
        login="byte_bot",
        tokens=FixedToken("t", "byte_bot"),
        handler=broken,
        rng=random.Random(1),
    )
    with pytest.raises(BaseExceptionGroup) as caught:
        await transport.run()
    assert caught.value.subgroup(Bug) is not None
    assert story.twitch.wire.is_closing()


@in_virtual_time()
async def test_counts_go_on_over_reconnects() -> None:
    """They are the transport's, not the connection's."""
    story = Story()
    story.transport.join(["a"])
    async with story.running():
        await asyncio.sleep(40)
        story.twitch.wire.drop()
        await asyncio.sleep(15)
        counts = story.transport.counts
        assert counts.joins_sent == 2
        assert isinstance(counts, SessionCounts)
        assert story.transport.attempts == 2
    assert story.transport.counts == counts


def test_the_token_is_never_shown() -> None:
    """A transport in a log or a traceback is harmless."""
    assert "s3cret" not in repr(Story().transport)
