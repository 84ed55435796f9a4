"""Helix's pages: `first` and a cursor that looks like Twitch's, which is base64 of {"b": …, "a": {"Offset": 5}}.

A cursor holds the offset at which the page began and the one at which it ended, for `before` and `after`. Clients must not read it
(dev.twitch.tv/docs/api/guide, pagination); lists change between two calls, so an entry may come twice or not at all, as there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from simulator.twitch.web_exchange import Refused

_T = TypeVar("_T")

# Recorded (in the tests of nicklaw5/helix and of others).
_TOO_LARGE = 'The parameter "first" was malformed: the value must be less than or equal to {largest}'
_TOO_SMALL = 'The parameter "first" was malformed: the value must be greater than or equal to 1'
_BAD_CURSOR = "Invalid cursor."


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is wanted: at most `first` entries after, or before, an offset."""

    first: int
    after: int = 0
    before: int | None = None

    def cut(self, items: Sequence[_T]) -> tuple[list[_T], dict[str, Any]]:
        """Return the page, and the answer's `pagination` object, which is empty on the last page."""
        if self.before is None:
            start = min(self.after, len(items))
        else:
            start = max(0, self.before - self.first)
        stop = min(len(items), start + self.first if self.before is None else self.before)
        last = stop >= len(items)
        return list(items[start:stop]), {} if last else {"cursor": encode_cursor(start, stop)}


def page_request(first: str, after: str, before: str, *, default: int, largest: int) -> PageRequest:
    """Read the three query parameters ("" when absent); raises `Refused` with Twitch's words."""
    size = default
    if first:
        if not first.isdecimal() or int(first) < 1:
            raise Refused(400, _TOO_SMALL)
        if int(first) > largest:
            raise Refused(400, _TOO_LARGE.format(largest=largest))
        size = int(first)
    if before:
        return PageRequest(size, before=_decode_cursor(before, "b"))
    return PageRequest(size, after=_decode_cursor(after, "a") if after else 0)


def encode_cursor(start: int, stop: int) -> str:
    """Write the offsets of a page as a cursor."""
    text = json.dumps(
        {"b": {"Offset": start} if start else None, "a": {"Offset": stop}}, separators=(",", ":")
    )
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode_cursor(cursor: str, side: str) -> int:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        offset = (json.loads(base64.urlsafe_b64decode(padded))[side] or {"Offset": 0})["Offset"]
    except (ValueError, KeyError, TypeError):
        raise Refused(400, _BAD_CURSOR) from None
    if not isinstance(offset, int) or offset < 0:
        raise Refused(400, _BAD_CURSOR)
    return offset
