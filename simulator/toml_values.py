"""What a value in a TOML file must be: readers that return it as a scenario has it, or say what is wrong with it.

A reader takes what ``tomllib`` made and returns a value, or raises :class:`WrongValue`, whose words follow the name of the key. A whole
number stays one where a fraction would do: ``5`` and ``5.0`` look different in a trace.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from simulator.spelling import did_you_mean

#: A login, as Twitch has them.
_LOGIN: Final = re.compile(r"[a-z0-9_]{1,25}")


class WrongValue(ValueError):
    """A value that cannot be: the words that follow the key's name, and the path to the part that is wrong, if one is."""

    def __init__(self, words: str, *parts: str | int) -> None:
        super().__init__(words)
        self.parts = parts


Reader: TypeAlias = Callable[[object], Any]


def number(value: object) -> int | float:
    """A number that a float can hold, infinity included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongValue(f"must be a number, got {value!r}")
    try:
        float(value)
    except OverflowError:
        raise WrongValue("must be a number that a float can hold") from None
    return value


def finite(value: object) -> int | float:
    """A finite number, 0 or more."""
    found = number(value)
    if not math.isfinite(found) or found < 0:
        raise WrongValue(f"must be finite and not negative, got {found}")
    return found


def above_zero(value: object) -> int | float:
    """A finite number above 0."""
    found = finite(value)
    if not found:
        raise WrongValue("must be above 0")
    return found


def whole_number(value: object) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongValue(f"must be a whole number, got {value!r}")
    return value


def text(value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise WrongValue(f"must be a text in quotes, got {value!r}")
    return value


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise WrongValue(f"must be true or false, got {value!r}")
    return value


def choice(*allowed: str) -> Reader:
    """A reader of one of these texts."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            meant = did_you_mean(value, allowed)
            one_of = " or ".join(filter(None, (", ".join(allowed[:-1]), allowed[-1])))
            raise WrongValue(f"must be {one_of}, got {value!r}{';' if meant else ''}{meant}")
        return value

    return read


def login(value: object) -> str:
    """A login."""
    if not isinstance(value, str) or not _LOGIN.fullmatch(value):
        raise WrongValue(f"must be a login in lower case (1 to 25 of a-z, 0-9 and _), got {value!r}")
    return value


def each(read: Reader) -> Reader:
    """A reader of an array of what `read` reads."""

    def read_all(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise WrongValue(f"must be an array in brackets, got {value!r}")
        found: list[Any] = []
        for place, item in enumerate(value):
            try:
                found.append(read(item))
            except WrongValue as wrong:
                raise WrongValue(str(wrong), place, *wrong.parts) from None
        return tuple(found)

    return read_all


def logins(value: object) -> tuple[str, ...]:
    """An array of logins, none of them twice."""
    found: tuple[str, ...] = each(login)(value)
    for place, name in enumerate(found):
        if name in found[:place]:
            raise WrongValue(f"has {name!r} twice", place)
    return found


def some_logins(value: object) -> tuple[str, ...]:
    """An array of logins, none of them twice, and not empty."""
    found = logins(value)
    if not found:
        raise WrongValue("must name at least one")
    return found


def table(value: object) -> Mapping[str, Any]:
    """A table."""
    if not isinstance(value, dict):
        raise WrongValue(f"must be a table, got {value!r}")
    return value


def tables(value: object) -> tuple[Mapping[str, Any], ...]:
    """An array of tables."""
    if isinstance(value, dict):
        raise WrongValue("must stand in double brackets, [[like this]], once for each")
    found: tuple[Mapping[str, Any], ...] = each(table)(value)
    return found
