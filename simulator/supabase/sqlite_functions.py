"""PostgreSQL's functions and operators which SQLite lacks, as SQL functions in Python.

Registered on the fake's connection, so that the checks and defaults of real schema files work as they stand,
and so that filters mean what they mean in PostgreSQL (SQLite's own LIKE ignores the case of ASCII letters).
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from simulator.supabase import jsonb, pgtypes

# Compiled patterns kept; chosen because a client uses a handful of them.
PATTERNS_MAX = 256


def register(connection: sqlite3.Connection, now_iso: Callable[[], str], new_uuid: Callable[[], str]) -> None:
    """Add the functions to a connection; ``now_iso`` gives the time and ``new_uuid`` an id, both of the world."""
    connection.create_function("pg_now", 0, now_iso)
    connection.create_function("pg_uuid", 0, new_uuid)
    for name, arity, function in (
        ("pg_like", 3, _like),
        ("pg_match", 3, _match),
        ("pg_json", 2, _json_path),
        ("pg_json_text", 2, _json_path_text),
        ("pg_jsonb", 1, _jsonb),
        ("pg_contains", 2, _contains),
        ("jsonb_typeof", 1, _typeof),
        ("char_length", 1, _length),
        ("octet_length", 1, _octets),
        ("pg_column_size", 1, _octets),
        ("regexp", 2, _regexp),
    ):
        connection.create_function(name, arity, function, deterministic=True)


def _like(text: str | None, pattern: str, ignore_case: int) -> int | None:
    return (
        None if text is None else int(_like_pattern(pattern, bool(ignore_case)).fullmatch(text) is not None)
    )


@lru_cache(maxsize=PATTERNS_MAX)
def _like_pattern(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    parts: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            parts.append(re.escape(next(characters, "\\")))
        else:
            parts.append({"%": ".*", "_": "."}.get(character) or re.escape(character))
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _match(text: str | None, pattern: str, ignore_case: int) -> int | None:
    if text is None:
        return None
    return int(re.search(pattern, text, re.IGNORECASE if ignore_case else 0) is not None)


def _regexp(pattern: str, text: str | None) -> int | None:
    return _match(text, pattern, 0)


def walk(document: Any, path: list[str | int]) -> Any:
    """Follow a path of keys and indexes into a JSON value; None where it leads nowhere."""
    for step in path:
        if isinstance(document, dict) and isinstance(step, str):
            document = document.get(step)
        elif isinstance(document, list) and isinstance(step, int) and -len(document) <= step < len(document):
            document = document[step]
        elif isinstance(document, dict):
            document = document.get(str(step))
        else:
            return None
    return document


def json_text(value: Any) -> str | None:
    """A JSON value as ``->>`` gives it: strings bare, everything else as JSON, null as NULL."""
    if isinstance(value, jsonb.Digits):
        return value.digits
    if value is None or isinstance(value, str):
        return value
    return jsonb.dumps(value)


def _json_path(document: str | None, path: str) -> str | None:
    if document is None:
        return None
    found = walk(jsonb.loads(document), json.loads(path))
    return None if found is None else pgtypes.canonical_json(found)


def _json_path_text(document: str | None, path: str) -> str | None:
    return None if document is None else json_text(walk(jsonb.loads(document), json.loads(path)))


def _jsonb(document: str | None) -> str | None:
    return None if document is None else pgtypes.canonical_json(jsonb.loads(document))


def _contains(document: str | None, part: str) -> int | None:
    """jsonb's ``@>`` (PostgreSQL 18, section 8.14.3)."""
    if document is None:
        return None
    whole, wanted = jsonb.loads(document), jsonb.loads(part)
    if isinstance(whole, list) and not isinstance(wanted, dict | list):
        # The one exception to "structures must match", and at the top only.
        wanted = [wanted]
    return int(_holds(whole, wanted))


def _holds(whole: Any, part: Any) -> bool:
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and _holds(whole[key], value) for key, value in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return all(any(_holds(item, one) for item in whole) for one in part)
    # In Python True equals 1; in JSON it does not.
    return isinstance(whole, bool) is isinstance(part, bool) and whole == part


def _typeof(document: str | None) -> str | None:
    if document is None:
        return None
    value = jsonb.loads(document)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, jsonb.Digits):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict | list):
        return "object" if isinstance(value, dict) else "array"
    return "number"


def _length(text: str | None) -> int | None:
    return None if text is None else len(text)


def _octets(text: str | None) -> int | None:
    return None if text is None else len(str(text).encode())
