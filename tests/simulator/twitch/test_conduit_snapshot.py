"""Conduits in a snapshot: taken and put back exactly, with what became of their sessions meanwhile."""

from __future__ import annotations

from typing import Any

from simulator.twitch.conduit_snapshot import restore_conduits, take_conduits
from simulator.twitch.conduits import Conduits
from tests.simulator.twitch.test_conduits import APP, Plant


def shown(conduits: Conduits) -> list[dict[str, Any]]:
    return [part.model_dump(mode="json") for part in take_conduits(conduits)]


def busy() -> Plant:
    """Two conduits, one with a shard of each kind and a subscription."""
    plant = Plant()
    conduit = plant.made("one", "two", shard_count=3)
    plant.conduits.session_ended("two", "websocket_failed_ping_pong")
    plant.subscribe(conduit, "stream.online", broadcaster_user_id=plant.state.user("alice").id)
    plant.conduits.create(APP, 9)
    return plant


def test_what_was_taken_is_put_back_exactly_while_its_sessions_live() -> None:
    """Also after it was changed; the subscription delivers under its old id, once."""
    plant = busy()
    before = shown(plant.conduits)
    parts = take_conduits(plant.conduits)
    for conduit in plant.conduits.everything():
        plant.conduits.delete(APP, conduit.id)
    plant.conduits.create(APP, 4)
    restore_conduits(plant.conduits, parts, lambda session: session == "one")
    assert shown(plant.conduits) == before
    (subscription,) = plant.book.everyone()
    assert plant.conduits.route(subscription) in ("one", "")
    assert [one.id for one in plant.book.listed(APP, "")] == [subscription.id]


def test_a_shard_whose_session_is_gone_comes_back_disabled() -> None:
    """The other one keeps what it had."""
    plant = busy()
    parts = take_conduits(plant.conduits)
    restore_conduits(plant.conduits, parts, lambda _: False)
    statuses = [shard["status"] for shard in shown(plant.conduits)[0]["shards"]]
    assert statuses == ["websocket_disconnected", "websocket_failed_ping_pong"]


def test_what_a_snapshot_does_not_name_goes() -> None:
    """Subscriptions with it."""
    plant = busy()
    restore_conduits(plant.conduits, [], lambda _: True)
    assert plant.conduits.everything() == () and plant.book.everyone() == ()
