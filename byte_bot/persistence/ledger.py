"""What still has to go to the database: dirty rows, history and events. Pure; the writer empties it.

* Rows are kept by key in the order in which they became dirty, each at most once: newer operations of the same row
  are coalesced inside the row, so the ledger is never larger than the set of rows in RAM.
* History and events are append-only, with ids made from the message (a retry inserts nothing twice), in bounded
  queues: at the bound the oldest is dropped and counted.
* :meth:`Ledger.take` hands out one batch at a time. Until :meth:`Ledger.release` no second one can be taken: two
  saves in flight could arrive in the wrong order. In between, :meth:`Ledger.settle` and :meth:`Ledger.give_back` say
  what became of it, or of parts of it.
* A *horizon* (:meth:`Ledger.horizon`) is what waits at one moment. A flush that takes only up to it comes to an end,
  however many changes arrive while it runs: these go together with the next one.
* A batch that got no answer may have been too large for the time it had: the next one is half as large
  (:meth:`Ledger.unanswered`), down to a single row, and every answer doubles it again (:meth:`Ledger.answered`).

P5: rows are bounded by the channels' capped contents, the queues by ``history_max`` and ``events_max``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from byte_bot.persistence.operations import RowKey

#: One save carries at most this many rows; 500 rows took 14 ms on a real server (facts: epoch row read FOR SHARE).
BATCH_ROWS_MAX = 500
#: Bounds of the append-only queues; chosen: about 5 MB of chat lines, an hour at 3 messages/s.
HISTORY_ROWS_MAX = 10_000
EVENTS_ROWS_MAX = 1_000


class Batch(NamedTuple):
    """One save: the keys of the rows, and the append-only rows, oldest first."""

    rows: tuple[RowKey, ...]
    history: tuple[dict[str, Any], ...]
    events: tuple[dict[str, Any], ...]

    def __bool__(self) -> bool:
        return bool(self.rows or self.history or self.events)

    def halves(self) -> tuple[Batch, Batch]:
        """Two batches that together make this one; for finding the row that spoils it."""
        rows, history, events = len(self.rows), len(self.history), len(self.events)
        if rows + history + events < 2:
            raise ValueError("a batch of one cannot be halved")
        if rows and (history or events):
            return Batch(self.rows, (), ()), Batch((), self.history, self.events)
        if history and events:
            return Batch((), self.history, ()), Batch((), (), self.events)
        r, h, e = (rows + 1) // 2, (history + 1) // 2, (events + 1) // 2
        return (
            Batch(self.rows[:r], self.history[:h], self.events[:e]),
            Batch(self.rows[r:], self.history[h:], self.events[e:]),
        )

    @property
    def size(self) -> int:
        """How many rows of any kind it holds."""
        return len(self.rows) + len(self.history) + len(self.events)


class Horizon(NamedTuple):
    """What waited at one moment: the time (s), and how many history and event rows had been queued until then."""

    at_s: float
    history: int
    events: int


class Ledger:
    """See the module's docstring.

    Args:
        history_max, events_max: bounds of the append-only queues, rows.
        batch_rows_max: the most rows of each kind in one batch.
    """

    def __init__(
        self,
        *,
        history_max: int = HISTORY_ROWS_MAX,
        events_max: int = EVENTS_ROWS_MAX,
        batch_rows_max: int = BATCH_ROWS_MAX,
    ) -> None:
        self._dirty_since_s: dict[RowKey, float] = {}
        self._history: deque[dict[str, Any]] = deque()
        self._events: deque[dict[str, Any]] = deque()
        self._history_max = history_max
        self._events_max = events_max
        self._batch_rows_max = batch_rows_max
        self._batch_limit = batch_rows_max
        self._taken = False
        self._history_added = 0
        self._events_added = 0
        self.history_dropped = 0
        self.events_dropped = 0

    def mark(self, key: RowKey, now_s: float) -> float:
        """The row has unsaved changes since ``now_s`` (loop seconds), or longer if it was dirty already; since when."""
        return self._dirty_since_s.setdefault(key, now_s)

    def clear(self, key: RowKey) -> None:
        """The row has no unsaved changes any more."""
        self._dirty_since_s.pop(key, None)

    def add_history(self, row: dict[str, Any]) -> None:
        """Queue one row of ``channel_history``; at the bound the oldest is dropped and counted. A bound of 0 keeps none."""
        if not self._history_max:
            return
        self._history_added += 1
        if len(self._history) >= self._history_max:
            self._history.popleft()
            self.history_dropped += 1
        self._history.append(row)

    def add_event(self, row: dict[str, Any]) -> None:
        """Queue one row of ``bot_events``; at the bound the oldest is dropped and counted. A bound of 0 keeps none."""
        if not self._events_max:
            return
        self._events_added += 1
        if len(self._events) >= self._events_max:
            self._events.popleft()
            self.events_dropped += 1
        self._events.append(row)

    def horizon(self, now_s: float) -> Horizon:
        """What waits now, for :meth:`take`."""
        return Horizon(now_s, self._history_added, self._events_added)

    def take(self, sendable: Callable[[RowKey], bool], until: Horizon | None = None) -> Batch:
        """The next batch, longest-waiting rows first, sorted by key; empty if nothing can go.

        Args:
            sendable: says which rows may be sent (base loaded, not refused).
            until: only what waited then; None takes everything.
        """
        assert not self._taken, "a save is in flight: a second one could overtake it"
        rows: list[RowKey] = []
        for key, since_s in self._dirty_since_s.items():
            # Kept in the order of waiting: behind the first one that is too young all are.
            if len(rows) >= self._batch_limit or (until is not None and since_s > until.at_s):
                break
            if sendable(key):
                rows.append(key)
        history, events = len(self._history), len(self._events)
        if until is not None:
            # What a queue holds are the last of those added; the older ones of them waited then.
            history -= min(history, self._history_added - until.history)
            events -= min(events, self._events_added - until.events)
        history, events = min(history, self._batch_limit), min(events, self._batch_limit)
        batch = Batch(
            tuple(sorted(rows)),
            tuple(self._history.popleft() for _ in range(history)),
            tuple(self._events.popleft() for _ in range(events)),
        )
        self._taken = bool(batch)
        return batch

    def settle(self, still_dirty: Iterable[RowKey], saved: Iterable[RowKey], now_s: float) -> None:
        """An answer came: ``saved`` are clean, ``still_dirty`` have changed since or were refused."""
        for key in saved:
            self._dirty_since_s.pop(key, None)
        for key in still_dirty:
            # Newer changes started waiting now at the latest; the row goes to the end of the queue.
            self._dirty_since_s.pop(key, None)
            self._dirty_since_s[key] = now_s

    def give_back(self, batch: Batch) -> None:
        """No answer came: everything in the batch waits again, in its old place."""
        for queue, rows in ((self._history, batch.history), (self._events, batch.events)):
            queue.extendleft(reversed(rows))
        while len(self._history) > self._history_max:
            self._history.popleft()
            self.history_dropped += 1
        while len(self._events) > self._events_max:
            self._events.popleft()
            self.events_dropped += 1

    def unanswered(self, batch: Batch) -> None:
        """The batch got no answer in time: let the next one be half as large."""
        largest = max(len(batch.rows), len(batch.history), len(batch.events))
        self._batch_limit = max(1, min(self._batch_limit, largest) // 2)

    def answered(self) -> None:
        """A batch was answered: let the next one be twice as large, up to the most there may be."""
        self._batch_limit = min(self._batch_rows_max, self._batch_limit * 2)

    def release(self) -> None:
        """The save is over, one way or the other: the next batch may be taken."""
        self._taken = False

    @property
    def batch_limit(self) -> int:
        """How many rows of each kind the next batch has at most."""
        return self._batch_limit

    @property
    def in_flight(self) -> bool:
        """True between :meth:`take` of a batch and :meth:`release`."""
        return self._taken

    @property
    def rows_waiting(self) -> int:
        """How many rows wait (those in flight too, until they are acknowledged)."""
        return len(self._dirty_since_s)

    @property
    def appends_waiting(self) -> int:
        """How many history and event rows wait, those in flight not counted."""
        return len(self._history) + len(self._events)

    @property
    def keys_waiting(self) -> tuple[RowKey, ...]:
        """The rows that wait, in the order of waiting."""
        return tuple(self._dirty_since_s)

    def oldest_unsaved_s(self, now_s: float) -> float:
        """Seconds since the longest-waiting row became dirty; 0 if none waits."""
        for since_s in self._dirty_since_s.values():
            return now_s - since_s  # kept in the order of waiting, so the first is the oldest
        return 0.0
