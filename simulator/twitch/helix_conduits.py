"""Helix about conduits: Get, Create, Update and Delete Conduits, Get and Update Conduit Shards.

Source: dev.twitch.tv/docs/api/reference/conduits; the rules are those of `conduits`. Here:

- all of it takes an app's own token, and shows that app's conduits alone; another app's is 404 "not found" (recorded, twitchdev/issues#940);
- parameters in the query or in the body (twitchio puts even `shard_count` in the query), a missing one is named (recorded, issues#1009);
- a list of shards may be cut into pages of 100 and filtered by one status;
- Update Conduit Shards answers 202 with the shards that were updated and an error for each that was not; a shard without an id makes the
  whole request 400 'Missing required parameter ""' (recorded, issues#1200, as it is).

Left out: webhooks as transports, refused aloud.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from simulator.twitch.conduits import ConduitRefused, Conduits
from simulator.twitch.helix_call import Endpoints, HelixCall
from simulator.twitch.helix_eventsub import STATUSES
from simulator.twitch.web_exchange import Answer, Refused

PAGE_MAX = 100  # documented for lists of EventSub
SHARD_STATUSES = tuple(
    status for status in STATUSES if status.startswith("websocket_") or status == "enabled"
)


class HelixConduits:
    """The endpoints."""

    def __init__(self, conduits: Conduits) -> None:
        self._conduits = conduits

    def endpoints(self) -> Endpoints:
        """Return the table of this area."""
        return {
            ("GET", "eventsub/conduits"): self._show,
            ("POST", "eventsub/conduits"): self._create,
            ("PATCH", "eventsub/conduits"): self._update,
            ("DELETE", "eventsub/conduits"): self._delete,
            ("GET", "eventsub/conduits/shards"): self._shards,
            ("PATCH", "eventsub/conduits/shards"): self._assign,
        }

    def _show(self, call: HelixCall) -> Answer:
        return Answer(body={"data": [conduit.to_json() for conduit in self._conduits.of(call.as_app())]})

    def _create(self, call: HelixCall) -> Answer:
        client_id = call.as_app()
        with _refusals():
            return Answer(body={"data": [self._conduits.create(client_id, _shard_count(call)).to_json()]})

    def _update(self, call: HelixCall) -> Answer:
        client_id, conduit_id = call.as_app(), _needed(call, "id")
        with _refusals():
            conduit = self._conduits.resize(client_id, conduit_id, _shard_count(call))
        return Answer(body={"data": [conduit.to_json()]})

    def _delete(self, call: HelixCall) -> Answer:
        client_id, conduit_id = call.as_app(), _needed(call, "id")
        with _refusals():
            self._conduits.delete(client_id, conduit_id)
        return Answer(204)

    def _shards(self, call: HelixCall) -> Answer:
        client_id, conduit_id, status = call.as_app(), _needed(call, "conduit_id"), call.text("status")
        if status and status not in SHARD_STATUSES:
            raise Refused(400, "The value in the status query parameter is not valid.")
        page = call.page(default=PAGE_MAX, largest=PAGE_MAX)
        with _refusals():
            shards = self._conduits.shards(client_id, conduit_id)
        shown, pagination = page.cut([shard for shard in shards if status in ("", shard.status)])
        return Answer(body={"data": [shard.to_json() for shard in shown], "pagination": pagination})

    def _assign(self, call: HelixCall) -> Answer:
        client_id, conduit_id = call.as_app(), _needed(call, "conduit_id")
        given = call.request.json.get("shards")
        if not isinstance(given, list) or not given:
            raise Refused(400, 'Missing required parameter "shards"')
        with _refusals():
            updated, errors = self._conduits.assign(client_id, conduit_id, [_wanted(one) for one in given])
        body = {
            "data": [shard.to_json() for shard in updated],
            "errors": [error.to_json() for error in errors],
        }
        return Answer(202, body)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ConduitRefused as refused:
        raise Refused(refused.status, refused.message) from refused


def _needed(call: HelixCall, name: str) -> str:
    value = call.either(name)
    if not isinstance(value, str) or not value:
        raise Refused(400, f'Missing required parameter "{name}"')
    return value


def _shard_count(call: HelixCall) -> int:
    """Return the count, 0 (which is out of range) where it is no number."""
    given = call.either("shard_count")
    if given is None:
        raise Refused(400, 'Missing required parameter "shard_count"')
    if isinstance(given, str) and given.isascii() and given.isdecimal():
        return int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) else 0


def _wanted(given: Any) -> tuple[str, str]:
    """Return the id and the session of one entry of `shards`."""
    shard = given if isinstance(given, Mapping) else {}
    transport = shard.get("transport")
    if not isinstance(shard.get("id"), str) or not shard["id"] or not isinstance(transport, Mapping):
        raise Refused(400, 'Missing required parameter ""')
    if transport.get("method") == "webhook":
        raise Refused(400, "this fake Twitch has no webhooks: assign the session of a websocket to the shard")
    session_id = transport.get("session_id")
    if transport.get("method") != "websocket" or not isinstance(session_id, str) or not session_id:
        raise Refused(400, 'Missing required parameter ""')
    return shard["id"], session_id
