"""Texts that the database can hold, and values that can be read when they come back from it; pure.

PostgreSQL has no place for NUL in a text or in JSON, and half of a surrogate pair is no character: UTF-8 cannot write it.
Both can come from outside (a chat line, a forum's text that a component fetched, another thread), and a row with one of them
would be refused each time it is sent. So they are cleaned at the border, where a text comes in and again where a component's
value is recorded (:mod:`byte_bot.persistence.shadow`): NUL goes, half a pair becomes U+FFFD, the sign for a character that
could not be read. Both halves of a pair that stand one behind the other are the character that they mean.

Python reads and writes JSON on its own stack: what is nested nearly a thousand levels deep can be written in one place, and not
be read a few calls deeper. So what is recorded leaves room (:func:`decoded_with_room`), and what is saved does
(:func:`encoded_with_room`): no later start and no later load must fail for it.

JSON has no sign for infinity, nor for what is no number (NaN); msgspec writes both as ``null``, which comes back as another value
or as none. :func:`is_finite` finds them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, TypeVar

import msgspec

StructT = TypeVar("StructT", bound=msgspec.Struct)

#: Levels of nesting that a row must leave of those that Python's stack allows (1,000); chosen: four times the calls that a load
#: may be deeper than a save.
SPARE_LEVELS: Final = 200
#: Levels that a value must leave when it is recorded: a hundred more, since what was confirmed must never be refused when it is
#: saved, which can happen some calls deeper.
SPARE_LEVELS_RECORDED: Final = SPARE_LEVELS + 100
#: What has no more lists and objects in it than this is not looked at: it cannot be nested deeper.
_HARMLESS_LEVELS: Final = 100

#: How MessagePack begins a float that is infinite or no number: all bits of its exponent are set
#: (https://github.com/msgpack/msgpack/blob/master/spec.md#float-format-family). Other bytes can look like it.
_NOT_FINITE: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")

_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_HALF: Final = re.compile("[\ud800-\udfff]")


def _is_bad(text: str) -> bool:
    return "\x00" in text or (not text.isascii() and _HALF.search(text) is not None)


def storable(text: str) -> str:
    """``text`` without NUL, and with U+FFFD for each half of a surrogate pair; the same object if it has none."""
    if not _is_bad(text):
        return text
    whole = _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
    return _HALF.sub("\ufffd", whole.replace("\x00", ""))


def storable_struct(value: StructT) -> StructT:
    """``value`` with every text among its fields :func:`storable`; the same object if they all are already."""
    fields = msgspec.structs.astuple(value)
    # All at once: this is done for each message of chat, and nearly all are clean.
    if not _is_bad("".join([field for field in fields if type(field) is str])):
        return value
    names = value.__struct_fields__
    texts = {name: text for name, text in zip(names, fields, strict=True) if isinstance(text, str)}
    return msgspec.structs.replace(value, **{name: storable(text) for name, text in texts.items()})


def storable_data(value: Any) -> Any:
    """Plain data (dict, list, str, numbers, None) with every text in it :func:`storable`, keys of dicts too.

    Keys that become equal are one: the last counts.
    """
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable_data(key): storable_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable_data(item) for item in value]
    return value


def encoded_with_room(value: Any) -> bytes:
    """``value`` as JSON.

    Raises:
        RecursionError: it is nested so deep that there are no :data:`SPARE_LEVELS` left.
        TypeError, ValueError, OverflowError: JSON cannot hold it.
    """
    data = msgspec.json.encode(value)
    if data.count(b"[") + data.count(b"{") > _HARMLESS_LEVELS:
        for _ in range(SPARE_LEVELS):
            value = [value]
        msgspec.json.encode(value)
    return data


def decoded_with_room(data: bytes) -> Any:
    """JSON as plain data.

    Raises:
        RecursionError: it is nested so deep that there are no :data:`SPARE_LEVELS_RECORDED` left.
        msgspec.DecodeError: it cannot be read.
    """
    if data.count(b"[") + data.count(b"{") <= _HARMLESS_LEVELS:
        return msgspec.json.decode(data)
    value = msgspec.json.decode(b"[" * SPARE_LEVELS_RECORDED + data + b"]" * SPARE_LEVELS_RECORDED)
    for _ in range(SPARE_LEVELS_RECORDED):
        (value,) = value
    return value


def is_finite(value: Any, data: bytes) -> bool:
    """False if a number in ``value`` is infinite or none, so that ``data``, its JSON, says ``null`` instead."""
    if b"null" not in data:
        return True
    try:
        # Twice as quick as what is sure, and nearly all that has a null in it ends here.
        if not _NOT_FINITE.search(msgspec.msgpack.encode(value)):
            return True
    except (OverflowError, ValueError):
        pass  # an integer that is too large for it
    try:
        # What it calls unknown although JSON could be made of it is JSON already (msgspec.Raw).
        json.dumps(msgspec.to_builtins(value, enc_hook=lambda raw: None), allow_nan=False)
    except ValueError:
        return False
    return True
