"""What viewers type, checked: names, whole numbers, texts; and lists cut to what one chat line holds. Pure.

Whatever the built-in components keep went through here, so every name and text in a row has a bound, and no number
overflows what reads it (PostgreSQL's bigint, a JavaScript dashboard, a viewer's eye).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

#: Code points of the name of a counter or a custom command; chosen: longer ones cannot be remembered.
NAME_CHARS_MAX = 30
#: Code points of a kept text; chosen: with what a sentence puts around it, it fits one message of 500.
TEXT_CHARS_MAX = 400
#: Counters and their changes stay within ± this; chosen: exact in JSON everywhere (below 2**53).
NUMBER_MAX = 10**12
#: Code points a list may take of one chat line.
LIST_CHARS_MAX = 420
#: Between the items of a list.
BULLET = " · "

# Phones turn a hyphen into these.
_MINUS_SIGNS = str.maketrans({"−": "-", "–": "-", "—": "-"})
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,13}")


def name_of(word: str) -> str | None:
    """The name ``word`` stands for, lower case and in one Unicode form; None if it cannot be a name.

    Letters and digits of any script, ``-`` and ``_``; 1 to :data:`NAME_CHARS_MAX` code points.
    """
    name = unicodedata.normalize("NFC", word.lower())
    if not 1 <= len(name) <= NAME_CHARS_MAX:
        return None
    return name if all(character.isalnum() or character in "-_" for character in name) else None


def text_of(words: str) -> str | None:
    """The text to keep, without surrounding blanks; None if it is longer than :data:`TEXT_CHARS_MAX`."""
    text = words.strip()
    return text if len(text) <= TEXT_CHARS_MAX else None


def whole_number(word: str) -> int | None:
    """The whole number ``word`` writes, None if it is none or beyond ± :data:`NUMBER_MAX`.

    Only ASCII digits: Python's ``int`` also takes ``1_000`` and ``١٢``, which nobody means.
    """
    word = word.translate(_MINUS_SIGNS)
    number = int(word) if _WHOLE_NUMBER.fullmatch(word) else None
    return number if number is not None and abs(number) <= NUMBER_MAX else None


def plain_signs(words: str) -> str:
    """``words`` without blanks and with ordinary minus signs: what ``= –5`` means."""
    return "".join(words.split()).translate(_MINUS_SIGNS)


def page(items: Sequence[str], first: int = 0, *, chars_max: int = LIST_CHARS_MAX) -> tuple[str, int]:
    """As many items from ``first`` on as fit, joined; and the index of the first that does not (the length if all do).

    At least one item is shown, cut if it is too long by itself.
    """
    shown: list[str] = []
    room = chars_max
    for item in items[first:]:
        if shown and len(BULLET) + len(item) > room:
            break
        shown.append(cut(item, room))
        room -= len(shown[-1]) + len(BULLET)
    return BULLET.join(shown), first + len(shown)


def cut(text: str, chars_max: int) -> str:
    """``text`` in at most ``chars_max`` code points; an ellipsis shows that something is missing."""
    return text if len(text) <= chars_max else f"{text[: chars_max - 1]}…"
