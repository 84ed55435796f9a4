"""Twitch asks a client to reconnect: what it keeps, how long it has, and what it may not do."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from simulator.loop import in_virtual_time
from simulator.twitch.eventsub_subscriptions import SubscriptionRefused
from tests.simulator.twitch.eventsub_rig import Listener, Place, closed, eventsub, eventsub_server, now_s
from tests.simulator.twitch.rig import small_twitch
from tests.simulator.twitch.web_rig import client, closing, listener, loopback_tls, silence


async def reconnect_url(mine: Listener) -> str:
    """Return where the next message, a session_reconnect, sends the client."""
    session = (await mine.next("session_reconnect"))["payload"]["session"]
    assert (session["id"], session["status"]) == (mine.session_id, "reconnecting")
    assert session["keepalive_timeout_seconds"] is None
    return str(session["reconnect_url"])


@in_virtual_time(hybrid=True)
async def test_session_reconnect_keeps_id_subscriptions_and_keepalive() -> None:
    """Nothing has to be subscribed again, and nothing is lost on the way."""
    async with eventsub() as place, place.listener("?keepalive_timeout_seconds=60") as old:
        made = old.subscribe()
        assert place.server.session_reconnect() == 1
        url = await reconnect_url(old)
        assert url.startswith(place.url)
        assert sorted(parse_qs(urlsplit(url).query)) == ["challenge", "id"]
        place.state.say("alice", "carol", "to the old one")
        assert (await old.event())["message"]["text"] == "to the old one"
        async with client(url) as connection:
            new = Listener(place, connection)
            new.welcome = await new.next("session_welcome")
            assert new.session_id == old.session_id
            assert new.welcome["payload"]["session"]["keepalive_timeout_seconds"] == 60
            place.state.say("alice", "carol", "to the new one")
            assert (await new.event())["message"]["text"] == "to the new one"
            assert await silence(old.connection, 5)
            await old.connection.close()
            await asyncio.sleep(1)
            assert (made.status, place.server.connected) == ("enabled", ("bot",))


@in_virtual_time(hybrid=True)
async def test_4004_for_an_old_socket_that_the_client_does_not_close() -> None:
    """When the grace is over; the session goes on at the new one."""
    async with eventsub() as place, place.listener() as old:
        made = old.subscribe()
        place.server.session_reconnect()
        async with client(await reconnect_url(old)) as connection:
            assert await closing(old.connection) == (4004, "client reconnect grace time expired")
            assert now_s() == 30.0
            place.state.say("alice", "carol", "hi")
            new = Listener(place, connection)
            while (message := await new.message())["metadata"]["message_type"] != "notification":
                pass
            assert message["payload"]["event"]["message"]["text"] == "hi"
            assert made.status == "enabled"


@in_virtual_time(hybrid=True)
async def test_4004_when_nobody_reconnects_within_the_grace() -> None:
    """The session ends, its subscriptions too, and the address is worth nothing any more."""
    async with eventsub() as place, place.listener() as mine:
        made = mine.subscribe()
        place.server.session_reconnect(12.0)
        url = await reconnect_url(mine)
        assert await closed(mine) == 4004
        assert (now_s(), made.status) == (12.0, "websocket_failed_to_reconnect")
        async with client(url) as late:
            assert await closing(late) == (4007, "invalid reconnect")


@pytest.mark.parametrize("change", ["&keepalive_timeout_seconds=10", "&extra=1", "x"])
@in_virtual_time(hybrid=True)
async def test_4007_when_reconnect_url_is_not_used_verbatim(change: str) -> None:
    """Anything added is another address; the session still waits for the right one."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe()
        place.server.session_reconnect()
        url = await reconnect_url(mine)
        async with client(url + change) as wrong:
            assert (await closing(wrong))[0] == 4007
        async with client(url) as right:
            assert "session_welcome" in str(await right.recv())


@in_virtual_time(hybrid=True)
async def test_4007_when_the_old_socket_was_closed_first() -> None:
    """As the real server does (Teekeks/pyTwitchAPI#286): the session went with it."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe()
        place.server.session_reconnect()
        url = await reconnect_url(mine)
        await mine.connection.close()
        async with client(url) as late:
            assert (await closing(late))[0] == 4007


@in_virtual_time(hybrid=True)
async def test_a_challenge_works_once() -> None:
    """The second to use the address is turned away, the first stays."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe()
        place.server.session_reconnect()
        url = await reconnect_url(mine)
        async with client(url) as first, client(url) as second:
            assert (await closing(second))[0] == 4007
            assert "session_welcome" in str(await first.recv())
            assert place.server.connected == ("bot",)


@in_virtual_time(hybrid=True)
async def test_reconnects_do_not_count_among_the_three_sessions() -> None:
    """Three sessions are full, and all three reconnect."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        place = await enter(eventsub())
        token = place.token()
        sessions = [await enter(place.listener()) for _ in range(3)]
        for mine in sessions:
            mine.subscribe(token=token)
        assert place.server.session_reconnect() == 3
        for mine in sessions:
            new = await enter(client(await reconnect_url(mine)))
            assert "session_welcome" in str(await new.recv())
        fourth = await enter(place.listener())
        with pytest.raises(SubscriptionRefused, match="429"):
            fourth.subscribe("channel.chat.clear", token=token)


@in_virtual_time(hybrid=True)
async def test_reconnects_may_follow_one_another() -> None:
    """Each old socket is closed after its own grace."""
    async with eventsub() as place, place.listener() as first:
        first.subscribe()
        place.server.session_reconnect()
        async with client(await reconnect_url(first)) as second_connection:
            second = Listener(place, second_connection)
            second.welcome = await second.next("session_welcome")
            await asyncio.sleep(9)
            place.server.session_reconnect()
            async with client(await reconnect_url(second)) as third:
                assert "session_welcome" in str(await third.recv())
                assert await closed(first) == 4004
                assert now_s() == 30.0
                assert await closed(second) == 4004
                assert now_s() == 39.0
                assert place.server.connected == ("bot",)


@in_virtual_time(hybrid=True)
async def test_the_reconnect_address_is_the_one_that_is_asked_for() -> None:
    """`ws_url` with or without a path; "" is where the client came from."""
    for given, expected in [
        (lambda: "wss://eventsub.test:1234", "wss://eventsub.test:1234/ws?"),
        (lambda: "ws://eventsub.test/other", "ws://eventsub.test/other?"),
    ]:
        async with eventsub(ws_url=given) as place, place.listener() as mine:
            place.server.session_reconnect()
            assert (await reconnect_url(mine)).startswith(expected)


def test_under_tls_the_client_is_sent_back_to_tls(tmp_path: Path) -> None:
    """With ws_url "": the scheme and the host that the client used."""
    server_side, trusting = loopback_tls(tmp_path)

    @in_virtual_time(hybrid=True)
    async def story() -> None:
        state = small_twitch(asyncio.get_running_loop().time)
        server = eventsub_server(state)
        async with listener({"/ws": server.handler}, tls=server_side) as listening:
            place = Place(server, state, f"{listening.ws_url}/ws")
            async with place.listener(ssl=trusting) as mine:
                mine.subscribe()
                server.session_reconnect()
                url = await reconnect_url(mine)
                assert url.startswith(f"wss://127.0.0.1:{listening.port}/ws?challenge=")
                async with client(url, ssl=trusting) as new:
                    assert "session_welcome" in str(await new.recv())

    story()
