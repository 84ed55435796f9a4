"""Each fault of Twitch on a stage, as a client sees it: over real sockets, in virtual time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from simulator.faults import fault_from_json
from simulator.loop import in_virtual_time
from simulator.serve import BOT_LOGIN, BOT_TOKEN, Stage
from tests.simulator.stage_rig import Events, bot_on, events_of, helix, log_in, stage, subscribed
from tests.simulator.twitch.rig import Client
from tests.simulator.twitch.web_rig import client as websocket
from tests.simulator.twitch.web_rig import closing, silence


async def struck(place: Stage, **fault: Any) -> None:
    """Set a fault by hand, as the control address does, and let it act."""
    place.faults.set("fault", fault_from_json(fault))
    await asyncio.sleep(0.001)


async def message(events: Events) -> Any:
    """The next message but keepalives."""
    while True:
        found = json.loads(await events.connection.recv())
        if found["metadata"]["message_type"] != "session_keepalive":
            return found


@pytest.mark.parametrize("code", range(4000, 4008))
def test_eventsub_closes_with_each_of_its_codes(code: int) -> None:
    """The code arrives, with Twitch's reason."""

    @in_virtual_time(hybrid=True)
    async def story() -> None:
        async with stage() as place, events_of(place) as events:
            await struck(place, kind="eventsub_close", code=code)
            found, reason = await closing(events.connection)
            assert found == code
            assert reason

    story()


@in_virtual_time(hybrid=True)
async def test_keepalives_stop_without_a_word_and_come_back() -> None:
    """Ten seconds apart while all is well, nothing while they are mute, and the connection stays."""
    async with stage() as place, events_of(place) as events:
        await subscribed(place, events, "channel.chat.message", "lobby")
        first = json.loads(await events.connection.recv())
        assert first["metadata"]["message_type"] == "session_keepalive"
        await struck(place, kind="eventsub_mute", duration_s=60)
        assert await silence(events.connection, 55)
        assert json.loads(await events.connection.recv())["metadata"]["message_type"] == "session_keepalive"


@in_virtual_time(hybrid=True)
async def test_session_reconnect_leads_to_a_socket_with_the_same_subscriptions() -> None:
    """The address in the message works; the old socket ends when the grace is over; chat is told RECONNECT by the same fault."""
    async with stage() as place, events_of(place) as events, bot_on(place, "lobby") as chat:
        await subscribed(place, events, "channel.chat.message", "lobby")
        await struck(place, kind="twitch_reconnect", grace_s=5)
        await chat.until("RECONNECT")
        asked = await message(events)
        assert asked["metadata"]["message_type"] == "session_reconnect"
        async with websocket(asked["payload"]["session"]["reconnect_url"]) as anew:
            assert json.loads(await anew.recv())["metadata"]["message_type"] == "session_welcome"
            place.say("lobby", "viewer_1", "still there?")
            event = json.loads(await anew.recv())["payload"]["event"]
            assert event["message"]["text"] == "still there?"
            assert (await closing(events.connection))[0] == 4004
        with pytest.raises(EOFError):
            await chat.until("NEVER")


@in_virtual_time(hybrid=True)
async def test_an_event_comes_late_and_others_overtake_it() -> None:
    """Reordering on EventSub alone; chat keeps its order."""
    async with stage() as place, events_of(place) as events, bot_on(place, "lobby") as chat:
        await subscribed(place, events, "channel.chat.message", "lobby")
        await struck(place, kind="twitch_reordering", face="eventsub", delay_s=2)
        place.say("lobby", "viewer_1", "first")
        place.faults.clear_all()
        await asyncio.sleep(0.001)
        place.say("lobby", "viewer_1", "second")
        texts = [(await message(events))["payload"]["event"]["message"]["text"] for _ in range(2)]
        assert texts == ["second", "first"]
        assert [(await chat.until("PRIVMSG")).params[1] for _ in range(2)] == ["first", "second"]


@in_virtual_time(hybrid=True)
async def test_a_half_open_eventsub_goes_silent() -> None:
    """No keepalive, no event, no close."""
    async with stage() as place, events_of(place) as events:
        await subscribed(place, events, "channel.chat.message", "lobby")
        await struck(place, kind="twitch_half_open", face="eventsub")
        place.say("lobby", "viewer_1", "anybody?")
        assert await silence(events.connection, 60)


@in_virtual_time(hybrid=True)
async def test_a_disconnect_cuts_eventsub_without_a_close_frame() -> None:
    """1006 for the client; on the other face only where it is meant."""
    async with stage() as place, events_of(place) as events, bot_on(place, "lobby") as chat:
        await struck(place, kind="twitch_disconnect", face="eventsub")
        assert (await closing(events.connection))[0] == 1006
        place.say("lobby", "viewer_1", "chat is fine")
        assert (await chat.until("PRIVMSG")).params[1] == "chat is fine"


@in_virtual_time(hybrid=True)
async def test_a_subscription_is_revoked_with_its_status() -> None:
    """Those of the type, once, and Helix shows it."""
    async with stage() as place, events_of(place) as events, httpx.AsyncClient() as http:
        await subscribed(place, events, "channel.chat.message", "lobby")
        await subscribed(place, events, "channel.follow", "lobby")
        await struck(place, kind="eventsub_revoke", type="channel.follow", status="version_removed")
        found = await message(events)
        assert found["metadata"]["message_type"] == "revocation"
        assert found["payload"]["subscription"]["status"] == "version_removed"
        shown = (await helix(http, place, "GET", "/eventsub/subscriptions", BOT_TOKEN)).json()["data"]
        assert {one["type"]: one["status"] for one in shown} == {
            "channel.chat.message": "enabled",
            "channel.follow": "version_removed",
        }


@pytest.mark.parametrize("status", [401, 429, 503])
def test_helix_answers_with_the_status_of_its_fault(status: int) -> None:
    """While it lasts; afterwards as always."""

    @in_virtual_time(hybrid=True)
    async def story() -> None:
        async with stage() as place, httpx.AsyncClient() as http:
            await struck(place, kind=f"helix_{status}", duration_s=10)
            assert (await helix(http, place, "GET", "/users", BOT_TOKEN)).status_code == status
            await asyncio.sleep(10)
            assert (await helix(http, place, "GET", "/users", BOT_TOKEN)).status_code == 200

    story()


@in_virtual_time(hybrid=True)
async def test_helix_is_slow_by_so_many_milliseconds() -> None:
    """Of virtual time."""
    async with stage() as place, httpx.AsyncClient(timeout=30) as http:
        await struck(place, kind="helix_slow", ms=4000)
        before_s = place.time_s()
        assert (await helix(http, place, "GET", "/users", BOT_TOKEN)).status_code == 200
        assert place.time_s() - before_s == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize(
    ("kind", "refreshes"), [("token_expires", True), ("token_revoked", False), ("consent_ended", False)]
)
def test_a_token_ends_on_every_face(kind: str, refreshes: bool) -> None:
    """Helix refuses it, IRC at the next login, and its refresh token works only where it ran out by itself."""

    @in_virtual_time(hybrid=True)
    async def story() -> None:
        async with stage() as place, httpx.AsyncClient() as http, bot_on(place, "lobby") as chat:
            line = place.addresses()
            refresh = line["users"][BOT_LOGIN]["refresh_token"]
            await struck(place, kind=kind, login=BOT_LOGIN)
            assert (await helix(http, place, "GET", "/users", BOT_TOKEN)).status_code == 401
            place.say("lobby", "viewer_1", "you are still here")
            assert (await chat.until("PRIVMSG")).params[1] == "you are still here"
            again = Client(*await asyncio.open_connection(*place.irc_address))
            again.send(f"PASS oauth:{BOT_TOKEN}", f"NICK {BOT_LOGIN}")
            assert await again.line() == ":tmi.twitch.tv NOTICE * :Login authentication failed"
            await again.close()
            trade = {"grant_type": "refresh_token", "refresh_token": refresh, **line["app"]}
            answer = await http.post(f"{line['oauth']['url']}/token", data=trade)
            assert (answer.status_code == 200) == refreshes
            if refreshes:
                renewed = Client(*await asyncio.open_connection(*place.irc_address))
                renewed.send(f"PASS oauth:{answer.json()['access_token']}", f"NICK {BOT_LOGIN}")
                await renewed.until("001")
                await renewed.close()

    story()


@in_virtual_time(hybrid=True)
async def test_a_consent_that_ends_takes_the_subscriptions_with_it() -> None:
    """authorization_revoked, over the socket that is open."""
    async with stage() as place, events_of(place) as events:
        await subscribed(place, events, "channel.chat.message", "lobby")
        await struck(place, kind="consent_ended", login=BOT_LOGIN)
        found = await message(events)
        assert found["payload"]["subscription"]["status"] == "authorization_revoked"


@in_virtual_time(hybrid=True)
async def test_a_fault_on_the_timeline_comes_by_itself() -> None:
    """start_s counts from now, and the driver wakes for it, whenever the stage was made."""
    await asyncio.sleep(50)
    async with stage() as place:
        chat = await log_in(Client(*await asyncio.open_connection(*place.irc_address)), "lobby")
        place.faults.set("later", fault_from_json({"kind": "twitch_disconnect", "start_s": 30}))
        with pytest.raises(EOFError):
            await chat.until("NEVER")
        assert place.time_s() == pytest.approx(30.0, abs=0.1)
        await chat.close()
