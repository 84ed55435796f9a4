"""A client that nobody here wrote: TwitchIO 3's own websocket and models, unmodified, against the fake."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from simulator.loop import in_virtual_time
from simulator.twitch.eventsub_types import fired
from tests.simulator.twitch.eventsub_rig import CHAT, Listener, Place, eventsub

twitchio_websockets = pytest.importorskip("twitchio.eventsub.websockets")
twitchio_models = pytest.importorskip("twitchio.models.eventsub_")


class Ears:
    """What a TwitchIO client is to its websocket: a table of sockets, and somebody who hears events."""

    def __init__(self) -> None:
        self._websockets: dict[str, dict[str, Any]] = {"bot": {}}
        self.heard: list[tuple[str, Any]] = []
        self._more = asyncio.Event()

    def dispatch(self, event: str, payload: Any = None) -> None:
        self.heard.append((event, payload))
        self._more.set()

    async def until(self, event: str) -> Any:
        """Return the payload of the first event of this name that has not been asked for, within 60 s."""
        async with asyncio.timeout(60):
            while True:
                for index, (name, payload) in enumerate(self.heard):
                    if name == event:
                        del self.heard[index]
                        return payload
                self._more.clear()
                await self._more.wait()


def socket(ears: Ears) -> Any:
    """Return TwitchIO's websocket; its HTTP client is needed to subscribe again only."""
    return twitchio_websockets.Websocket(client=ears, token_for="bot", http=None, reconnect_attempts=0)


def subscribe_chat(place: Place, session_id: str) -> Any:
    """Subscribe as Helix does."""
    users = place.state.users
    condition = {"broadcaster_user_id": users["alice"].id, "user_id": users["bot"].id}
    return place.server.subscribe(place.token(), CHAT, "1", condition, session_id)


@in_virtual_time(hybrid=True)
async def test_twitchio_connects_hears_and_reconnects() -> None:
    """Welcome, a message as its own model, session_reconnect, a message on the new socket, revocation."""
    async with eventsub() as place:
        ears = Ears()
        mine = socket(ears)
        await mine.connect(url=f"{place.url}?keepalive_timeout_seconds=30")
        made = subscribe_chat(place, mine.session_id)
        mine._subscriptions[made.id] = {}
        place.state.say("alice", "carol", "hello Kappa @bot")
        heard = await ears.until("message")
        assert (heard.chatter.name, heard.text) == ("carol", "hello Kappa @bot")
        assert [fragment.type for fragment in heard.fragments] == ["text", "emote", "text", "mention"]
        place.server.session_reconnect()
        await ears.until("websocket_welcome")
        await ears.until("websocket_welcome")
        place.state.say("alice", "carol", "hello again")
        assert (await ears.until("message")).text == "hello again"
        assert place.server.stats["reconnects"] == 1
        place.server.revoke(made.id, "user_removed")
        assert (await ears.until("subscription_revoked")).id == made.id


@in_virtual_time(hybrid=True)
async def test_twitchio_answers_pings_and_stays() -> None:
    """An hour of keepalives, the server's pings and its own heartbeat."""
    async with eventsub() as place:
        ears = Ears()
        mine = socket(ears)
        await mine.connect(url=place.url)
        subscribe_chat(place, mine.session_id)
        await asyncio.sleep(3_600)
        assert (mine.connected, place.server.connected) == (True, ("bot",))
        await mine.close()


def everything(place: Place) -> list[Callable[[], object]]:
    """Verbs that bring about every type, most of them twice."""
    state, life = place.state, place.life
    return [
        lambda: state.say("alice", "carol", "first", message_id="m-1"),
        lambda: state.say("alice", "bot", "second", reply_to="m-1"),
        lambda: state.say("alice", "carol", "waves", is_action=True),
        lambda: life.cheer("alice", "carol", 100, "great"),
        lambda: state.subscribe("alice", "carol", plan="Prime"),
        lambda: state.subscribe("alice", "carol", months=7, text="Kappa"),
        lambda: life.gift("alice", "carol", ("dave",)),
        lambda: life.gift("alice", "carol", ("dave", "erin")),
        lambda: state.raid("alice", "bob", 42),
        lambda: state.announce("alice", "bot", "hear"),
        lambda: state.delete_message("m-1"),
        lambda: state.timeout("alice", "dave", 60, reason="spam"),
        lambda: state.unban("alice", "dave"),
        lambda: state.ban("alice", "dave"),
        lambda: state.clear_chat("alice"),
        lambda: state.set_modes("alice", slow_s=10),
        lambda: life.follow("alice", "carol"),
        lambda: life.update("alice", title="new"),
        lambda: life.go_live("alice"),
        lambda: life.go_offline("alice"),
        lambda: state.set_role("alice", "dave", "moderator"),
        lambda: state.set_role("alice", "dave", None),
    ]


async def subscribe_all(place: Place, mine: Listener) -> None:
    """Subscribe to every type as alice, who may."""
    alice = place.state.user("alice").id
    token = place.token("alice")
    for kind in fired():
        condition = {field: alice for field in kind.fields if field != "from_broadcaster_user_id"}
        mine.subscribe(kind.name, kind.version, token=token, **condition)


@in_virtual_time(hybrid=True)
async def test_twitchios_models_read_every_event() -> None:
    """Its models index the fields they need: a missing one is a KeyError."""
    async with eventsub() as place, place.listener() as mine:
        await subscribe_all(place, mine)
        for act in everything(place):
            act()
        place.state.say("alice", "carol", "the end", message_id=str(random.Random(1).random()))
        seen: dict[str, None] = {}
        while True:
            message = await mine.next("notification")
            kind = message["metadata"]["subscription_type"]
            model = twitchio_models.create_event_instance(kind, message, http=None)
            assert model.metadata.message_timestamp.year == 2023
            seen[kind] = None
            if message["payload"]["event"].get("message", {}) and "the end" in str(
                message["payload"]["event"]
            ):
                break
        assert sorted(seen) == sorted(kind.name for kind in fired())
