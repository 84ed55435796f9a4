"""The web faces of the fake Twitch as one ASGI application: id.twitch.tv under /oauth2, api.twitch.tv under /helix.

`WebFace` holds the two (`oauth`, `helix`) over the one state and the one set of chat rules; `web_app` gives them their addresses:

- `/oauth2/token`, `device`, `validate`, `revoke`, `authorize`, `userinfo`, and the page `/activate` where a device is approved;
- `/helix/…`;
- as twitch-cli's mock, for clients that know only that: `/auth/…` (= /oauth2, with the mock's own POST authorize), `/mock/…` (= /helix) and
  `/eventsub/subscriptions`.

Faults are attributes that may change at any time: `helix_429_probability` (answered as if the bucket were empty, to be full again in
`FAULT_RESET_S`), `helix_503_probability`, `helix_401_probability` (the token stays good), `helix_delay_s` (a call is carried out as it comes,
its answer leaves later). Each draws from a stream of its own, only while it is on. OAuth has no faults of its own: tokens are expired
or revoked through `credentials`.

`stats` counts what was asked and refused. Left out: CORS, HEAD and OPTIONS, compression, Twitch's request ids.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.twitch.conduits import Conduits
from simulator.twitch.helix import OVER_LIMIT, Helix, error_answer
from simulator.twitch.helix_chat import HelixChat
from simulator.twitch.helix_conduits import HelixConduits
from simulator.twitch.helix_eventsub import EventSubscriptions, HelixEventSub
from simulator.twitch.helix_moderation import HelixModeration
from simulator.twitch.helix_users import HelixUsers
from simulator.twitch.oauth import OAuth
from simulator.twitch.ratelimit import Allowance
from simulator.twitch.rules import ChatRules
from simulator.twitch.state import TwitchState
from simulator.twitch.stream_life import StreamLife
from simulator.twitch.web_exchange import Answer, Refused, WebRequest, read, write

FAULT_RESET_S = 1.0  # chosen: a client that waits for the reset of a made-up 429 waits this long

Asked = Callable[[WebRequest], Answer]
Handler = Callable[[Request], Awaitable[Response]]


class WebFace:
    """OAuth and Helix of one fake Twitch, with their faults."""

    def __init__(
        self,
        state: TwitchState,
        rules: ChatRules,
        rng: random.Random,
        *,
        eventsub: EventSubscriptions | None,
        conduits: Conduits | None = None,
        life: StreamLife,
        unix_start: float,
        public_url: Callable[[], str],
    ) -> None:
        """`rng` draws user codes and faults; `public_url` gives the address of this face, without a slash at its end.

        Without `eventsub` and its `conduits` the endpoints of subscriptions and conduits do not exist. `unix_start` is the Unix time (s) of the clock's zero.
        """
        self.stats: Counter[str] = Counter()
        self.oauth = OAuth(state, random.Random(rng.getrandbits(64)), public_url, self.stats)
        self.chat = HelixChat(state, rules)
        areas = [
            HelixUsers(state, life).endpoints(),
            self.chat.endpoints(),
            HelixModeration(state).endpoints(),
        ]
        if eventsub is not None and conduits is not None:
            areas.append(HelixEventSub(eventsub, conduits).endpoints())
            areas.append(HelixConduits(conduits).endpoints())
        self.helix = Helix(state, areas, unix_start=unix_start, stats=self.stats)
        self._state = state
        self._rng_503 = random.Random(rng.getrandbits(64))
        self._rng_429 = random.Random(rng.getrandbits(64))
        self._rng_401 = random.Random(rng.getrandbits(64))
        self.helix_503_probability = 0.0
        self.helix_429_probability = 0.0
        self.helix_401_probability = 0.0
        self.helix_delay_s = 0.0

    def approve_device(self, user_code: str, login: str) -> None:
        """Let an account agree to what a device asks for; raises `UnknownUserCode` or `UnknownName`."""
        self.oauth.devices.approve(user_code, self._state.user(login).login)

    def deny_device(self, user_code: str) -> None:
        """Let somebody refuse what a device asks for; raises `UnknownUserCode`."""
        self.oauth.devices.deny(user_code)

    async def answer_helix(self, request: WebRequest) -> Answer:
        """Carry out a call to Helix, or let a fault answer; the delay comes after, so a client that gives up was obeyed all the same."""
        answer = self._fault() or self.helix.answer(request)
        if self.helix_delay_s > 0:
            self.stats["fault_slow"] += 1
            await asyncio.sleep(self.helix_delay_s)
        return answer

    def _fault(self) -> Answer | None:
        if self._hits(self._rng_503, self.helix_503_probability):
            self.stats["fault_503"] += 1
            return error_answer(Refused(503, ""))
        if self._hits(self._rng_401, self.helix_401_probability):
            self.stats["fault_401"] += 1
            return error_answer(Refused(401, "Invalid OAuth token"))
        if self._hits(self._rng_429, self.helix_429_probability):
            self.stats["fault_429"] += 1
            empty = Allowance(False, self.helix.rates.points_max, 0, FAULT_RESET_S)
            refusal = error_answer(Refused(429, OVER_LIMIT))
            return Answer(refusal.status, refusal.body, self.helix.rate_headers(empty))
        return None

    def _hits(self, rng: random.Random, probability: float) -> bool:
        return probability > 0 and rng.random() < probability


def web_app(face: WebFace) -> Starlette:
    """The addresses of a face as an ASGI application."""
    oauth = face.oauth
    routes: list[Route] = []
    for prefix in ("/oauth2", "/auth"):
        routes += [
            Route(f"{prefix}/token", _at_id(oauth.token), methods=["POST"]),
            Route(f"{prefix}/device", _at_id(oauth.device), methods=["POST"]),
            Route(f"{prefix}/revoke", _at_id(oauth.revoke), methods=["POST"]),
            Route(f"{prefix}/validate", _at_id(oauth.validate), methods=["GET"]),
            Route(f"{prefix}/userinfo", _at_id(oauth.userinfo), methods=["GET"]),
            Route(f"{prefix}/authorize", _at_id(oauth.authorize), methods=["GET"]),
        ]
    helix = _at_api(face)
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    routes += [
        Route("/auth/authorize", _at_mock(oauth.mock_authorize), methods=["POST"]),
        Route("/activate", _at_id(oauth.activate), methods=["GET", "POST"]),
        Route("/helix/{path:path}", helix, methods=methods),
        Route("/mock/{path:path}", helix, methods=methods),
        Route("/eventsub/subscriptions", helix, methods=methods),
    ]
    return Starlette(routes=routes)


def _at_id(asked: Asked) -> Handler:
    """Serve a function of id.twitch.tv, whose errors have a status and a message."""

    async def handle(request: Request) -> Response:
        try:
            return write(asked(await read(request, request.url.path)))
        except Refused as refused:
            return JSONResponse({"status": refused.status, "message": refused.message}, refused.status)

    return handle


def _at_mock(asked: Asked) -> Handler:
    """Serve a function of twitch-cli's mock, whose errors are Helix's."""

    async def handle(request: Request) -> Response:
        try:
            return write(asked(await read(request, request.url.path)))
        except Refused as refused:
            return write(error_answer(refused))

    return handle


def _at_api(face: WebFace) -> Handler:
    """Serve Helix."""

    async def handle(request: Request) -> Response:
        path = request.path_params.get("path", request.url.path)
        try:
            asked = await read(request, path)
        except Refused as refused:
            return write(error_answer(refused))
        return write(await face.answer_helix(asked))

    return handle
