"""One Twitch behind every face, over real sockets in virtual time: chat, chat over WebSocket, EventSub, Helix; plain and under TLS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest

from simulator.loop import in_virtual_time
from simulator.serve import BOT_LOGIN, BOT_TOKEN
from tests.simulator.stage_rig import bot_on, events_of, helix, log_in, next_event, stage, subscribed
from tests.simulator.twitch.rig import Client
from tests.simulator.twitch.web_rig import client as websocket


@in_virtual_time(hybrid=True)
async def test_one_twitch_is_behind_every_face() -> None:
    """Said on IRC, heard as an event; sent over Helix, heard on IRC; a ban holds on both."""
    async with (
        stage() as place,
        bot_on(place, "lobby") as chat,
        events_of(place) as events,
        httpx.AsyncClient() as http,
    ):
        await subscribed(place, events, "channel.chat.message", "lobby")
        chat.send("PRIVMSG #lobby :from irc")
        heard = await next_event(events)
        assert (heard["chatter_user_login"], heard["message"]["text"]) == (BOT_LOGIN, "from irc")
        bot, lobby = place.twitch.user(BOT_LOGIN).id, place.twitch.channel("lobby").id
        body = {"broadcaster_id": lobby, "sender_id": bot, "message": "from helix"}
        sent = (await helix(http, place, "POST", "/chat/messages", BOT_TOKEN, body)).json()["data"][0]
        assert sent["is_sent"] is True
        line = await chat.until("PRIVMSG")
        assert (line.params[1], line.tags["id"]) == ("from helix", sent["message_id"])
        place.twitch.ban("lobby", BOT_LOGIN)
        chat.send("PRIVMSG #lobby :banned")
        assert (await chat.until("NOTICE")).tags["msg-id"] == "msg_banned"
        refused = await helix(http, place, "POST", "/chat/messages", BOT_TOKEN, body)
        assert refused.status_code == 403 or refused.json()["data"][0]["is_sent"] is False


@pytest.mark.parametrize("path", ["/irc", "/"])
@in_virtual_time(hybrid=True)
async def test_chat_over_websocket_is_at_its_path_and_at_the_root(path: str) -> None:
    """Clients that cannot name a path connect to the root."""
    async with stage() as place:
        url = place.addresses()["web"]["url"].replace("http", "ws") + path
        async with websocket(url, subprotocols=["irc"]) as connection:
            await connection.send(f"PASS oauth:{BOT_TOKEN}\r\nNICK {BOT_LOGIN}")
            assert "001" in str(await connection.recv())


@in_virtual_time(hybrid=True)
async def test_several_services_stand_side_by_side_and_know_nothing_of_each_other() -> None:
    """More than one EventSub server: each stage has its own, with ports and a state of its own."""
    async with stage() as here, stage() as there:
        assert here.addresses()["eventsub"] != there.addresses()["eventsub"]
        async with events_of(here) as events_here, events_of(there) as events_there:
            for place, events in ((here, events_here), (there, events_there)):
                await subscribed(place, events, "channel.chat.message", "lobby")
            here.say("lobby", "ana", "said here")
            there.say("lobby", "ana", "said there")
            assert (await next_event(events_here))["message"]["text"] == "said here"
            assert (await next_event(events_there))["message"]["text"] == "said there"


# -- TLS --------------------------------------------------------------------------------------------------------------------------


@in_virtual_time(hybrid=True)
async def test_under_tls_every_face_is_trusted_by_the_file_alone(tmp_path: Path) -> None:
    """IRC, chat over WebSocket, EventSub, Helix: each with the written root, and the plain ones beside them."""
    file = tmp_path / "root.pem"
    async with stage(tls=True, ca_file=file) as place:
        line = place.addresses()
        assert line["ca_file"] == str(file)
        trust = ssl.create_default_context(cafile=file)
        host, port = line["irc_tls"]["host"], line["irc_tls"]["port"]
        chat = await log_in(Client(*await asyncio.open_connection(host, port, ssl=trust)), "lobby")
        async with websocket(line["irc_ws"]["tls_url"], subprotocols=["irc"], ssl=trust) as over_websocket:
            await over_websocket.send(f"PASS oauth:{BOT_TOKEN}\r\nNICK {BOT_LOGIN}\r\nJOIN #lobby")
            assert "001" in str(await over_websocket.recv())
        async with events_of(place, url=line["eventsub"]["tls_url"], tls=trust) as events:
            await subscribed(place, events, "channel.chat.message", "lobby")
            place.say("lobby", "viewer_1", "hello")
            assert (await next_event(events))["message"]["text"] == "hello"
        assert (await chat.until("PRIVMSG")).params[1] == "hello"
        async with httpx.AsyncClient(verify=trust) as http:
            headers = {"Authorization": f"OAuth {BOT_TOKEN}"}
            answer = await http.get(f"{line['oauth']['tls_url']}/validate", headers=headers)
            assert answer.json()["login"] == BOT_LOGIN
        await chat.close()
