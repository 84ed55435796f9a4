"""The endpoints of conduits over HTTP: tokens, parameters, statuses, words, pages; and a conduit from end to end on sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from simulator.loop import in_virtual_time
from simulator.twitch.conduits import DOWN_MAX_S, Shard, choices
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.twitch.eventsub_subscriptions import SubscriptionRefused
from simulator.twitch.listener import WebListener
from tests.simulator.twitch.http_rig import WebDesk, refusal
from tests.simulator.twitch.web_rig import client, closing

PATH, SHARDS = "eventsub/conduits", "eventsub/conduits/shards"


class Office(WebDesk):
    """A desk with the real EventSub, asked with the app's token."""

    def __init__(self) -> None:
        super().__init__(real_eventsub=True)
        self._token = self.app_token()

    async def call(self, method: str, path: str, json: Any = None, **query: Any) -> httpx.Response:
        return await self.helix(method, path, self._token, query=query or None, json=json)

    async def made(self, shard_count: int = 2) -> str:
        answer = await self.call("POST", PATH, {"shard_count": shard_count})
        return str(answer.json()["data"][0]["id"])


# -- the endpoints ------------------------------------------------------------------------------------------------------------------


async def test_conduits_are_created_shown_changed_and_deleted() -> None:
    """200 with id and shard_count, 204 for the end, 404 after it."""
    office = Office()
    created = await office.call("POST", PATH, {"shard_count": 5})
    conduit = created.json()["data"][0]
    assert (created.status_code, conduit["shard_count"], sorted(conduit)) == (200, 5, ["id", "shard_count"])
    changed = await office.call("PATCH", PATH, {"id": conduit["id"], "shard_count": 7})
    assert changed.json() == {"data": [{"id": conduit["id"], "shard_count": 7}]}
    assert (await office.call("GET", PATH)).json() == changed.json()
    assert (await office.call("DELETE", PATH, id=conduit["id"])).status_code == 204
    assert refusal(await office.call("DELETE", PATH, id=conduit["id"])) == (404, "not found")
    assert (await office.call("GET", PATH)).json() == {"data": []}


async def test_parameters_may_stand_in_the_query_as_twitchio_has_them() -> None:
    """Create and Update with everything in the query."""
    office = Office()
    made = (await office.call("POST", PATH, shard_count="2")).json()["data"][0]
    assert made["shard_count"] == 2
    changed = await office.call("PATCH", PATH, id=made["id"], shard_count=3)
    assert changed.json()["data"][0]["shard_count"] == 3


@pytest.mark.parametrize("path", [PATH, SHARDS])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_conduits_need_an_apps_token(method: str, path: str) -> None:
    """A user's is 401, whatever it may do; shards are neither created nor deleted, so there is nothing at those methods."""
    office = Office()
    answer = await office.helix(method, path, office.token("bot", "user:bot"))
    if path == SHARDS and method in ("POST", "DELETE"):
        assert answer.status_code == 404
    else:
        assert refusal(answer) == (401, "Authorization header required with an app access token.")


@pytest.mark.parametrize("count", [0, -1, 20_001, "x", True, 2.5, "-3"])
async def test_a_shard_count_out_of_range_is_400(count: Any) -> None:
    """And one that is no number."""
    assert refusal(await Office().call("POST", PATH, {"shard_count": count}))[0] == 400


async def test_a_sixth_conduit_is_429() -> None:
    """Conduit limit reached."""
    office = Office()
    for _ in range(5):
        await office.made()
    assert refusal(await office.call("POST", PATH, {"shard_count": 1})) == (429, "Conduit limit reached.")


async def test_what_is_missing_is_named() -> None:
    """In the recorded form; of a shard's fields Twitch names none."""
    office = Office()
    conduit = await office.made()
    missing = [
        ("POST", PATH, {}, "shard_count"),
        ("PATCH", PATH, {"shard_count": 1}, "id"),
        ("PATCH", PATH, {"id": conduit}, "shard_count"),
        ("DELETE", PATH, {}, "id"),
        ("GET", SHARDS, {}, "conduit_id"),
        ("PATCH", SHARDS, {"shards": []}, "conduit_id"),
        ("PATCH", SHARDS, {"conduit_id": conduit}, "shards"),
    ]
    for method, path, body, name in missing:
        answer = await office.call(method, path, body)
        assert refusal(answer) == (400, f'Missing required parameter "{name}"')
    transport = {"method": "websocket", "session_id": "s"}
    for shard in (
        {"transport": transport},
        {"id": "0"},
        {"id": "0", "transport": {"method": "websocket"}},
        "x",
    ):
        answer = await office.call("PATCH", SHARDS, {"conduit_id": conduit, "shards": [shard]})
        assert refusal(answer) == (400, 'Missing required parameter ""')


async def test_webhooks_are_refused_aloud() -> None:
    """As shards and as transports of subscriptions: what to do instead is said."""
    office = Office()
    webhook = {"method": "webhook", "callback": "https://x.test", "secret": "s" * 10}
    body = {"conduit_id": await office.made(), "shards": [{"id": "0", "transport": webhook}]}
    status, words = refusal(await office.call("PATCH", SHARDS, body))
    assert (status, "no webhooks" in words) == (400, True)


async def test_a_subscription_names_a_conduit_that_there_is() -> None:
    """Missing, unknown, and with a user's token."""
    office = Office()
    body: dict[str, Any] = {
        "type": "stream.online",
        "version": "1",
        "condition": {"broadcaster_user_id": office.id("alice")},
        "transport": {"method": "conduit"},
    }
    answer = await office.call("POST", "eventsub/subscriptions", body)
    assert refusal(answer) == (
        400,
        "The conduit_id field is required if you specify the Conduit transport method.",
    )
    body["transport"]["conduit_id"] = "nonsense"
    assert refusal(await office.call("POST", "eventsub/subscriptions", body)) == (
        400,
        "conduit does not exist",
    )
    answer = await office.helix("POST", "eventsub/subscriptions", office.token("bot"), json=body)
    assert refusal(answer) == (400, "invalid transport and auth combination")


async def test_an_app_lists_its_conduits_subscriptions_and_a_user_their_sockets() -> None:
    """With the highest cost of each; filtered by conduit too; deleted by the app."""
    office = Office()
    first, second = await office.made(), await office.made()
    for conduit in (first, second):
        body = {
            "type": "stream.online",
            "version": "1",
            "condition": {"broadcaster_user_id": office.id("alice")},
            "transport": {"method": "conduit", "conduit_id": conduit},
        }
        made = await office.call("POST", "eventsub/subscriptions", body)
        assert (made.status_code, made.json()["max_total_cost"]) == (202, 10_000)
    listed = (await office.call("GET", "eventsub/subscriptions")).json()
    assert (listed["total"], listed["total_cost"]) == (2, 2)
    found = (await office.call("GET", "eventsub/subscriptions", conduit_id=second)).json()["data"]
    assert [one["transport"]["conduit_id"] for one in found] == [second]
    users = (await office.helix("GET", "eventsub/subscriptions", office.token("bot"))).json()
    assert (users["data"], users["max_total_cost"]) == ([], 10)
    assert (await office.call("DELETE", "eventsub/subscriptions", id=found[0]["id"])).status_code == 204
    await office.call("DELETE", PATH, id=first)
    ended = (await office.call("GET", "eventsub/subscriptions", status="conduit_deleted")).json()["data"]
    assert [one["transport"]["conduit_id"] for one in ended] == [first]


# -- on sockets ---------------------------------------------------------------------------------------------------------------------


class Plant:
    """EventSub and Helix on one loopback address, and an app that uses them."""

    def __init__(self, desk: WebDesk, url: str, helix: httpx.AsyncClient) -> None:
        self.desk = desk
        self.state = desk.state
        self._url = url
        self._helix = helix
        self.conduit = ""

    async def ask(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return await self._helix.request(method, "/" + path, json=body, params=query)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[tuple[ClientConnection, str]]:
        """A socket after its welcome, and its session's id."""
        async with client(self._url) as socket:
            yield socket, json.loads(await socket.recv())["payload"]["session"]["id"]

    async def assign(self, shards: Mapping[str, str]) -> httpx.Response:
        """Give shards their sessions, by id."""
        wanted = [
            {"id": shard, "transport": {"method": "websocket", "session_id": session}}
            for shard, session in shards.items()
        ]
        return await self.ask("PATCH", SHARDS, {"conduit_id": self.conduit, "shards": wanted})

    async def subscribe(self, kind: str, **condition: str) -> dict[str, Any]:
        body = {
            "type": kind,
            "version": "1",
            "condition": condition,
            "transport": {"method": "conduit", "conduit_id": self.conduit},
        }
        answer = await self.ask("POST", "eventsub/subscriptions", body)
        assert answer.status_code == 202, answer.text
        return dict(answer.json()["data"][0])

    async def chat(self, channel: str) -> dict[str, Any]:
        return await self.subscribe(
            "channel.chat.message",
            broadcaster_user_id=self.desk.id(channel),
            user_id=self.desk.id("bot"),
        )

    async def statuses(self) -> dict[str, str]:
        shards = (await self.ask("GET", SHARDS, conduit_id=self.conduit)).json()["data"]
        return {one["id"]: one["status"] for one in shards}


@asynccontextmanager
async def plant(shard_count: int) -> AsyncIterator[Plant]:
    """An app with a conduit, which bot and the broadcasters have let in as a chat bot."""
    desk = WebDesk(real_eventsub=True, time_source=asyncio.get_running_loop().time)
    assert desk.eventsub is not None
    desk.token("bot", "user:read:chat", "user:bot")
    for broadcaster in ("alice", "bob"):
        desk.token(broadcaster, "channel:bot")
    headers = {"Authorization": f"Bearer {desk.app_token()}", "Client-Id": DEFAULT_CLIENT_ID}
    async with (
        WebListener(desk.app, {"/ws": desk.eventsub.handler}, host="127.0.0.1") as listening,
        httpx.AsyncClient(base_url=f"{listening.url}/helix", headers=headers, trust_env=False) as helix,
    ):
        made = Plant(desk, f"{listening.ws_url}/ws", helix)
        answer = await made.ask("POST", PATH, {"shard_count": shard_count})
        made.conduit = answer.json()["data"][0]["id"]
        yield made


async def heard(socket: ClientConnection) -> dict[str, Any]:
    """The next message that is no keepalive."""
    while True:
        message: dict[str, Any] = json.loads(await socket.recv())
        if message["metadata"]["message_type"] != "session_keepalive":
            return message


@in_virtual_time(hybrid=True)
async def test_chat_comes_over_the_shard_of_its_channel_and_over_another_when_that_is_gone() -> None:
    """Subscribed before any shard has a transport, as twitchio's AutoBot does; every message on one shard, none twice."""
    async with plant(2) as place:
        made = await place.chat("alice")
        async with place.session() as (one, id_one), place.session() as (two, id_two):
            answer = await place.assign({"0": id_one, "1": id_two})
            assert (answer.status_code, answer.json()["errors"]) == (202, [])
            home, other = choices(place.desk.id("alice"), 2)
            sockets = {0: one, 1: two}
            place.state.say("alice", "carol", "first")
            message = await heard(sockets[home])
            assert message["payload"]["subscription"]["id"] == made["id"]
            assert message["payload"]["subscription"]["transport"] == {
                "method": "conduit",
                "conduit_id": place.conduit,
            }
            assert message["payload"]["event"]["message"]["text"] == "first"
            await sockets[home].close()
            await asyncio.sleep(1)
            assert await place.statuses() == {str(home): "websocket_disconnected", str(other): "enabled"}
            place.state.say("alice", "carol", "second")
            assert (await heard(sockets[other]))["payload"]["event"]["message"]["text"] == "second"


@in_virtual_time(hybrid=True)
async def test_without_an_enabled_shard_events_are_dropped_and_the_subscription_stays() -> None:
    """Nothing is replayed; a new session on the shard hears what comes then."""
    async with plant(1) as place:
        await place.chat("alice")
        place.state.say("alice", "carol", "to nobody")
        assert place.desk.eventsub is not None
        assert place.desk.eventsub.stats["notifications_dropped"] == 1
        async with place.session() as (socket, session):
            await place.assign({"0": session})
            place.state.say("alice", "carol", "to somebody")
            assert (await heard(socket))["payload"]["event"]["message"]["text"] == "to somebody"


@in_virtual_time(hybrid=True)
async def test_a_session_that_no_shard_takes_within_10_s_is_closed_with_4003() -> None:
    """And one that a shard takes stays, though nobody subscribes on it."""
    async with plant(1) as place, place.session() as (used, session), place.session() as (unused, _):
        await place.assign({"0": session})
        assert await closing(unused) == (4003, "connection unused")
        await asyncio.sleep(100)
        assert await place.statuses() == {"0": "enabled"}
        assert used.close_code is None


@in_virtual_time(hybrid=True)
async def test_a_session_of_a_shard_cannot_carry_a_users_subscriptions_nor_the_other_way_round() -> None:
    """The first use decides."""
    async with plant(1) as place, place.session() as (_, shard), place.session() as (_, socket):
        await place.assign({"0": shard})
        assert place.desk.eventsub is not None
        alice = {"broadcaster_user_id": place.desk.id("alice")}
        token = place.state.credentials.issue_user(DEFAULT_CLIENT_ID, "carol", ("user:read:chat",))
        with pytest.raises(SubscriptionRefused, match="different users"):
            place.desk.eventsub.subscribe(token, "stream.online", "1", alice, shard)
        place.desk.eventsub.subscribe(token, "stream.online", "1", alice, socket)
        errors = (await place.assign({"0": socket})).json()["errors"]
        assert [error["code"] for error in errors] == ["invalid_parameter"]


@in_virtual_time(hybrid=True)
async def test_conduit_shard_disabled_tells_of_a_shard_over_the_ones_that_are_left() -> None:
    """Conduit, shard, status and transport, as the reference shows them; whoever asked about another conduit hears nothing."""
    async with plant(2) as place, place.session() as (one, id_one), place.session() as (two, id_two):
        await place.assign({"0": id_one, "1": id_two})
        await place.subscribe("conduit.shard.disabled", client_id=DEFAULT_CLIENT_ID)
        other = (await place.ask("POST", PATH, {"shard_count": 1})).json()["data"][0]["id"]
        await place.subscribe("conduit.shard.disabled", client_id=DEFAULT_CLIENT_ID, conduit_id=other)
        await asyncio.sleep(5)
        await one.close()
        event = (await heard(two))["payload"]["event"]
        assert (event["conduit_id"], event["shard_id"]) == (place.conduit, "0")
        assert event["status"] == "websocket_disconnected"
        assert event["transport"]["session_id"] == id_one
        assert event["transport"]["disconnected_at"] > event["transport"]["connected_at"]
        assert place.desk.eventsub is not None
        assert place.desk.eventsub.stats["notifications"] == 1


@in_virtual_time(hybrid=True)
async def test_a_shard_survives_session_reconnect() -> None:
    """The session keeps its id, so the shard keeps its session."""
    async with plant(1) as place, place.session() as (old, session):
        await place.assign({"0": session})
        await place.chat("alice")
        assert place.desk.eventsub is not None
        place.desk.eventsub.session_reconnect()
        url = (await heard(old))["payload"]["session"]["reconnect_url"]
        async with client(url) as new:
            assert json.loads(await new.recv())["payload"]["session"]["id"] == session
            await old.close()
            place.state.say("alice", "carol", "still here")
            assert (await heard(new))["payload"]["event"]["message"]["text"] == "still here"
            assert await place.statuses() == {"0": "enabled"}


@in_virtual_time(hybrid=True)
async def test_a_consent_that_ends_revokes_what_stood_on_it() -> None:
    """The broadcaster's channel:bot, and the bot's; told once, over a shard; another channel goes on."""
    async with plant(1) as place, place.session() as (socket, session):
        await place.assign({"0": session})
        alice, bob = await place.chat("alice"), await place.chat("bob")
        place.state.credentials.disconnect(DEFAULT_CLIENT_ID, "bob")
        revoked = await heard(socket)
        assert revoked["metadata"]["message_type"] == "revocation"
        shown = revoked["payload"]["subscription"]
        # bot moderates alice's channel, so that no consent of alice's is needed
        assert (shown["id"], shown["status"]) == (bob["id"], "authorization_revoked")
        place.state.credentials.disconnect(DEFAULT_CLIENT_ID, "bot")
        assert (await heard(socket))["payload"]["subscription"]["id"] == alice["id"]


@in_virtual_time(hybrid=True)
async def test_after_72_hours_without_a_shard_the_conduit_is_gone() -> None:
    """With its subscriptions; an hour less, and all of it is there."""
    async with plant(1) as place:
        async with place.session() as (_, session):
            await place.assign({"0": session})
            await place.chat("alice")
        await asyncio.sleep(DOWN_MAX_S - 3_600)
        assert (await place.ask("GET", PATH)).json()["data"][0]["id"] == place.conduit
        await asyncio.sleep(3_600)
        assert (await place.ask("GET", PATH)).json()["data"] == []
        listed = (await place.ask("GET", "eventsub/subscriptions")).json()["data"]
        assert [one["status"] for one in listed] == ["conduit_deleted"]


async def test_shards_are_listed_in_pages_and_by_status() -> None:
    """A hundred at a time, in the order of their ids."""
    office = Office()
    assert office.eventsub is not None
    conduit = await office.made(150)
    held = office.eventsub.conduits.find(DEFAULT_CLIENT_ID, conduit)
    for index in range(150):
        held.shards[index] = Shard(index, "s", "", "enabled" if index % 2 else "websocket_disconnected")
    first = (await office.call("GET", SHARDS, conduit_id=conduit)).json()
    rest = (await office.call("GET", SHARDS, conduit_id=conduit, after=first["pagination"]["cursor"])).json()
    assert [int(one["id"]) for one in first["data"] + rest["data"]] == list(range(150))
    assert (len(first["data"]), rest["pagination"]) == (100, {})
    enabled = (await office.call("GET", SHARDS, conduit_id=conduit, status="enabled")).json()["data"]
    assert [int(one["id"]) for one in enabled] == list(range(1, 150, 2))
    assert refusal(await office.call("GET", SHARDS, conduit_id=conduit, status="sleepy"))[0] == 400
