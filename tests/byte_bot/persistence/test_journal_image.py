"""What any sequence of writes to the journal amounts to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from byte_bot.persistence.coalescing import coalesce, coalesced
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
from byte_bot.persistence.operations import NO_STAMP, Base, Kind, Operation, RowKey, Stamp, is_contained
from tests.byte_bot.persistence.journal_writes import image_of

KEY = RowKey("component_state", "1", "deaths")
CONFIG = RowKey("channels_config", "anna")


def add(revision: int, value: int = 1, epoch: int = 1) -> Operation:
    """An add of one row."""
    return Operation(Kind.ADD, "total", None, value, Stamp(epoch, revision))


def saved(revision: int, total: int, epoch: int = 1) -> Base:
    """The row as the database has it."""
    return Base(b'{"total":%d}' % total, {}, 1, epoch, revision, 0)


def total(image: JournalImage, base_total: int, base: Base) -> int:
    """What a restarted process would make of the row if the database held ``base``."""
    pending = image.rows[KEY].pending
    return base_total + sum(operation.value for operation in pending if not is_contained(operation, base))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.data())
def test_a_save_on_its_way_may_or_may_not_have_arrived(deltas: list[int], data: st.DataObject) -> None:
    """Whatever the image holds counts once on a base with the save and on one without it."""
    sent = data.draw(st.integers(1, len(deltas)))
    writes: list[Write] = []
    for revision, delta in enumerate(deltas, start=1):
        writes.append(Recorded(KEY, [add(revision, delta)]))
        if revision == sent:
            writes.append(Sending(KEY, Stamp(1, sent)))
            if data.draw(st.booleans()):
                # A load that does not show it yet comes in between.
                writes.append(
                    Rebased(KEY, saved(0, 10, epoch=0), [add(n, d) for n, d in enumerate(deltas[:sent], 1)])
                )
    image = image_of(*writes)
    assert total(image, 10, saved(0, 10, epoch=0)) == 10 + sum(deltas)
    with_it = 10 + sum(deltas[:sent])
    assert total(image, with_it, saved(sent, with_it)) == 10 + sum(deltas)


def test_operations_are_coalesced_and_trimmed() -> None:
    """Changes of one field become one operation, and none once the database has them."""
    image = image_of(*(Recorded(KEY, [add(revision)]) for revision in range(1, 5)))
    assert image.rows[KEY].pending == [add(4, 4)]
    image.apply([Settled(KEY, saved(4, 4))])
    assert image.rows[KEY].pending == []
    assert image.rows[KEY].base == saved(4, 4)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from("abcdefghijkl"), st.integers(-3, 3)),
            st.sampled_from(["sending", "settled", "rebased"]),
        ),
        max_size=60,
    )
)
def test_a_row_with_many_parts_is_folded_as_one_with_few(steps: list[tuple[str, int] | str]) -> None:
    """Rows with many keys get an index, and lose it when a save, its answer or a load changes what is pending."""
    image = JournalImage()
    pending: list[Operation] = []
    boundary, base = NO_STAMP, saved(0, 0, epoch=0)
    for revision, step in enumerate(steps, start=1):
        if isinstance(step, tuple):
            operation = Operation(Kind.ADD, "values", step[0], step[1], Stamp(1, revision))
            image.apply([Recorded(KEY, [operation])])
            coalesce(pending, operation, boundary)
        elif step == "sending":
            boundary = Stamp(1, revision)
            image.apply([Sending(KEY, boundary)])
            pending = coalesced(pending, boundary=boundary)
        elif step == "settled":
            base = saved(boundary.revision, 0)
            image.apply([Settled(KEY, base)])
            pending = [operation for operation in pending if not is_contained(operation, base)]
        else:
            image.apply([Rebased(KEY, base, list(pending))])
            pending = coalesced(pending, boundary=boundary)
        assert (image.rows[KEY].pending if image.rows else []) == pending


def test_a_boundary_that_was_lowered_lets_operations_be_combined_again() -> None:
    """A save that surely never left is no boundary: the image stays as small as the row in a long outage."""
    writes: list[Write] = []
    for revision in range(1, 50):
        writes += [Recorded(KEY, [add(revision)]), Sending(KEY, Stamp(1, revision)), Sending(KEY, Stamp())]
    assert image_of(*writes).rows[KEY].pending == [add(49, 49)]


def test_a_record_that_a_save_has_overtaken_is_not_pending() -> None:
    """What the database has already is not replayed, also if its record comes after the acknowledgement."""
    image = image_of(Settled(KEY, saved(3, 3)), Recorded(KEY, [add(3)]), Recorded(KEY, [add(4)]))
    assert image.rows[KEY].pending == [add(4)]


def test_a_rebase_replaces_what_was_pending() -> None:
    """The re-stamped operations are all that is pending from then on."""
    image = image_of(Recorded(KEY, [add(1)]), Rebased(KEY, saved(7, 7), [add(8, 1, epoch=2)]))
    assert image.rows[KEY].pending == [add(8, 1, epoch=2)]
    assert image.rows[KEY].base == saved(7, 7)


def test_channels_epoch_and_handled_messages_are_remembered() -> None:
    """The last list of channels, the highest epoch, the newest message ids."""
    image = image_of(
        KnownChannels([KnownChannel("anna", "1")]),
        EpochTaken(4),
        EpochTaken(2),
        KnownChannels([KnownChannel("bert")]),
        *(Handled(f"m{n}") for n in range(SEEN_MESSAGES_MAX + 3)),
    )
    assert image.channels == [KnownChannel("bert", "")]
    assert image.epoch == 4
    assert len(image.handled) == SEEN_MESSAGES_MAX
    assert next(iter(image.handled)) == "m3"


def test_channels_with_pending_operations_are_named_once() -> None:
    """Rows of configuration belong to logins, not to channel ids."""
    other = RowKey("channel_state", "1")
    image = image_of(
        Recorded(KEY, [add(1)]),
        Recorded(other, [add(1)]),
        Recorded(CONFIG, [add(1)]),
        Settled(RowKey("channel_state", "2"), saved(1, 1)),
    )
    assert image.pending_channels == ("1",)


def test_a_newer_revision_retires_a_dead_letter() -> None:
    """A change, a save or a base after the refusal; the operations stay, whatever becomes of the letter."""
    letter = DeadLettered(KEY, 3, "23514", "no", b"{}", 1.0)
    image = image_of(Recorded(KEY, [add(3)]), letter)
    assert image.dead_letters == {KEY: letter}
    image.apply([Recorded(KEY, [add(3)])])
    assert image.dead_letters == {KEY: letter}
    for newer in (
        Recorded(KEY, [add(4)]),
        Settled(KEY, saved(3, 3)),
        Rebased(KEY, saved(2, 2), [add(4)]),
        Rebased(KEY, saved(2, 2), []),
        LetterRetired(KEY),
    ):
        assert image_of(Recorded(KEY, [add(3)]), letter, newer).dead_letters == {}
    kept = image_of(letter, Settled(KEY, saved(2, 2)), Rebased(KEY, saved(2, 2), [add(3)]))
    assert kept.dead_letters == {KEY: letter}
