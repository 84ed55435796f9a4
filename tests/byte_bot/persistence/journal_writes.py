"""Generated writes to a journal: any sequence, with the same few rows in it again and again."""

from __future__ import annotations

from hypothesis import strategies as st

from byte_bot.persistence.journal import (
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
from byte_bot.persistence.operations import ABSENT, Base, Kind, Operation, RowKey, Stamp
from byte_bot.persistence.spoken import Moment, Spoken

KEYS = st.sampled_from(
    [
        RowKey("component_state", "1", "deaths"),
        RowKey("component_state", "1", "quotes"),
        RowKey("channel_state", "2"),
        RowKey("channels_config", "anna"),
    ]
)
STAMPS = st.builds(Stamp, st.integers(0, 2), st.integers(0, 9))
SCALARS = st.integers(-5, 5)


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    """An operation as components make them, with any stamp."""
    kind = draw(st.sampled_from(Kind))
    stamp = draw(STAMPS)
    if kind is Kind.APPEND:
        return Operation(
            kind, "log", None, draw(st.lists(SCALARS, min_size=1, max_size=3)), stamp, "op", 7, 3
        )
    if kind in (Kind.PUT, Kind.DROP):
        value = None if kind is Kind.DROP else draw(SCALARS)
        return Operation(kind, "counts", draw(st.sampled_from("ab")), value, stamp, "op", 7)
    field = draw(st.sampled_from(["total", "last"]))
    return Operation(kind, field, None, draw(SCALARS), stamp, "op", 7)


BASES = st.just(ABSENT) | st.builds(
    Base,
    st.none() | st.just(b'{"total":3}'),
    st.just({}) | st.just({"counts": {"a": [1, 2, 3]}}),
    st.integers(1, 2),
    st.integers(0, 2),
    st.integers(0, 9),
    st.none() | st.integers(0, 3),
)
LISTS = st.lists(operations(), max_size=4)

MOMENTS = st.builds(Moment, st.sampled_from([1e9, 1e9 + 1.5]), st.sampled_from([0.0, 7.25]))
SPOKEN = st.builds(Spoken, MOMENTS, st.lists(MOMENTS, max_size=3), st.integers(0, 2), st.integers(0, 1))

WRITES: st.SearchStrategy[Write] = st.one_of(
    st.builds(Recorded, KEYS, LISTS),
    st.builds(Recorded, KEYS, LISTS),
    st.builds(Handled, st.sampled_from("abcdef"), st.none() | SPOKEN),
    st.builds(Sending, KEYS, STAMPS),
    st.builds(Settled, KEYS, BASES),
    st.builds(Rebased, KEYS, BASES, LISTS),
    st.builds(
        KnownChannels, st.lists(st.builds(KnownChannel, st.sampled_from(["anna", "bert"])), max_size=2)
    ),
    st.builds(EpochTaken, st.integers(0, 5), st.sampled_from(["", "one", "two"])),
    st.builds(
        DeadLettered, KEYS, st.integers(0, 9), st.just("23514"), st.just("no"), st.just(b"{}"), st.just(1.5)
    ),
    st.builds(LetterRetired, KEYS),
)


def image_of(*writes: Write) -> JournalImage:
    """What the writes amount to."""
    image = JournalImage()
    image.apply(writes)
    return image


def contents(image: JournalImage) -> tuple[object, ...]:
    """Everything in an image, to compare two."""
    return (
        {key: (row.base, row.pending, row.boundary) for key, row in image.rows.items()},
        list(image.rows),
        image.keys_of,
        image.channels,
        image.epoch,
        image.starts,
        list(image.handled),
        image.spoken,
        image.dead_letters,
    )
