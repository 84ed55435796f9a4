"""The bot's settings in a scenario file: which it may name, and what is wrong with their values.

The world itself says where its Twitch, its database and its disk are and who the bot is; what else the bot can be told, a
file may say, by the field's name in ``byte_bot.settings``. Values are judged by the bot's own rules, so that a night is
refused where it is written down, and not by a bot that does not start in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from byte_bot.setting_problems import problem_lines
from byte_bot.settings import Settings

_WORLDS: Final = "the world sets it"
_SECRET: Final = "a secret has no place in a file; the world makes its own"

#: Settings that no file may name, and why or what to write instead.
REFUSED: Final[Mapping[str, str]] = {
    "supabase_key": _SECRET,
    "twitch_client_secret": _SECRET,
    "twitch_token": _SECRET,
    "twitch_channel_logins": "write `fixed`, beside `channels`",
    "twitch_rate_tier": "write `verified`, true or false, beside `channels`",
    "twitch_chat_mode": "write `transport`, beside `channels`",
    "journal_path": _WORLDS,
    "supabase_url": _WORLDS,
    "twitch_client_id": _WORLDS,
    "twitch_eventsub_url": _WORLDS,
    "twitch_helix_url": _WORLDS,
    "twitch_irc_host": _WORLDS,
    "twitch_irc_port": _WORLDS,
    "twitch_irc_tls": _WORLDS,
    "twitch_login": _WORLDS,
    "twitch_oauth_url": _WORLDS,
    "twitch_token_file": _WORLDS,
}
#: What the bot must be told to judge the rest; nothing of it reaches a world.
_WHO: Final[Mapping[str, Any]] = {
    "twitch_login": "byte_bot",
    "twitch_token": "fake0token",
    "twitch_channel_logins": ("lobby",),
}


def setting_names() -> tuple[str, ...]:
    """The settings that a file may name."""
    return tuple(name for name in Settings.model_fields if name not in REFUSED)


def wrong_values(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The name and the words for each value that the bot refuses; of names that a file may name."""
    try:
        Settings.model_validate({**_WHO, **settings})
    except ValidationError as error:
        for details in error.errors():
            name = str(details["loc"][0])
            for line in problem_lines(details, Settings.model_fields, (), {}):
                yield name, line.replace(name.upper(), name)
