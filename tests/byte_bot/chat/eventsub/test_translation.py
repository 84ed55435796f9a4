"""EventSub's notifications as chat events; the JSON follows the examples of Twitch's reference and recorded events."""

from __future__ import annotations

from typing import Any

import pytest

from byte_bot.chat.eventsub.translation import (
    FOLLOW,
    TRANSLATORS,
    author_id,
    privileged_author,
    sent_at,
)
from byte_bot.chat.message import (
    DURATION_UNKNOWN,
    ChatCleared,
    ChatMessage,
    ChatNotice,
    ChatterBanned,
    Follow,
    Gift,
    MessageDeleted,
    Raid,
    Role,
    Subscription,
)

ENVELOPE = {"message_id": "e1", "message_timestamp": "2023-11-06T18:11:47.492253549Z"}
ROOM = {
    "broadcaster_user_id": "1971641",
    "broadcaster_user_login": "streamer",
    "broadcaster_user_name": "streamer",
}
CHATTER = {"chatter_user_id": "4145994", "chatter_user_login": "viewer32", "chatter_user_name": "viewer32"}


def message(text: str = "Hi chat", **changes: Any) -> dict[str, Any]:
    """The example of channel.chat.message."""
    return {
        **ROOM,
        **CHATTER,
        "message_id": "cc106a89-1814-919d-454c-f4f2f970aae7",
        "message": {"text": text, "fragments": [{"type": "text", "text": text}]},
        "color": "#00FF7F",
        "badges": [
            {"set_id": "moderator", "id": "1", "info": ""},
            {"set_id": "subscriber", "id": "12", "info": "16"},
        ],
        "message_type": "text",
        "cheer": None,
        "reply": None,
        "channel_points_custom_reward_id": None,
        "source_broadcaster_user_id": None,
        **changes,
    }


def notification(notice_type: str, detail: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The example of channel.chat.notification."""
    return {
        **ROOM,
        **CHATTER,
        "chatter_is_anonymous": False,
        "color": "",
        "badges": [],
        "system_message": "viewer32 did something.",
        "message_id": "d62235c8-47ff-a4f4--84e8-5a29a65a9c03",
        "message": {"text": "", "fragments": []},
        "notice_type": notice_type,
        notice_type: detail,
        **changes,
    }


def translate(kind: str, event: dict[str, Any]) -> Any:
    """What an event becomes."""
    return TRANSLATORS[kind](event, ENVELOPE)


def test_a_message() -> None:
    """Everything the bot needs, and Twitch's time to the microsecond."""
    assert translate("channel.chat.message", message()) == ChatMessage(
        id="cc106a89-1814-919d-454c-f4f2f970aae7",
        channel_id="1971641",
        channel="streamer",
        author_id="4145994",
        author_login="viewer32",
        author_name="viewer32",
        role=Role.MODERATOR,
        text="Hi chat",
        sent_at=1_699_294_307.492253,
    )
    assert sent_at(ENVELOPE) == pytest.approx(1_699_294_307.492253)


def test_an_action_loses_its_wrapping() -> None:
    """As recorded: `/me chat test` comes as CTCP, as on IRC."""
    said = translate("channel.chat.message", message("\x01ACTION chat test\x01"))
    assert (said.text, said.is_action) == ("chat test", True)


def test_a_reply_names_its_parent() -> None:
    """The message that was answered."""
    reply = {"parent_message_id": "p1", "thread_message_id": "t1", "parent_user_login": "bia"}
    assert translate("channel.chat.message", message("@bia yes", reply=reply)).reply_parent_id == "p1"


def test_a_cheer_carries_its_bits() -> None:
    """A cheer is a message."""
    assert translate("channel.chat.message", message("Cheer100", cheer={"bits": 100})).bits == 100


@pytest.mark.parametrize(("source", "told"), [(None, ""), ("1971641", ""), ("77", "77")])
def test_a_message_of_a_shared_chat_names_its_room(source: str | None, told: str) -> None:
    """Only if it is another one."""
    said = translate("channel.chat.message", message(source_broadcaster_user_id=source))
    assert said.source_channel_id == told


def test_the_author_of_a_message_and_how_fast_it_may_speak() -> None:
    """What the transport asks of the bot's own messages."""
    assert author_id(message()) == "4145994"
    assert privileged_author(message())
    assert not privileged_author(message(badges=[{"set_id": "subscriber", "id": "1", "info": ""}]))


def test_a_raid() -> None:
    """Who, and how many."""
    detail = {"user_id": "4145994", "user_login": "viewer32", "user_name": "viewer32", "viewer_count": 430}
    raid = translate("channel.chat.notification", notification("raid", detail))
    assert isinstance(raid, Raid)
    assert (raid.kind, raid.login, raid.viewers, raid.system_text) == (
        "raid",
        "viewer32",
        430,
        "viewer32 did something.",
    )


@pytest.mark.parametrize(
    ("notice_type", "detail", "tier", "months"),
    [
        ("sub", {"sub_tier": "1000", "is_prime": False, "duration_months": 1}, "1000", 1),
        ("sub", {"sub_tier": "1000", "is_prime": True, "duration_months": 1}, "Prime", 1),
        ("resub", {"sub_tier": "3000", "is_prime": False, "cumulative_months": 10}, "3000", 10),
    ],
)
def test_a_subscription(notice_type: str, detail: dict[str, Any], tier: str, months: int) -> None:
    """The first and the further ones, with what the subscriber wrote."""
    event = notification(notice_type, detail, message={"text": "hello", "fragments": []})
    told = translate("channel.chat.notification", event)
    assert isinstance(told, Subscription)
    assert (told.kind, told.tier, told.months, told.text) == (notice_type, tier, months, "hello")


def test_gifts_have_the_names_of_irc() -> None:
    """To one, and to many: the one for all first, then one for each, tied together."""
    one = {
        "sub_tier": "1000",
        "recipient_user_id": "9",
        "recipient_user_login": "bia",
        "recipient_user_name": "Bia",
        "community_gift_id": "g1",
    }
    single = translate("channel.chat.notification", notification("sub_gift", one))
    many = translate(
        "channel.chat.notification",
        notification("community_sub_gift", {"id": "g1", "total": 5, "sub_tier": "2000"}),
    )
    assert isinstance(single, Gift)
    assert isinstance(many, Gift)
    assert (single.kind, single.recipient_login, single.count, single.bundle_id) == (
        "subgift",
        "bia",
        1,
        "g1",
    )
    assert (many.kind, many.recipient_login, many.count, many.bundle_id) == ("submysterygift", "", 5, "g1")


def test_an_anonymous_giver_has_the_name_of_irc() -> None:
    """Twitch names nobody."""
    event = notification("gift_paid_upgrade", chatter_is_anonymous=True, chatter_user_login=None)
    told = translate("channel.chat.notification", event)
    assert isinstance(told, ChatNotice)
    assert (told.kind, told.login) == ("giftpaidupgrade", "ananonymousgifter")


def test_a_notice_of_another_room_keeps_its_kind() -> None:
    """A shared chat tells it under a name of its own."""
    event = notification("shared_chat_raid", {"viewer_count": 3}, source_broadcaster_user_id="77")
    told = translate("channel.chat.notification", event)
    assert isinstance(told, Raid)
    assert (told.kind, told.source_channel_id, told.viewers) == ("raid", "77", 3)


def test_moderation() -> None:
    """A cleared chat, somebody's messages, one message: what EventSub does not say is said to be unknown."""
    target = {"target_user_id": "9", "target_user_login": "bia", "target_user_name": "Bia"}
    assert translate("channel.chat.clear", ROOM) == ChatCleared("streamer", "1971641")
    assert translate("channel.chat.clear_user_messages", {**ROOM, **target}) == ChatterBanned(
        "streamer", "1971641", "9", "bia", DURATION_UNKNOWN
    )
    assert translate("channel.chat.message_delete", {**ROOM, **target, "message_id": "m1"}) == MessageDeleted(
        "streamer", "1971641", "m1", "bia", ""
    )


def test_a_follow_takes_the_id_of_its_notification() -> None:
    """It has none of its own, and a copy must be known."""
    event = {**ROOM, "user_id": "9", "user_login": "bia", "user_name": "Bia", "followed_at": "x"}
    told = translate(FOLLOW, event)
    assert isinstance(told, Follow)
    assert (told.id, told.login, told.name, told.kind) == ("e1", "bia", "Bia", "follow")


@pytest.mark.parametrize("kind", sorted(TRANSLATORS))
def test_an_empty_event_is_an_error_of_the_event(kind: str) -> None:
    """Every translator raises what the transport counts."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        TRANSLATORS[kind]({}, ENVELOPE)


def test_a_message_without_ids_is_an_error() -> None:
    """It could not be told apart from its duplicates."""
    with pytest.raises(ValueError, match="without ids"):
        translate("channel.chat.message", message(message_id=""))
