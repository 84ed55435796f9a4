"""An image that begins with what the tables hold: it asks for no more of them than the writes are about."""

from __future__ import annotations

from byte_bot.persistence.journal_folding import Folding
from byte_bot.persistence.journal_image import (
    DeadLettered,
    KnownChannel,
    KnownChannels,
    LetterRetired,
    Recorded,
    RowImage,
)
from byte_bot.persistence.operations import Kind, Operation, RowKey, Stamp
from byte_bot.persistence.spoken import Moment, Spoken

FIRST, SECOND = RowKey("component_state", "1", "deaths"), RowKey("component_state", "2", "deaths")


class Shelf:
    """Tables with two rows; notes which were asked for."""

    def __init__(self) -> None:
        self.rows_remembered = 1
        self.asked: list[RowKey] = []

    def stored_row(self, key: RowKey) -> RowImage | None:
        """Ten deaths in each of the two."""
        self.asked.append(key)
        return RowImage(pending=[*add(1, 10).operations]) if key in (FIRST, SECOND) else None

    def epochs(self) -> tuple[int, list[str]]:
        """The seventh, and one that asked for it."""
        return 7, ["one"]

    def spoken(self) -> Spoken:
        """One message that has left, and one that waits."""
        return Spoken(Moment(5.0, 5.0), [Moment(4.0, 4.0)], waiting=1)

    def letters(self) -> dict[RowKey, DeadLettered]:
        """One."""
        return {FIRST: DeadLettered(FIRST, 9, "23514", "no", b"{}", 1.5)}


def add(revision: int, value: int = 1, key: RowKey = FIRST) -> Recorded:
    """More deaths."""
    return Recorded(key, [Operation(Kind.ADD, "total", None, value, Stamp(1, revision))])


def total(image: Folding, key: RowKey = FIRST) -> object:
    """The deaths that are pending."""
    (operation,) = image.rows[key].pending
    return operation.value


def test_writes_are_put_on_what_the_tables_hold() -> None:
    """Each row is asked for once, when a write is about it; one that is not there begins empty."""
    shelf = Shelf()
    image = Folding(shelf, 3)
    assert (shelf.asked, image.epoch, image.starts, image.channels) == ([], 7, ["one"], [])
    assert image.spoken == shelf.spoken()
    new = RowKey("component_state", "3", "deaths")
    image.apply([add(2), add(3), add(1, 4, new)])
    assert (total(image), total(image, new)) == (12, 4)
    assert shelf.asked == [FIRST, new]


def test_it_knows_what_has_changed_beside_the_rows() -> None:
    """So that what is as before is not written again."""
    image = Folding(Shelf(), 3)
    assert image.channels is image.channels_before
    assert image.dead_letters == image.letters_before
    image.apply([KnownChannels([KnownChannel("bert")])])
    image.apply([LetterRetired(FIRST)])
    assert image.channels is not image.channels_before
    assert image.dead_letters != image.letters_before


def test_the_next_one_remembers_the_last_rows() -> None:
    """As many as it should: those are not asked for again, and go on from what was folded."""
    shelf = Shelf()
    image = Folding(shelf, 3)
    image.apply([add(2)])
    image.apply([add(2, key=SECOND)])
    following = image.successor(5)
    assert (following.after, following.rows) == (5, {})
    shelf.asked.clear()
    following.apply([add(3, key=SECOND)])
    assert (total(following, SECOND), shelf.asked) == (12, [])
    following.apply([add(3)])
    assert shelf.asked == [FIRST]
