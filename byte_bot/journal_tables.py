"""How ``byte-bot journal`` shows what a journal holds: plain text for people, JSON for programs.

Text fits into the given width, needs no colour, and shows what viewers wrote with control characters and invisible ones
escaped: whatever is in a chat line, it does not move the cursor of whoever reads it. JSON is escaped likewise.

The shape of a row in JSON (:func:`entry_data`)::

    {"kind": "row", "row": "component_state/141981764/counters",
     "table": "component_state", "channel_id": "141981764", "key": "counters",
     "base": {"data": {...} or null, "tombstones": {...}, "version": 1, "epoch": 4, "revision": 7, "edit_no": 0} or null,
     "boundary": [4, 8],
     "operations": [{"kind": "add", "field": "total", "key": null, "value": 1, "stamp": [4, 8], "op_id": "...",
                     "at_s": 1767225600, "cap": 0, "version": 1}],
     "dead_letter": {"revision": 8, "sqlstate": "23514", "words": "...", "at_s": 1767225604.5, "payload": {...}} or null}

What is nested more than :data:`LEVELS_SHOWN` levels deep (``data``, a ``value``, ``payload``) stands there as JSON in a text: Python
writes JSON on its own stack, and so do most programs that would read it.
"""

from __future__ import annotations

import io
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from byte_bot.clock import iso_utc
from byte_bot.persistence.fresh_stack import on_fresh_stack
from byte_bot.persistence.journal_image import SEEN_MESSAGES_MAX, DeadLettered, KnownChannel
from byte_bot.persistence.journal_inspection import Entry, Listing, Overview
from byte_bot.persistence.journal_lock import Holder
from byte_bot.persistence.operations import Operation

#: Levels of lists and objects within each other; chosen: half of Python's stack, since it takes a call for each of them.
LEVELS_SHOWN: Final = 500
#: Lines that a list spends on the server's words; all of them stand in ``show``.
WORDS_LINES: Final = 2
#: Places of a damaged file that are named; an export names all.
UNREADABLE_SHOWN: Final = 5
_SOMEBODY: Final = "another process"
_INDENT: Final = "    "
#: The columns of a list behind the row's name.
_NUMBERS: Final = "{:>9}{:>8}"
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))


class FileSizes(msgspec.Struct, frozen=True):
    """Bytes on disk: the journal's file, and its WAL."""

    file_bytes: int
    wal_bytes: int


class Use(msgspec.Struct, frozen=True):
    """Whether a process holds the journal (None: this account cannot tell), and which, if its lock says so."""

    held: bool | None
    holder: Holder | None = None

    def __str__(self) -> str:
        if self.held is None:
            return "this account cannot tell: it may not try the lock beside the journal"
        return f"by {self.holder or _SOMEBODY}" if self.held else "no"


# ── for people ───────────────────────────────────────────────────────────────────────────────────────────────────────


def overview_text(path: str, overview: Overview, sizes: FileSizes, use: Use, width: int) -> str:
    """``byte-bot journal status``."""
    waiting = "nothing: everything is in the database"
    if overview.rows_pending:
        waiting = f"{_count(overview.rows_pending, 'row')} with {_count(overview.operations, 'change')}"
        if overview.oldest_unsaved_s is not None:
            waiting += f", the oldest {age(overview.oldest_unsaved_s)} old"
    letters = "none"
    if overview.dead_letters:
        letters = f"{_count(overview.dead_letters, 'row')} refused: byte-bot journal list --dead"
    return _grid(
        [
            ("journal", path),
            ("bot", overview.login),
            ("in use", str(use)),
            ("format", str(overview.format)),
            ("size", f"{size(sizes.file_bytes)}, WAL {size(sizes.wal_bytes)}"),
            ("waiting", waiting),
            ("dead letters", letters),
            ("rows known", str(overview.rows)),
            ("channels", str(overview.channels)),
            ("epoch", str(overview.epoch) if overview.epoch else "none taken yet"),
            ("handled", f"{overview.handled} of the last {SEEN_MESSAGES_MAX} message ids"),
            ("commits", str(overview.commits)),
        ],
        width,
    ) + unreadable_text(overview.unreadable, width)


def listing_text(listing: Listing, now_s: float, width: int) -> str:
    """``byte-bot journal list``."""
    unreadable = unreadable_text(listing.unreadable, width)
    if not listing.entries:
        return f"Nothing waits, and nothing was refused.{unreadable}"
    names = [escaped(entry.key.name) for entry in listing.entries]
    # A longer name sticks out: cut in two it could not be copied into the next command.
    wide = min(max(map(len, ("row", *names))), width - len(_NUMBERS.format("", "")))
    lines = [f"{'row':<{wide}}{_NUMBERS.format('changes', 'oldest')}"]
    for name, entry in zip(names, listing.entries, strict=True):
        since = "" if entry.since_s is None else age(now_s - entry.since_s)
        lines.append(f"{name:<{wide}}{_NUMBERS.format(len(entry.operations), since)}")
        if entry.letter is not None:
            refused = escaped(f"refused: {entry.letter.sqlstate} {entry.letter.words}")
            lines += textwrap.wrap(
                refused, width, initial_indent=_INDENT, subsequent_indent=_INDENT, max_lines=WORDS_LINES
            )
    if listing.left_out:
        lines += ["", f"{listing.left_out} more: --limit"]
    return "\n".join(lines) + unreadable


def unreadable_text(unreadable: Mapping[str, str], width: int) -> str:
    """What is below each answer about a damaged file: the places that could not be read, and why; '' if there is none."""
    if not unreadable:
        return ""
    lines = [f"\n\nThe file is damaged: {_count(len(unreadable), 'place')} in it cannot be read."]
    for place, why in [*unreadable.items()][:UNREADABLE_SHOWN]:
        lines += textwrap.wrap(
            escaped(f"{place}: {why}"),
            width,
            initial_indent=_INDENT,
            subsequent_indent=_INDENT,
            max_lines=WORDS_LINES,
        )
    if len(unreadable) > UNREADABLE_SHOWN:
        lines.append(f"{_INDENT}… and {len(unreadable) - UNREADABLE_SHOWN} more, in an export")
    return "\n".join(lines)


def entry_text(entry: Entry, width: int) -> str:
    """``byte-bot journal show``."""
    lines = [escaped(entry.key.name), "", *_base_lines(entry), ""]
    if entry.operations:
        lines.append(f"pending: {_count(len(entry.operations), 'change')} that no save has contained yet")
        for operation in entry.operations:
            lines += _operation_lines(operation, width)
        if entry.boundary.revision:
            lines.append(
                f"{_INDENT}a save up to {entry.boundary.epoch}/{entry.boundary.revision} was sent, and may have arrived"
            )
    else:
        lines.append("pending: nothing")
    if entry.letter is not None:
        lines += ["", *_letter_lines(entry.letter)]
    return "\n".join(lines)


def _operation_lines(operation: Operation, width: int) -> Iterator[str]:
    where = operation.field if operation.key is None else f"{operation.field}[{operation.key}]"
    when = f"{_time(operation.at_s)}  " if operation.at_s else ""
    line = f"{_INDENT}{operation.stamp.epoch}/{operation.stamp.revision}  {when}{escaped(f'{operation.kind} {where}')}"
    value = "" if operation.value is None else json_text(_shallow(operation.value))
    if len(line) + 2 + len(value) <= width:
        yield f"{line}  {value}".rstrip()
    else:
        yield line
        yield f"{_INDENT}{_INDENT}{value}"


def _base_lines(entry: Entry) -> Iterator[str]:
    base = entry.base
    if base is None:
        yield "base: none, the database had no such row, or it was not read yet"
        return
    edits = "" if base.edit_no is None else f", edit_no {base.edit_no}"
    yield f"base: as the database had it last (epoch {base.epoch}, revision {base.revision}, version {base.version}{edits})"
    if base.data is None:
        yield f"{_INDENT}no such row"
    else:
        yield from _json_lines(base.data)
    if base.tombstones:
        yield f"{_INDENT}deleted keys: {json_text(base.tombstones)}"


def _letter_lines(letter: DeadLettered) -> Iterator[str]:
    yield f"dead letter: refused at {_time(letter.at_s)}, as revision {letter.revision}"
    yield f"{_INDENT}SQLSTATE     {escaped(letter.sqlstate)}"
    yield f"{_INDENT}server says  {escaped(letter.words)}"
    yield f"{_INDENT}it was sent"
    yield from _json_lines(letter.payload)


def _json_lines(data: bytes) -> Iterator[str]:
    value = _loaded(data)
    yield from _indented(value if isinstance(value, str) else json_text(value, indent=2))


def _indented(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"{_INDENT}{escaped(line)}"


def _time(unix_s: float) -> str:
    return f"{iso_utc(unix_s)[:19]}Z"


def _grid(pairs: Iterable[tuple[str, str]], width: int) -> str:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, Text(escaped(value)))
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, highlight=False, markup=False, emoji=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def age(seconds: float) -> str:
    """A span of time in one unit: ``12 s``, ``3 min``, ``5 h``, ``2 d``."""
    for unit, length_s in _UNITS:
        if seconds >= length_s:
            return f"{seconds // length_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def size(number: int) -> str:
    """Bytes in a unit that fits."""
    if number >= 1_000_000:
        return f"{number / 1e6:.1f} MB"
    return f"{number / 1e3:.0f} kB" if number >= 1_000 else f"{number} bytes"


def escaped(text: str) -> str:
    """``text`` with everything that is not visible as it stands (controls, directions, halves of pairs) escaped."""
    return re.sub(r"[^ ]", lambda found: found[0] if found[0].isprintable() else _escape(found[0]), text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


# ── for programs ─────────────────────────────────────────────────────────────────────────────────────────────────────


def json_text(value: Any, *, indent: int | None = None) -> str:
    """``value`` as JSON in which every character is visible; letters and emoji stay as they are."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return re.sub(
        r"[^ \n]",
        # As JSON writes it, pairs of surrogates and all: what cannot be seen stands in strings only.
        lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1],
        text,
    )


def overview_data(path: str, overview: Overview, sizes: FileSizes, use: Use) -> dict[str, Any]:
    """``byte-bot journal status --json``.

    ``in_use`` is null if this account cannot tell; ``held_by`` is a text if the holder does not say who, else null or an object.
    """
    numbers: dict[str, Any] = msgspec.to_builtins(overview)
    return {
        "path": path,
        "bot": numbers.pop("login"),
        "in_use": use.held,
        "held_by": msgspec.to_builtins(use.holder) if use.holder else _SOMEBODY if use.held else None,
        **msgspec.to_builtins(sizes),
        **numbers,
        "handled_max": SEEN_MESSAGES_MAX,
    }


def listing_data(listing: Listing) -> dict[str, Any]:
    """``byte-bot journal list --json``."""
    rows = [
        {
            "row": entry.key.name,
            **entry.key._asdict(),
            "changes": len(entry.operations),
            "since_s": entry.since_s,
            "dead_letter": None
            if (letter := entry.letter) is None
            else {
                "revision": letter.revision,
                "sqlstate": letter.sqlstate,
                "words": letter.words,
                "at_s": letter.at_s,
            },
        }
        for entry in listing.entries
    ]
    return {"rows": rows, "left_out": listing.left_out, "unreadable": listing.unreadable}


def entry_data(entry: Entry) -> dict[str, Any]:
    """One row, complete; see the module's docstring."""
    base, letter = entry.base, entry.letter
    return {
        "kind": "row",
        "row": entry.key.name,
        **entry.key._asdict(),
        "base": None
        if base is None
        else {
            "data": None if base.data is None else _loaded(base.data),
            "tombstones": base.tombstones,
            "version": base.version,
            "epoch": base.epoch,
            "revision": base.revision,
            "edit_no": base.edit_no,
        },
        "boundary": list(entry.boundary),
        "operations": [
            {
                name: list(value) if name == "stamp" else _shallow(value)
                for name in operation.__struct_fields__
                for value in [getattr(operation, name)]
            }
            for operation in entry.operations
        ],
        "dead_letter": None
        if letter is None
        else {
            "revision": letter.revision,
            "sqlstate": letter.sqlstate,
            "words": letter.words,
            "at_s": letter.at_s,
            "payload": _loaded(letter.payload),
        },
    }


def export_lines(
    overview: Overview,
    channels: Iterable[KnownChannel],
    handled: Iterable[str],
    entries: Iterable[Entry],
    now_s: float,
    unreadable: Mapping[str, str],
) -> Iterator[str]:
    """``byte-bot journal export``: JSON lines; each has a ``kind``, of which there are ``journal`` (the first line),
    ``channels``, ``handled``, ``row`` and, of a damaged file, ``unreadable``; these are known when all others were read.
    """
    yield json_text(
        {
            "kind": "journal",
            "bot": overview.login,
            "format": overview.format,
            "identity": overview.identity,
            "epoch": overview.epoch,
            "commits": overview.commits,
            "exported_at": iso_utc(now_s),
        }
    )
    yield json_text({"kind": "channels", "channels": msgspec.to_builtins(list(channels))})
    yield json_text({"kind": "handled", "message_ids": list(handled)})
    for entry in entries:
        yield json_text(entry_data(entry))
    for place, why in unreadable.items():
        yield json_text({"kind": "unreadable", "place": place, "why": why})


def _loaded(data: bytes) -> Any:
    """JSON as data; as it stands if it is none (cut off, or a number that JSON has not), or nested too deeply to be shown."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data.decode("utf-8", "replace")
    return data.decode() if _is_deep(value) else value


def _shallow(value: Any) -> Any:
    """A value, as JSON in a text if it is nested too deeply to be shown."""
    # It was read on such a stack, within more levels.
    return on_fresh_stack(msgspec.json.encode, value).decode() if _is_deep(value) else value


def _is_deep(value: Any) -> bool:
    """True if there are more than :data:`LEVELS_SHOWN` levels; counted without a call for each of them."""
    within = [value]
    for _ in range(LEVELS_SHOWN):
        lists = [
            one.values() if isinstance(one, dict) else one for one in within if isinstance(one, dict | list)
        ]
        within = [item for items in lists for item in items]
        if not within:
            return False
    return any(isinstance(one, dict | list) for one in within)
