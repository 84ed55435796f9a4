"""The ledger: against a model, in any order of calls."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from byte_bot.persistence.ledger import Batch, Ledger
from byte_bot.persistence.operations import RowKey

KEYS = [RowKey("component_state", channel, key) for channel in "ba" for key in "yx"]
ROWS_MAX, HISTORY_MAX, EVENTS_MAX = 3, 5, 4


class LedgerMachine(RuleBasedStateMachine):
    """The model: a dict of waiting rows by the time since when, and two lists."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(history_max=HISTORY_MAX, events_max=EVENTS_MAX, batch_rows_max=ROWS_MAX)
        self.now_s = 0.0
        self.since: dict[RowKey, float] = {}
        self.history: list[int] = []
        self.events: list[int] = []
        self.history_dropped = self.events_dropped = 0
        self.batch: Batch | None = None
        self.made = 0

    @rule(key=st.sampled_from(KEYS))
    def mark(self, key: RowKey) -> None:
        self.now_s += 1
        self.ledger.mark(key, self.now_s)
        self.since.setdefault(key, self.now_s)

    @rule(key=st.sampled_from(KEYS))
    def clear(self, key: RowKey) -> None:
        self.ledger.clear(key)
        self.since.pop(key, None)

    @rule()
    def add_history(self) -> None:
        self.made += 1
        self.ledger.add_history({"id": self.made})
        self.history.append(self.made)
        self._bound()

    @rule()
    def add_event(self) -> None:
        self.made += 1
        self.ledger.add_event({"id": self.made})
        self.events.append(self.made)
        self._bound()

    @precondition(lambda self: self.batch is None)
    @rule(blocked=st.lists(st.sampled_from(KEYS), unique=True))
    def take(self, blocked: list[RowKey]) -> None:
        batch = self.ledger.take(lambda key: key not in blocked)
        rows = [key for key in self.since if key not in blocked][:ROWS_MAX]
        assert batch.rows == tuple(sorted(rows))
        assert [row["id"] for row in batch.history] == self.history[:ROWS_MAX]
        assert [row["id"] for row in batch.events] == self.events[:ROWS_MAX]
        del self.history[:ROWS_MAX], self.events[:ROWS_MAX]
        if batch:
            self.batch = batch

    @precondition(lambda self: self.batch is not None)
    @rule(changed=st.lists(st.sampled_from(KEYS), unique=True))
    def settle(self, changed: list[RowKey]) -> None:
        assert self.batch is not None
        self.now_s += 1
        dirty = [key for key in self.batch.rows if key in changed]
        self.ledger.settle(dirty, [key for key in self.batch.rows if key not in changed], self.now_s)
        for key in self.batch.rows:
            self.since.pop(key, None)
        for key in dirty:
            self.since[key] = self.now_s
        self._release()

    @precondition(lambda self: self.batch is not None)
    @rule()
    def give_back(self) -> None:
        assert self.batch is not None
        self.ledger.give_back(self.batch)
        self.history[:0] = [row["id"] for row in self.batch.history]
        self.events[:0] = [row["id"] for row in self.batch.events]
        self._bound()
        self._release()

    def _release(self) -> None:
        self.ledger.release()
        self.batch = None

    def _bound(self) -> None:
        while len(self.history) > HISTORY_MAX:
            self.history.pop(0)
            self.history_dropped += 1
        while len(self.events) > EVENTS_MAX:
            self.events.pop(0)
            self.events_dropped += 1

    @invariant()
    def agrees(self) -> None:
        ledger = self.ledger
        assert ledger.rows_waiting == len(self.since)
        assert ledger.appends_waiting == len(self.history) + len(self.events)
        assert (ledger.history_dropped, ledger.events_dropped) == (self.history_dropped, self.events_dropped)
        assert ledger.in_flight == (self.batch is not None)
        oldest_s = self.now_s - min(self.since.values()) if self.since else 0.0
        assert ledger.oldest_unsaved_s(self.now_s) == oldest_s


LedgerMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40)


class TestAgainstTheModel(LedgerMachine.TestCase):
    """Any order of calls."""

    def runTest(self) -> None:  # noqa: N802  # unittest's name
        """Ledger and model agree on what waits, since when, and what was dropped."""
        super().runTest()


def test_a_second_batch_cannot_be_taken_while_one_is_in_flight() -> None:
    """Two saves in flight could arrive in the wrong order."""
    ledger = Ledger()
    ledger.mark(KEYS[0], 0.0)
    assert ledger.take(lambda key: True)
    with pytest.raises(AssertionError, match="in flight"):
        ledger.take(lambda key: True)
    ledger.release()
    assert ledger.take(lambda key: True)


def test_an_empty_batch_is_not_in_flight() -> None:
    """Where nothing could go nothing has to be released."""
    ledger = Ledger()
    ledger.mark(KEYS[0], 0.0)
    assert not ledger.take(lambda key: False)
    assert not ledger.in_flight


def test_rows_are_sorted_by_key_in_a_batch() -> None:
    """Unsorted batches of two writers deadlocked on a real server."""
    ledger = Ledger()
    for key in KEYS:
        ledger.mark(key, 0.0)
    assert list(ledger.take(lambda key: True).rows) == sorted(KEYS)


ITEMS = st.lists(st.fixed_dictionaries({"id": st.integers()}), max_size=5).map(tuple)


@given(st.lists(st.sampled_from(KEYS), unique=True).map(tuple), ITEMS, ITEMS)
def test_halves_make_the_whole_and_end_at_one(
    rows: tuple[RowKey, ...], history: tuple[dict[str, Any], ...], events: tuple[dict[str, Any], ...]
) -> None:
    """Halving again and again comes to batches of one, in order, and loses nothing on the way."""
    whole = Batch(rows, history, events)
    singles, rest = [], [whole] if whole else []
    while rest:
        batch = rest.pop(0)
        if batch.size == 1:
            singles.append(batch)
            with pytest.raises(ValueError, match="cannot be halved"):
                batch.halves()
            continue
        first, second = batch.halves()
        assert 0 < first.size < batch.size
        assert first.size + second.size == batch.size
        rest[:0] = [first, second]
    for part, items in enumerate((rows, history, events)):
        assert [item for batch in singles for item in batch[part]] == list(items)


def test_a_bound_of_zero_keeps_nothing() -> None:
    """Somebody who wants no chat lines stored sets the bound to 0; that must not be an error."""
    ledger = Ledger(history_max=0, events_max=0)
    ledger.add_history({"id": "1"})
    ledger.add_event({"id": "1"})
    assert not ledger.take(lambda key: True)
    assert (ledger.history_dropped, ledger.events_dropped) == (0, 0)


def test_batches_shrink_without_an_answer_and_grow_with_one() -> None:
    """Half as large after every try without an answer, down to one row; twice as large after every answer."""
    ledger = Ledger(batch_rows_max=8)
    for number in range(8):
        ledger.mark(RowKey("component_state", str(number), "x"), 0.0)

    def taken() -> Batch:
        batch = ledger.take(lambda key: True)
        ledger.release()
        return batch

    sizes = []
    for _ in range(5):
        batch = taken()
        sizes.append(len(batch.rows))
        ledger.unanswered(batch)
    assert sizes == [8, 4, 2, 1, 1]
    assert ledger.batch_limit == 1
    for _ in range(5):
        ledger.answered()
    assert len(taken().rows) == 8
