"""Create, Get and Delete EventSub Subscription: the rules of this face over a small server, and the real one on sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from simulator.loop import in_virtual_time
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.twitch.listener import WebListener
from tests.simulator.twitch.http_rig import Shelf, WebDesk, refusal
from tests.simulator.twitch.web_rig import client


def wanted(kind: str = "channel.chat.message", **condition: str) -> dict[str, Any]:
    return {
        "type": kind,
        "version": "1",
        "condition": condition or {"broadcaster_user_id": "1", "user_id": "2"},
        "transport": {"method": "websocket", "session_id": "s1"},
    }


async def create(desk: WebDesk, body: Any, token: str = "") -> httpx.Response:
    return await desk.helix("POST", "eventsub/subscriptions", token or desk.token("bot"), json=body)


async def test_a_subscription_is_accepted_with_its_totals() -> None:
    """202, the subscription as Helix shows it, the total, its cost and the highest cost."""
    answer = await create(WebDesk(shelf=Shelf()), wanted())
    assert answer.status_code == 202
    body = answer.json()
    assert sorted(body) == ["data", "max_total_cost", "total", "total_cost"]
    assert body["data"][0]["condition"] == {"broadcaster_user_id": "1", "user_id": "2"}
    assert (body["total"], body["total_cost"], body["max_total_cost"]) == (1, 1, 10)


async def test_a_websocket_needs_a_user_token_and_other_transports_an_apps() -> None:
    """Recorded words for the wrong combination; transports that the fake does not have are named."""
    desk = WebDesk(shelf=Shelf())
    words = (400, "invalid transport and auth combination")
    assert refusal(await create(desk, wanted(), desk.app_token())) == words
    webhook = {
        **wanted(),
        "transport": {"method": "webhook", "callback": "https://x.test", "secret": "s" * 10},
    }
    assert refusal(await create(desk, webhook)) == words
    status, message = refusal(await create(desk, webhook, desk.app_token()))
    assert status == 400
    assert "webhook" in message


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"transport": None}, "The transport field is required."),
        ({"transport": {"method": "pigeon"}}, "method field is not valid"),
        ({"transport": {"method": "websocket"}}, "session_id field is required"),
        ({"condition": None}, "The condition field is required."),
        ({"condition": {}}, "The condition field is required."),
    ],
)
async def test_what_a_subscription_lacks_is_named(changed: dict[str, Any], words: str) -> None:
    """400, and nothing is made."""
    shelf = Shelf()
    status, message = refusal(await create(WebDesk(shelf=shelf), {**wanted(), **changed}))
    assert status == 400
    assert words in message
    assert shelf.kept == []


async def test_the_servers_refusals_pass_through() -> None:
    """Status, short name and message."""
    desk = WebDesk(shelf=Shelf())
    gone = {**wanted(), "transport": {"method": "websocket", "session_id": "other"}}
    assert refusal(await create(desk, gone)) == (400, "websocket transport session does not exist")
    await create(desk, wanted())
    assert (await create(desk, wanted())).json() == {
        "error": "Conflict",
        "status": 409,
        "message": "subscription already exists",
    }


async def test_subscriptions_are_listed_for_the_tokens_app_and_user() -> None:
    """carol and the app see none of bot's."""
    desk = WebDesk(shelf=Shelf())
    await create(desk, wanted())
    await create(desk, wanted("stream.online", broadcaster_user_id="7"))
    for token, total in [(desk.token("bot"), 2), (desk.token("carol"), 0), (desk.app_token(), 0)]:
        body = (await desk.helix("GET", "eventsub/subscriptions", token)).json()
        assert (body["total"], len(body["data"]), body["pagination"]) == (total, total, {})


async def test_the_list_takes_one_filter() -> None:
    """By status, type, user_id or subscription_id; two are refused, and so is a status that does not exist."""
    desk = WebDesk(shelf=Shelf())
    await create(desk, wanted())
    await create(desk, wanted("stream.online", broadcaster_user_id="7"))

    async def listed(**query: str) -> list[str]:
        answer = await desk.helix("GET", "eventsub/subscriptions", desk.token("bot"), query=query)
        return [one["id"] for one in answer.json()["data"]]

    assert await listed(type="stream.online") == ["sub-1"]
    assert await listed(user_id="2") == ["sub-0"]
    assert await listed(subscription_id="sub-1") == ["sub-1"]
    assert await listed(status="enabled") == ["sub-0", "sub-1"]
    for query in ({"type": "x", "status": "enabled"}, {"status": "x"}):
        answer = await desk.helix("GET", "eventsub/subscriptions", desk.token("bot"), query=query)
        assert answer.status_code == 400


async def test_the_list_comes_in_pages_of_a_hundred() -> None:
    """The cursor leads to the rest."""
    desk = WebDesk(shelf=Shelf())
    for number in range(101):
        await create(desk, wanted(broadcaster_user_id=str(number)))
    first = (await desk.helix("GET", "eventsub/subscriptions", desk.token("bot"))).json()
    query = {"after": first["pagination"]["cursor"]}
    second = (await desk.helix("GET", "eventsub/subscriptions", desk.token("bot"), query=query)).json()
    assert (len(first["data"]), len(second["data"]), second["pagination"]) == (100, 1, {})


async def test_a_subscription_is_deleted_by_its_app() -> None:
    """204, then 404; without an id 400."""
    desk = WebDesk(shelf=Shelf())
    made = (await create(desk, wanted())).json()["data"][0]["id"]
    token, path = desk.token("bot"), "eventsub/subscriptions"
    assert (await desk.helix("DELETE", path, token, query={"id": made})).status_code == 204
    assert (await desk.helix("DELETE", path, token, query={"id": made})).status_code == 404
    assert (await desk.helix("DELETE", path, token)).status_code == 400


# -- the real server ------------------------------------------------------------------------------------------------------------------


async def test_the_real_servers_refusals_reach_the_client() -> None:
    """Scopes, types, conditions and sessions are its business; its words arrive in Helix's form."""
    desk = WebDesk(real_eventsub=True)
    condition = {"broadcaster_user_id": desk.id("alice"), "user_id": desk.id("bot")}
    status, message = refusal(await create(desk, wanted(**condition)))
    assert (status, "session does not exist" in message) == (400, True)
    assert refusal(await create(desk, wanted("no.such.type", **condition)))[0] == 400
    assert refusal(await create(desk, wanted(broadcaster_user_id="1", user_id="2")))[0] == 400


@in_virtual_time(hybrid=True)
async def test_what_is_sent_through_helix_arrives_over_eventsub() -> None:
    """One address for HTTP and WebSocket, one state under both: subscribe, send, receive, be banned, lose the subscription."""
    desk = WebDesk(real_eventsub=True, time_source=asyncio.get_running_loop().time)
    assert desk.eventsub is not None
    token = desk.token("bot", "user:read:chat", "user:write:chat", "user:bot")
    headers = {"Authorization": f"Bearer {token}", "Client-Id": DEFAULT_CLIENT_ID}
    async with (
        WebListener(desk.app, {"/ws": desk.eventsub.handler}, host="127.0.0.1") as listening,
        client(f"{listening.ws_url}/ws") as socket,
        httpx.AsyncClient(base_url=f"{listening.url}/helix", headers=headers, trust_env=False) as helix,
    ):
        session = json.loads(await socket.recv())["payload"]["session"]
        bob, bot = desk.id("bob"), desk.id("bot")
        body = wanted(broadcaster_user_id=bob, user_id=bot)
        body["transport"]["session_id"] = session["id"]
        made = await helix.post("/eventsub/subscriptions", json=body)
        assert made.status_code == 202, made.text
        message = {"broadcaster_id": bob, "sender_id": bot, "message": "hello"}
        sent = (await helix.post("/chat/messages", json=message)).json()["data"][0]
        event = json.loads(await socket.recv())["payload"]["event"]
        assert (event["message_id"], event["message"]["text"]) == (sent["message_id"], "hello")
        desk.state.ban("bob", "bot")
        assert json.loads(await socket.recv())["metadata"]["message_type"] == "revocation"
        refused = (await helix.post("/chat/messages", json=message)).json()["data"][0]
        assert refused["drop_reason"]["code"] == "user_banned"
        listed = (await helix.get("/eventsub/subscriptions", params={"status": "enabled"})).json()
        assert listed["data"] == []
