"""Makes ``format_1.journal``: every kind of write once, as the release with format 1 stores it.

The file is kept so that later releases are tried on it; it is not made again. From the root of the repository, with a
program that writes format 1: ``python -m tests.data.journals.make_format_1``.
"""

from __future__ import annotations

from pathlib import Path

from byte_bot.persistence.journal import (
    DeadLettered,
    EpochTaken,
    Handled,
    KnownChannel,
    KnownChannels,
    Rebased,
    Recorded,
    Sending,
    Settled,
    Write,
)
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_opening import open_journal
from byte_bot.persistence.journal_schema import Owner
from byte_bot.persistence.operations import Base, Kind, Operation, RowKey, Stamp

DEATHS = RowKey("component_state", "1", "deaths")
QUOTES = RowKey("component_state", "1", "quotes")
CONTEXT = RowKey("channel_state", "1")

WRITES: tuple[Write, ...] = (
    EpochTaken(4),
    KnownChannels([KnownChannel("anna", "1"), KnownChannel("bert")]),
    Recorded(DEATHS, [Operation(Kind.ADD, "total", None, 1, Stamp(4, 8), "message-1:0", 1_767_225_600)]),
    Handled("message-1"),
    Recorded(DEATHS, [Operation(Kind.SET, "last", None, "lava", Stamp(4, 9), "message-2:0", 1_767_225_601)]),
    Handled("message-2"),
    Settled(QUOTES, Base(b'{"quotes":["a\xc3\xa9"]}', {"quotes": {"3": [4, 2, 1_767_225_602]}}, 2, 4, 3, 1)),
    Rebased(
        CONTEXT,
        Base(b'{"vibe":"calm"}', {}, 1, 3, 7, 0),
        [Operation(Kind.DROP, "notes", "boss", None, Stamp(4, 8), "message-3:0", 1_767_225_603)],
    ),
    Sending(DEATHS, Stamp(4, 8)),
    DeadLettered(CONTEXT, 8, "23514", "violates check constraint", b'{"vibe":"calm"}', 1_767_225_604.5),
)
LAST_COMMIT = len(WRITES)


def main() -> None:
    """Write the file beside this one."""
    path = Path(__file__).with_name("format_1.journal")
    connection = open_journal(path, Owner("my_bot", "host/1/abc"), durability="process", now_s=0.0)
    journal = SqliteJournal(connection)
    for number, write in enumerate(WRITES, start=1):
        journal.apply([write], number)
        if number == LAST_COMMIT // 2:
            # One half in the tables, the other in the log.
            journal.fold()
    journal.close()


if __name__ == "__main__":
    main()
