"""What can be made to happen on a fake Twitch, by name and with a JSON object: `{"verb": "raid", "channel": "lobby", …}`.

A verb is a method of the state or of `StreamLife`, and its fields are that method's parameters: the table below gives each a name, and
the parameters' annotations say what may stand there. Numbers and words that Twitch bounds have their bounds in `_RANGES` and
`_CHOICES`. Everything is checked before anything happens; `VerbError` says which field is wrong and what is allowed.

Left out: verbs about connections and tokens, which belong to the faces.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from simulator.twitch.notices import NOTICE_TEXTS
from simulator.twitch.state import TwitchState, UnknownName
from simulator.twitch.stream_life import StreamLife

_STATE_VERBS: Mapping[str, Callable[..., object]] = {
    "say": TwitchState.say,
    "raid": TwitchState.raid,
    "sub": TwitchState.subscribe,
    "announce": TwitchState.announce,
    "ban": TwitchState.ban,
    "timeout": TwitchState.timeout,
    "unban": TwitchState.unban,
    "clear": TwitchState.clear_chat,
    "delete": TwitchState.delete_message,
    "modes": TwitchState.set_modes,
    "role": TwitchState.set_role,
    "join": TwitchState.viewer_joins,
    "part": TwitchState.viewer_leaves,
    "suspend": TwitchState.suspend_channel,
    "refuse": TwitchState.refuse_messages,
    "grant_bot": TwitchState.grant_channel_bot,
}
_LIFE_VERBS: Mapping[str, Callable[..., object]] = {
    "follow": StreamLife.follow,
    "cheer": StreamLife.cheer,
    "gift": StreamLife.gift,
    "live": StreamLife.go_live,
    "offline": StreamLife.go_offline,
    "update": StreamLife.update,
}
VERBS: Mapping[str, Callable[..., object]] = {**_STATE_VERBS, **_LIFE_VERBS}

_LOGIN = re.compile(r"[a-z0-9_]{1,25}")
_LOGIN_FIELDS = ("login", "moderator", "recipients")
_RANGES: Mapping[str, tuple[int, int]] = {
    "viewers": (0, 10_000_000),
    "viewer_count": (0, 10_000_000),
    "duration_s": (1, 1_209_600),  # documented: two weeks
    "slow_s": (0, 120),  # documented
    "followers_only": (-1, 129_600),  # documented: minutes, three months
    "months": (1, 1_000),
    "bits": (1, 1_000_000),
}
_CHOICES: Mapping[str, tuple[str | None, ...]] = {
    "plan": ("1000", "2000", "3000", "Prime"),
    "tier": ("1000", "2000", "3000"),
    "color": ("PRIMARY", "BLUE", "GREEN", "ORANGE", "PURPLE"),
    "role": ("moderator", "vip", None),
    "notice_id": (*NOTICE_TEXTS, None),
}
# What an annotation of a parameter lets stand in JSON: the types, and how they are called.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "a text"),
    "str | None": ((str, type(None)), "a text or null"),
    "int": ((int,), "a whole number"),
    "int | None": ((int, type(None)), "a whole number or null"),
    "bool": ((bool,), "true or false"),
    "bool | None": ((bool, type(None)), "true, false or null"),
    "tuple[str, ...]": ((list,), "a list of texts"),
}


class VerbError(ValueError):
    """A verb or a field that cannot be; the message says what is allowed."""


def fields_of(verb: str) -> dict[str, bool]:
    """The fields of a verb, each with whether it must be there."""
    parameters = list(inspect.signature(VERBS[verb]).parameters.values())[1:]
    return {one.name: one.default is inspect.Parameter.empty for one in parameters}


def describe() -> dict[str, str]:
    """Every verb with its fields for people: those that may be left out in brackets."""
    return {
        verb: ", ".join(name if needed else f"[{name}]" for name, needed in fields_of(verb).items())
        for verb in VERBS
    }


def perform(state: TwitchState, life: StreamLife, body: Mapping[str, Any]) -> dict[str, Any]:
    """Do what `body` says and return what came of it: the id of a message, or nothing.

    Raises `VerbError`; nothing has happened then.
    """
    verb = body.get("verb")
    if not isinstance(verb, str) or verb not in VERBS:
        raise VerbError(f"there is no verb {verb!r}; allowed: {', '.join(VERBS)}")
    given = {name: value for name, value in body.items() if name != "verb"}
    arguments = _checked(state, verb, given)
    try:
        outcome = VERBS[verb](life if verb in _LIFE_VERBS else state, **arguments)
    except (UnknownName, ValueError) as error:
        raise VerbError(f"{verb}: {error.args[0]}") from error
    return {"id": outcome} if isinstance(outcome, str) else {}


def _checked(state: TwitchState, verb: str, given: Mapping[str, Any]) -> dict[str, Any]:
    fields = fields_of(verb)
    for name in given:
        if name not in fields:
            raise VerbError(f"{verb}: there is no field {name!r}; allowed: {', '.join(fields)}")
    for name, needed in fields.items():
        if needed and name not in given:
            raise VerbError(f"{verb}: {name} is missing; it takes {describe()[verb]}")
    parameters = inspect.signature(VERBS[verb]).parameters
    arguments = {
        name: _value(verb, name, str(parameters[name].annotation), value) for name, value in given.items()
    }
    channel = arguments.get("channel")
    if channel is not None and channel.removeprefix("#").lower() not in state.channels:
        raise VerbError(f"{verb}: there is no channel {channel!r}; there are: {', '.join(state.channels)}")
    return arguments


def _value(verb: str, name: str, annotation: str, value: Any) -> Any:
    types, called = _TYPES[annotation]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise VerbError(f"{verb}: {name} must be {called}, got {value!r}")
    if name in _CHOICES and value not in _CHOICES[name]:
        allowed = ", ".join("null" if choice is None else choice for choice in _CHOICES[name])
        raise VerbError(f"{verb}: {name} must be one of {allowed}, got {value!r}")
    low, high = _RANGES.get(name, (-math.inf, math.inf))
    if isinstance(value, int) and not low <= value <= high:
        raise VerbError(f"{verb}: {name} must be {low} to {high}, got {value}")
    if name in _LOGIN_FIELDS:
        return _logins(verb, name, value)
    if isinstance(value, str) and name == "text" and any(char in value for char in "\r\n\0"):
        raise VerbError(f"{verb}: a text cannot have CR, LF or NUL")
    return value


def _logins(verb: str, name: str, value: Any) -> Any:
    """One login or several, in lower case; "" where it may be left out."""
    several = value if isinstance(value, list) else [value]
    for login in several:
        optional = name == "moderator" and login == ""
        if not isinstance(login, str) or not (optional or _LOGIN.fullmatch(login.lower())):
            raise VerbError(f"{verb}: {name}: {login!r} is no Twitch login (1 to 25 letters, digits and _)")
    return tuple(login.lower() for login in value) if isinstance(value, list) else value.lower()
