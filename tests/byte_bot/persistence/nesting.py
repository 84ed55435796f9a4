"""Values nested as deep as Python's stack allows, which differs between its versions, or deeper."""

from __future__ import annotations

import msgspec

#: Deeper than any version of Python can read or write.
BOTTOMLESS = 100_000


def nested(depth: int) -> list[object]:
    """Lists in lists, ``depth`` of them."""
    value: list[object] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def deepest() -> int:
    """How many levels can just be written as JSON from here."""
    fits, fails = 1, BOTTOMLESS
    while fails - fits > 1:
        middle = (fits + fails) // 2
        try:
            msgspec.json.encode(nested(middle))
        except RecursionError:
            fails = middle
        else:
            fits = middle
    return fits
