"""Conduits without sockets, one test a rule of Twitch's: limits, shards, routing, the 72 hours, and who may subscribe."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from simulator.twitch.conduits import (
    CONDUITS_MAX,
    DOWN_MAX_S,
    NO_SESSION,
    OUT_OF_RANGE,
    SHARDS_MAX,
    Conduit,
    ConduitRefused,
    Conduits,
    Shard,
    choices,
)
from simulator.twitch.credentials import DEFAULT_CLIENT_ID, Token
from simulator.twitch.eventsub_subscriptions import (
    Subscription,
    SubscriptionBook,
    SubscriptionRefused,
)
from tests.simulator.twitch.rig import Clock, small_twitch

APP = "cloudapp"


class Plant:
    """Conduits over a small Twitch; sessions exist because a test says so."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.state = small_twitch(self.clock)
        self.state.credentials.add_app("cloud", client_id=APP)
        self.stats: Counter[str] = Counter()
        self.sessions: dict[str, str] = {}  # id -> the app that has it, "" none yet
        self.told: list[tuple[str, str, str]] = []
        self.book = SubscriptionBook(self.state, self._count)
        self.conduits = Conduits(
            self.state,
            self.book,
            random.Random(4),
            now=lambda: f"at {self.clock.now_s:g}",
            claim=self._claim,
            shard_disabled=self._tell,
            count=self._count,
        )

    def _count(self, what: str) -> None:
        self.stats[what] += 1

    def _claim(self, session_id: str, client_id: str) -> str:
        if self.sessions.get(session_id) not in ("", client_id):
            return ""
        self.sessions[session_id] = client_id
        return "before"

    def _tell(self, conduit: Conduit, shard: Shard) -> None:
        self.told.append((conduit.id, str(shard.index), shard.status))

    def made(self, *sessions: str, shard_count: int = 0) -> Conduit:
        """A conduit with a shard for each session."""
        conduit = self.conduits.create(APP, shard_count or len(sessions) or 1)
        self.sessions |= dict.fromkeys(sessions, "")
        wanted = [(str(index), session) for index, session in enumerate(sessions)]
        assert self.conduits.assign(APP, conduit.id, wanted)[1] == []
        return conduit

    def token(self) -> Token:
        return self.state.credentials.issue_app(APP)

    def chat(self, channel: str = "alice") -> dict[str, str]:
        return {"broadcaster_user_id": self.state.user(channel).id, "user_id": self.state.user("bot").id}

    def consent(self, login: str, *scopes: str) -> None:
        self.state.credentials.issue_user(APP, login, scopes)

    def subscribe(
        self, conduit: Conduit, kind: str = "channel.chat.message", **condition: str
    ) -> Subscription:
        return self.conduits.subscribe(self.token(), kind, "1", condition or self.chat(), conduit.id)

    def refusal(self, *args: Any, **condition: str) -> tuple[int, str]:
        with pytest.raises(SubscriptionRefused) as refusal:
            self.subscribe(*args, **condition)
        return refusal.value.status, refusal.value.message


def refused(act: Any, *args: Any) -> tuple[int, str]:
    with pytest.raises(ConduitRefused) as refusal:
        act(*args)
    return refusal.value.status, refusal.value.message


# -- limits -------------------------------------------------------------------------------------------------------------------------


def test_five_conduits_for_each_app() -> None:
    """The sixth is 429; another app has five of its own, and a deleted one makes room."""
    plant = Plant()
    made = [plant.conduits.create(APP, 1) for _ in range(CONDUITS_MAX)]
    assert refused(plant.conduits.create, APP, 1)[0] == 429
    plant.conduits.create(DEFAULT_CLIENT_ID, 1)
    plant.conduits.delete(APP, made[0].id)
    plant.conduits.create(APP, 1)
    assert [one.client_id for one in plant.conduits.of(APP)] == [APP] * CONDUITS_MAX


@pytest.mark.parametrize("count", [-1, 0, SHARDS_MAX + 1])
def test_one_to_20000_shards(count: int) -> None:
    """Also when the number is changed; a count that is refused changes nothing."""
    plant = Plant()
    assert refused(plant.conduits.create, APP, count)[0] == 400
    conduit = plant.conduits.create(APP, SHARDS_MAX)
    assert refused(plant.conduits.resize, APP, conduit.id, count)[0] == 400
    assert conduit.shard_count == SHARDS_MAX


def test_another_apps_conduit_is_not_found() -> None:
    """In the recorded words, whatever is asked of it."""
    plant = Plant()
    conduit = plant.made("one")
    missing = (404, "not found")
    assert refused(plant.conduits.find, DEFAULT_CLIENT_ID, conduit.id) == missing
    assert refused(plant.conduits.resize, DEFAULT_CLIENT_ID, conduit.id, 2) == missing
    assert refused(plant.conduits.delete, DEFAULT_CLIENT_ID, conduit.id) == missing
    assert refused(plant.conduits.assign, DEFAULT_CLIENT_ID, conduit.id, [("0", "one")]) == missing
    assert refused(plant.conduits.shards, APP, "nonsense") == missing


# -- shards -------------------------------------------------------------------------------------------------------------------------


def test_a_shard_takes_the_session_that_was_assigned_last() -> None:
    """Listed by id, those with a transport alone; several may share a session."""
    plant = Plant()
    conduit = plant.conduits.create(APP, 12)
    plant.sessions |= {"one": "", "two": ""}
    plant.conduits.assign(APP, conduit.id, [("10", "one"), ("2", "one"), ("2", "two"), ("0", "two")])
    shown = [shard.to_json() for shard in plant.conduits.shards(APP, conduit.id)]
    assert [(one["id"], one["transport"]["session_id"]) for one in shown] == [
        ("0", "two"),
        ("2", "two"),
        ("10", "one"),
    ]
    assert shown[0] == {
        "id": "0",
        "status": "enabled",
        "transport": {"method": "websocket", "session_id": "two", "connected_at": "before"},
    }


@pytest.mark.parametrize("shard_id", ["2", "-1", "x", "", "²"])
def test_a_shard_outside_the_range_is_an_error_of_its_own(shard_id: str) -> None:
    """In the reference's words; the others of the request are updated."""
    plant = Plant()
    conduit = plant.made("one", "two")
    updated, errors = plant.conduits.assign(APP, conduit.id, [(shard_id, "one"), ("1", "one")])
    assert [shard.index for shard in updated] == [1]
    assert [error.to_json() for error in errors] == [
        {"id": shard_id, "message": OUT_OF_RANGE, "code": "invalid_parameter"}
    ]


def test_a_session_that_is_gone_or_somebody_elses_is_an_error_of_its_own() -> None:
    """The shard keeps what it had."""
    plant = Plant()
    conduit = plant.made("one")
    plant.sessions["theirs"] = DEFAULT_CLIENT_ID
    for session in ("gone", "theirs"):
        updated, errors = plant.conduits.assign(APP, conduit.id, [("0", session)])
        assert (updated, [error.message for error in errors]) == ([], [NO_SESSION])
    assert conduit.shards[0].session_id == "one"


def test_fewer_shards_drop_those_above() -> None:
    """And more of them bring nothing back."""
    plant = Plant()
    conduit = plant.made("one", "two", "three")
    plant.conduits.resize(APP, conduit.id, 1)
    assert [shard.index for shard in plant.conduits.shards(APP, conduit.id)] == [0]
    plant.conduits.resize(APP, conduit.id, 3)
    assert [shard.index for shard in plant.conduits.shards(APP, conduit.id)] == [0]


def test_a_session_that_ends_disables_its_shards_with_its_status() -> None:
    """Each is told of once; the others and the conduit stay; a new session enables the shard again."""
    plant = Plant()
    conduit = plant.made("one", "two")
    plant.clock.now_s = 5.0
    plant.conduits.session_ended("one", "websocket_failed_ping_pong")
    plant.conduits.session_ended("one", "websocket_disconnected")
    assert plant.told == [(conduit.id, "0", "websocket_failed_ping_pong")]
    assert conduit.shards[0].to_json()["transport"]["disconnected_at"] == "at 5"
    assert conduit.shards[1].status == "enabled"
    plant.sessions["three"] = ""
    plant.conduits.assign(APP, conduit.id, [("0", "three")])
    assert conduit.shards[0].status == "enabled"
    assert conduit.event_of(conduit.shards[0]) == {
        "conduit_id": conduit.id,
        "shard_id": "0",
        "status": "enabled",
        "transport": {"method": "websocket", "session_id": "three", "connected_at": "before"},
    }


# -- routing ------------------------------------------------------------------------------------------------------------------------


def test_events_of_a_channel_go_to_one_shard_by_a_hash_that_is_the_same_everywhere() -> None:
    """CRC-32 of the id, whose published check value is 0xCBF43926 for "123456789"; no shard is left out."""
    assert choices("123456789", 1_000)[0] == 0xCBF43926 % 1_000
    spread = Counter(choices(str(number), 4)[0] for number in range(1_000))
    assert sorted(spread) == [0, 1, 2, 3]
    assert min(spread.values()) > 150


def test_every_type_about_a_channel_goes_the_same_way() -> None:
    """A raid from it and a message in it: the channel decides, not the subscription."""
    plant = Plant()
    conduit = plant.made(*map(str, range(7)))
    plant.consent("bot", "user:read:chat", "user:bot")
    plant.consent("alice", "channel:bot")
    alice = plant.state.user("alice").id
    chat = plant.subscribe(conduit)
    online = plant.subscribe(conduit, "stream.online", broadcaster_user_id=alice)
    raid = plant.subscribe(conduit, "channel.raid", from_broadcaster_user_id=alice)
    expected = str(choices(alice, 7)[0])
    assert [plant.conduits.route(one) for one in (chat, online, raid)] == [expected] * 3


def test_a_disabled_shards_event_gets_one_try_on_another_shard() -> None:
    """Always the same other one; when that is disabled too, the event is dropped, though a third would take it."""
    plant = Plant()
    conduit = plant.made("0", "1", "2")
    online = plant.subscribe(conduit, "stream.online", broadcaster_user_id=plant.state.user("alice").id)
    first, second = map(str, choices(online.subject, 3))
    assert first != second
    assert plant.conduits.route(online) == first
    plant.conduits.session_ended(first, "websocket_disconnected")
    assert plant.conduits.route(online) == second
    plant.conduits.session_ended(second, "websocket_disconnected")
    assert plant.conduits.route(online) == ""
    assert plant.conduits.shards(APP, conduit.id)[3 - int(first) - int(second)].status == "enabled"


def test_a_shard_without_a_transport_counts_as_disabled() -> None:
    """With one shard there is no other to try."""
    plant = Plant()
    conduit = plant.conduits.create(APP, 1)
    online = plant.subscribe(conduit, "stream.online", broadcaster_user_id=plant.state.user("alice").id)
    assert plant.conduits.route(online) == ""
    assert choices("anything", 1) == (0,)


# -- the end ------------------------------------------------------------------------------------------------------------------------


def test_a_conduit_without_an_enabled_shard_for_72_hours_is_deleted() -> None:
    """From the moment when the last one went down, or from its creation; a shard that comes back in time starts the count anew."""
    plant = Plant()
    conduit, unused = plant.made("one"), plant.conduits.create(APP, 1)
    online = plant.subscribe(conduit, "stream.online", broadcaster_user_id=plant.state.user("alice").id)
    plant.clock.now_s = 100.0
    plant.conduits.session_ended("one", "websocket_disconnected")
    plant.clock.now_s = DOWN_MAX_S
    assert plant.conduits.of(APP) == [conduit] and unused not in plant.conduits.everything()
    plant.sessions["two"] = ""
    plant.conduits.assign(APP, conduit.id, [("0", "two")])
    plant.clock.now_s = 3 * DOWN_MAX_S
    assert plant.conduits.of(APP) == [conduit]
    plant.conduits.session_ended("two", "websocket_disconnected")
    plant.clock.now_s += DOWN_MAX_S
    assert plant.conduits.route(online) == ""
    assert (plant.conduits.of(APP), online.status) == ([], "conduit_deleted")


def test_a_deleted_conduit_disables_its_subscriptions() -> None:
    """Those of another conduit stay."""
    plant = Plant()
    first, second = plant.made("one"), plant.made("two")
    alice = plant.state.user("alice").id
    ended = plant.subscribe(first, "stream.online", broadcaster_user_id=alice)
    kept = plant.subscribe(second, "stream.online", broadcaster_user_id=alice)
    plant.conduits.delete(APP, first.id)
    assert (ended.status, kept.status) == ("conduit_deleted", "enabled")
    assert plant.book.listed(APP, "") == [ended, kept]


# -- subscriptions ------------------------------------------------------------------------------------------------------------------

AUTHORIZATION = (403, "subscription missing proper authorization")


def test_a_subscription_on_a_conduit_needs_the_apps_token() -> None:
    """A user's gets the recorded words."""
    plant = Plant()
    conduit = plant.made("one")
    user = plant.state.credentials.issue_user(APP, "bot", ("*",))
    with pytest.raises(SubscriptionRefused) as refusal:
        plant.conduits.subscribe(user, "channel.chat.message", "1", plant.chat(), conduit.id)
    assert refusal.value.message == "invalid transport and auth combination"
    plant.consent("alice", "channel:bot")
    made = plant.subscribe(conduit)
    assert made.to_json() == {
        "id": made.id,
        "status": "enabled",
        "type": "channel.chat.message",
        "version": "1",
        "cost": 0,
        "condition": plant.chat(),
        "transport": {"method": "conduit", "conduit_id": conduit.id},
        "created_at": "at 0",
    }


def test_chat_on_a_conduit_needs_user_read_chat_and_user_bot_and_channel_bot() -> None:
    """Each of the three is missed; moderating replaces the last one."""
    plant = Plant()
    conduit = plant.made("one")
    assert plant.refusal(conduit) == AUTHORIZATION
    plant.consent("bot", "user:read:chat")
    plant.consent("alice", "channel:bot")
    assert plant.refusal(conduit) == AUTHORIZATION
    plant.consent("bot", "user:bot")
    plant.subscribe(conduit)
    assert plant.refusal(conduit, **plant.chat("bob")) == AUTHORIZATION
    plant.state.set_role("bob", "bot", "moderator")
    plant.subscribe(conduit, **plant.chat("bob"))


def test_a_consent_to_a_conduit_outlives_the_tokens_it_came_with() -> None:
    """Revoked and run out: what was granted counts."""
    plant = Plant()
    conduit = plant.made("one")
    token = plant.state.credentials.issue_user(APP, "bot", ("user:read:chat", "user:bot"))
    plant.state.credentials.revoke(token.access)
    plant.state.credentials.expire(plant.state.credentials.issue_user(APP, "alice", ("channel:bot",)).access)
    plant.subscribe(conduit)
    plant.state.credentials.disconnect(APP, "bot")
    assert plant.refusal(plant.made("two")) == AUTHORIZATION


def test_what_belongs_to_the_broadcaster_needs_their_consent_to_this_app() -> None:
    """Not a token of theirs; another app's consent does not count."""
    plant = Plant()
    conduit = plant.made("one")
    alice = plant.state.user("alice").id
    plant.state.credentials.issue_user(DEFAULT_CLIENT_ID, "alice", ("channel:moderate",))
    assert plant.refusal(conduit, "channel.ban", broadcaster_user_id=alice) == AUTHORIZATION
    plant.consent("alice", "channel:moderate")
    assert plant.subscribe(conduit, "channel.ban", broadcaster_user_id=alice).cost == 0


def test_a_banned_bot_may_not_read_over_a_conduit_either() -> None:
    """403, as on a WebSocket."""
    plant = Plant()
    conduit = plant.made("one")
    plant.consent("bot", "user:read:chat", "user:bot")
    plant.consent("alice", "channel:bot")
    plant.state.ban("alice", "bot")
    assert plant.refusal(conduit) == AUTHORIZATION


def test_the_same_once_a_conduit_and_three_times_an_app() -> None:
    """409 on one conduit, 429 over all of them; another channel is another thing."""
    plant = Plant()
    conduits = [plant.made(name) for name in "abcd"]
    alice, bob = plant.state.user("alice").id, plant.state.user("bob").id
    for conduit in conduits[:3]:
        plant.subscribe(conduit, "stream.online", broadcaster_user_id=alice)
    assert plant.refusal(conduits[0], "stream.online", broadcaster_user_id=alice)[0] == 409
    assert plant.refusal(conduits[3], "stream.online", broadcaster_user_id=alice)[0] == 429
    plant.subscribe(conduits[3], "stream.online", broadcaster_user_id=bob)


def test_a_conduit_has_more_than_300_subscriptions_and_more_than_a_cost_of_10() -> None:
    """The limits of sockets are not its."""
    plant = Plant()
    conduit = plant.made("one")
    for number in range(301):
        room = plant.state.add_channel(f"room{number}")
        plant.subscribe(conduit, "stream.online", broadcaster_user_id=room.id)
    assert plant.book.total_cost(APP, "") == 301


def test_the_subscriptions_of_an_app_cost_10000_at_most() -> None:
    """Over all of its conduits."""
    plant = Plant()
    one, other = plant.made("one"), plant.made("two")
    rooms = [plant.state.add_channel(f"room{number}").id for number in range(3)]
    plant.subscribe(one, "stream.online", broadcaster_user_id=rooms[0]).cost = 9_999  # as if of many channels
    plant.subscribe(other, "stream.online", broadcaster_user_id=rooms[1])
    assert plant.refusal(other, "stream.online", broadcaster_user_id=rooms[2]) == (
        429,
        "total cost of subscriptions would exceed 10000",
    )


def test_conduit_shard_disabled_is_for_the_app_in_its_condition() -> None:
    """Of all its conduits, or of one; it costs nothing; another app's is refused."""
    plant = Plant()
    conduit = plant.made("one")
    made = plant.subscribe(conduit, "conduit.shard.disabled", client_id=APP, conduit_id=conduit.id)
    assert (made.cost, made.condition) == (0, {"client_id": APP, "conduit_id": conduit.id})
    assert plant.subscribe(conduit, "conduit.shard.disabled", client_id=APP).condition == {"client_id": APP}
    theirs = {"client_id": DEFAULT_CLIENT_ID}
    assert plant.refusal(conduit, "conduit.shard.disabled", **theirs) == AUTHORIZATION
    assert plant.refusal(conduit, "conduit.shard.disabled", conduit_id="x")[0] == 400


def test_a_conduit_that_is_not_the_apps_cannot_be_subscribed_on() -> None:
    """Nor one that does not exist."""
    plant = Plant()
    other = plant.conduits.create(DEFAULT_CLIENT_ID, 1)
    alice = plant.state.user("alice").id
    assert plant.refusal(other, "stream.online", broadcaster_user_id=alice) == (400, "conduit does not exist")
