"""What one chat message can carry: cleaning, splitting at a word, telling equal texts apart. Pure.

Twitch counts **code points**, at most 500 a message (dev.twitch.tv/docs/chat/irc), and refuses or cuts what
is longer; a line feed would end the IRC command and start another, so what a viewer typed must never bring
one along.

A text beginning with ``/me `` is said as an action; when it is split, every piece is one.
"""

from __future__ import annotations

import unicodedata

CHARS_MAX = 500  # documented by Twitch, in code points
# 500 code points of four bytes: no legal message is longer, and it bounds the line whatever ``chars_max``
# says.
BYTES_MAX = 2_000

ACTION_PREFIX = "/me "

# U+034F COMBINING GRAPHEME JOINER: shows nothing, survives Twitch's trimming, and is what chat clients
# customarily append to get the same text past the ``msg_duplicate`` filter. A space goes before it so that it
# joins no letter.
DISTINCT_MARK = "\u034f"

# The pieces of a long text are cut this much shorter, so that two equal ones can be told apart. Chosen: a
# space and more marks than a channel gets messages in a few seconds.
MARK_ROOM = 16

# Joined to what stands before it: cutting between the two would show a broken emoji.
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_BACK_OFF_MAX = 16  # chosen: the longest family emoji has 11 code points


def clean(text: str) -> str:
    """``text`` as one line: CR, LF and tab become spaces, other control characters go, lone surrogates become
    U+FFFD.

    The result is stripped of surrounding whitespace and may be empty. It never contains CR, LF, NUL or CTCP's
    ``\\x01``.
    """
    if text.isprintable():
        # The common case: isprintable is False for every control character, line separator and surrogate.
        return text.strip()
    out: list[str] = []
    for character in text:
        if character in "\r\n\t\v\f\x85\u2028\u2029":
            out.append(" ")
        elif "\ud800" <= character <= "\udfff":
            out.append("\ufffd")
        elif unicodedata.category(character) != "Cc":
            out.append(character)
    return "".join(out).strip()


def split(text: str, *, chars_max: int = CHARS_MAX, bytes_max: int = BYTES_MAX) -> list[str]:
    """Cut a cleaned ``text`` into messages of at most ``chars_max`` code points and ``bytes_max`` bytes of
    UTF-8.

    Cuts at the last space that fits; a longer word is cut inside, but not inside an emoji made of several
    code points. Joined with spaces (where a space was) the pieces give the words of ``text`` again. An empty
    text gives no piece.

    Args:
        chars_max: code points, at least 8.
        bytes_max: bytes, at least 32.
    """
    assert chars_max >= 8 and bytes_max >= 32, "too small to hold /me and one character"
    if (
        text
        and len(text) <= chars_max
        and len(text) * 4 <= bytes_max
        and text[0] not in " /"
        and text[-1] != " "
    ):
        return [text]  # nearly always
    prefix = ACTION_PREFIX if text.startswith(ACTION_PREFIX) else ""
    rest = text[len(prefix) :].strip(" ")
    room_chars, room_bytes = chars_max - len(prefix), bytes_max - len(prefix)
    pieces: list[str] = []
    while rest:
        fits = _fitting(rest, room_chars, room_bytes)
        if fits < len(rest):
            fits = _cut(rest, fits)
        pieces.append(prefix + rest[:fits].rstrip(" "))
        rest = rest[fits:].lstrip(" ")
    return pieces


def _fitting(text: str, chars_max: int, bytes_max: int) -> int:
    """How many leading code points of ``text`` stay within both limits."""
    fits = min(len(text), chars_max)
    if fits * 4 <= bytes_max:
        return fits
    encoded = text[:fits].encode("utf-8")
    if len(encoded) <= bytes_max:
        return fits
    # "ignore" drops the character that the byte limit cut in two.
    return len(encoded[:bytes_max].decode("utf-8", "ignore"))


def _cut(text: str, fits: int) -> int:
    """Where to cut ``text`` when only ``fits`` code points go: at a space, else between two characters."""
    space = text.rfind(" ", 0, fits + 1)
    if space > 0:
        return space
    for at in range(fits, max(fits - _BACK_OFF_MAX, 0), -1):
        if not _continues(text[at]) and text[at - 1] != "\u200d":
            return at
    return fits


def _continues(character: str) -> bool:
    return (
        character in _JOINERS
        or unicodedata.combining(character) != 0
        or unicodedata.category(character) == "Me"
        or ord(character) in _SKIN_TONES
    )


def distinct(text: str, copies: int) -> str:
    """``text`` as it looks, but different for every ``copies`` (0: unchanged), by invisible marks."""
    return f"{text} {DISTINCT_MARK * copies}" if copies else text
