"""The control address of the fake Twitch, asked over real sockets in virtual time: events on every face, devices, tokens, the state."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from simulator.loop import in_virtual_time
from simulator.serve import BOT_LOGIN, BOT_TOKEN
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.twitch.verbs import VERBS
from tests.simulator.stage_rig import bot_on, controlled, error_of, events_of, helix, next_event, subscribed


@in_virtual_time(hybrid=True)
async def test_a_verb_is_told_on_every_face() -> None:
    """A raid is a USERNOTICE on IRC and an event on EventSub; the answer is empty."""
    async with controlled() as (stage, http), events_of(stage) as events, bot_on(stage, "lobby") as chat:
        await subscribed(stage, events, "channel.raid", "lobby")
        body = {"verb": "raid", "channel": "lobby", "login": "ana", "viewers": 42}
        assert (await http.post("/events", json=body)).json() == {}
        notice = await chat.until("USERNOTICE")
        assert (notice.tags["msg-id"], notice.tags["msg-param-viewerCount"]) == ("raid", "42")
        event = await next_event(events)
        assert (event["from_broadcaster_user_login"], event["viewers"]) == ("ana", 42)


@in_virtual_time(hybrid=True)
async def test_what_a_verb_said_has_an_id() -> None:
    """With it the message is deleted, which chat hears."""
    async with controlled() as (stage, http), bot_on(stage, "lobby") as chat:
        cheer = {"verb": "cheer", "channel": "lobby", "login": "ana", "bits": 100, "text": "nice"}
        said = (await http.post("/events", json=cheer)).json()["id"]
        line = await chat.until("PRIVMSG")
        assert (line.tags["id"], line.tags["bits"]) == (said, "100")
        await http.post("/events", json={"verb": "delete", "message_id": said})
        assert (await chat.until("CLEARMSG")).tags["target-msg-id"] == said


@in_virtual_time(hybrid=True)
async def test_any_eventsub_event_with_any_data() -> None:
    """It goes out as it is, to those subscribed to the type about the channel, and the answer says to how many."""
    async with controlled() as (stage, http), events_of(stage) as events:
        await subscribed(stage, events, "channel.update", "lobby")
        body = {"type": "channel.update", "channel": "lobby", "event": {"made_up": ["x", 1]}}
        assert (await http.post("/events", json=body)).json() == {"delivered": 1}
        assert await next_event(events) == {"made_up": ["x", 1]}
        assert (await http.post("/events", json={**body, "channel": "arcade"})).json() == {"delivered": 0}


@in_virtual_time(hybrid=True)
async def test_an_eventsub_event_by_version_and_condition() -> None:
    """An account's, of a type about no channel; and one of a type that Twitch does not have yet, once it was told of."""
    async with controlled() as (stage, http), events_of(stage) as events:
        await subscribed(stage, events, "user.update", "lobby")
        update = {
            "type": "user.update",
            "condition": {"user_id": stage.twitch.user(BOT_LOGIN).id},
            "event": {"email": "x"},
        }
        assert (await http.post("/events", json=update)).json() == {"delivered": 1}
        assert await next_event(events) == {"email": "x"}
        party = {"type": "channel.party", "version": "7", "event": {"guests": 3}}
        party["condition"] = {"broadcaster_user_id": stage.twitch.channel("lobby").id}
        assert (await http.post("/events", json=party)).json() == {"delivered": 0}
        await subscribed(
            stage, events, "channel.party", "lobby", version="7", fields=("broadcaster_user_id",)
        )
        assert (await http.post("/events", json=party)).json() == {"delivered": 1}
        assert await next_event(events) == {"guests": 3}


@in_virtual_time(hybrid=True)
async def test_any_irc_line() -> None:
    """As it is, to those in the channel."""
    async with controlled() as (stage, http), bot_on(stage, "lobby") as chat:
        body = {"line": ":tmi.twitch.tv HOSTTARGET #lobby :somebody 3", "channel": "#Lobby"}
        assert (await http.post("/events", json=body)).json() == {"delivered": 1}
        assert (await chat.until("HOSTTARGET")).params == ("#lobby", "somebody 3")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "an event has a verb, or a type with channel and event, or a line with channel"),
        ({"verb": "explode"}, "there is no verb 'explode'"),
        ({"verb": "raid", "channel": "lobby", "login": "ana"}, "raid: viewers is missing"),
        ({"type": "channel.update", "channel": "lobby"}, "event must be a JSON object, got None"),
        ({"type": "channel.update", "channel": "nowhere", "event": {}}, "no channel 'nowhere'; there are: lobby, arcade"),
        ({"type": "channel.party", "channel": "lobby", "event": {}}, "there is no EventSub type 'channel.party'"),
        ({"type": "channel.update", "event": {}}, "an event of channel.update needs a channel, or a condition"),
        ({"type": "user.update", "channel": "lobby", "event": {}}, "user.update is about no channel: give its condition, user_id"),
        ({"type": "user.update", "condition": {"user_id": 7}, "event": {}}, "condition must be a JSON object of texts"),
        ({"type": "x", "condition": {"user_id": "7"}, "channel": "lobby", "event": {}}, "a channel or a condition, not both"),
        ({"line": "a\r\nb", "channel": "lobby"}, "line: '\\r' would split or end"),
        ({"line": " ", "channel": "lobby"}, "line: an empty line says nothing"),
        ({"line": "x", "channel": "lobby", "to": "me"}, "unknown field 'to'; allowed: line, channel"),
    ],
)  # fmt: skip
def test_a_wrong_event_is_refused_with_words(body: dict[str, Any], words: str) -> None:
    """Every mistake is named, and nothing happens."""

    @in_virtual_time(hybrid=True)
    async def story() -> None:
        async with controlled() as (_, http):
            assert words in await error_of(http, "POST", "/events", body)

    story()


@in_virtual_time(hybrid=True)
async def test_the_description_names_every_verb() -> None:
    """With its fields."""
    async with controlled() as (_, http):
        route = (await http.get("/")).json()["routes"]["POST /events"]
        assert list(route["verbs"]) == list(VERBS)
        assert route["verbs"]["raid"] == "channel, login, viewers"


@in_virtual_time(hybrid=True)
async def test_a_device_is_approved_or_refused_by_its_code() -> None:
    """The device flow from the first request to a token that works; a code that nobody was given is an error."""
    async with controlled() as (stage, http), httpx.AsyncClient() as web:
        oauth = stage.addresses()["oauth"]["url"]
        asked = {"client_id": DEFAULT_CLIENT_ID, "scopes": "chat:read chat:edit"}
        device = (await web.post(f"{oauth}/device", data=asked)).json()
        trade = {
            "client_id": DEFAULT_CLIENT_ID,
            "scopes": asked["scopes"],
            "device_code": device["device_code"],
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        }
        assert (await web.post(f"{oauth}/token", data=trade)).status_code == 400
        body = {"user_code": device["user_code"], "login": BOT_LOGIN}
        assert (await http.post("/devices", json=body)).json() == {"done": "approve"}
        token = (await web.post(f"{oauth}/token", data=trade)).json()
        owner = stage.twitch.user_of_token(token["access_token"])
        assert owner is not None and owner.login == BOT_LOGIN
        assert "no device waits with the code" in await error_of(
            http, "POST", "/devices", {**body, "user_code": "X"}
        )
        assert "there is no user 'nobody'" in await error_of(
            http, "POST", "/devices", {**body, "login": "nobody"}
        )
        second = (await web.post(f"{oauth}/device", data=asked)).json()
        refused = {"user_code": second["user_code"], "do": "deny"}
        assert (await http.post("/devices", json=refused)).json() == {"done": "deny"}


@in_virtual_time(hybrid=True)
async def test_tokens_end_in_mid_life() -> None:
    """Expired: 401 and refreshing works. Revoked: refreshing does not. Disconnected: subscriptions are revoked too."""
    async with controlled() as (stage, http), httpx.AsyncClient() as web, events_of(stage) as events:
        await subscribed(stage, events, "channel.chat.message", "lobby")
        addresses = stage.addresses()
        old = addresses["users"][BOT_LOGIN]
        assert (await helix(web, stage, "GET", "/users", old["token"])).status_code == 200
        assert (await http.post("/tokens", json={"do": "expire", "login": BOT_LOGIN})).json() == {"ended": 1}
        assert (await helix(web, stage, "GET", "/users", old["token"])).status_code == 401
        trade = {
            "grant_type": "refresh_token",
            "refresh_token": old["refresh_token"],
            "client_id": addresses["app"]["client_id"],
            "client_secret": addresses["app"]["client_secret"],
        }
        new = (await web.post(f"{addresses['oauth']['url']}/token", data=trade)).json()
        assert (await helix(web, stage, "GET", "/users", new["access_token"])).status_code == 200
        revoke = {"do": "revoke", "token": f"oauth:{new['access_token']}"}
        assert (await http.post("/tokens", json=revoke)).json() == {"ended": 1}
        trade["refresh_token"] = new["refresh_token"]
        assert (await web.post(f"{addresses['oauth']['url']}/token", data=trade)).status_code == 400
        await http.post("/tokens", json={"do": "disconnect", "login": BOT_LOGIN})
        message = json.loads(await events.connection.recv())
        assert message["metadata"]["message_type"] == "revocation"
        assert message["payload"]["subscription"]["status"] == "authorization_revoked"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"do": "eat", "login": BOT_LOGIN}, "do is 'eat'; allowed: expire, revoke, disconnect"),
        ({"do": "expire", "login": "nobody"}, "there is no user 'nobody'"),
        ({"do": "expire", "token": "nothing"}, "there is no such user token"),
        ({"do": "expire"}, "login must be a text that is not empty"),
    ],
)
def test_a_wrong_end_of_a_token_is_refused_with_words(body: dict[str, Any], words: str) -> None:
    """And no token ends."""

    @in_virtual_time(hybrid=True)
    async def story() -> None:
        async with controlled() as (stage, http):
            assert words in await error_of(http, "POST", "/tokens", body)
            assert stage.twitch.user_of_token(BOT_TOKEN) is not None

    story()


@in_virtual_time(hybrid=True)
async def test_a_snapshot_is_taken_and_put_back() -> None:
    """Connections stay; a channel that goes is parted, an account that goes is disconnected."""
    async with controlled() as (stage, http), bot_on(stage, "lobby", "arcade") as chat:
        before = (await http.get("/snapshot")).json()
        await http.post("/events", json={"verb": "update", "channel": "lobby", "title": "changed"})
        fewer = {**before, "channels": [part for part in before["channels"] if part["login"] != "arcade"]}
        shown = (await http.put("/snapshot", json=fewer)).json()
        assert [part["login"] for part in shown["channels"]] == ["lobby", "cinema"]
        assert (await chat.until("PART")).params == ("#arcade",)
        assert stage.twitch.channel("lobby").title == ""
        stage.say("lobby", "viewer_1", "still there?")
        assert (await chat.until("PRIVMSG")).params[1] == "still there?"
        assert (await http.put("/snapshot", json=before)).json() == before
        without = {"users": [], "channels": [], "apps": before["apps"], "tokens": []}
        await http.put("/snapshot", json=without)
        with pytest.raises(EOFError):
            await chat.until("PRIVMSG")
        assert stage.time_s() < 1  # at once, and not for want of a PONG


@in_virtual_time(hybrid=True)
async def test_conduits_are_in_snapshots_and_a_reset_takes_them_away() -> None:
    """Shards keep their sessions as long as these are connected, and subscriptions deliver again."""
    async with controlled() as (stage, http), events_of(stage) as events:
        app = stage.twitch.credentials.issue_app(DEFAULT_CLIENT_ID).access

        async def ask(method: str, path: str, body: Any = None) -> dict[str, Any]:
            answer = await helix(http, stage, method, path, app, body)
            assert answer.is_success, answer.text
            return dict(answer.json())

        conduit = (await ask("POST", "/eventsub/conduits", {"shard_count": 1}))["data"][0]["id"]
        transport = {"method": "websocket", "session_id": events.session_id}
        shards = [{"id": "0", "transport": transport}]
        await ask("PATCH", "/eventsub/conduits/shards", {"conduit_id": conduit, "shards": shards})
        subscription = {
            "type": "stream.online",
            "version": "1",
            "condition": {"broadcaster_user_id": stage.twitch.channel("lobby").id},
            "transport": {"method": "conduit", "conduit_id": conduit},
        }
        await ask("POST", "/eventsub/subscriptions", subscription)
        before = (await http.get("/snapshot")).json()
        assert [one["id"] for one in before["conduits"]] == [conduit]
        assert (await http.post("/reset")).json()["conduits"] == []
        assert (await http.put("/snapshot", json=before)).json()["conduits"] == before["conduits"]
        stage.life.go_live("lobby")
        assert (await next_event(events))["broadcaster_user_login"] == "lobby"


@in_virtual_time(hybrid=True)
async def test_a_wrong_snapshot_changes_nothing() -> None:
    """The place of the first mistake is named."""
    async with controlled() as (_, http):
        before = (await http.get("/snapshot")).json()
        wrong = {**before, "channels": [{"login": "lobby", "colour": "red"}]}
        assert "channels.0.colour: Extra inputs" in await error_of(http, "PUT", "/snapshot", wrong)
        assert (await http.get("/snapshot")).json() == before


@in_virtual_time(hybrid=True)
async def test_a_subscription_about_an_account_that_goes_is_revoked() -> None:
    """user_removed, once, as when an account is deleted."""
    async with controlled() as (stage, http), events_of(stage) as events:
        await subscribed(stage, events, "channel.update", "cinema")
        before = (await http.get("/snapshot")).json()
        fewer = {
            "users": [part for part in before["users"] if part["login"] != "cinema"],
            "channels": [part for part in before["channels"] if part["login"] != "cinema"],
            "apps": before["apps"],
            "tokens": [part for part in before["tokens"] if part["login"] != "cinema"],
        }
        assert (await http.put("/snapshot", json=fewer)).status_code == 200
        message = json.loads(await events.connection.recv())
        assert message["metadata"]["message_type"] == "revocation"
        assert message["payload"]["subscription"]["status"] == "user_removed"


@in_virtual_time(hybrid=True)
async def test_a_reset_forgets_types_that_twitch_does_not_have() -> None:
    """Whoever subscribed to one is told that it is gone, and the next test gets Twitch's 400."""
    async with controlled() as (stage, http), events_of(stage) as events:
        condition = {"broadcaster_user_id": stage.twitch.channel("lobby").id}
        party = {"type": "channel.party", "version": "1", "condition": condition, "event": {}}
        assert (await http.post("/events", json=party)).json() == {"delivered": 0}
        await subscribed(
            stage, events, "channel.party", "lobby", version="1", fields=("broadcaster_user_id",)
        )
        assert (await http.post("/reset")).status_code == 200
        message = json.loads(await events.connection.recv())
        assert message["metadata"]["message_type"] == "revocation"
        assert message["payload"]["subscription"]["status"] == "version_removed"
        transport = {"method": "websocket", "session_id": events.session_id}
        again = {"type": "channel.party", "version": "1", "condition": condition, "transport": transport}
        answer = await helix(http, stage, "POST", "/eventsub/subscriptions", BOT_TOKEN, again)
        assert (answer.status_code, answer.json()["message"]) == (
            400,
            "invalid subscription type and version",
        )


@in_virtual_time(hybrid=True)
async def test_a_reset_is_the_start_again() -> None:
    """State, transcript and limits; faults, tables and connections stay."""
    async with controlled() as (stage, http), bot_on(stage, "lobby") as chat:
        beginning = (await http.get("/snapshot")).json()
        chat.send("PRIVMSG #lobby :before")
        await chat.until("USERSTATE")
        owner = stage.twitch.user("lobby")
        while stage.irc.rules.limiter(owner).take_auth(stage.time_s()):
            pass
        await http.post("/events", json={"verb": "ban", "channel": "lobby", "login": BOT_LOGIN})
        await http.put("/faults", json={"slow": {"kind": "latency", "ms": 5}})
        assert (await http.post("/reset")).json() == beginning
        assert (await http.get("/transcript")).json()["messages"] == []
        assert (await http.get("/faults")).json()["acting"] == ["latency"]
        assert stage.irc.rules.limiter(owner).take_auth(stage.time_s())
        chat.send("PRIVMSG #lobby :not banned any more")
        await chat.until("USERSTATE")
        assert [said.text for said in stage.twitch.transcript] == ["not banned any more"]
