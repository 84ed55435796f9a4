"""Helix about EventSub: Create, Get and Delete EventSub Subscription, for the transports websocket and conduit.

Source: dev.twitch.tv/docs/api/reference and …/docs/eventsub/handling-websocket-events. Rules beyond those of `helix_call`:

- a subscription on a WebSocket needs a user's token; an app's gets 400 "invalid transport and auth combination" (recorded), as does a
  user's for conduits and for webhooks, which this fake does not have at all and says so to an app.
- whether type, version, condition, scopes, limits and cost are right is the business of the `EventSubscriptions` behind, whose refusals pass
  through; it answers 202 with the subscription, the total, its cost and the highest cost.
- Get lists those of the token's app and user, or (an app's token) of the app's conduits, 100 a page; at most one filter of status, type,
  user_id, subscription_id, conduit_id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from simulator.twitch.credentials import Token
from simulator.twitch.eventsub_subscriptions import APP_MAX_TOTAL_COST, SubscriptionRefused
from simulator.twitch.helix_call import Endpoints, HelixCall
from simulator.twitch.pagination import page_request
from simulator.twitch.web_exchange import Answer, Refused

PAGE_MAX = 100  # documented for the list of subscriptions
FILTERS = ("status", "type", "user_id", "subscription_id", "conduit_id")
STATUSES = (
    "enabled",
    "authorization_revoked",
    "moderator_removed",
    "user_removed",
    "chat_user_banned",
    "version_removed",
    "beta_maintenance",
    "websocket_disconnected",
    "websocket_failed_ping_pong",
    "websocket_received_inbound_traffic",
    "websocket_connection_unused",
    "websocket_internal_error",
    "websocket_network_timeout",
    "websocket_network_error",
    "websocket_failed_to_reconnect",
    "conduit_deleted",
)

# Recorded.
_COMBINATION = "invalid transport and auth combination"
_ONE_FILTER = (
    "The request may specify only one filter query parameter. For example, either type or status or user_id."
)

# Where a transport's events go, and what the reference calls it.
_PLACES: Mapping[str, tuple[str, str]] = {
    "websocket": ("session_id", "WebSocket"),
    "conduit": ("conduit_id", "Conduit"),
}


class EventSubscription(Protocol):
    """One subscription, as Helix shows it."""

    def to_json(self) -> Mapping[str, Any]:
        """Return id, status, type, version, condition, created_at, transport and cost."""


class EventSubscriptions(Protocol):
    """What this face needs of the EventSub server."""

    @property
    def max_total_cost(self) -> int:
        """The highest cost of one app and user."""

    def subscribe(
        self, token: Token, type_: str, version: str, condition: Mapping[str, str], session_id: str, /
    ) -> EventSubscription:
        """Make a subscription; raises `SubscriptionRefused`."""

    def unsubscribe(self, client_id: str, subscription_id: str, /) -> bool:
        """End a subscription of the app; say whether there was one."""

    def subscriptions(self, client_id: str, login: str, /) -> Sequence[EventSubscription]:
        """Return the subscriptions of the app and user, oldest first."""

    def total_cost(self, client_id: str, login: str, /) -> int:
        """Return what they cost together."""


class ConduitSubscriptions(Protocol):
    """What this face needs of the conduits."""

    def subscribe(
        self, token: Token, type_: str, version: str, condition: Mapping[str, str], conduit_id: str, /
    ) -> EventSubscription:
        """Make a subscription on a conduit; raises `SubscriptionRefused`."""


class HelixEventSub:
    """The endpoints, over the server that holds the connections and the conduits."""

    def __init__(self, server: EventSubscriptions, conduits: ConduitSubscriptions) -> None:
        self._server = server
        self._conduits = conduits

    def endpoints(self) -> Endpoints:
        """Return the table of this area."""
        return {
            ("POST", "eventsub/subscriptions"): self._create,
            ("GET", "eventsub/subscriptions"): self._show,
            ("DELETE", "eventsub/subscriptions"): self._delete,
        }

    def _create(self, call: HelixCall) -> Answer:
        body = call.request.json
        transport = body.get("transport")
        if not isinstance(transport, Mapping):
            raise Refused(400, "The transport field is required.")
        method, condition = transport.get("method"), body.get("condition")
        if method not in ("websocket", "webhook", "conduit"):
            raise Refused(400, "The value specified in the method field is not valid.")
        if (method == "websocket") != (call.me is not None):
            raise Refused(400, _COMBINATION)
        if method == "webhook":
            raise Refused(
                400,
                "this fake Twitch has no webhooks: subscribe with a websocket and a user token, or on a conduit",
            )
        if not isinstance(condition, Mapping) or not condition:
            raise Refused(400, "The condition field is required.")
        field, name = _PLACES[method]
        place = transport.get(field)
        if not isinstance(place, str) or not place:
            raise Refused(400, f"The {field} field is required if you specify the {name} transport method.")
        subscribe = self._server.subscribe if method == "websocket" else self._conduits.subscribe
        wanted = {str(name): str(value) for name, value in condition.items() if value is not None}
        try:
            made = subscribe(
                call.token, str(body.get("type", "")), str(body.get("version", "")), wanted, place
            )
        except SubscriptionRefused as refused:
            raise Refused(refused.status, refused.message, error=refused.error) from refused
        return Answer(202, {"data": [dict(made.to_json())], **self._totals(call.token)})

    def _show(self, call: HelixCall) -> Answer:
        given = [name for name in FILTERS if call.text(name)]
        if len(given) > 1:
            raise Refused(400, _ONE_FILTER)
        if call.text("status") and call.text("status") not in STATUSES:
            raise Refused(400, "The value in the status query parameter is not valid.")
        page = page_request("", call.text("after"), "", default=PAGE_MAX, largest=PAGE_MAX)
        mine = self._server.subscriptions(call.token.client_id, call.token.login)
        listed = [dict(one.to_json()) for one in mine]
        if given:
            listed = [one for one in listed if _matches(one, given[0], call.text(given[0]))]
        shown, pagination = page.cut(listed)
        return Answer(body={"data": shown, **self._totals(call.token), "pagination": pagination})

    def _delete(self, call: HelixCall) -> Answer:
        if not self._server.unsubscribe(call.token.client_id, call.required("id")):
            raise Refused(404, "subscription not found")
        return Answer(204)

    def _totals(self, token: Token) -> dict[str, int]:
        return {
            "total": len(self._server.subscriptions(token.client_id, token.login)),
            "total_cost": self._server.total_cost(token.client_id, token.login),
            "max_total_cost": self._server.max_total_cost if token.kind == "user" else APP_MAX_TOTAL_COST,
        }


def _matches(listed: Mapping[str, Any], name: str, value: str) -> bool:
    if name == "user_id":
        return value in listed["condition"].values()
    if name == "conduit_id":
        return bool(listed["transport"].get(name) == value)
    return bool(listed["id" if name == "subscription_id" else name] == value)
