"""The control address of the fake Twitch: events, devices, tokens, and its whole state.

An event is one of three things: a verb, which changes the state and is told by every face in its own way (`twitch.verbs`); an EventSub
event of any type with any data, for those who subscribed to it; a raw IRC line, for those in the channel. Tokens end in mid-life here,
and a device's code is approved as a person would at twitch.tv/activate.

`TWITCH_ROUTES` describes the routes; they are part of `control`, which serves them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from simulator.control_requests import BadRequest, body_object, choice_field, only, text_field
from simulator.twitch.credentials import Token
from simulator.twitch.device_flow import UnknownUserCode
from simulator.twitch.line import BadLine
from simulator.twitch.snapshot import to_json
from simulator.twitch.snapshot_parts import Snapshot
from simulator.twitch.verbs import VerbError, describe, perform

if TYPE_CHECKING:
    from simulator.serve import Stage

TOKEN_ENDS = ("expire", "revoke", "disconnect")

TWITCH_ROUTES: Mapping[str, Mapping[str, Any]] = {
    "POST /events": {
        "does": "lets something happen: by a verb, as an EventSub event of any type, or as a raw IRC line",
        "body": {
            "verb": "one of the verbs below, with its fields",
            "type": "or: an EventSub type, with channel (login) or condition (ids, as subscriptions name them), event (any object)",
            "version": "optional, of the type: without it every version",
            "line": "or: an IRC line, with channel",
        },
        "verbs": describe(),
        "example": {"verb": "raid", "channel": "lobby", "login": "somebody", "viewers": 42},
        "answer": {
            "id": "of the message, if the verb said one",
            "delivered": "to how many subscriptions or connections, of a type or a line",
        },
    },
    "POST /devices": {
        "does": "approves a device's code, as a person does at twitch.tv/activate, or refuses it",
        "body": {"user_code": "what the device shows", "login": "whose account", "do": "optional: approve, deny"},
    },
    "POST /tokens": {
        "does": "ends user tokens in mid-life",
        "body": {
            "do": "expire (refreshing works), revoke (it does not), or disconnect (the user's consent ends, subscriptions with it)",
            "login": "whose tokens",
            "token": "or: this one",
        },
        "example": {"do": "expire", "login": "byte_test_bot"},
        "answer": {"ended": "how many"},
    },
    "GET /snapshot": {"does": "shows users, channels, apps, tokens and conduits of the fake Twitch, as a seed file holds them"},
    "PUT /snapshot": {
        "does": "makes them equal to the body; connections stay, those of users and channels that go do not",
        "body": "what GET /snapshot showed, or parts of it: what is left out goes",
    },
    "POST /reset": {
        "does": "puts the fake Twitch back to its start: state, transcript and limits; faults and the database stay",
    },
}  # fmt: skip


class TwitchControl:
    """One coroutine a route."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def routes(self) -> list[Route]:
        """The routes of `TWITCH_ROUTES`."""
        return [
            Route("/events", self.events, methods=["POST"]),
            Route("/devices", self.devices, methods=["POST"]),
            Route("/tokens", self.tokens, methods=["POST"]),
            Route("/snapshot", self.get_snapshot, methods=["GET"]),
            Route("/snapshot", self.put_snapshot, methods=["PUT"]),
            Route("/reset", self.reset, methods=["POST"]),
        ]

    async def events(self, request: Request) -> JSONResponse:
        body = await body_object(request)
        if "verb" in body:
            try:
                return JSONResponse(perform(self._stage.twitch, self._stage.life, body))
            except VerbError as error:
                raise BadRequest(str(error)) from error
        if "type" in body:
            return JSONResponse({"delivered": self._send_event(body)})
        if "line" in body:
            return JSONResponse({"delivered": self._send_line(body)})
        raise BadRequest(
            "an event has a verb, or a type with channel and event, or a line with channel; GET / tells more"
        )

    def _send_event(self, body: Mapping[str, Any]) -> int:
        only(body, "type", "version", "channel", "condition", "event")
        kind, event, condition = text_field(body, "type"), body.get("event"), body.get("condition")
        version = text_field(body, "version") if "version" in body else ""
        if not isinstance(event, dict):
            raise BadRequest(f"event must be a JSON object, got {event!r}")
        if condition is not None and not _is_condition(condition):
            raise BadRequest(f"condition must be a JSON object of texts, got {condition!r}")
        if condition is not None and "channel" in body:
            raise BadRequest(
                "an event of a type has a channel or a condition, not both: a condition names the channel"
            )
        channel = self._channel(body) if "channel" in body else ""
        try:
            return self._stage.eventsub.send_event(kind, channel, event, version=version, condition=condition)
        except ValueError as error:
            raise BadRequest(str(error)) from error

    def _send_line(self, body: Mapping[str, Any]) -> int:
        only(body, "line", "channel")
        try:
            return self._stage.irc.send_line(self._channel(body), text_field(body, "line"))
        except BadLine as error:
            raise BadRequest(f"line: {error}") from error

    def _channel(self, body: Mapping[str, Any]) -> str:
        channels = self._stage.channels
        login = text_field(body, "channel").removeprefix("#").lower()
        if login not in channels:
            raise BadRequest(f"there is no channel {login!r}; there are: {', '.join(channels)}")
        return login

    async def devices(self, request: Request) -> JSONResponse:
        body = await body_object(request)
        only(body, "user_code", "login", "do")
        user_code, web = text_field(body, "user_code"), self._stage.web
        do = choice_field({"do": "approve", **body}, "do", ("approve", "deny"))
        try:
            if do == "deny":
                web.deny_device(user_code)
            else:
                web.approve_device(user_code, self._user(body))
        except UnknownUserCode as error:
            raise BadRequest(str(error.args[0])) from error
        return JSONResponse({"done": do})

    def _user(self, body: Mapping[str, Any]) -> str:
        users, login = self._stage.twitch.users, text_field(body, "login").lower()
        if login not in users:
            raise BadRequest(f"there is no user {login!r}; POST /say or a seed file makes one")
        return login

    async def tokens(self, request: Request) -> JSONResponse:
        body = await body_object(request)
        only(body, "do", "login", "token")
        end, chosen = choice_field(body, "do", TOKEN_ENDS), self._tokens(body)
        credentials = self._stage.twitch.credentials
        if end == "disconnect":
            for client_id, login in dict.fromkeys((token.client_id, token.login) for token in chosen):
                credentials.disconnect(client_id, login)
        for token in chosen if end != "disconnect" else ():
            credentials.expire(token.access) if end == "expire" else credentials.revoke(token.access)
        return JSONResponse({"ended": len(chosen)})

    def _tokens(self, body: Mapping[str, Any]) -> list[Token]:
        every = [token for token in self._stage.twitch.credentials.tokens.values() if token.kind == "user"]
        if "token" in body:
            letters = text_field(body, "token").removeprefix("oauth:")
            found = [token for token in every if token.access == letters]
            if not found:
                raise BadRequest("there is no such user token (any more)")
            return found
        login = self._user(body)
        return [token for token in every if token.login == login]

    async def get_snapshot(self, _: Request) -> JSONResponse:
        return JSONResponse(to_json(self._stage.snapshot()))

    async def put_snapshot(self, request: Request) -> JSONResponse:
        try:
            snapshot = Snapshot.model_validate(await body_object(request))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the body"
            raise BadRequest(f"{place}: {first['msg']}") from error
        self._stage.restore(snapshot)
        return JSONResponse(to_json(self._stage.snapshot()))

    async def reset(self, _: Request) -> JSONResponse:
        self._stage.reset()
        return JSONResponse(to_json(self._stage.snapshot()))


def _is_condition(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) and one for one in value.values())
