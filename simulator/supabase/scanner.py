"""A scanner for one parameter of PostgREST's request language: names, quoted values, JSON paths. Pure.

It follows the lexical rules of PostgREST's ``ApiRequest/QueryParams.hs`` (2026-08); its errors name the
parameter's text and the column where reading stopped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from simulator.supabase import errors

FIELD_EXPECTED = "expecting field name (* or [a..z0..9_$])"
NAME = re.compile(r"[A-Za-z0-9_$ ]+(?:-(?!>)[A-Za-z0-9_$ ]+)*")
_JSON_KEY = re.compile(r"[^(\-:.,>)]+(?:-(?!>)[^(\-:.,>)]+)*")
_INDEX = re.compile(r"-?[0-9]+(?=->|::|\.|,|$)")


@dataclass(frozen=True)
class Field:
    """A column, or a place inside a JSON column; ``as_text``: the last arrow was ``->>``."""

    column: str
    path: tuple[str | int, ...] = ()
    as_text: bool = False


class Scanner:
    """One parameter's text and a place in it."""

    def __init__(self, what: str, text: str) -> None:
        self.what = what
        self.text = text
        self.at = 0

    def take(self, literal: str) -> bool:
        """Read the literal if it comes next."""
        if self.text.startswith(literal, self.at):
            self.at += len(literal)
            return True
        return False

    def match(self, pattern: re.Pattern[str]) -> str | None:
        """Read what the pattern matches here, or nothing."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found.group()

    def spaces(self) -> None:
        """Skip blanks."""
        while self.take(" ") or self.take("\t"):
            pass

    def peek(self, length: int = 1) -> str:
        """What comes next, without reading it."""
        return self.text[self.at : self.at + length]

    @property
    def ended(self) -> bool:
        """Whether everything was read."""
        return self.at >= len(self.text)

    def error(self, expected: str, at: int | None = None) -> errors.ApiError:
        """The PGRST100 for what is read here."""
        place = self.at if at is None else at
        seen = f'"{self.text[place]}"' if place < len(self.text) else "end of input"
        return errors.parse_error(self.what, self.text, place + 1, f"unexpected {seen} {expected}")

    def quoted(self) -> str | None:
        """A double-quoted value with backslash escapes, or None with nothing read."""
        start = self.at
        if not self.take('"'):
            return None
        characters: list[str] = []
        while not self.ended:
            character = self.text[self.at]
            self.at += 1
            if character == '"':
                return "".join(characters)
            if character == "\\" and not self.ended:
                character = self.text[self.at]
                self.at += 1
            characters.append(character)
        self.at = start
        return None

    def name(self) -> str:
        """A column's name, quoted or plain."""
        name = self.quoted()
        if name is None:
            name = self.match(NAME)
        if name is None:
            raise self.error(FIELD_EXPECTED)
        return name.strip() if self.text[self.at - 1] != '"' else name

    def field(self) -> Field:
        """A column, perhaps with a JSON path."""
        column = self.name()
        path: list[str | int] = []
        as_text = False
        while self.peek(2) == "->":
            as_text = self.take("->>")
            if not as_text:
                self.take("->")
            index = self.match(_INDEX)
            if index is not None:
                path.append(int(index))
                continue
            key = self.quoted() or self.match(_JSON_KEY)
            if key is None:
                raise self.error("expecting any non reserved character different from: .,>()")
            path.append(key)
        return Field(column, tuple(path), as_text)

    def list_element(self) -> str:
        """An element of a list in parentheses: quoted as a whole, or everything up to a comma or parenthesis."""
        start = self.at
        value = self.quoted()
        if value is not None and (self.ended or self.peek() in ",)"):
            return value
        self.at = start
        while not self.ended and self.peek() not in ",)":
            self.at += 1
        return self.text[start : self.at]
