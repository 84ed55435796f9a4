"""What the tests of the web faces share: a small Twitch behind an ASGI client, no sockets, time moved by hand."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import httpx

from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.twitch.events import SentMessage
from simulator.twitch.helix_eventsub import EventSubscriptions
from simulator.twitch.limits import LimitBook, TwitchLimits
from simulator.twitch.rules import ChatRules
from simulator.twitch.stream_life import StreamLife
from simulator.twitch.web import WebFace, web_app
from tests.simulator.twitch.rig import UNIX_START, Clock, small_twitch

PUBLIC_URL = "http://id.test"
SECRET = "fake0secret0of0the0default0app"


class WebDesk:
    """A face with channels alice and bob, the accounts bot and carol; bot moderates alice's channel."""

    def __init__(
        self, *, eventsub: EventSubscriptions | None = None, limits: TwitchLimits | None = None
    ) -> None:
        self.clock = Clock()
        self.state = small_twitch(self.clock)
        for token in ("bot-token", "carol-token"):
            self.state.revoke_token(token)  # they hold every scope: nothing could be missing
        self.state.add_channel("alice", moderators=("bot",))
        self.life = StreamLife(self.state, random.Random(5))
        self.rules = ChatRules(self.state, LimitBook(limits))
        self.face = WebFace(
            self.state,
            self.rules,
            random.Random(6),
            eventsub=eventsub,
            life=self.life,
            unix_start=UNIX_START,
            public_url=lambda: PUBLIC_URL,
        )
        self.said: list[SentMessage] = []
        self.state.on_message(self.said.append)
        transport = httpx.ASGITransport(app=web_app(self.face))
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
