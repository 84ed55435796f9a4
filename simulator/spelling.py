"""What to say about a name that there is not: which one was meant, and which there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """The words about a ``what`` with this ``name``: the nearest of those that are ``known``, and all of them."""
    known = tuple(known)
    return f"unknown {what} {name!r};{did_you_mean(name, known)} allowed: {', '.join(known)}"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """`` did you mean 'x'?`` if one of the known names is near or begins so, else nothing."""
    if not isinstance(name, str) or not name:
        return ""
    known = tuple(known)
    near = difflib.get_close_matches(name, known, n=1) or [one for one in known if one.startswith(name)]
    return f" did you mean {near[0]!r}?" if near else ""
