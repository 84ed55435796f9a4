"""What the tests of OAuth and Helix share: a small Twitch behind an ASGI client, no sockets, time moved by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from simulator.twitch.credentials import DEFAULT_CLIENT_ID, Token
from simulator.twitch.events import SentMessage
from simulator.twitch.eventsub import EventSubServer
from simulator.twitch.eventsub_subscriptions import SubscriptionRefused
from simulator.twitch.limits import LimitBook, TwitchLimits
from simulator.twitch.rules import ChatRules
from simulator.twitch.stream_life import StreamLife
from simulator.twitch.web import WebFace, web_app
from tests.simulator.twitch.rig import UNIX_START, Clock, small_twitch

PUBLIC_URL = "http://id.test"
SECRET = "fake0secret0of0the0default0app"


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


class WebDesk:
    """A face with channels alice and bob, the accounts bot and carol; bot moderates alice's channel.

    Behind it is no EventSub, or a `Shelf`, or with `real_eventsub` the real server, which is then `eventsub`.
    """

    def __init__(
        self,
        *,
        shelf: Shelf | None = None,
        real_eventsub: bool = False,
        limits: TwitchLimits | None = None,
        time_source: Callable[[], float] | None = None,
    ) -> None:
        self.clock = Clock()
        self.state = small_twitch(time_source or self.clock)
        server = EventSubServer(self.state, random.Random(7), unix_start=UNIX_START, ws_url=lambda: "")
        self.eventsub = server if real_eventsub else None
        for login in ("bot", "carol"):
            # They have granted every scope: nothing could be missing.
            self.state.credentials.disconnect(DEFAULT_CLIENT_ID, login)
        self.state.add_channel("alice", moderators=("bot",))
        self.life = StreamLife(self.state, random.Random(5))
        self.rules = ChatRules(self.state, LimitBook(limits))
        self.face = WebFace(
            self.state,
            self.rules,
            random.Random(6),
            eventsub=self.eventsub or shelf,
            conduits=server.conduits,
            life=self.life,
            unix_start=UNIX_START,
            public_url=lambda: PUBLIC_URL,
        )
        self.said: list[SentMessage] = []
        self.state.on_message(self.said.append)
        self.app = web_app(self.face)
        transport = httpx.ASGITransport(app=self.app)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://twitch.test")

    def id(self, login: str) -> str:
        """Return the id of an account."""
        return self.state.user(login).id

    def token(self, login: str, *scopes: str, client_id: str = DEFAULT_CLIENT_ID) -> str:
        """Let an account give the app its consent to exactly these scopes; return the token's letters."""
        return self.state.credentials.issue_user(client_id, login, scopes).access

    def app_token(self) -> str:
        """Give the default app a token of its own; return its letters."""
        return self.state.credentials.issue_app(DEFAULT_CLIENT_ID).access

    async def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Send any request."""
        return await self._client.request(method, path, **given)

    async def oauth(self, path: str, **form: str) -> httpx.Response:
        """Post a form to /oauth2."""
        return await self.ask("POST", f"/oauth2/{path}", data=form)

    async def helix(
        self,
        method: str,
        path: str,
        token: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        client_id: str = DEFAULT_CLIENT_ID,
    ) -> httpx.Response:
        """Call Helix as clients do, with both headers."""
        headers = {"Authorization": f"Bearer {token}", "Client-Id": client_id}
        return await self.ask(method, f"/helix/{path}", headers=headers, params=query, json=json)


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Return status and message of an error, whose JSON must agree with its status."""
    body = response.json()
    assert body["status"] == response.status_code
    return response.status_code, body["message"]
