"""The table of types, against facts of the documentation that clients rely on."""

from __future__ import annotations

import pytest

from simulator.twitch.eventsub_types import WITHDRAWN, fired, subscribable


@pytest.mark.parametrize(
    ("name", "version", "fields", "scope"),
    [
        ("channel.chat.message", "1", ("broadcaster_user_id", "user_id"), "user:read:chat"),
        ("channel.chat.notification", "1", ("broadcaster_user_id", "user_id"), "user:read:chat"),
        ("channel.chat.message_delete", "1", ("broadcaster_user_id", "user_id"), "user:read:chat"),
        ("channel.chat.clear", "1", ("broadcaster_user_id", "user_id"), "user:read:chat"),
        ("channel.chat.clear_user_messages", "1", ("broadcaster_user_id", "user_id"), "user:read:chat"),
        ("channel.update", "2", ("broadcaster_user_id",), ""),
        ("stream.online", "1", ("broadcaster_user_id",), ""),
        ("stream.offline", "1", ("broadcaster_user_id",), ""),
        ("channel.follow", "2", ("broadcaster_user_id", "moderator_user_id"), "moderator:read:followers"),
        ("channel.raid", "1", ("from_broadcaster_user_id", "to_broadcaster_user_id"), ""),
        ("channel.subscribe", "1", ("broadcaster_user_id",), "channel:read:subscriptions"),
        ("channel.subscription.gift", "1", ("broadcaster_user_id",), "channel:read:subscriptions"),
        ("channel.subscription.message", "1", ("broadcaster_user_id",), "channel:read:subscriptions"),
        ("channel.ban", "1", ("broadcaster_user_id",), "channel:moderate"),
        ("channel.unban", "1", ("broadcaster_user_id",), "channel:moderate"),
        ("channel.cheer", "1", ("broadcaster_user_id",), "bits:read"),
        ("channel.moderator.add", "1", ("broadcaster_user_id",), "moderation:read"),
        ("channel.moderator.remove", "1", ("broadcaster_user_id",), "moderation:read"),
    ],
)
def test_each_type_has_twitchs_version_condition_and_scope(
    name: str, version: str, fields: tuple[str, ...], scope: str
) -> None:
    """As the reference lists them."""
    kind = subscribable()[name, version]
    assert (kind.fields, kind.scopes[:1]) == (fields, (scope,) if scope else ())
    assert kind in fired()


def test_types_are_unique_and_none_is_withdrawn() -> None:
    """One entry a type and version."""
    kinds = subscribable()
    assert len(kinds) > 50
    assert len({kind.name for kind in fired()}) == len(fired())
    assert not kinds.keys() & set(WITHDRAWN)


def test_who_must_consent_is_in_the_condition() -> None:
    """Scopes and the user who grants them come together, and that user is a field."""
    for kind in subscribable().values():
        assert bool(kind.scopes) == bool(kind.consenting)
        assert not kind.consenting or kind.consenting in kind.fields


def test_chat_types_show_a_room_to_a_user() -> None:
    """They are those that a ban takes away."""
    chat = {kind.name for kind in subscribable().values() if kind.is_chat}
    assert "channel.chat.message" in chat and "channel.chat_settings.update" in chat
    assert "channel.follow" not in chat
