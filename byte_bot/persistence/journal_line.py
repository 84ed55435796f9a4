"""What stands in the lines of a journal's file, written and read; and what it is called when it cannot be read. Pure."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from byte_bot.persistence.journal_image import Rebased, Recorded, RowImage, Settled, Write
from byte_bot.persistence.operations import NO_STAMP, NO_TOMBSTONES, Base, Operation, Stamp, Tombstones

#: The columns of a line behind those of its key, in the order in which :func:`line_of` gives them.
LINE_COLUMNS: Final = (
    "version",
    "data",
    "tombstones",
    "epoch",
    "revision",
    "edit_no",
    "boundary_epoch",
    "boundary_revision",
    "pending",
)

#: Puts a line where that of its key is, or to the others; its values are the key and those columns.
SAVE_ROW: Final = f"""
INSERT INTO rows ("table", channel_id, key, {", ".join(LINE_COLUMNS)})
VALUES (?, ?, ?, {", ".join("?" * len(LINE_COLUMNS))})
ON CONFLICT (channel_id, "table", key) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in LINE_COLUMNS)}
"""

#: What the encoder raises for a value that no JSON can hold: half a character, an object, lists without end.
UNENCODABLE_ERRORS: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.EncodeError)

_encode: Final = msgspec.json.encode


class CommitsMissing(sqlite3.DatabaseError):
    """The file does not have commits that were made: it was replaced, lost its tail, or has a hole."""


class JournalDamaged(sqlite3.DatabaseError):
    """What is in a field of the file cannot be read, although SQLite reads the file."""


@contextmanager
def damage_named() -> Iterator[None]:
    """Whatever cannot be decoded inside is :class:`JournalDamaged`."""
    try:
        yield
    except msgspec.MsgspecError as error:
        raise JournalDamaged(f"the journal is damaged: {error}") from None


def encodable(writes: Iterable[Write]) -> tuple[list[Write], list[tuple[str, str]]]:
    """What of these writes can be encoded, and what was left out of them: its name, and why.

    Values are checked where they come in, so this is the last resort: a write that fails every commit would keep all that
    is done after it from becoming durable.
    """
    kept: list[Write] = []
    left_out: list[tuple[str, str]] = []
    for write in writes:
        if _why_not(write) and isinstance(write, Recorded | Rebased):
            operations = []
            for operation in write.operations:
                if why := _why_not(operation):
                    left_out.append((f"{operation.kind} {operation.field} of {write.key.name}", why))
                else:
                    operations.append(operation)
            write = msgspec.structs.replace(write, operations=operations)
        if why := _why_not(write):
            key = getattr(write, "key", None)
            left_out.append((type(write).__name__ + (f" of {key.name}" if key else ""), why))
        else:
            kept.append(write)
    return kept, left_out


def _why_not(value: Any) -> str:
    """Why it cannot be encoded; empty if it can."""
    try:
        _encode(value)
    except UNENCODABLE_ERRORS as error:
        return str(error) or type(error).__name__
    return ""


def bases_in(writes: Iterable[Write]) -> str | None:
    """The channels of which there are bases, as the column ``bases`` has them; None if there are none."""
    channels: dict[str, None] = {}
    for write in writes:
        # Not isinstance() of a union, which is made anew each time: this is asked of each line of chat.
        if type(write) is Settled or type(write) is Rebased:
            channels[write.key.channel_id] = None
    return f" {' '.join(channels)} " if channels else None


def line_of(row: RowImage) -> tuple[object, ...]:
    """The values of :data:`LINE_COLUMNS`; ``version`` is None as long as no base is known."""
    base = row.base
    pending = _encode(row.pending) if row.pending else None
    if base is None:
        return (None, None, None, 0, 0, None, *row.boundary, pending)
    graves = _encode(base.tombstones) if base.tombstones else None
    return (
        base.version,
        base.data,
        graves,
        base.epoch,
        base.revision,
        base.edit_no,
        *row.boundary,
        pending,
    )


def row_of(
    version: int | None,
    data: bytes | None,
    tombstones: bytes | None,
    epoch: int,
    revision: int,
    edit_no: int | None,
    boundary_epoch: int,
    boundary_revision: int,
    pending: bytes | None,
) -> RowImage:
    """The row of such a line; raises :class:`msgspec.DecodeError` for one that is damaged."""
    base = None
    if version is not None:
        graves = msgspec.json.decode(tombstones, type=Tombstones) if tombstones else NO_TOMBSTONES
        base = Base(data, graves, version, epoch, revision, edit_no)
    stamp = Stamp(boundary_epoch, boundary_revision)
    operations = msgspec.json.decode(pending, type=list[Operation]) if pending else []
    return RowImage(base, operations, stamp if stamp != NO_STAMP else NO_STAMP)
