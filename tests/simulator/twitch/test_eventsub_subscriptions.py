"""Who may subscribe to what, and how often: one test a rule, with Twitch's own words where they were recorded."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from simulator.twitch.credentials import DEFAULT_CLIENT_ID, Token
from simulator.twitch.eventsub_subscriptions import (
    DECLARED_MAX,
    DISABLED_MAX,
    DISABLED_S,
    ENABLED,
    Subscription,
    SubscriptionBook,
    SubscriptionRefused,
)
from tests.simulator.twitch.rig import Clock, small_twitch


class Office:
    """A book of subscriptions, without sockets: every session id exists."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.state = small_twitch(self.clock)
        self.stats: Counter[str] = Counter()
        self.book = SubscriptionBook(self.state, self._count)
        self._made = 0

    def _count(self, what: str) -> None:
        self.stats[what] += 1

    def id_of(self, login: str) -> str:
        return self.state.add_user(login).id

    def token(self, login: str = "bot", *scopes: str, client_id: str = DEFAULT_CLIENT_ID) -> Token:
        self.state.add_user(login)
        return self.state.credentials.issue_user(client_id, login, scopes or ("*",))

    def chat(self, channel: str = "alice", login: str = "bot") -> dict[str, str]:
        return {"broadcaster_user_id": self.id_of(channel), "user_id": self.id_of(login)}

    def of(self, channel: str = "alice") -> dict[str, str]:
        return {"broadcaster_user_id": self.id_of(channel)}

    def add(
        self,
        name: str,
        version: str,
        condition: dict[str, str],
        token: Token | None = None,
        session: str = "one",
    ) -> Subscription:
        """Subscribe as the server does."""
        token = token or self.token()
        kind = self.book.kind(name, version)
        wanted = self.book.condition(kind, condition)
        self._made += 1
        subscription = Subscription(
            id=f"subscription-{self._made}",
            kind=kind,
            condition=wanted,
            client_id=token.client_id,
            login=token.login,
            session_id=session,
            cost=self.book.cost(kind, wanted, token.client_id),
            created_at="then",
            connected_at="before",
        )
        self.book.add(subscription, token)
        return subscription

    def refusal(self, *args: Any, **options: Any) -> tuple[int, str]:
        """Subscribe in vain; return status and words."""
        with pytest.raises(SubscriptionRefused) as refusal:
            self.add(*args, **options)
        return refusal.value.status, refusal.value.message


AUTHORIZATION = (403, "subscription missing proper authorization")


def test_an_unknown_type_or_version_is_400() -> None:
    """In Twitch's words."""
    office = Office()
    assert office.refusal("channel.chat.message", "2", office.chat()) == (
        400,
        "invalid subscription type and version",
    )
    assert office.refusal("channel.tea", "1", office.of())[1] == "invalid subscription type and version"


def test_a_type_that_its_transport_does_not_carry_is_400() -> None:
    """WebSockets carry no consents, conduits nothing that only a test knows."""
    office = Office()
    office.book.declare("channel.party", "1", ("broadcaster_user_id",))
    assert office.book.kind("user.authorization.grant", "1", "conduit").fields == ("client_id",)
    for name, transport in (("user.authorization.grant", "websocket"), ("channel.party", "conduit")):
        with pytest.raises(SubscriptionRefused) as refusal:
            office.book.kind(name, "1", transport)
        assert refusal.value.message == f"{name} is not supported with the transport {transport}"


def test_the_number_of_declared_types_is_bounded() -> None:
    """Each is kept until they are forgotten; then there is room again."""
    office = Office()
    for number in range(DECLARED_MAX):
        office.book.declare(f"channel.party_{number}", "1", ("user_id",))
    with pytest.raises(ValueError, match="100 types that Twitch does not know were sent already"):
        office.book.declare("channel.party", "1", ("user_id",))
    assert office.stats["types_declared"] == DECLARED_MAX
    office.book.forget_declared()
    office.book.declare("channel.party", "1", ("user_id",))


def test_subscriptions_to_types_that_are_forgotten_are_told() -> None:
    """Those to Twitch's own types are not among them."""
    office = Office()
    office.book.declare("channel.party", "1", ("broadcaster_user_id",))
    party = office.add("channel.party", "1", office.of())
    office.add("stream.online", "1", office.of())
    assert office.book.forget_declared() == (party,)


def test_a_reward_in_the_condition_is_optional() -> None:
    """With it and without it are two subscriptions."""
    office = Office()
    name = "channel.channel_points_custom_reward_redemption.add"
    token = office.token("alice")
    office.add(name, "1", office.of(), token)
    one = office.add(name, "1", {**office.of(), "reward_id": "r1"}, token)
    assert one.condition == {**office.of(), "reward_id": "r1"}


def test_what_moderators_do_is_shown_with_every_scope_only() -> None:
    """One is missing: 403."""
    office = Office()
    office.state.set_role("alice", "bot", "moderator")
    condition = {**office.of(), "moderator_user_id": office.id_of("bot")}
    groups = office.book.kind("channel.moderate", "2").scope_groups
    scopes = [group[0] for group in groups]
    with pytest.raises(SubscriptionRefused) as refusal:
        office.add("channel.moderate", "2", condition, office.token("bot", *scopes[:-1]))
    assert refusal.value.status == 403
    office.add("channel.moderate", "2", condition, office.token("bot", *scopes))


def test_events_about_no_channel_find_their_subscriptions_by_the_whole_condition() -> None:
    """An account's own events are open to nobody else, its name is to everybody."""
    office = Office()
    whispers = office.add("user.whisper.message", "1", {"user_id": office.id_of("bot")})
    office.add("user.update", "1", {"user_id": office.id_of("carol")})
    with pytest.raises(SubscriptionRefused):
        office.add("user.whisper.message", "1", {"user_id": office.id_of("carol")})
    assert office.book.hearing("user.whisper.message", (("user_id", office.id_of("bot")),)) == (whispers,)
    assert office.book.hearing("user.update", (("user_id", office.id_of("bot")),)) == ()


def test_a_withdrawn_version_is_410() -> None:
    """channel.follow 1 (twitchdev/issues#1018)."""
    office = Office()
    assert office.refusal("channel.follow", "1", office.of())[0] == 410


def test_a_condition_must_have_its_fields_and_name_accounts() -> None:
    """Each missing field is named; an id that nobody has is too."""
    office = Office()
    status, words = office.refusal("channel.chat.message", "1", office.of())
    assert (status, words) == (400, "condition of channel.chat.message is missing user_id")
    assert office.refusal("stream.online", "1", {"broadcaster_user_id": "1"})[1] == (
        "condition: there is no user 1 (broadcaster_user_id)"
    )
    assert office.refusal("stream.online", "1", {})[0] == 400


def test_a_raid_is_watched_from_one_end() -> None:
    """One of the two fields; the answer shows both; both at once are refused."""
    office = Office()
    alice = office.id_of("alice")
    raided = office.add("channel.raid", "1", {"to_broadcaster_user_id": alice})
    assert raided.to_json()["condition"] == {"to_broadcaster_user_id": alice, "from_broadcaster_user_id": ""}
    both = {"to_broadcaster_user_id": alice, "from_broadcaster_user_id": office.id_of("bob")}
    assert office.refusal("channel.raid", "1", both)[0] == 400
    assert office.refusal("channel.raid", "1", {"broadcaster_user_id": alice})[0] == 400


def test_fields_that_the_type_does_not_know_are_left_out() -> None:
    """As in the answers of the real service."""
    office = Office()
    made = office.add("stream.online", "1", {**office.of(), "user_id": "5"})
    assert made.condition == office.of()


@pytest.mark.parametrize(
    "kind",
    [
        "channel.chat.message",
        "channel.chat.notification",
        "channel.chat.message_delete",
        "channel.chat.clear",
        "channel.chat.clear_user_messages",
    ],
)
def test_chat_needs_user_read_chat_of_the_user_in_the_condition(kind: str) -> None:
    """Not the IRC scope chat:read, and nobody else's token."""
    office = Office()
    assert office.refusal(kind, "1", office.chat(), office.token("bot", "chat:read")) == AUTHORIZATION
    assert office.refusal(kind, "1", office.chat(login="carol"), office.token("bot")) == AUTHORIZATION
    assert office.add(kind, "1", office.chat(), office.token("bot", "user:read:chat")).cost == 0


def test_followers_need_a_moderator_with_the_scope() -> None:
    """moderator:read:followers, and moderating the channel or owning it."""
    office = Office()
    scope = "moderator:read:followers"

    def condition(moderator: str) -> dict[str, str]:
        return {**office.of(), "moderator_user_id": office.id_of(moderator)}

    assert (
        office.refusal("channel.follow", "2", condition("bot"), office.token("bot", scope)) == AUTHORIZATION
    )
    office.state.set_role("alice", "bot", "moderator")
    assert office.refusal("channel.follow", "2", condition("bot"), office.token("bot", "x")) == AUTHORIZATION
    office.add("channel.follow", "2", condition("bot"), office.token("bot", scope))
    office.add("channel.follow", "2", condition("alice"), office.token("alice", scope))


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        ("channel.subscribe", "channel:read:subscriptions"),
        ("channel.subscription.gift", "channel:read:subscriptions"),
        ("channel.subscription.message", "channel:read:subscriptions"),
        ("channel.cheer", "bits:read"),
        ("channel.ban", "channel:moderate"),
        ("channel.unban", "channel:moderate"),
        ("channel.moderator.add", "moderation:read"),
        ("channel.moderator.remove", "moderation:read"),
    ],
)
def test_what_belongs_to_the_broadcaster_needs_their_token(kind: str, scope: str) -> None:
    """Their own, with the scope."""
    office = Office()
    assert office.refusal(kind, "1", office.of(), office.token("bot", scope)) == AUTHORIZATION
    assert office.refusal(kind, "1", office.of(), office.token("alice", "user:read:chat")) == AUTHORIZATION
    office.add(kind, "1", office.of(), office.token("alice", scope))


@pytest.mark.parametrize("kind", [("channel.update", "2"), ("stream.online", "1"), ("stream.offline", "1")])
def test_what_everybody_sees_needs_no_scope(kind: tuple[str, str]) -> None:
    """Any user's token."""
    office = Office()
    office.add(*kind, office.of(), office.token("carol", "unrelated"))


def test_a_ban_and_a_timeout_refuse_chat() -> None:
    """403 as for a missing scope, until it is over."""
    office = Office()
    office.state.timeout("alice", "bot", 60)
    assert office.refusal("channel.chat.message", "1", office.chat()) == AUTHORIZATION
    office.clock.now_s = 61
    office.add("channel.chat.message", "1", office.chat())
    office.state.ban("bob", "bot")
    assert office.refusal("channel.chat.message", "1", office.chat("bob")) == AUTHORIZATION


def test_the_same_type_version_and_condition_in_one_session_is_409() -> None:
    """Another channel, or another type about the same channel, is not the same."""
    office = Office()
    office.add("channel.chat.message", "1", office.chat("alice"))
    office.add("channel.chat.message", "1", office.chat("bob"))
    office.add("channel.chat.notification", "1", office.chat("alice"))
    assert office.refusal("channel.chat.message", "1", office.chat("alice")) == (
        409,
        "subscription already exists",
    )


def test_three_of_the_same_over_all_sessions() -> None:
    """The fourth is 429 in Twitch's words, even where a session is free (its own limit is three as well)."""
    office = Office()
    first = office.add("channel.chat.message", "1", office.chat(), session="one")
    office.add("channel.chat.message", "1", office.chat(), session="two")
    office.add("channel.chat.message", "1", office.chat(), session="three")
    assert office.refusal("channel.chat.message", "1", office.chat(), session="four") == (
        429,
        "maximum subscriptions with type and condition exceeded",
    )
    office.book.disable(first, "websocket_disconnected", "now")
    office.add("channel.chat.message", "1", office.chat(), session="four")


def test_three_sessions_with_enabled_subscriptions() -> None:
    """Per client and user: another user, another app, and a session whose subscriptions ended do not count."""
    office = Office()
    other = office.state.credentials.add_app("other").client_id
    channels = ("alice", "bob", "carol")
    office.state.add_channel("carol")
    for number, channel in enumerate(channels):
        office.add("channel.chat.message", "1", office.chat(channel), session=f"s{number}")
    limit = (429, "number of websocket transports limit exceeded")
    assert office.refusal("channel.chat.clear", "1", office.chat(), session="s3") == limit
    office.add("channel.chat.clear", "1", office.chat(), session="s2")
    office.add("channel.chat.clear", "1", office.chat(login="carol"), office.token("carol"), session="s4")
    office.add("channel.chat.clear", "1", office.chat(), office.token(client_id=other), session="s5")
    for one in office.book.on_transport("s0"):
        office.book.disable(one, "websocket_disconnected", "now")
    office.add("channel.chat.clear", "1", office.chat("bob"), session="s3")


def test_300_subscriptions_in_a_session() -> None:
    """The next is refused; another session takes it."""
    office = Office()
    token = office.token("alice")
    for number in range(300):
        office.state.add_channel(f"room{number}", moderators=("alice",))
        office.add("channel.chat.message", "1", office.chat(f"room{number}", "alice"), token)
    status, words = office.refusal("channel.chat.message", "1", office.chat("alice", "alice"), token)
    assert (status, "300" in words) == (429, True)
    office.add("channel.chat.message", "1", office.chat("alice", "alice"), token, session="two")


def test_a_total_cost_of_10() -> None:
    """Of what nobody consented to: the eleventh is refused, in whichever session."""
    office = Office()
    token = office.token()
    for number in range(11):
        office.state.add_channel(f"room{number}")
    for number in range(10):
        assert office.add("stream.online", "1", office.of(f"room{number}"), token).cost == 1
    assert office.book.total_cost(DEFAULT_CLIENT_ID, "bot") == 10
    assert office.refusal("stream.online", "1", office.of("room10"), token, "two")[0] == 429
    assert office.add("channel.chat.message", "1", office.chat(), token).cost == 0


def test_the_cost_is_0_where_the_user_in_the_condition_has_authorised_the_app() -> None:
    """Any consent to this app counts; one to another app, or one that ended, does not."""
    office = Office()
    bot = office.token()
    other = office.state.credentials.add_app("other").client_id
    office.token("bob", "user:read:chat", client_id=other)
    assert office.add("stream.online", "1", office.of("bob"), bot).cost == 1
    office.token("bob", "user:read:chat")
    assert office.add("stream.offline", "1", office.of("bob"), bot).cost == 0
    office.state.credentials.disconnect(DEFAULT_CLIENT_ID, "bob")
    assert office.add("channel.update", "2", office.of("bob"), bot).cost == 1


def test_chat_of_100_channels() -> None:
    """As on IRC: channels that are moderated, or granted channel:bot, do not count; a second type of one does not either."""
    office = Office()
    token = office.token()
    for number in range(103):
        office.state.add_channel(f"room{number}")
    for number in range(100):
        office.add("channel.chat.message", "1", office.chat(f"room{number}"), token)
    office.add("channel.chat.clear", "1", office.chat("room0"), token)
    assert office.refusal("channel.chat.message", "1", office.chat("room100"), token) == AUTHORIZATION
    office.state.grant_channel_bot("room101", "bot")
    office.state.set_role("room102", "bot", "moderator")
    office.add("channel.chat.message", "1", office.chat("room101"), token)
    office.add("channel.chat.message", "1", office.chat("room102"), token)


def test_events_find_their_subscriptions_by_channel() -> None:
    """Type, field and id; a deleted one is not found any more."""
    office = Office()
    alice, bob = office.id_of("alice"), office.id_of("bob")
    chat = office.add("channel.chat.message", "1", office.chat())
    raid = office.add("channel.raid", "1", {"from_broadcaster_user_id": bob})
    assert office.book.hearing("channel.chat.message", (("broadcaster_user_id", alice),)) == (chat,)
    assert office.book.hearing("channel.chat.message", (("broadcaster_user_id", bob),)) == ()
    about = (("to_broadcaster_user_id", alice), ("from_broadcaster_user_id", bob))
    assert office.book.hearing("channel.raid", about) == (raid,)
    assert not office.book.delete("another-client", chat.id)
    assert office.book.delete(DEFAULT_CLIENT_ID, chat.id)
    assert not office.book.delete(DEFAULT_CLIENT_ID, chat.id)
    assert office.book.hearing("channel.chat.message", (("broadcaster_user_id", alice),)) == ()
    assert office.book.on_transport("one") == (raid,)


def test_disabled_subscriptions_are_listed_for_an_hour() -> None:
    """With their status and the end of their connection; then they are gone, and counted."""
    office = Office()
    first = office.add("channel.chat.message", "1", office.chat())
    second = office.add("channel.chat.clear", "1", office.chat())
    office.book.disable(first, "websocket_disconnected", "now")
    shown = [one.to_json() for one in office.book.listed(DEFAULT_CLIENT_ID, "bot")]
    assert [one["status"] for one in shown] == ["websocket_disconnected", ENABLED]
    assert shown[0]["transport"] == {
        "method": "websocket",
        "session_id": "one",
        "connected_at": "before",
        "disconnected_at": "now",
    }
    assert office.book.listed("another-client") == []
    office.clock.now_s = DISABLED_S
    assert office.book.listed(DEFAULT_CLIENT_ID) == [second]
    assert office.stats["disabled_subscriptions_forgotten"] == 1


def test_memory_of_disabled_subscriptions_is_bounded() -> None:
    """Only the newest stay, however many sessions came and went within the hour."""
    office = Office()
    token = office.token()
    for _ in range(DISABLED_MAX + 20):
        one = office.add("channel.chat.message", "1", office.chat(), token)
        office.book.disable(one, "websocket_disconnected", "now")
    assert len(office.book.listed(DEFAULT_CLIENT_ID)) == DISABLED_MAX
    assert office.stats["disabled_subscriptions_forgotten"] == 20


def test_json_has_every_field_of_helix() -> None:
    """As Create EventSub Subscription answers; messages have the transport without times."""
    office = Office()
    made = office.add("channel.chat.message", "1", office.chat())
    assert made.to_json() == {
        "id": "subscription-1",
        "status": "enabled",
        "type": "channel.chat.message",
        "version": "1",
        "cost": 0,
        "condition": office.chat(),
        "transport": {"method": "websocket", "session_id": "one", "connected_at": "before"},
        "created_at": "then",
    }
    assert made.to_notification()["transport"] == {"method": "websocket", "session_id": "one"}
