"""What a person's badges in a channel say about them, for both transports. Pure.

Source: dev.twitch.tv/docs/chat/irc ("badges") and the ``badges`` of ``channel.chat.message``; the names are the same.
"""

from __future__ import annotations

from collections.abc import Collection

from byte_bot.chat.message import Role

# Twitch counts messages to a channel where the bot has one of these in the larger window.
_PRIVILEGED = frozenset({"broadcaster", "moderator", "lead_moderator", "vip"})


def role_of(badges: Collection[str]) -> Role:
    """The highest role among badge names such as ``moderator`` and ``founder``; a bought badge is none."""
    if "broadcaster" in badges:
        return Role.BROADCASTER
    if "moderator" in badges or "lead_moderator" in badges:
        return Role.MODERATOR
    if "vip" in badges:
        return Role.VIP
    if "subscriber" in badges or "founder" in badges:
        return Role.SUBSCRIBER
    return Role.EVERYONE


def is_privileged(badges: Collection[str]) -> bool:
    """Whether the bot is moderator, VIP or broadcaster where it has these badges."""
    return not _PRIVILEGED.isdisjoint(badges)
