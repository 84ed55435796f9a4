"""PostgreSQL's column types on SQLite: how values come in, how they are kept, how they go out.

SQLite has no types to speak of, so every value passes through here on its way in (from JSON bodies or from
the text of a filter) and out. What PostgreSQL would refuse is refused with its SQLSTATE and words.

Kept as: text and uuid as text, integers and booleans as integers, timestamps as ISO 8601 text in UTC with the
fraction's trailing zeros cut (such texts sort in order of time), jsonb as canonical JSON text
(:mod:`simulator.supabase.jsonb`: whole numbers of any length). Left out:
numeric, arrays, ranges, enums, date and time of day, intervals, infinity as a timestamp.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from simulator.supabase import errors, jsonb
from simulator.supabase.jsonb import Digits

Stored = str | int | float | None

_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")
# As `_canonical_time` writes them.
_CANONICAL_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,5}[1-9])?\+00:00"
)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_UTC_OFFSET = "+00:00"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Unique prefixes of these words count as booleans (PostgreSQL 18, section 8.6).
_TRUE_WORDS = ("true", "yes")
_FALSE_WORDS = ("false", "no")


@dataclass(frozen=True)
class PgType:
    """A column type: PostgreSQL's name for it and the type SQLite declares for it."""

    name: str
    sqlite: str
    bits: int = 0  # integers only


TEXT = PgType("text", "TEXT")
BOOLEAN = PgType("boolean", "BOOLEAN")
# Never "INTEGER": an INTEGER PRIMARY KEY of SQLite is the row's own number and would change with an update.
SMALLINT = PgType("smallint", "SMALLINT", 16)
INTEGER = PgType("integer", "INT", 32)
BIGINT = PgType("bigint", "BIGINT", 64)
DOUBLE = PgType("double precision", "REAL")
# Declared as TEXT: under the name JSONB SQLite would turn the document 5 into a number.
JSONB = PgType("jsonb", "TEXT")
TIMESTAMPTZ = PgType("timestamp with time zone", "TEXT")
UUID = PgType("uuid", "TEXT")

BY_NAME: Mapping[str, PgType] = {
    "text": TEXT, "varchar": TEXT, "character varying": TEXT, "boolean": BOOLEAN, "bool": BOOLEAN,
    "smallint": SMALLINT, "int2": SMALLINT, "int": INTEGER, "integer": INTEGER, "int4": INTEGER,
    "bigint": BIGINT, "int8": BIGINT, "double": DOUBLE, "double precision": DOUBLE, "float8": DOUBLE,
    "json": JSONB, "jsonb": JSONB, "timestamptz": TIMESTAMPTZ, "timestamp with time zone": TIMESTAMPTZ,
    "uuid": UUID,
}  # fmt: skip


def from_json(kind: PgType, value: Any) -> Stored:
    """Store a value of a JSON body as PostgreSQL's json_populate_record would; raises PgError."""
    if value is None:
        return None
    if kind is JSONB:
        return canonical_json(value)
    if kind.bits and type(value) is int:
        return _in_range(kind, value)
    if isinstance(value, Digits):
        if kind.bits:
            raise errors.out_of_range(kind.name, value.digits)
        value = value.digits
    return from_text(kind, value if isinstance(value, str) else _json_text(value))


def from_text(kind: PgType, text: str) -> Stored:
    """Store a literal (the operand of a filter, a JSON string) as a value of the type; raises PgError."""
    if "\x00" in text:
        raise errors.nul_character()
    if kind.bits:
        return _integer(kind, text)
    if kind is BOOLEAN:
        return _boolean(text)
    if kind is TIMESTAMPTZ:
        return _timestamp(text)
    if kind is JSONB:
        try:
            return canonical_json(jsonb.loads(text))
        except ValueError:
            raise errors.PgError("22P02", "invalid input syntax for type json") from None
    if kind is DOUBLE:
        try:
            return float(text)
        except ValueError:
            raise errors.invalid_input(kind.name, text) from None
    if kind is UUID:
        if not _UUID.fullmatch(text.strip().lower()):
            raise errors.invalid_input(kind.name, text)
        return text.strip().lower()
    return text


def to_json(kind: PgType, stored: Any) -> Any:
    """The stored value as it appears in an answer."""
    if stored is None:
        return None
    if kind is BOOLEAN:
        return bool(stored)
    if kind is JSONB:
        return jsonb.loads(stored)
    if kind is TIMESTAMPTZ:
        return _timestamp(stored)
    return stored


def to_text(kind: PgType, stored: Any) -> str:
    """The stored value as PostgreSQL prints it in messages and casts to text."""
    if stored is None:
        return "null"
    if kind is BOOLEAN:
        return "t" if stored else "f"
    return str(stored)


def iso_utc(unix_s: float) -> str:
    """A unix time in seconds as the ISO 8601 text that timestamps are kept as."""
    return _canonical_time(_EPOCH + timedelta(microseconds=round(unix_s * 1_000_000)))


def canonical_json(value: Any) -> str:
    """JSON as jsonb keeps it: keys by length, then bytes; raises PgError for U+0000."""
    text = jsonb.dumps(sorted_keys(value))
    if "\\u0000" in text:
        refuse_nul(value)
    return text


def refuse_nul(value: Any) -> None:
    """Raise PgError if there is a U+0000 anywhere in a decoded JSON value, which no jsonb can hold."""
    try:
        clean = b"\\u0000" not in msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError):  # a number too long for an int, half a surrogate pair
        clean = False
    if not clean and _has_nul(value):
        raise errors.nul_character()


def sorted_keys(value: Any) -> Any:
    """A decoded JSON value with the keys of its objects in the order in which jsonb keeps them: by length, then bytes."""
    # Called for each value of each request: exact types, and scalars are not visited.
    if type(value) is dict:
        return {
            key: sorted_keys(item) if type(item) is dict or type(item) is list else item
            for key in _key_order(tuple(value))
            for item in (value[key],)
        }
    if type(value) is list:
        return [sorted_keys(item) if type(item) is dict or type(item) is list else item for item in value]
    return value


@lru_cache(maxsize=1_024)
def _key_order(keys: tuple[str, ...]) -> tuple[str, ...]:
    # Rows of one table have the same keys in the same order.
    return tuple(sorted(keys, key=lambda key: (len(key.encode()), key.encode())))


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, Mapping):
        return any("\x00" in key or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_has_nul(item) for item in value)


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _integer(kind: PgType, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise errors.invalid_input(kind.name, text)
    return _in_range(kind, int(text), text)


def _in_range(kind: PgType, number: int, text: str = "") -> int:
    if not -(1 << (kind.bits - 1)) <= number < 1 << (kind.bits - 1):
        raise errors.out_of_range(kind.name, text or str(number))
    return number


def _boolean(text: str) -> int:
    word = text.strip().lower()
    if word in ("1", "on") or (word and any(full.startswith(word) for full in _TRUE_WORDS)):
        return 1
    if word in ("0", "of", "off") or (word and any(full.startswith(word) for full in _FALSE_WORDS)):
        return 0
    raise errors.invalid_input("boolean", text)


def _timestamp(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise errors.invalid_input(TIMESTAMPTZ.name, text) from None
    if _CANONICAL_TIME.fullmatch(text):
        return text  # nearly all that are read are
    # A session of Supabase's API has the time zone UTC.
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return _canonical_time(moment.astimezone(UTC))
    except OverflowError:
        raise errors.PgError("22008", f'timestamp out of range: "{text}"') from None


def _canonical_time(moment: datetime) -> str:
    text = moment.isoformat()
    return f"{text.removesuffix(_UTC_OFFSET).rstrip('0')}{_UTC_OFFSET}" if moment.microsecond else text
