"""The Prefer header as a value. Pure.

Unknown preferences are kept, since ``handling=strict`` refuses them. Left out: the time zone's effect, and
``tx=rollback``, which Supabase does not let a request choose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Prefer:
    """The Prefer header, what is understood of it."""

    representation: Literal["", "representation", "minimal", "headers-only"] = ""
    count: Literal["", "exact", "planned", "estimated"] = ""
    resolution: Literal["", "merge-duplicates", "ignore-duplicates"] = ""
    missing_default: bool = False
    strict: bool = False
    max_affected: int | None = None
    applied: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def parse_prefer(headers: Iterable[str]) -> Prefer:
    """Parse the values of the Prefer header(s); unknown preferences are kept for handling=strict."""
    tokens = [token.strip() for header in headers for token in header.split(",") if token.strip()]
    chosen: dict[str, str] = {}
    unknown: list[str] = []
    for token in tokens:
        name, _, value = token.partition("=")
        if name in _PREFERENCES and (_PREFERENCES[name] is None or value in (_PREFERENCES[name] or ())):
            chosen.setdefault(name, value)
        else:
            unknown.append(token)
    limit = chosen.get("max-affected", "")
    return Prefer(
        representation=chosen.get("return", ""),  # type: ignore[arg-type]  # checked against _PREFERENCES
        count=chosen.get("count", ""),  # type: ignore[arg-type]  # likewise
        resolution=chosen.get("resolution", ""),  # type: ignore[arg-type]  # likewise
        missing_default=chosen.get("missing") == "default",
        strict=chosen.get("handling") == "strict",
        max_affected=int(limit) if limit.isdigit() else None,
        applied=tuple(f"{name}={value}" for name, value in chosen.items()),
        unknown=tuple(unknown),
    )


_PREFERENCES: Mapping[str, tuple[str, ...] | None] = {
    "return": ("representation", "minimal", "headers-only"),
    "count": ("exact", "planned", "estimated"),
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "missing": ("default", "null"),
    "handling": ("strict", "lenient"),
    # Supabase ends every transaction with a commit and does not let a request override that: accepted, no
    # effect.
    "tx": ("commit", "rollback"),
    "max-affected": None,
    "timezone": None,
}
