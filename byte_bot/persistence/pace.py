"""Pace: long work on the event loop, in pieces that a chat does not notice.

How it works. To freeze, encode and acknowledge 500 rows takes 10 to 100 ms, and answering one message takes about eight turns of
the loop (read, parse, handle, commit, open the gate, write). Work that merely yields (``sleep(0)``) takes part in each of these
turns: a message then waits for eight pieces. So after a piece the work *pauses* for a while in which several messages are
answered from end to end; measured at 1,000 messages/s and without pauses, a reply waited 6 to 10 ms while a save was
under way, and 3 to 4 ms with them.

A piece is bounded by the bytes it handles, not by a clock: in virtual time the work must be cut at the same places as in real
time, or the simulator would not meet what happens between the pieces. An item also counts for itself, since an object costs
time however small it is.
"""

from __future__ import annotations

import asyncio
from typing import Final

#: Bytes of rows after which there is a pause; measured: to encode 20,000 takes a third of a millisecond when the caches are warm,
#: and three times that between two of 100 messages/s, as long as a message itself.
PIECE_BYTES: Final = 7_000
#: What a row counts for besides its data: 7 empty ones are a piece. What is appended (history, events) is written
#: without looking at it.
ROW_BYTES: Final = 1_000
APPEND_BYTES: Final = 200
#: What a row counts for when it is acknowledged, which encodes nothing; measured: 20 of them take about half a millisecond.
ACKNOWLEDGED_BYTES: Final = 350
#: Seconds of a pause: what a message takes from end to end, the disk included, so that it meets one piece at most; measured at 100
#: messages/s: p99 4.3 ms, and 4.9 with a pause of 1 ms.
PAUSE_S: Final = 0.004
#: Work of more pieces than this has a backlog to bring home, and pauses for less: of a megabyte, the most that a save carries,
#: 500 rows and more must go in a second (P6).
PATIENT_PIECES: Final = 40
HURRIED_PAUSE_S: Final = 0.001


class Pace:
    """Counts what one piece of work has done, and pauses when that is enough: ``piece_bytes``."""

    def __init__(self, piece_bytes: int = PIECE_BYTES) -> None:
        self._piece_bytes = piece_bytes
        self._done = 0
        self._pieces = 0

    async def after(self, done: int) -> None:
        """Pause if the bytes done since the last pause, these included, make a piece."""
        self._done += done
        if self._done >= self._piece_bytes:
            self._done = 0
            self._pieces += 1
            await asyncio.sleep(PAUSE_S if self._pieces <= PATIENT_PIECES else HURRIED_PAUSE_S)
