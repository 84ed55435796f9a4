"""The control address: faults, people and the state of served fakes, over HTTP and JSON, for tests in any language.

`GET /` describes every route; the table `ROUTES` is that description. Mistakes are answered with 400 and
`{"error": "..."}`, a sentence that says what is allowed; nothing of a request with a mistake in it is carried out.

Left out: authentication (it listens on loopback, and controls nothing real).
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from simulator.audience import ROLES, Role
from simulator.control_requests import (
    BadRequest,
    body_object,
    choice_field,
    only,
    text_field,
    whole_parameter,
)
from simulator.control_twitch import TWITCH_ROUTES, TwitchControl
from simulator.faults import KINDS, Fault, FaultError, fault_from_json
from simulator.twitch.state import UnknownName

if TYPE_CHECKING:
    from simulator.serve import Said, Stage

TAIL_DEFAULT = 20
PAGE_MAX = 1_000  # messages in one answer

ROUTES: Mapping[str, Mapping[str, Any]] = {
    "GET /": {"does": "shows this description"},
    "GET /faults": {"does": "shows the faults that are set, and which of them act now"},
    "PUT /faults": {
        "does": "sets faults by names of your choice, or clears them; other names stay as they are",
        "body": {"NAME": "a fault such as {'kind': 'hang', 'duration_s': 20}, or null to clear it"},
        "example": {"outage": {"kind": "hang"}, "slow": None},
        "note": "start_s counts from now; duration_s left out or null: until cleared",
    },
    "DELETE /faults": {"does": "clears every fault"},
    "POST /say": {
        "does": "lets somebody say something in a channel; whoever is new comes into being",
        "body": {"channel": "login", "login": "who", "text": "what", "role": f"optional: {', '.join(ROLES)}"},
        "example": {"channel": "lobby", "login": "mod_1", "text": "!count deaths +1", "role": "moderator"},
        "answer": {"id": "the message's id, which a reply names", "number": "its number in the transcript"},
    },
    "GET /transcript": {
        "does": "shows messages of everybody, oldest first",
        "query": {
            "after": "only those with a higher number (default 0)",
            "limit": f"at most this many (1 to {PAGE_MAX})",
        },
    },
    "GET /state": {
        "does": "shows channels, connections, the newest messages, tables, requests, saves and faults",
        "query": {
            "table": "also all rows of this table",
            "tail": f"how many messages, requests and saves (0 to {PAGE_MAX}, default {TAIL_DEFAULT})",
        },
    },
    **TWITCH_ROUTES,
}


def control_app(stage: Stage) -> Starlette:
    """The control address of a stage as an ASGI application."""
    control, twitch = _Control(stage), TwitchControl(stage)
    return Starlette(
        routes=[
            Route("/", control.describe),
            Route("/faults", control.get_faults, methods=["GET"]),
            Route("/faults", control.put_faults, methods=["PUT"]),
            Route("/faults", control.delete_faults, methods=["DELETE"]),
            Route("/say", control.say, methods=["POST"]),
            Route("/transcript", control.transcript),
            Route("/state", control.state),
            *twitch.routes(),
        ],
        exception_handlers={BadRequest: _bad_request, HTTPException: _no_route},
    )


async def _bad_request(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=400)


async def _no_route(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = f"there is no {request.method} {request.url.path}; there are: {', '.join(ROUTES)}"
    return JSONResponse({"error": words}, status_code=status)


class _Control:
    """One coroutine a route."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def describe(self, _: Request) -> JSONResponse:
        about = "Byte Bot's simulator: the control address of a fake Twitch and a fake Supabase project"
        return JSONResponse({"about": about, "routes": ROUTES, "faults": list(KINDS)})

    async def get_faults(self, _: Request) -> JSONResponse:
        return JSONResponse(self._stage.faults.to_json())

    async def put_faults(self, request: Request) -> JSONResponse:
        wanted = {name: self._fault(name, value) for name, value in (await body_object(request)).items()}
        for name, fault in wanted.items():
            if fault is None:
                self._stage.faults.clear(name)
            else:
                self._stage.faults.set(name, fault)
        return JSONResponse(self._stage.faults.to_json())

    def _fault(self, name: str, value: object) -> Fault | None:
        if not name:
            raise BadRequest("a fault needs a name: {'NAME': {'kind': 'hang'}}")
        if value is None:
            return None
        try:
            fault = fault_from_json(value)
        except FaultError as error:
            raise BadRequest(f"{name}: {error}") from error
        if refusal := self._stage.refusal_of(fault):
            raise BadRequest(f"{name}: {refusal}")
        return fault

    async def delete_faults(self, _: Request) -> JSONResponse:
        self._stage.faults.clear_all()
        return JSONResponse(self._stage.faults.to_json())

    async def say(self, request: Request) -> JSONResponse:
        body = await body_object(request)
        only(body, "channel", "login", "text", "role")
        channel, login, text = (text_field(body, name) for name in ("channel", "login", "text"))
        role = choice_field({"role": "viewer", **body}, "role", ROLES)
        if not login.replace("_", "").isalnum() or not login.isascii():
            raise BadRequest(f"login is {login!r}; a Twitch login has letters, digits and _ only")
        try:
            message_id = self._stage.say(channel, login, text, typing.cast(Role, role))
        except UnknownName as error:
            raise BadRequest(f"{error.args[0]}; channels: {', '.join(self._stage.channels)}") from error
        except ValueError as error:
            raise BadRequest(str(error)) from error
        return JSONResponse({"id": message_id, "number": self._stage.last_number})

    async def transcript(self, request: Request) -> JSONResponse:
        after = whole_parameter(request, "after", 0, None)
        limit = whole_parameter(request, "limit", PAGE_MAX, PAGE_MAX)
        found = [_message(said) for said in self._stage.recent if said.number > after][:limit]
        return JSONResponse({"messages": found, "last": self._stage.last_number})

    async def state(self, request: Request) -> JSONResponse:
        stage, supabase = self._stage, self._stage.supabase
        tail = whole_parameter(request, "tail", TAIL_DEFAULT, PAGE_MAX)
        tables = supabase.engine.schema.tables
        answer: dict[str, Any] = {
            "time_s": round(stage.time_s(), 6),
            "channels": [
                {
                    "login": channel.login,
                    "id": channel.id,
                    "joined": list(stage.irc.in_channel(channel.login)),
                    "moderators": list(channel.moderators),
                }
                for channel in stage.twitch.channels.values()
            ],
            "connected": list(stage.irc.connected),
            "eventsub_connected": list(stage.eventsub.connected),
            "irc": dict(sorted(stage.irc.stats.items())),
            "eventsub": dict(sorted(stage.eventsub.stats.items())),
            "web": dict(sorted(stage.web.stats.items())),
            "transcript": [_message(said) for said in _last(stage.recent, tail)],
            "tables": {name: len(supabase.rows(name)) for name in tables},
            "requests": {
                "attempts": supabase.attempts_total,
                "total": supabase.requests_total,
                "by_path": dict(sorted(supabase.requests_by_path.items())),
                "last": [asdict(record) for record in _last(supabase.requests, tail)],
            },
            "saves": {
                "total": supabase.saves_total,
                "last": [asdict(record) for record in _last(supabase.saves, tail)],
            },
            "faults": stage.faults.to_json(),
        }
        table = request.query_params.get("table")
        if table is not None:
            if table not in tables:
                raise BadRequest(f"there is no table {table!r}; there are: {', '.join(tables)}")
            answer["rows"] = supabase.rows(table)
        return JSONResponse(answer)


def _message(said: Said) -> dict[str, Any]:
    return {"number": said.number, **msgspec.structs.asdict(said.message)}


def _last(items: typing.Iterable[Any], count: int) -> list[Any]:
    return list(items)[-count:] if count else []
