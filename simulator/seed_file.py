"""A seed file: the users, channels, roles, modes, tokens and conduits with which a fake Twitch starts, as TOML or JSON.

    [[users]]
    login = "ana"
    display_name = "Ana"

    [[channels]]
    login = "lobby"
    moderators = ["ana"]
    modes = { slow_s = 30 }
    live = { viewer_count = 12 }

It is a `Snapshot` (simulator/twitch/snapshot.py) written by hand, with two conveniences: a user may carry `token`, `refresh_token` and
`scopes`, and every user that the file names gets a token, with made-up letters and a chat bot's scopes unless given; and a channel
without `moderators` gets those of the stage. What `GET /snapshot` of the control address shows is a seed file too.

Every mistake is told with its line and its key, all at once, before anything listens. The line of a key is found by reading the text
once more, since neither parser keeps it (`toml_text.py` for TOML, below for JSON). Left out: including other files, variables.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from simulator.errors import SimulatorError
from simulator.toml_text import Place, broken_line, nearest_line, toml_lines
from simulator.twitch.snapshot_parts import ChannelPart, Letters, Snapshot, TokenPart, UserPart

#: What a chat bot asks for, on IRC and on EventSub: the scopes of a token for which the file names none.
CHAT_BOT_SCOPES = (
    "bits:read", "channel:bot", "channel:moderate", "channel:read:subscriptions", "chat:edit", "chat:read", "moderation:read",
    "moderator:manage:announcements", "moderator:manage:banned_users", "moderator:manage:chat_messages",
    "moderator:manage:chat_settings", "moderator:read:banned_users", "moderator:read:chat_messages", "moderator:read:chat_settings",
    "moderator:read:chatters", "moderator:read:followers", "user:bot", "user:read:chat", "user:write:chat",
)  # fmt: skip
TOKEN_CHARS = 30  # as real ones have
REFRESH_CHARS = 50


class SeedFileError(SimulatorError):
    """A seed file that cannot be used; the message has a line for each mistake."""


class SeedUser(UserPart):
    """A user, with the token of a client of theirs."""

    token: Letters | None = None
    refresh_token: str = ""
    scopes: list[str] = Field(default_factory=lambda: list(CHAT_BOT_SCOPES))


class _SeedShape(Snapshot):
    users: list[SeedUser] = Field(default_factory=list)  # type: ignore[assignment]  # narrower on purpose


@dataclass(frozen=True)
class Seed:
    """What a file holds: the snapshot, and the channels that named no moderators."""

    snapshot: Snapshot
    unmoderated: tuple[str, ...]


def token_letters(login: str) -> str:
    """The made-up access token of an account, always the same."""
    return _letters("fake0token0", login, TOKEN_CHARS)


def refresh_letters(login: str) -> str:
    """The made-up refresh token of an account, always the same."""
    return _letters("fake0refresh0token0", login, REFRESH_CHARS)


def _letters(start: str, login: str, chars: int) -> str:
    # Hashed: letters and digits as in real ones, and no two logins share theirs.
    return (start + hashlib.blake2b(login.encode()).hexdigest())[:chars]


def read_seed_file(file: Path) -> Seed:
    """Read and check it, as JSON if its name ends in .json; raises `SeedFileError` with file, line and key of each mistake."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SeedFileError(f"cannot read the seed file {str(file)!r}: {_words(error)}") from error
    is_json = file.suffix.lower() == ".json"
    value = _parsed(file, text, is_json=is_json)
    try:
        shape = _SeedShape.model_validate(value)
    except ValidationError as error:
        lines = json_lines(text) if is_json else toml_lines(text)
        told = [_mistake(file, found, lines) for found in error.errors(include_url=False)]
        raise SeedFileError("\n".join(told)) from error
    return Seed(_snapshot(shape), tuple(one.login for one in shape.channels if not _names_moderators(one)))


def _parsed(file: Path, text: str, *, is_json: bool) -> Mapping[str, Any]:
    try:
        value = json.loads(text) if is_json else tomllib.loads(text)
    except json.JSONDecodeError as error:
        raise SeedFileError(f"{file}:{error.lineno}: no JSON: {error.msg}") from error
    except tomllib.TOMLDecodeError as error:
        raise SeedFileError(f"{file}:{broken_line(text, error)}: no TOML: {error}") from error
    if not isinstance(value, dict):
        raise SeedFileError(
            f"{file}:1: an object with users, channels, apps, tokens, conduits is wanted, got {type(value).__name__}"
        )
    return value


def _snapshot(shape: _SeedShape) -> Snapshot:
    extra = {"token", "refresh_token", "scopes"}
    named = {token.login for token in shape.tokens}
    granted = [
        TokenPart(
            token=user.token or token_letters(user.login),
            login=user.login,
            scopes=user.scopes,
            refresh_token=user.refresh_token or refresh_letters(user.login),
        )
        for user in shape.users
        # A file made by GET /snapshot lists its tokens by themselves, and the users have none of their own.
        if user.model_fields_set & extra or user.login not in named
    ]
    return Snapshot(
        users=[UserPart(**user.model_dump(exclude=extra)) for user in shape.users],
        channels=shape.channels,
        apps=shape.apps,
        tokens=[*shape.tokens, *granted],
        consents=shape.consents,
        conduits=shape.conduits,
    )


def _names_moderators(channel: ChannelPart) -> bool:
    return "moderators" in channel.model_fields_set


# -- where a mistake is -----------------------------------------------------------------------------------------------------------


def json_lines(text: str) -> dict[Place, int]:
    """The line (from 1) of each key of a JSON text, by its path; for a value on one line, that line."""
    found: dict[Place, int] = {(): 1}
    stack: list[list[Any]] = []  # [path so far, index or None for an object, key]
    number = 1
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|\n', text):
        mark = token.group()
        if mark == "\n":
            number += 1
        elif mark in "{[":
            path = _json_path(stack)
            found.setdefault(path, number)
            stack.append([path, 0 if mark == "[" else None, ""])
        elif mark in "}]":
            stack.pop()
        elif mark == "," and stack and stack[-1][1] is not None:
            stack[-1][1] += 1
        elif (
            mark.startswith('"') and stack and stack[-1][1] is None and re.match(r"\s*:", text[token.end() :])
        ):
            stack[-1][2] = json.loads(mark)
            found.setdefault(_json_path(stack), number)
    return found


def _json_path(stack: Sequence[Sequence[Any]]) -> Place:
    if not stack:
        return ()
    path, index, key = stack[-1]
    return (*path, key if index is None else index)


def _mistake(file: Path, error: Mapping[str, Any], lines: Mapping[Place, int]) -> str:
    place: Place = tuple(part for part in error["loc"] if part != "[key]")
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    message = str(error["msg"])
    if error["type"] == "extra_forbidden":
        message = "there is no such key"
    message = message.removeprefix("Value error, ")
    given = error.get("input")
    shown = (
        f" (got {given!r})"
        if isinstance(given, str | int | float) and error["type"] != "extra_forbidden"
        else ""
    )
    return f"{file}:{nearest_line(lines, place)}: {key or 'the file'}: {message}{shown}"


def _words(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8"
