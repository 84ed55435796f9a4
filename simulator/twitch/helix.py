"""The face of api.twitch.tv/helix: who may call, how often, and which endpoint answers.

What every call meets, in this order (dev.twitch.tv/docs/api/guide; words recorded from the real service):

- an unknown path or method: 404;
- no token: 401 "OAuth token is missing"; one that is unknown, expired, revoked or not sent as a Bearer: 401 "Invalid OAuth token";
- a Client-Id that is missing or another app's: 401 "Client ID and OAuth token do not match";
- the rate limits of `ratelimit`: 429, and `Ratelimit-*` headers on every answer; Send Chat Message draws from its own bucket;
- the endpoint, which checks scopes and parameters (see `helix_call`).

Endpoints are in `helix_users`, `helix_chat`, `helix_moderation`, `helix_eventsub`, `helix_conduits`, each with what it models and leaves
out. Left out altogether: clips, polls, predictions, channel points, schedules, teams, ads, whispers and whatever else Helix has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from simulator.twitch.credentials import Token
from simulator.twitch.helix_call import Directory, Endpoints, HelixCall
from simulator.twitch.ratelimit import Allowance, RateBook
from simulator.twitch.state import TwitchState
from simulator.twitch.web_exchange import Answer, Refused, WebRequest

OVER_LIMIT = "Request limit exceeded"  # recorded
OWN_BUCKET = (("POST", "chat/messages"),)


class Helix:
    """The endpoints of one fake Twitch behind the checks they share; `stats` counts calls and refusals, by name."""

    def __init__(
        self, state: TwitchState, areas: Iterable[Endpoints], *, unix_start: float, stats: Counter[str]
    ) -> None:
        """`areas` are tables of endpoints; `unix_start` is the Unix time (s) of the clock's zero, for Ratelimit-Reset."""
        self._state = state
        self._unix_start = unix_start
        self._stats = stats
        self._directory = Directory(state)
        self._endpoints = {key: endpoint for area in areas for key, endpoint in area.items()}
        self.rates = RateBook()

    def answer(self, request: WebRequest) -> Answer:
        """Carry a call out; never raises `Refused`, which becomes Twitch's error JSON."""
        headers: dict[str, str] = {}
        try:
            answer = self._answer(request, headers)
        except Refused as refused:
            answer = error_answer(refused)
        self._stats[f"helix_{answer.status}"] += 1
        return Answer(answer.status, answer.body, {**headers, **answer.headers})

    def _answer(self, request: WebRequest, headers: dict[str, str]) -> Answer:
        key = (request.method, request.path)
        endpoint = self._endpoints.get(key)
        if endpoint is None:
            raise Refused(404, "")
        token = self._authenticate(request)
        lane = request.path if key in OWN_BUCKET else ""
        allowance = self.rates.take(token.client_id, token.login, lane, self._state.now_s())
        headers |= self.rate_headers(allowance)
        if not allowance.granted:
            self._stats["helix_over_limit"] += 1
            raise Refused(429, OVER_LIMIT)
        self._stats[f"{request.method} {request.path}"] += 1
        return endpoint(HelixCall(request, token, self._state, self._directory))

    def _authenticate(self, request: WebRequest) -> Token:
        given = request.headers.get("authorization", "")
        if not given:
            raise Refused(401, "OAuth token is missing")
        scheme, _, letters = given.partition(" ")
        token = self._state.credentials.valid(letters.strip())
        if token is None or scheme.lower() != "bearer":
            raise Refused(401, "Invalid OAuth token")
        if request.headers.get("client-id", "") != token.client_id:
            raise Refused(401, "Client ID and OAuth token do not match")
        return token

    def rate_headers(self, allowance: Allowance) -> dict[str, str]:
        """Write what a bucket said as Twitch's headers; the reset is in whole Unix seconds, never early."""
        full_unix_s = self._unix_start + self._state.now_s() + allowance.full_in_s
        return {
            "Ratelimit-Limit": str(allowance.limit),
            "Ratelimit-Remaining": str(allowance.remaining),
            "Ratelimit-Reset": str(math.ceil(full_unix_s)),
        }


def error_answer(refused: Refused) -> Answer:
    """Write a refusal as Helix's error JSON."""
    return Answer(
        refused.status, {"error": refused.error, "status": refused.status, "message": refused.message}
    )
