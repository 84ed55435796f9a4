"""What stands in the lines of a journal's file, written, and read and checked; pure.

Whatever is read is of the types that are written, and so is what stands in JSON within it; else it is
:class:`~byte_bot.persistence.journal_damage.JournalDamaged`, or an error of those that
:func:`~byte_bot.persistence.journal_damage.damage_named` gives that name. What is nested too deeply for the stack that it is
read on is none: operations are read on another one (:mod:`byte_bot.persistence.fresh_stack`), and their row is for whoever reads
that.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import msgspec

from byte_bot.persistence.fresh_stack import on_fresh_stack
from byte_bot.persistence.journal_damage import JournalDamaged
from byte_bot.persistence.journal_image import DeadLettered, Rebased, Recorded, RowImage, Settled, Write
from byte_bot.persistence.operations import (
    NO_STAMP,
    NO_TOMBSTONES,
    Base,
    Kind,
    Operation,
    RowKey,
    Stamp,
    Tombstones,
)
from byte_bot.persistence.storable import is_finite

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

#: The columns of a dead letter, in the order in which :func:`letter_of` takes them.
LETTER_COLUMNS: Final = ('"table"', "channel_id", "key", "revision", "sqlstate", "words", "payload", "at_s")

#: Puts a line where that of its key is, or to the others; its values are the key and those columns.
SAVE_ROW: Final = f"""
INSERT INTO rows ("table", channel_id, key, {", ".join(LINE_COLUMNS)})
VALUES (?, ?, ?, {", ".join("?" * len(LINE_COLUMNS))})
ON CONFLICT (channel_id, "table", key) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in LINE_COLUMNS)}
"""

#: What the encoder raises for a value that no JSON can hold: half a character, an object, lists without end.
UNENCODABLE_ERRORS: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.EncodeError)

# Looked up once: to ask the class for a member takes longer than the whole of what is looked at.
_ADD, _SET, _APPEND = Kind.ADD, Kind.SET, Kind.APPEND

_encode: Final = msgspec.json.encode
_skim: Final = msgspec.json.Decoder(msgspec.Raw).decode
_decode_operations: Final = msgspec.json.Decoder(list[Operation]).decode


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
    """Why it cannot be encoded, or would be read as another value; empty if neither."""
    try:
        finite = is_finite(value, _encode(value))
    except UNENCODABLE_ERRORS as error:
        return str(error) or type(error).__name__
    return "" if finite else "it holds a number that is infinite, or none"


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
    pending = _encoded_operations(row.pending) if row.pending else None
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


def _encoded_operations(operations: list[Operation]) -> bytes:
    try:
        return _encode(operations)
    except RecursionError:
        return on_fresh_stack(_encode, operations)


def _decoded_operations(data: bytes) -> list[Operation]:
    try:
        return _decode_operations(data)
    except RecursionError:
        return on_fresh_stack(_decode_operations, data)


def row_of(
    version: object,
    data: object,
    tombstones: bytes | None,
    epoch: object,
    revision: object,
    edit_no: object,
    boundary_epoch: object,
    boundary_revision: object,
    pending: bytes | None,
) -> RowImage:
    """The row of such a line; raises for one that is damaged (see the module's docstring)."""
    base = None
    # Looked at all at once: this is done for each row of a channel that comes back from the snapshot.
    if version is not None:
        if not (
            (type(version) is int and type(epoch) is int and type(revision) is int)
            and (edit_no is None or type(edit_no) is int)
            and (data is None or type(data) is bytes)
        ):
            raise JournalDamaged(
                f"a base reads {version!r:.20}, {epoch!r:.20}, {revision!r:.20}, {edit_no!r:.20}, {type(data).__name__}"
            )
        graves = msgspec.json.decode(tombstones, type=Tombstones) if tombstones else NO_TOMBSTONES
        base = Base(data, graves, version, epoch, revision, edit_no)
        _check_base(base)
    if not type(boundary_epoch) is type(boundary_revision) is int:
        raise JournalDamaged(f"a boundary reads {boundary_epoch!r:.20}, {boundary_revision!r:.20}")
    stamp = Stamp(boundary_epoch, boundary_revision)
    operations = _decoded_operations(pending) if pending else []
    _check_operations(operations)
    return RowImage(base, operations, stamp if stamp != NO_STAMP else NO_STAMP)


def key_of_line(table: object, channel_id: object, key: object) -> RowKey:
    """Whose line it is."""
    if not type(table) is type(channel_id) is type(key) is str:
        raise JournalDamaged(f"a key reads {table!r:.40}, {channel_id!r:.40}, {key!r:.40}")
    return RowKey(table, channel_id, key)


def letter_of(
    table: object,
    channel_id: object,
    key: object,
    revision: object,
    sqlstate: object,
    words: object,
    payload: object,
    at_s: object,
) -> DeadLettered:
    """The dead letter of the values of :data:`LETTER_COLUMNS`."""
    if not isinstance(at_s, float):
        raise JournalDamaged(f"its at_s reads {at_s!r:.40}")
    return DeadLettered(
        key_of_line(table, channel_id, key),
        _whole("revision", revision),
        _text("sqlstate", sqlstate),
        _text("words", words),
        _blob("payload", payload),
        at_s,
    )


def check_writes(writes: Iterable[Write]) -> None:
    """Look at what the decoder takes as it is: the values of operations, and the JSON within a base."""
    for write in writes:
        # Not isinstance(): a long replay is a million of the first.
        if type(write) is Recorded:
            _check_operations(write.operations)
        elif type(write) is Settled:
            _check_base(write.base)
        elif type(write) is Rebased:
            _check_base(write.base)
            _check_operations(write.operations)


def _check_operations(operations: Iterable[Operation]) -> None:
    for operation in operations:
        kind = operation.kind
        if kind is _ADD:
            fits = type(operation.value) is int or type(operation.value) is float
        elif kind is _SET:
            fits = operation.key is None and (operation.cap >= 0 or type(operation.value) is dict)
        elif kind is _APPEND:
            fits = operation.key is None and type(operation.value) is list and operation.cap > 0
        else:
            fits = operation.key is not None
        if not fits:
            raise JournalDamaged(f"its operation {kind} of {operation.field!r:.40} is none")


def _check_base(base: Base) -> None:
    if base.data is not None:
        # A seventh of what it takes to make objects of it, on the loop for each snapshot: measured, 30 us of 10 kB.
        # What is nested too deeply is no damage: the database can hold it, and its row is for whoever reads that.
        with suppress(RecursionError):
            _skim(base.data)
        base.data.decode()  # which that does not look at
    if not base.tombstones:
        return
    for field, graves in base.tombstones.items():
        for grave in graves.values():
            if len(grave) != 3:
                raise JournalDamaged(f"its tombstone of {field!r:.40} is none")


def _whole(name: str, value: object) -> int:
    if type(value) is not int:
        raise JournalDamaged(f"its {name} reads {value!r:.40}")
    return value


def _text(name: str, value: object) -> str:
    if type(value) is not str:
        raise JournalDamaged(f"its {name} reads {value!r:.40}")
    return value


def _blob(name: str, value: object) -> bytes:
    if type(value) is not bytes:
        raise JournalDamaged(f"its {name} reads {value!r:.40}")
    return value
