"""IRC lines as the fake server reads and writes them.

`LineSplitter` turns bytes, cut anywhere, into lines; `parse` turns a line into tags, prefix, command and parameters;
`format_line` goes the other way in the form of the real server: every tag as `key=value` with the `=` always there (twitchAPI
fails on a tag without it), tags in the order given, a colon before the last parameter exactly where Twitch puts one.

This is written independently of the bot's own parser on purpose: two implementations that agree are evidence, one used on both
sides is not. It leaves out what a server never needs: validating prefixes, numerics' names, and the RFC's limit of 15 parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

# IRCv3 message-tags: 8,191 bytes of tags and 512 of message is what a client may send. Rounded up; Twitch's own bound is not known.
LINE_BYTES_MAX = 16_384

_ESCAPE = str.maketrans({"\\": "\\\\", ";": "\\:", " ": "\\s", "\r": "\\r", "\n": "\\n"})
_UNESCAPE: Mapping[str, str] = {":": ";", "s": " ", "\\": "\\", "r": "\r", "n": "\n"}
_SPECIAL = ("\\", " ", "\r", "\n")  # what `escape` changes, but for ";", which stands between tags too
_FORBIDDEN = ("\r", "\n", "\0")


class BadLine(ValueError):
    """A line has no command, or would break the protocol when written."""


class Line(msgspec.Struct, frozen=True):
    """One parsed line; `command` is in upper case, missing parts are empty."""

    command: str
    params: tuple[str, ...] = ()
    prefix: str = ""
    tags: Mapping[str, str] = {}  # a msgspec struct gives each its own


def escape(value: str) -> str:
    """Escape a tag value (IRCv3 message-tags, "Escaping values")."""
    return value.translate(_ESCAPE)


def unescape(value: str) -> str:
    """Undo `escape`; an unknown escape gives its character, a lone trailing backslash vanishes (IRCv3 message-tags)."""
    if "\\" not in value:
        return value
    out: list[str] = []
    chars = iter(value)
    for char in chars:
        if char == "\\":
            follower = next(chars, "")
            out.append(_UNESCAPE.get(follower, follower))
        else:
            out.append(char)
    return "".join(out)


def parse(text: str) -> Line:
    """Parse one line without its line ending; raises `BadLine` when there is no command."""
    rest = text
    tags: dict[str, str] = {}
    prefix = ""
    if rest.startswith("@"):
        raw, _, rest = rest[1:].partition(" ")
        tags = _parse_tags(raw)
    rest = rest.lstrip(" ")
    if rest.startswith(":"):
        prefix, _, rest = rest[1:].partition(" ")
    # A space opens a trailing parameter only before a colon, so the text is cut once, at the first " :".
    head, found, trailing = (" " + rest).partition(" :")
    words = [word for word in head.split(" ") if word]
    if not words:
        raise BadLine(f"no command in {text[:80]!r}")
    params = (*words[1:], trailing) if found else tuple(words[1:])
    return Line(words[0].upper(), params, prefix, tags)


def _parse_tags(raw: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for part in raw.split(";"):
        key, _, value = part.partition("=")
        if key:
            tags[key] = unescape(value)
    return tags


def format_line(
    command: str,
    *middle: str,
    trailing: str | None = None,
    prefix: str = "",
    tags: Mapping[str, str] | None = None,
) -> bytes:
    """Write one line, ended by CR LF, as UTF-8.

    `middle` parameters must be single words; `trailing` is written after a colon. Raises `BadLine` when a part would be read back
    as something else (a space in a middle parameter, CR, LF or NUL anywhere but in a tag value, where they are escaped).
    """
    for word in (command, *middle):
        if not word or " " in word or word.startswith(":"):
            raise BadLine(f"{word!r} cannot be a middle parameter of {command}")
    parts: list[str] = []
    if tags:
        parts.append(_format_tags(tags))
    if prefix:
        parts.append(":" + prefix)
    parts += (command, *middle)
    if trailing is not None:
        parts.append(":" + trailing)
    text = " ".join(parts)
    _refuse_control(text, command)
    return text.encode("utf-8", "replace") + b"\r\n"


def _format_tags(tags: Mapping[str, str]) -> str:
    text = "@" + ";".join([f"{key}={value}" for key, value in tags.items()])
    # Of most lines no value needs to be escaped, and to look at the whole costs a tenth of asking each.
    if text.count(";") == len(tags) - 1 and not any(map(text.__contains__, _SPECIAL)):
        return text
    return "@" + ";".join([f"{key}={escape(value)}" for key, value in tags.items()])


def raw_line(text: str) -> bytes:
    """Write a whole line as it stands, ended by CR LF; raises `BadLine` when it is empty or more than one."""
    if not text.strip():
        raise BadLine("an empty line says nothing")
    _refuse_control(text, "raw")
    return text.encode("utf-8", "replace") + b"\r\n"


def _refuse_control(text: str, command: str) -> None:
    for char in _FORBIDDEN:
        if char in text:
            raise BadLine(f"{char!r} would split or end the {command} line")


class LineSplitter:
    """Cuts a stream of bytes into lines; a line over the limit is dropped whole and counted in `oversized`."""

    def __init__(self, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._max = line_bytes_max
        self._buffer = bytearray()
        self._skipping = False
        self.oversized = 0

    def feed(self, data: bytes) -> list[str]:
        """Take bytes cut anywhere and return the lines they complete, without endings and without empty lines."""
        self._buffer += data
        *complete, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest)
        lines = list(self._accept(complete))
        if len(self._buffer) > self._max:
            # The line is already too long and not finished: its tail is skipped when it comes, so memory stays bounded.
            self._buffer.clear()
            if not self._skipping:
                self.oversized += 1
            self._skipping = True
        return lines

    def _accept(self, complete: Iterable[bytes]) -> Iterable[str]:
        for raw in complete:
            if self._skipping:
                self._skipping = False
                continue
            if len(raw) > self._max:
                self.oversized += 1
                continue
            # Invalid UTF-8 is replaced, never fatal: an unreadable line must not end the connection.
            text = raw.rstrip(b"\r").decode("utf-8", "replace").replace("\0", "")
            if text:
                yield text
