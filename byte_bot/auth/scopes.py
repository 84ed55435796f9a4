"""The scopes that the bot's transports need, and what does not work without each.

Sources: dev.twitch.tv/docs/authentication/scopes (chat:read and chat:edit are for IRC only), …/docs/chat/authenticating,
…/docs/eventsub/eventsub-subscription-types (channel.chat.message: user:read:chat; channel.follow: moderator:read:followers of a
moderator) and the reference of Send Chat Message (user:write:chat; with an app token user:bot too) and Get Moderated Channels
(user:read:moderated_channels).

``byte-bot login`` asks for all of them, so that another ``TWITCH_CHAT_MODE`` needs no new login. A token that was made by hand may
lack those of the other mode.

Left out: scopes that a *broadcaster* has to grant (bits:read, channel:read:subscriptions): the bot's account cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

#: By chat mode: without these the bot cannot do its job.
ESSENTIAL: Final[Mapping[str, Mapping[str, str]]] = {
    "irc": {
        "chat:edit": "the bot can say nothing",
        "chat:read": "the bot hears nothing",
    },
    "eventsub": {
        "user:bot": "the bot may not appear as a chat bot with an app token",
        "user:read:chat": "the bot hears nothing",
        "user:write:chat": "the bot can say nothing",
    },
}
#: By chat mode: without these something is missing.
USEFUL: Final[Mapping[str, Mapping[str, str]]] = {
    "irc": {},
    "eventsub": {
        "moderator:read:followers": "follows are not seen where the bot is a moderator",
        "user:read:moderated_channels": "the bot does not know where it is a moderator, and speaks as slowly as anybody",
    },
}


def wanted_scopes() -> tuple[str, ...]:
    """What ``byte-bot login`` asks for, in order."""
    tables = (*ESSENTIAL.values(), *USEFUL.values())
    return tuple(sorted({scope for table in tables for scope in table}))


def missing_scopes(scopes: Iterable[str], chat_mode: str) -> dict[str, str]:
    """The essential scopes that a token with ``scopes`` lacks, and what does not work without each."""
    return _lacking(scopes, ESSENTIAL[chat_mode])


def missing_extras(scopes: Iterable[str], chat_mode: str) -> dict[str, str]:
    """The same of the scopes that are only useful."""
    return _lacking(scopes, USEFUL[chat_mode])


def _lacking(scopes: Iterable[str], table: Mapping[str, str]) -> dict[str, str]:
    granted = frozenset(scopes)
    return {scope: words for scope, words in table.items() if scope not in granted}


def in_words(missing: Mapping[str, str]) -> str:
    """``"chat:edit (the bot can say nothing), …"``."""
    return ", ".join(f"{scope} ({words})" for scope, words in missing.items())
