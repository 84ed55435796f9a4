"""The table of types, against facts of the documentation that clients rely on, and against a list that somebody else keeps: TwitchIO's.

Conditions stand in the tables as the documentation has them, with a question mark behind what may be missing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from simulator.twitch.eventsub_types import (
    WEBSOCKET,
    WITHDRAWN,
    about_conduits,
    fired,
    sent_by_hand,
    subscribable,
)
from simulator.twitch.scopes import unknown_scope

# Of the types that nothing in the state brings about all that TwitchIO does not know, and a choice of the rest.
BY_HAND = (
    ("user.update", "1", ("user_id",), ()),
    ("user.whisper.message", "1", ("user_id",), ("user:read:whispers", "user:manage:whispers")),
    ("channel.shared_chat.begin", "1", ("broadcaster_user_id",), ()),
    ("automod.message.hold", "1", ("broadcaster_user_id", "moderator_user_id"), ("moderator:manage:automod",)),
    ("automod.message.hold", "2", ("broadcaster_user_id", "moderator_user_id"), ("moderator:manage:automod",)),
    ("automod.settings.update", "1", ("broadcaster_user_id", "moderator_user_id"), ("moderator:read:automod_settings",)),
    ("channel.suspicious_user.update", "1", ("broadcaster_user_id", "moderator_user_id"), ("moderator:read:suspicious_users",)),
    ("channel.chat.user_message_hold", "1", ("broadcaster_user_id", "user_id"), ("user:read:chat",)),
    ("channel.custom_power_up_redemption.add", "1", ("broadcaster_user_id", "reward_id?"), ("bits:read",)),
    ("user.authorization.revoke", "1", ("client_id",), ()),
    ("drop.entitlement.grant", "1", ("organization_id", "category_id?", "campaign_id?"), ()),
    ("extension.bits_transaction.create", "1", ("extension_client_id",), ()),
    ("conduit.shard.disabled", "1", ("client_id", "conduit_id?"), ()),
    *(
        (f"channel.guest_star_{what}", "beta", ("broadcaster_user_id", "moderator_user_id"),
         ("channel:read:guest_star", "channel:manage:guest_star", "moderator:read:guest_star", "moderator:manage:guest_star"))
        for what in ("session.begin", "session.end", "guest.update", "settings.update")
    ),
)  # fmt: skip
# Named by TwitchIO's documentation, and not needed for a subscription with a user's token: an app's needs the first two in chat besides, and
# the third shows an address in user.update.
BESIDES = ("user:bot", "channel:bot", "user:read:email")


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


@pytest.mark.parametrize(("name", "version", "condition", "scopes"), BY_HAND)
def test_types_that_are_sent_by_hand_have_twitchs_version_condition_and_scopes(
    name: str, version: str, condition: tuple[str, ...], scopes: tuple[str, ...]
) -> None:
    """As the reference lists them."""
    kind = subscribable()[name, version]
    shown = (*kind.fields, *(f"{field}?" for field in kind.optional))
    assert (shown, kind.scopes) == (condition, scopes)
    assert kind not in fired()


def test_what_moderators_do_takes_every_scope_that_shows_a_part_of_it() -> None:
    """Of each pair one; warnings came with version 2."""
    first, second = (subscribable()["channel.moderate", version].scope_groups for version in ("1", "2"))
    assert set(second) - set(first) == {("moderator:read:warnings", "moderator:manage:warnings")}
    assert ("moderator:read:vips",) in first and len(first) == 7


def twitchios() -> dict[tuple[str, str], Any]:
    """TwitchIO's classes by type and version."""
    module = pytest.importorskip("twitchio.eventsub.subscriptions")
    kinds = [one for one in vars(module).values() if isinstance(getattr(one, "type", None), str)]
    return {(one.type, one.version): one for one in kinds}


def is_needed(kind: Any, condition: dict[str, str], field: str) -> bool:
    """Whether TwitchIO takes the condition only with this field."""
    try:
        kind(**{name: value for name, value in condition.items() if name != field})
    except ValueError:
        return True
    return False


def test_every_type_that_twitchio_knows_has_its_condition_and_scopes() -> None:
    """In its version: what a condition needs and what it may have besides, and every scope that TwitchIO's documentation names."""
    ours = subscribable()
    for key, theirs in twitchios().items():
        kind = ours[key]
        ends = kind.fields[:1] if kind.either else kind.fields
        condition = dict.fromkeys((*ends, *kind.optional), "1")
        assert set(theirs(**condition).condition) == {*kind.fields, *kind.optional}, key
        assert [field for field in condition if is_needed(theirs, condition, field)] == list(ends), key
        named = re.findall(r"\b(?:bits|channel|moderation|moderator|user):[a-z_:]+", theirs.__doc__)
        needed = {scope for group in kind.scope_groups for scope in group}
        assert set(named) - set(BESIDES) == needed, key


def test_of_one_type_alone_several_scopes_are_needed_together() -> None:
    """TwitchIO's documentation names scopes without saying of which one is enough."""
    together = {kind.name for kind in subscribable().values() if len(kind.scope_groups) > 1}
    assert together == {"channel.moderate"}


def test_no_type_goes_unchecked() -> None:
    """Each is in TwitchIO's list, or in the one here."""
    by_hand = [(name, version) for name, version, *_ in BY_HAND]
    assert set(subscribable()) == {*twitchios(), *by_hand}


def test_types_are_unique_and_none_is_withdrawn() -> None:
    """One entry a type and version."""
    kinds = subscribable()
    assert len({kind.name for kind in fired()}) == len(fired())
    assert not kinds.keys() & set(WITHDRAWN)


def test_the_fidelity_tables_count_the_types_as_they_are() -> None:
    """All of them, those that never come by themselves, and the scopes that showing what moderators do takes."""
    readme = (Path(__file__).parents[3] / "simulator" / "README.md").read_text(encoding="utf-8")
    kinds, by_hand = subscribable(), sent_by_hand()
    over_websockets = [kind for kind in by_hand if WEBSOCKET in kind.transports]
    first, second = (len(kinds["channel.moderate", version].scope_groups) for version in ("1", "2"))
    assert len(kinds) == len(fired()) + len(by_hand) + len(about_conduits())
    for words in (
        f"every documented type ({len(kinds)} with their versions) can be subscribed to",
        f"{len(by_hand)} more (with their versions) can be subscribed to, {len(over_websockets)} of them over WebSockets",
        f"for `channel.moderate` one of each of {first} groups ({second} in version 2)",
    ):
        assert readme.count(words) == 1, words


def test_who_must_consent_is_in_the_condition() -> None:
    """Scopes and the user who grants them come together, and that user is a field."""
    for kind in subscribable().values():
        assert bool(kind.scopes) == bool(kind.consenting)
        assert not unknown_scope(scope for group in kind.scope_groups for scope in group)
        assert not kind.consenting or kind.consenting in kind.fields


def test_chat_types_show_a_room_to_a_user() -> None:
    """They are those that a ban takes away."""
    chat = {kind.name for kind in subscribable().values() if kind.is_chat}
    assert "channel.chat.message" in chat and "channel.chat_settings.update" in chat
    assert "channel.follow" not in chat
