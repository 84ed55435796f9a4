"""The scopes that Twitch knows, by name (dev.twitch.tv/docs/authentication/scopes, as of February 2026).

An app that asks for another one is refused, as in real life. A token of a test that is not about scopes holds `ALL_SCOPES`; clients are
shown the real names instead.
"""

from __future__ import annotations

from collections.abc import Iterable

from simulator.twitch.credentials import ALL_SCOPES

KNOWN_SCOPES: tuple[str, ...] = (
    "analytics:read:extensions",
    "analytics:read:games",
    "bits:read",
    "channel:bot",
    "channel:edit:commercial",
    "channel:manage:ads",
    "channel:manage:broadcast",
    "channel:manage:clips",
    "channel:manage:extensions",
    "channel:manage:guest_star",
    "channel:manage:moderators",
    "channel:manage:polls",
    "channel:manage:predictions",
    "channel:manage:raids",
    "channel:manage:redemptions",
    "channel:manage:schedule",
    "channel:manage:videos",
    "channel:manage:vips",
    "channel:moderate",
    "channel:read:ads",
    "channel:read:charity",
    "channel:read:editors",
    "channel:read:goals",
    "channel:read:guest_star",
    "channel:read:hype_train",
    "channel:read:polls",
    "channel:read:predictions",
    "channel:read:redemptions",
    "channel:read:stream_key",
    "channel:read:subscriptions",
    "channel:read:vips",
    "chat:edit",
    "chat:read",
    "clips:edit",
    "editor:manage:clips",
    "moderation:read",
    "moderator:manage:announcements",
    "moderator:manage:automod",
    "moderator:manage:automod_settings",
    "moderator:manage:banned_users",
    "moderator:manage:blocked_terms",
    "moderator:manage:chat_messages",
    "moderator:manage:chat_settings",
    "moderator:manage:guest_star",
    "moderator:manage:shield_mode",
    "moderator:manage:shoutouts",
    "moderator:manage:suspicious_users",
    "moderator:manage:unban_requests",
    "moderator:manage:warnings",
    "moderator:read:automod_settings",
    "moderator:read:banned_users",
    "moderator:read:blocked_terms",
    "moderator:read:chat_messages",
    "moderator:read:chat_settings",
    "moderator:read:chatters",
    "moderator:read:followers",
    "moderator:read:guest_star",
    "moderator:read:moderators",
    "moderator:read:shield_mode",
    "moderator:read:shoutouts",
    "moderator:read:suspicious_users",
    "moderator:read:unban_requests",
    "moderator:read:vips",
    "moderator:read:warnings",
    "openid",
    "user:bot",
    "user:edit",
    "user:edit:broadcast",
    "user:edit:follows",
    "user:manage:blocked_users",
    "user:manage:chat_color",
    "user:manage:whispers",
    "user:read:blocked_users",
    "user:read:broadcast",
    "user:read:chat",
    "user:read:email",
    "user:read:emotes",
    "user:read:follows",
    "user:read:moderated_channels",
    "user:read:subscriptions",
    "user:read:whispers",
    "user:write:chat",
    "whispers:edit",
    "whispers:read",
)


def parse_scopes(text: str) -> tuple[str, ...]:
    """Split a `scope` parameter: spaces between the names, or the '+' that some clients encode once too often."""
    return tuple(dict.fromkeys(text.replace("+", " ").split()))


def unknown_scope(scopes: Iterable[str]) -> str:
    """Return the first scope that Twitch does not know, or nothing."""
    return next((name for name in scopes if name not in KNOWN_SCOPES), "")


def shown_scopes(scopes: Iterable[str]) -> list[str]:
    """Return the scopes as a client sees them."""
    held = list(scopes)
    return list(KNOWN_SCOPES) if ALL_SCOPES in held else held
