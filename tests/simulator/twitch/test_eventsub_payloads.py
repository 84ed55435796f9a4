"""What happens, as events: every type with the fields that Twitch's reference and recorded payloads have."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from simulator.twitch.events import Happening
from simulator.twitch.eventsub_payloads import Occurrence, Scribe
from simulator.twitch.stream_life import StreamLife
from tests.simulator.twitch.rig import Clock, small_twitch

BROADCASTER = ["broadcaster_user_id", "broadcaster_user_login", "broadcaster_user_name"]
USER = ["user_id", "user_login", "user_name"]
SOURCE = ["source_broadcaster_user_id", "source_broadcaster_user_login", "source_broadcaster_user_name"]


class Desk:
    """A state whose happenings are written at once."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.state = small_twitch(self.clock)
        self.life = StreamLife(self.state, random.Random(8))
        self._scribe = Scribe(self.state.emotes, self.state.users)
        self.occurrences: list[Occurrence] = []
        self.state.attach(self._take)

    def _take(self, happening: Happening) -> None:
        self.occurrences += self._scribe.occurrences(happening)

    def after(self, act: Callable[[Desk], object]) -> dict[str, dict[str, Any]]:
        """Return the payloads of what `act` brings about, by type."""
        self.occurrences = []
        act(self)
        return {one.type: one.payload for one in self.occurrences}

    def types(self, act: Callable[[Desk], object]) -> list[str]:
        """Return the types of what `act` brings about, in order."""
        self.occurrences = []
        act(self)
        return [one.type for one in self.occurrences]


def fields(payload: dict[str, Any]) -> list[str]:
    """Return the names, sorted."""
    return sorted(payload)


def test_channel_chat_message() -> None:
    """All fields of the reference; nulls where nothing is."""
    desk = Desk()
    event = desk.after(lambda desk: desk.state.say("alice", "carol", "hi Kappa", message_id="m-1"))[
        "channel.chat.message"
    ]
    assert fields(event) == sorted(
        [
            *BROADCASTER,
            *SOURCE,
            "chatter_user_id",
            "chatter_user_login",
            "chatter_user_name",
            "message_id",
            "source_message_id",
            "is_source_only",
            "message",
            "color",
            "badges",
            "source_badges",
            "message_type",
            "cheer",
            "reply",
            "channel_points_custom_reward_id",
            "channel_points_animation_id",
        ]
    )
    assert (event["broadcaster_user_login"], event["chatter_user_login"]) == ("alice", "carol")
    assert (event["message_id"], event["message_type"], event["color"]) == ("m-1", "text", "")
    assert event["message"]["text"] == "hi Kappa"
    assert [one["type"] for one in event["message"]["fragments"]] == ["text", "emote"]
    assert event["cheer"] is event["reply"] is event["source_badges"] is None


def test_a_reply_shows_parent_and_thread() -> None:
    """The mention before the text as in chat; the thread is that of the first message."""
    desk = Desk()
    desk.state.say("alice", "alice", "first", message_id="m-1")
    desk.state.say("alice", "carol", "second", message_id="m-2", reply_to="m-1")
    event = desk.after(lambda desk: desk.state.say("alice", "bot", "third", reply_to="m-2"))[
        "channel.chat.message"
    ]
    carol, alice = desk.state.user("carol"), desk.state.user("alice")
    assert event["message"]["text"] == "@carol third"
    assert event["message"]["fragments"][0]["mention"]["user_id"] == carol.id
    assert event["reply"] == {
        "parent_message_id": "m-2",
        "parent_message_body": "second",
        "parent_user_id": carol.id,
        "parent_user_login": "carol",
        "parent_user_name": "carol",
        "thread_message_id": "m-1",
        "thread_user_id": alice.id,
        "thread_user_login": "alice",
        "thread_user_name": "Alice",
    }


def test_an_action_is_wrapped_in_the_text_and_bare_in_the_fragments() -> None:
    """As a real event has it (navarr/multi-stream-chat#22)."""
    event = Desk().after(lambda desk: desk.state.say("alice", "carol", "waves", is_action=True))[
        "channel.chat.message"
    ]
    assert event["message"]["text"] == "\x01ACTION waves\x01"
    assert [one["text"] for one in event["message"]["fragments"]] == ["waves"]


def test_a_cheer_is_a_message_and_channel_cheer() -> None:
    """The message has the bits and a cheermote; channel.cheer has who, how many, and the words."""
    desk = Desk()
    seen = desk.after(lambda desk: desk.life.cheer("alice", "carol", 100, "great"))
    assert list(seen) == ["channel.chat.message", "channel.cheer"]
    assert seen["channel.chat.message"]["cheer"] == {"bits": 100}
    assert seen["channel.chat.message"]["message"]["fragments"][0]["cheermote"]["bits"] == 100
    cheer = seen["channel.cheer"]
    assert fields(cheer) == sorted([*BROADCASTER, *USER, "is_anonymous", "message", "bits"])
    assert (cheer["user_login"], cheer["bits"], cheer["message"]) == ("carol", 100, "Cheer100 great")


def test_a_timeout_is_clear_user_messages_and_channel_ban() -> None:
    """With moderator, reason and end; nobody named is the broadcaster."""
    desk = Desk()
    seen = desk.after(lambda desk: desk.state.timeout("alice", "carol", 60, moderator="bot", reason="spam"))
    assert list(seen) == ["channel.chat.clear_user_messages", "channel.ban"]
    assert fields(seen["channel.chat.clear_user_messages"]) == sorted(
        [*BROADCASTER, "target_user_id", "target_user_login", "target_user_name"]
    )
    ban = seen["channel.ban"]
    moderator = ["moderator_user_id", "moderator_user_login", "moderator_user_name"]
    assert fields(ban) == sorted(
        [*BROADCASTER, *USER, *moderator, "reason", "banned_at", "ends_at", "is_permanent"]
    )
    assert (ban["moderator_user_login"], ban["reason"], ban["is_permanent"]) == ("bot", "spam", False)
    assert ban["banned_at"] == "2023-11-14T22:13:20.000000000Z"
    assert ban["ends_at"] == "2023-11-14T22:14:20.000000000Z"


def test_a_ban_is_permanent_and_has_no_end() -> None:
    """ends_at is null, and the moderator is the broadcaster unless named."""
    ban = Desk().after(lambda desk: desk.state.ban("alice", "carol"))["channel.ban"]
    assert (ban["ends_at"], ban["is_permanent"], ban["moderator_user_login"]) == (None, True, "alice")


def test_channel_unban() -> None:
    """Who, and by whom; only where there was a ban."""
    desk = Desk()
    desk.state.ban("alice", "carol")
    unban = desk.after(lambda desk: desk.state.unban("alice", "carol", moderator="bot"))["channel.unban"]
    moderator = ["moderator_user_id", "moderator_user_login", "moderator_user_name"]
    assert fields(unban) == sorted([*BROADCASTER, *USER, *moderator])
    assert desk.types(lambda desk: desk.state.unban("alice", "carol")) == []


def test_channel_chat_clear_and_message_delete() -> None:
    """The room; one message with its author."""
    desk = Desk()
    assert (
        fields(desk.after(lambda desk: desk.state.clear_chat("alice"))["channel.chat.clear"]) == BROADCASTER
    )
    desk.state.say("alice", "carol", "oops", message_id="m-1")
    deleted = desk.after(lambda desk: desk.state.delete_message("m-1"))["channel.chat.message_delete"]
    target = ["target_user_id", "target_user_login", "target_user_name"]
    assert fields(deleted) == sorted([*BROADCASTER, *target, "message_id"])
    assert (deleted["message_id"], deleted["target_user_login"]) == ("m-1", "carol")


def test_channel_chat_settings_update() -> None:
    """All modes, with nulls for the durations of those that are off."""
    event = Desk().after(lambda desk: desk.state.set_modes("alice", slow_s=10, emote_only=True))[
        "channel.chat_settings.update"
    ]
    assert fields(event) == sorted(
        [
            *BROADCASTER,
            "emote_mode",
            "follower_mode",
            "follower_mode_duration_minutes",
            "slow_mode",
            "slow_mode_wait_time_seconds",
            "subscriber_mode",
            "unique_chat_mode",
        ]
    )
    assert (event["slow_mode"], event["slow_mode_wait_time_seconds"], event["emote_mode"]) == (True, 10, True)
    assert (event["follower_mode"], event["follower_mode_duration_minutes"]) == (False, None)


def test_stream_online_offline_and_channel_update() -> None:
    """The stream's id and start; its id when it ends; version 2 of the update."""
    desk = Desk()
    online = desk.after(lambda desk: desk.life.go_live("alice"))["stream.online"]
    assert fields(online) == sorted([*BROADCASTER, "id", "type", "started_at"])
    assert (online["type"], online["started_at"]) == ("live", "2023-11-14T22:13:20.000000000Z")
    offline = desk.after(lambda desk: desk.life.go_offline("alice"))["stream.offline"]
    assert fields(offline) == sorted([*BROADCASTER, "id"])
    assert offline["id"] == online["id"]
    update = desk.after(lambda desk: desk.life.update("alice", title="t", game_id="9", game_name="g"))
    assert fields(update["channel.update"]) == sorted(
        [*BROADCASTER, "title", "language", "category_id", "category_name", "content_classification_labels"]
    )


def test_channel_follow() -> None:
    """Who and when; following again tells nobody."""
    desk = Desk()
    follow = desk.after(lambda desk: desk.life.follow("alice", "carol"))["channel.follow"]
    assert fields(follow) == sorted([*BROADCASTER, *USER, "followed_at"])
    assert desk.types(lambda desk: desk.life.follow("alice", "carol")) == []


def test_a_raid_is_told_to_both_ends_and_to_chat() -> None:
    """channel.raid concerns who raids and who is raided; chat gets a notification."""
    desk = Desk()
    seen = desk.after(lambda desk: desk.state.raid("alice", "bob", 42))
    assert list(seen) == ["channel.chat.notification", "channel.raid"]
    alice, bob = desk.state.user("alice"), desk.state.user("bob")
    assert desk.occurrences[1].about == (
        ("to_broadcaster_user_id", alice.id),
        ("from_broadcaster_user_id", bob.id),
    )
    assert seen["channel.raid"] == {
        "from_broadcaster_user_id": bob.id,
        "from_broadcaster_user_login": "bob",
        "from_broadcaster_user_name": "bob",
        "to_broadcaster_user_id": alice.id,
        "to_broadcaster_user_login": "alice",
        "to_broadcaster_user_name": "Alice",
        "viewers": 42,
    }
    raid = seen["channel.chat.notification"]["raid"]
    assert fields(raid) == sorted([*USER, "viewer_count", "profile_image_url"])
    assert raid["viewer_count"] == 42


def test_channel_chat_notification_has_every_kind_and_one_filled() -> None:
    """The other kinds are null, those of shared chat too."""
    event = Desk().after(lambda desk: desk.state.subscribe("alice", "carol", plan="Prime"))[
        "channel.chat.notification"
    ]
    kinds = [
        "sub",
        "resub",
        "sub_gift",
        "community_sub_gift",
        "gift_paid_upgrade",
        "prime_paid_upgrade",
        "pay_it_forward",
        "raid",
        "unraid",
        "announcement",
        "bits_badge_tier",
        "charity_donation",
        "watch_streak",
        "modiversary",
    ]
    shared = [
        f"shared_chat_{kind}"
        for kind in (
            "sub",
            "resub",
            "sub_gift",
            "community_sub_gift",
            "gift_paid_upgrade",
            "prime_paid_upgrade",
            "pay_it_forward",
            "raid",
            "announcement",
            "modiversary",
        )
    ]
    chatter = ["chatter_user_id", "chatter_user_login", "chatter_user_name", "chatter_is_anonymous"]
    other = ["color", "badges", "source_badges", "system_message", "message_id", "source_message_id"]
    assert fields(event) == sorted(
        [*BROADCASTER, *SOURCE, *chatter, *other, "is_source_only", "message", "notice_type", *kinds, *shared]
    )
    assert event["notice_type"] == "sub"
    assert event["sub"] == {"sub_tier": "1000", "is_prime": True, "duration_months": 1}
    assert [kind for kind in (*kinds, *shared) if event[kind] is not None] == ["sub"]
    assert event["message"] == {"text": "", "fragments": []}


def test_a_first_subscription_is_channel_subscribe_and_a_later_one_is_a_message() -> None:
    """channel.subscribe does not include resubscriptions (documented)."""
    desk = Desk()
    seen = desk.after(lambda desk: desk.state.subscribe("alice", "carol", plan="2000"))
    assert list(seen) == ["channel.chat.notification", "channel.subscribe"]
    assert fields(seen["channel.subscribe"]) == sorted([*BROADCASTER, *USER, "tier", "is_gift"])
    assert (seen["channel.subscribe"]["tier"], seen["channel.subscribe"]["is_gift"]) == ("2000", False)
    again = desk.after(lambda desk: desk.state.subscribe("alice", "carol", months=15, text="love Kappa"))
    assert list(again) == ["channel.chat.notification", "channel.subscription.message"]
    shared = again["channel.subscription.message"]
    assert fields(shared) == sorted(
        [*BROADCASTER, *USER, "tier", "message", "cumulative_months", "streak_months", "duration_months"]
    )
    assert shared["message"] == {"text": "love Kappa", "emotes": [{"begin": 5, "end": 9, "id": "25"}]}
    assert again["channel.chat.notification"]["resub"] == {
        "cumulative_months": 15,
        "duration_months": 1,
        "streak_months": None,
        "sub_tier": "1000",
        "is_prime": False,
        "is_gift": False,
        "gifter_is_anonymous": None,
        "gifter_user_id": None,
        "gifter_user_login": None,
        "gifter_user_name": None,
    }


def test_one_gift_is_a_gift_of_one() -> None:
    """channel.subscription.gift from the giver, channel.subscribe for the receiver, one notification."""
    desk = Desk()
    seen = desk.after(lambda desk: desk.life.gift("alice", "carol", ("dave",)))
    assert list(seen) == ["channel.chat.notification", "channel.subscription.gift", "channel.subscribe"]
    gift = seen["channel.subscription.gift"]
    assert fields(gift) == sorted([*BROADCASTER, *USER, "total", "tier", "cumulative_total", "is_anonymous"])
    assert (gift["user_login"], gift["total"]) == ("carol", 1)
    assert (seen["channel.subscribe"]["user_login"], seen["channel.subscribe"]["is_gift"]) == ("dave", True)
    told = seen["channel.chat.notification"]["sub_gift"]
    recipient = ["recipient_user_id", "recipient_user_login", "recipient_user_name"]
    assert fields(told) == sorted(
        ["duration_months", "cumulative_total", *recipient, "sub_tier", "community_gift_id"]
    )
    assert (told["recipient_user_login"], told["community_gift_id"]) == ("dave", None)


def test_a_gift_of_several_is_one_gift_and_belongs_together() -> None:
    """One community_sub_gift with the total, one sub_gift for each with its id, one channel.subscription.gift."""
    desk = Desk()
    kinds = desk.types(lambda desk: desk.life.gift("alice", "carol", ("dave", "erin")))
    assert kinds.count("channel.subscription.gift") == 1
    assert kinds.count("channel.subscribe") == 2
    told = [one.payload for one in desk.occurrences if one.type == "channel.chat.notification"]
    assert [one["notice_type"] for one in told] == ["community_sub_gift", "sub_gift", "sub_gift"]
    assert told[0]["community_sub_gift"]["total"] == 2
    ids = {one["sub_gift"]["community_gift_id"] for one in told[1:]}
    assert ids == {told[0]["community_sub_gift"]["id"]}


def test_an_announcement_is_a_notification() -> None:
    """Its color, and the words as the message."""
    event = Desk().after(lambda desk: desk.state.announce("alice", "bot", "hear", color="BLUE"))[
        "channel.chat.notification"
    ]
    assert (event["notice_type"], event["announcement"]) == ("announcement", {"color": "BLUE"})
    assert event["message"]["text"] == "hear"


def test_moderators_come_and_go() -> None:
    """channel.moderator.add and .remove; becoming a VIP is the end of it."""
    desk = Desk()
    added = desk.after(lambda desk: desk.state.set_role("alice", "carol", "moderator"))
    assert fields(added["channel.moderator.add"]) == sorted([*BROADCASTER, *USER])
    assert desk.types(lambda desk: desk.state.set_role("alice", "carol", "moderator")) == []
    assert desk.types(lambda desk: desk.state.set_role("alice", "carol", "vip")) == [
        "channel.moderator.remove"
    ]


def test_who_comes_into_the_room_is_no_event() -> None:
    """JOIN and PART are IRC's alone."""
    desk = Desk()
    assert desk.types(lambda desk: desk.state.viewer_joins("alice", "carol")) == []
    assert desk.types(lambda desk: desk.state.viewer_leaves("alice", "carol")) == []


def test_nothing_is_written_before_somebody_asks() -> None:
    """Most of what happens has no listener: payloads are made on demand, once."""
    desk = Desk()
    desk.state.say("alice", "carol", "hi")
    (said,) = desk.occurrences
    assert "payload" not in vars(said)
    assert said.payload is said.payload
