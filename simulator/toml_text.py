"""TOML as text: on which line each key stands, and values as TOML writes them.

The parser of the standard library keeps no positions (python/cpython#115516), nor does tomlkit (python-poetry/tomlkit#55), and
whoever made a mistake wants its line. So :func:`toml_lines` reads the text once more. It is for texts that ``tomllib`` has
accepted: it need only know where keys, strings, brackets and comments begin and end, not what is valid.

Left out: columns; tables written anew (comments and order are the author's, nothing here changes a file); dates, which nobody
here has a use for.
"""

from __future__ import annotations

import bisect
import json
import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

#: A path of keys, and numbers (from 0) of elements.
Place: TypeAlias = tuple[str | int, ...]

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'  # up to two quotation marks may stand before the three that end it
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_PLAIN: Final = re.compile(r"[^,\]}\n#]*")  # a number, a boolean, a date
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACES: Final = re.compile(r"[ \t]*")
_PLACE_IN_WORDS: Final = re.compile(r"line (\d+)")


def toml_lines(text: str) -> dict[Place, int]:
    """The line (from 1) of each key, table and element of an array, by its path."""
    return _Scanner(text).scan()


def nearest_line(lines: Mapping[Place, int], place: Place) -> int:
    """The line of a place or, where it has none of its own (a key that is missing), of the nearest that encloses it."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def broken_line(text: str, error: tomllib.TOMLDecodeError) -> int:
    """The line (from 1) at which the parser gave up."""
    told = _PLACE_IN_WORDS.search(str(error))
    return int(told[1]) if told else text.rstrip("\n").count("\n") + 1  # "at end of document"


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [found.start() for found in re.finditer("\n", text)]
        self._elements: dict[Place, int] = {}
        self._found: dict[Place, int] = {}

    def scan(self) -> dict[Place, int]:
        table: Place = ()
        while self._skip_blank():
            if self._here("["):
                table = self._header()
            else:
                self._pair(table)
        return self._found

    def _header(self) -> Place:
        line, brackets = self._line(), 2 if self._here("[[") else 1
        self._at += brackets
        names = self._key()
        self._at += brackets
        place: Place = ()
        for position, name in enumerate(names, 1):
            place = (*place, name)
            if brackets == 2 and position == len(names):
                self._elements[place] = self._elements.get(place, -1) + 1
            self._found.setdefault(place, line)
            if place in self._elements:
                place = (*place, self._elements[place])
        self._found.setdefault(place, line)
        return place

    def _pair(self, table: Place) -> None:
        place = table
        for name in self._key():
            place = (*place, name)
            self._found.setdefault(place, self._line())
        self._at += 1  # the equals sign
        self._at = _SPACES.match(self._text, self._at).end()  # type: ignore[union-attr]  # matches nothing too
        self._value(place)

    def _key(self) -> list[str]:
        """The parts of a dotted key, and go to what stands behind it."""
        names: list[str] = []
        while True:
            self._skip_blank()
            names.append(self._name())
            self._skip_blank()
            if not self._here("."):
                return names
            self._at += 1

    def _name(self) -> str:
        quoted = _STRING.match(self._text, self._at)
        found = quoted or _BARE_KEY.match(self._text, self._at)
        assert found is not None, "not what tomllib has accepted"
        self._at = found.end()
        return str(tomllib.loads(f"key = {found[0]}")["key"]) if quoted else found[0]

    def _value(self, place: Place) -> None:
        if self._here("["):
            self._elements_of(place)
        elif self._here("{"):
            self._inline_table(place)
        else:
            found = _STRING.match(self._text, self._at) or _PLAIN.match(self._text, self._at)
            assert found is not None, "the pattern matches nothing too"
            self._at = found.end()

    def _elements_of(self, place: Place) -> None:
        self._at += 1
        number = 0
        while self._skip_blank() and not self._here("]"):
            self._found.setdefault((*place, number), self._line())
            self._value((*place, number))
            number += 1
            self._skip_comma()
        self._at += 1

    def _inline_table(self, place: Place) -> None:
        self._at += 1
        while self._skip_blank() and not self._here("}"):
            self._pair(place)
            self._skip_comma()
        self._at += 1

    def _skip_comma(self) -> None:
        self._skip_blank()
        self._at += self._here(",")

    def _skip_blank(self) -> bool:
        """Go to what comes next; False at the end."""
        found = _BLANK.match(self._text, self._at)
        assert found is not None, "the pattern matches nothing too"
        self._at = found.end()
        return self._at < len(self._text)

    def _here(self, mark: str) -> bool:
        return self._text.startswith(mark, self._at)

    def _line(self) -> int:
        return bisect.bisect_left(self._breaks, self._at) + 1


def toml_value(value: Any) -> str:
    """A value as TOML writes it, tables and arrays inline; whole numbers and others stay apart.

    Raises:
        ValueError: TOML has no such value (null, half a surrogate pair, an object).
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _toml_string(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)  # 1e-06, inf and nan are TOML's too
    if isinstance(value, Mapping):
        pairs = (f"{toml_key(name)} = {toml_value(item)}" for name, item in value.items())
        return "{ " + ", ".join(pairs) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    raise ValueError(f"TOML has no {'null' if value is None else type(value).__name__}")


def toml_key(name: str) -> str:
    """A key as TOML writes it: bare if that is possible."""
    return name if _BARE_KEY.fullmatch(name) else _toml_string(name)


def _toml_string(text: str) -> str:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(f"TOML has no half a surrogate pair: {text!r}")
    # JSON's escapes are among TOML's, which forbids one control character more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
