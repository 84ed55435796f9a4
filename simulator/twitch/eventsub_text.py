"""The parts that EventSub's payloads share: times, users, badges, and chat texts cut into fragments.

A text's fragments are, in order, runs of plain text, emotes, mentions of accounts ("@name", the account must exist) and, in a message with
bits, cheermotes; joined they give the text (dev.twitch.tv/docs/eventsub/eventsub-subscription-types#channelchatmessage; the forms of emotes
and mentions as in recorded payloads of twitch-rs/twitch_api). Positions of `emotes` in channel.subscription.message count code points.

Left out: emotes of channels (owner "0" and set "0" for all), animated formats, GIFs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.twitch.events import Channel, User
from simulator.twitch.tags import badge_info, badges

CHEER_TIERS = (1, 100, 1_000, 5_000, 10_000)
_MENTION = re.compile(r"@([A-Za-z0-9_]{1,25})")
_CHEERMOTE = re.compile(r"([A-Za-z]+)([1-9][0-9]*)")
_NS_PER_S = 1_000_000_000

Json = dict[str, Any]


def rfc3339(unix_ns: int) -> str:
    """Return a Unix time in nanoseconds as Twitch writes it: "2023-07-19T14:56:51.616329898Z"."""
    seconds, rest_ns = divmod(unix_ns, _NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"


def rfc3339_ms(unix_ms: int) -> str:
    """Return a Unix time in milliseconds as Twitch writes it."""
    return rfc3339(unix_ms * 1_000_000)


def user_fields(prefix: str, user: User | None) -> Json:
    """Return the three fields that name a user, "prefix_user_id" and so on; all null for nobody."""
    if user is None:
        return {f"{prefix}user_id": None, f"{prefix}user_login": None, f"{prefix}user_name": None}
    return {
        f"{prefix}user_id": user.id,
        f"{prefix}user_login": user.login,
        f"{prefix}user_name": user.display_name,
    }


def broadcaster(channel: Channel, prefix: str = "broadcaster_") -> Json:
    """Return the three fields that name a channel."""
    return user_fields(prefix, channel.owner)


def badge_list(user: User, channel: Channel) -> list[Json]:
    """Return the badges that chat shows, as IRC's tags have them."""
    months = badge_info(user, channel).removeprefix("subscriber/")
    shown = badges(user, channel)
    pairs = [badge.partition("/") for badge in shown.split(",")] if shown else []
    return [
        {"set_id": name, "id": version, "info": months if name == "subscriber" else ""}
        for name, _, version in pairs
    ]


def message(text: str, fragments: list[Json]) -> Json:
    """Return a chat text with its fragments."""
    return {"text": text, "fragments": fragments}


def fragments(
    text: str, emotes: Mapping[str, str], users: Mapping[str, User], *, bits: int = 0
) -> list[Json]:
    """Cut a text; `emotes` maps names to ids, `users` logins to accounts."""
    cut: list[Json] = []
    plain = ""
    for word in _words(text):
        special = _special(word, emotes, users, bits)
        if special is None:
            plain += word
            continue
        if plain:
            cut.append(_fragment("text", plain))
            plain = ""
        cut.append(special)
    if plain:
        cut.append(_fragment("text", plain))
    return cut


def _words(text: str) -> Iterator[str]:
    """Words and the spaces between them, so that joined they give the text."""
    yield from re.findall(r" +|[^ ]+", text)


def _special(word: str, emotes: Mapping[str, str], users: Mapping[str, User], bits: int) -> Json | None:
    if word in emotes:
        emote = {"id": emotes[word], "emote_set_id": "0", "owner_id": "0", "format": ["static"]}
        return _fragment("emote", word, emote=emote)
    named = _MENTION.fullmatch(word)
    if named is not None and named[1].lower() in users:
        user = users[named[1].lower()]
        mention = {"user_id": user.id, "user_name": user.display_name, "user_login": user.login}
        return _fragment("mention", word, mention=mention)
    cheered = _CHEERMOTE.fullmatch(word) if bits else None
    if cheered is not None:
        amount = int(cheered[2])
        tier = max(step for step in CHEER_TIERS if step <= amount)
        return _fragment("cheermote", word, cheermote={"prefix": cheered[1], "bits": amount, "tier": tier})
    return None


def _fragment(
    kind: str,
    text: str,
    *,
    cheermote: Json | None = None,
    emote: Json | None = None,
    mention: Json | None = None,
) -> Json:
    return {"type": kind, "text": text, "cheermote": cheermote, "emote": emote, "mention": mention}


def emote_positions(text: str, emotes: Mapping[str, str]) -> list[Json] | None:
    """Return first and last code point and id of each emote, null when there is none (as recorded)."""
    found: list[Json] = []
    position = 0
    for word in _words(text):
        if word in emotes:
            found.append({"begin": position, "end": position + len(word) - 1, "id": emotes[word]})
        position += len(word)
    return found or None
