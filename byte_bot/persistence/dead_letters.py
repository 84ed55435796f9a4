"""Rows that the server refused: kept, counted, told about, and not sent again as they are.

How it works. A row that the server cannot store (or that cannot even be encoded) is a *dead letter*: what was sent, under
which revision, and what the server said to it. It is written to the journal beside the row's operations, which stay there;
RAM goes on with them, so chat does not notice. A newer revision of the row retires it, and so does a human's edit of the
row: then it is sent again. A restart finds the letter in the journal and does not send the row again; the new epoch gives
its operations new numbers, and the letter goes along (:meth:`DeadLetters.after_rebase`).

The row itself knows its refused revision (:class:`~byte_bot.persistence.row.Row`); here are the letters that stand now. They
are as many as there are refused rows.

Left out: looking at them, sending them again and giving them up, which is ``byte-bot journal``.
"""

from __future__ import annotations

import json
from typing import Final

import msgspec
import structlog

from byte_bot.clock import Clock
from byte_bot.persistence.journal import DeadLettered, Journal, LetterRetired, Sending, Write
from byte_bot.persistence.operations import RowKey, believed_revision
from byte_bot.persistence.row import Row, Sent
from byte_bot.persistence.storable import storable
from byte_bot.telemetry import Telemetry

#: What is kept of the server's words, characters; PostgreSQL quotes the offending value in them, however long it is.
WORDS_MAX: Final = 1_000
#: What is kept of what was sent, bytes; the journal has the row's base and operations in any case.
PAYLOAD_BYTES_MAX: Final = 256 * 1024

_log = structlog.get_logger(__name__)


class DeadLetters:
    """See the module's docstring.

    Args:
        journal: where the letters are written.
        clock: wall time, for when it was.
        telemetry: counts refusals, and makes an event of each.
    """

    def __init__(self, journal: Journal, clock: Clock, telemetry: Telemetry) -> None:
        self._journal = journal
        self._clock = clock
        self._telemetry = telemetry
        self._letters: dict[RowKey, DeadLettered] = {}

    def __len__(self) -> int:
        return len(self._letters)

    def refuse(self, row: Row, sent: Sent | None, sqlstate: str, words: str) -> None:
        """The server will never take the row as it was sent; without ``sent`` it could not even be encoded."""
        row.refuse(sent)
        words = storable(words)[:WORDS_MAX]
        letter = DeadLettered(
            row.key,
            row.refused,
            sqlstate,
            words,
            _readable(row, sent)[:PAYLOAD_BYTES_MAX],
            self._clock.unix(),
        )
        # The boundary first: what was sent is surely not in the database.
        writes: list[Write] = [Sending(row.key, row.boundary)]
        if row.is_refused:
            self._letters[row.key] = letter
            writes.append(letter)
        self._journal.append(writes)
        self._telemetry.count("dead_letters")
        name = row.key.name
        self._telemetry.event("dead_letter", row=name, sqlstate=sqlstate, words=words[:300])
        _log.warning(
            "row_refused",
            row=name,
            sqlstate=sqlstate,
            server_says=words,
            what_it_means="kept in memory and in the journal; sent again when the row changes",
            what_to_do=f"look at it: byte-bot journal show {name}; then stop the bot and send it again or give it up: "
            f"byte-bot journal requeue {name}, byte-bot journal drop {name}",
        )

    def restore(self, row: Row, letter: DeadLettered) -> None:
        """A letter that an earlier process left in the journal: the row is not sent as it is.

        Unless it was refused for its revision, one that counted on from what somebody had typed: it gets another one now.
        """
        row.refused = believed_revision(letter.revision)
        if row.is_refused:
            self._letters[row.key] = letter

    def look_at(self, row: Row) -> None:
        """The row has changed or was saved: the journal knows by itself whether that retires its letter."""
        if self._letters and not row.is_refused:
            self._letters.pop(row.key, None)

    def after_rebase(self, row: Row) -> list[Write]:
        """What to journal behind the :class:`~byte_bot.persistence.journal.Rebased` of a row.

        The letter again if the row is still refused, under another number perhaps; its end if a human's edit has changed
        what would be sent.
        """
        letter = self._letters.pop(row.key, None)
        if letter is None:
            return []
        if not row.is_refused:
            return [LetterRetired(row.key)]
        self._letters[row.key] = letter = msgspec.structs.replace(letter, revision=row.refused)
        return [letter]


def _readable(row: Row, sent: Sent | None) -> bytes:
    """What was sent, or else what is pending, as JSON that shows also what JSON cannot hold: halves of surrogate pairs, NaN."""
    try:
        payload = {"operations": msgspec.to_builtins(row.pending)} if sent is None else sent.payload
        return json.dumps(payload, default=str).encode("ascii")
    except RecursionError:
        return b'"nested too deep to be shown"'
