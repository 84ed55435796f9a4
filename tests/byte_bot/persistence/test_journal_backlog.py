"""The backlog: fewer writes that amount to the same, as large as the rows they are about."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from byte_bot.persistence.journal import (
    SEEN_MESSAGES_MAX,
    DeadLettered,
    EpochTaken,
    Handled,
    JournalImage,
    KnownChannel,
    KnownChannels,
    LetterRetired,
    Rebased,
    Recorded,
    Sending,
    Settled,
    Write,
)
from byte_bot.persistence.journal_backlog import Backlog
from byte_bot.persistence.operations import NO_STAMP, Base, Kind, Operation, RowKey, Stamp, is_contained
from tests.byte_bot.persistence.journal_writes import contents, image_of

KEY = RowKey("component_state", "1", "deaths")
OTHER = RowKey("component_state", "2", "deaths")


def add(revision: int, value: int = 1) -> Operation:
    """An add of one row."""
    return Operation(Kind.ADD, "total", None, value, Stamp(1, revision))


def saved(revision: int, total: int) -> Base:
    """The row as a save of this process left it."""
    return Base(b'{"total":%d}' % total, {}, 1, 1, revision, 0)


class Life:
    """A row that counts, saves that arrive or do not, and what is written about it; the true total in the database."""

    def __init__(self) -> None:
        self.revision = 0
        self.boundary = 0
        self.sent: tuple[int, int] | None = None
        self.base = (0, 0)
        self.total = 0
        self.pending: list[Operation] = []
        self.writes: list[Write] = []
        #: The bases that the database may have now, by revision and total.
        self.possible = {(0, 0)}

    def step(self, action: str) -> None:
        """One thing that happens to the row, and the write that a bot makes of it."""
        if action == "change":
            self.revision += 1
            self.total += self.revision
            operation = add(self.revision, self.revision)
            self.pending.append(operation)
            self.writes.append(Recorded(KEY, [operation]))
        elif action == "send" and self.pending and self.sent is None:
            self.sent = (self.revision, self.total)
            self.writes.append(Sending(KEY, Stamp(1, self.revision)))
            self.possible.add(self.sent)
        elif action == "refused" and self.sent is not None:
            self.possible.discard(self.sent)
            self.sent = None
            self.writes.append(Sending(KEY, Stamp(1, self.base[0]) if self.base[0] else NO_STAMP))
        elif action in ("acknowledged", "loaded") and self.sent is not None:
            self.base = self.sent
            self.possible = {self.sent}
            self.sent = None
            base = saved(*self.base)
            self.pending = [operation for operation in self.pending if not is_contained(operation, base)]
            self.writes.append(
                Settled(KEY, base) if action == "acknowledged" else Rebased(KEY, base, list(self.pending))
            )

    def check(self, image: JournalImage) -> None:
        """A restarted process comes to the true total, whatever the database may have of the saves."""
        pending = image.rows[KEY].pending if KEY in image.rows else []
        for revision, total in sorted(self.possible):
            base = saved(revision, total)
            assert total + sum(op.value for op in pending if not is_contained(op, base)) == self.total


ACTIONS = st.sampled_from(["change", "change", "send", "refused", "acknowledged", "loaded"])


@given(st.lists(ACTIONS, max_size=30), st.data())
@settings(max_examples=400, deadline=None)
def test_folded_writes_amount_to_the_same(actions: Sequence[str], data: st.DataObject) -> None:
    """The disk fails at any moment and works again at any other: a restart finds every change, and none twice."""
    life = Life()
    for action in actions:
        life.step(action)
    fails = data.draw(st.integers(0, len(life.writes)))
    works = data.draw(st.integers(fails, len(life.writes)))
    image = image_of(*life.writes[:fails])
    backlog, boundary = Backlog(), NO_STAMP
    for number, write in enumerate(life.writes):
        if fails <= number < works:
            backlog.add(write, number, boundary)
        if isinstance(write, Sending):
            boundary = write.stamp
    assert len(backlog) <= 6
    image.apply([*backlog.take_all(), *life.writes[works:]])
    life.check(image)
    assert not backlog


def test_a_change_recorded_while_its_save_is_under_way_stays_apart() -> None:
    """The boundary went to the disk before it failed: a record of what the save carried is not combined with a newer."""
    backlog = Backlog()
    for number in (5, 6):
        backlog.add(Recorded(KEY, [add(number)]), number, Stamp(1, 5))
    (write,) = backlog.take_all()
    assert write == Recorded(KEY, [add(5), add(6)])


def test_a_save_that_never_left_is_no_boundary_afterwards_either() -> None:
    """The boundary was lowered and then raised by the next save: the first says that what stood apart may be combined."""
    image = image_of(Recorded(KEY, [add(1)]), Sending(KEY, Stamp(1, 1)), Recorded(KEY, [add(2)]))
    backlog = Backlog()
    backlog.add(Sending(KEY, NO_STAMP), 4, Stamp(1, 1))
    backlog.add(Sending(KEY, Stamp(1, 2)), 5, NO_STAMP)
    image.apply(backlog.take_all())
    assert image.rows[KEY].pending == [add(2, 2)]


def test_an_outage_of_the_disk_takes_the_memory_of_the_rows() -> None:
    """A thousand changes of a row are one write; message ids are those that the file would keep."""
    backlog = Backlog()
    for number in range(1, 1001):
        backlog.add(Recorded(KEY, [add(number)]), number)
        backlog.add(Sending(KEY, Stamp(1, number)), number)
        backlog.add(Sending(KEY, NO_STAMP), number)
    for number in range(SEEN_MESSAGES_MAX + 2):
        backlog.add(Handled(f"m{number}"), number)
    writes = backlog.take_all()
    assert writes[:2] == [Recorded(KEY, [add(1000, 1000)]), Sending(KEY, NO_STAMP)]
    assert writes[2] == Handled("m2")
    assert len(writes) == SEEN_MESSAGES_MAX + 2


def test_of_lists_and_epochs_the_last_counts() -> None:
    """What is written whole each time is written once."""
    backlog = Backlog()
    for number in (1, 2, 3):
        backlog.add(KnownChannels([KnownChannel(f"channel{number}")]), number)
        backlog.add(EpochTaken(number), number)
    assert backlog.oldest == 1
    assert backlog.take_all() == [EpochTaken(3), KnownChannels([KnownChannel("channel3")])]


def test_a_dead_letter_is_the_last_one() -> None:
    """Of several refusals the last is kept, and none once it was retired."""
    letters = [DeadLettered(KEY, number, "23514", "no", b"{}", 1.0) for number in (1, 2)]
    backlog = Backlog()
    for letter in letters:
        backlog.add(letter, 1)
    assert backlog.take_all() == [letters[1]]
    backlog.add(letters[0], 1)
    backlog.add(LetterRetired(KEY), 2)
    assert backlog.take_all() == [LetterRetired(KEY)]


def test_bookkeeping_is_taken_row_by_row_up_to_a_limit() -> None:
    """The oldest rows first; what is left says how old it is."""
    backlog = Backlog()
    backlog.add(Settled(KEY, saved(1, 1)), 4)
    backlog.add(Settled(OTHER, saved(1, 1)), 5)
    backlog.add(Settled(KEY, saved(2, 2)), 6)
    assert KEY in backlog
    assert backlog.take(1, 1000) == [Settled(KEY, saved(2, 2))]
    assert (backlog.oldest, KEY in backlog) == (5, False)
    assert backlog.take(9, 1000) == [Settled(OTHER, saved(1, 1))]
    assert backlog.oldest is None
    assert not backlog


def test_a_limit_of_bytes_ends_a_group_too() -> None:
    """Large rows go few at a time."""
    backlog = Backlog()
    large = Base(b"x" * 600, {}, 1, 1, 1, 0)
    for number in range(4):
        backlog.add(Settled(RowKey("component_state", str(number)), large), number)
    assert len(backlog.take(64, 1000)) == 2
    assert len(backlog) == 2


def test_a_folded_backlog_gives_the_same_image_for_each_kind_of_write() -> None:
    """One of each, in an order that means something."""
    writes: list[Write] = [
        Recorded(KEY, [add(1)]),
        Settled(OTHER, saved(1, 1)),
        Recorded(KEY, [add(2)]),
        Sending(KEY, Stamp(1, 2)),
        Recorded(KEY, [add(3)]),
        Settled(KEY, saved(2, 2)),
        DeadLettered(KEY, 3, "23514", "no", b"{}", 1.0),
        Rebased(OTHER, saved(2, 2), [add(3)]),
        Handled("a"),
        EpochTaken(1),
    ]
    backlog = Backlog()
    for number, write in enumerate(writes):
        backlog.add(write, number)
    assert contents(image_of(*backlog.take_all())) == contents(image_of(*writes))
