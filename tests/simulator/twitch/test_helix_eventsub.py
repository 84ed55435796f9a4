"""Create, Get and Delete EventSub Subscription, over a small server that keeps what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from simulator.twitch.credentials import Token
from simulator.twitch.helix_eventsub import SubscriptionRefused
from tests.simulator.twitch.helix_rig import WebDesk, refusal


class Kept:
    """A subscription."""

    def __init__(self, number: int, token: Token, kind: str, condition: Mapping[str, str]) -> None:
        self.id = f"sub-{number}"
        self.owner = (token.client_id, token.login)
        self._shown = {
            "id": self.id,
            "status": "enabled",
            "type": kind,
            "version": "1",
            "condition": dict(condition),
            "created_at": "2023-11-14T22:13:20.123456789Z",
            "transport": {"method": "websocket", "session_id": "s1"},
            "cost": 1,
        }

    def to_json(self) -> Mapping[str, Any]:
        return self._shown


class Shelf:
    """Keeps subscriptions of the session s1, refuses any other."""

    max_total_cost = 10

    def __init__(self) -> None:
        self.kept: list[Kept] = []

    def subscribe(
        self, token: Token, type_: str, version: str, condition: Mapping[str, str], session_id: str, /
    ) -> Kept:
        assert version == "1"
        if session_id != "s1":
            raise SubscriptionRefused(400, "Bad Request", "websocket transport session does not exist")
        if any(
            one.to_json()["condition"] == condition and one.to_json()["type"] == type_ for one in self.kept
        ):
            raise SubscriptionRefused(409, "Conflict", "subscription already exists")
        self.kept.append(Kept(len(self.kept), token, type_, condition))
        return self.kept[-1]

    def unsubscribe(self, client_id: str, subscription_id: str, /) -> bool:
        before = len(self.kept)
        self.kept = [one for one in self.kept if (one.owner[0], one.id) != (client_id, subscription_id)]
        return len(self.kept) < before

    def subscriptions(self, client_id: str, login: str, /) -> list[Kept]:
        return [one for one in self.kept if one.owner == (client_id, login)]

    def total_cost(self, client_id: str, login: str, /) -> int:
        return len(self.subscriptions(client_id, login))


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
    answer = await create(WebDesk(eventsub=Shelf()), wanted())
    assert answer.status_code == 202
    body = answer.json()
    assert sorted(body) == ["data", "max_total_cost", "total", "total_cost"]
    assert body["data"][0]["condition"] == {"broadcaster_user_id": "1", "user_id": "2"}
    assert (body["total"], body["total_cost"], body["max_total_cost"]) == (1, 1, 10)


async def test_a_websocket_needs_a_user_token_and_other_transports_an_apps() -> None:
    """Recorded words for the wrong combination; transports that the fake does not have are named."""
    desk = WebDesk(eventsub=Shelf())
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
    status, message = refusal(await create(WebDesk(eventsub=shelf), {**wanted(), **changed}))
    assert status == 400
    assert words in message
    assert shelf.kept == []


async def test_the_servers_refusals_pass_through() -> None:
    """Status, short name and message."""
    desk = WebDesk(eventsub=Shelf())
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
    desk = WebDesk(eventsub=Shelf())
    await create(desk, wanted())
    await create(desk, wanted("stream.online", broadcaster_user_id="7"))
    for token, total in [(desk.token("bot"), 2), (desk.token("carol"), 0), (desk.app_token(), 0)]:
        body = (await desk.helix("GET", "eventsub/subscriptions", token)).json()
        assert (body["total"], len(body["data"]), body["pagination"]) == (total, total, {})


async def test_the_list_takes_one_filter() -> None:
    """By status, type, user_id or subscription_id; two are refused, and so is a status that does not exist."""
    desk = WebDesk(eventsub=Shelf())
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
    desk = WebDesk(eventsub=Shelf())
    for number in range(101):
        await create(desk, wanted(broadcaster_user_id=str(number)))
    first = (await desk.helix("GET", "eventsub/subscriptions", desk.token("bot"))).json()
    query = {"after": first["pagination"]["cursor"]}
    second = (await desk.helix("GET", "eventsub/subscriptions", desk.token("bot"), query=query)).json()
    assert (len(first["data"]), len(second["data"]), second["pagination"]) == (100, 1, {})


async def test_a_subscription_is_deleted_by_its_app() -> None:
    """204, then 404; without an id 400."""
    desk = WebDesk(eventsub=Shelf())
    made = (await create(desk, wanted())).json()["data"][0]["id"]
    token, path = desk.token("bot"), "eventsub/subscriptions"
    assert (await desk.helix("DELETE", path, token, query={"id": made})).status_code == 204
    assert (await desk.helix("DELETE", path, token, query={"id": made})).status_code == 404
    assert (await desk.helix("DELETE", path, token)).status_code == 400
