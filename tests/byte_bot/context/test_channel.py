"""One channel's transaction: what is used is looked at, what is staged stays, what is read only costs nothing."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest

from byte_bot.context.channel import UNSEEN_DROPS_MAX
from byte_bot.context.stream_context import ChannelConfig
from byte_bot.errors import StateError
from byte_bot.persistence.operations import Base, Kind, RowKey
from byte_bot.persistence.state import Add, ChannelState, assign
from simulator.loop import in_virtual_time
from tests.byte_bot.context.contexts import Place, Shelf, Tally, contexts


class Counts(ChannelState, key="tests_context_counts"):
    """Numbers by name, whose changes add up."""

    counts: Annotated[dict[str, int], Add] = {}
    last: str = ""


COUNTS = RowKey("component_state", "1001", "tests_context_counts")


async def until_loaded(place: Place) -> None:
    """Wait for the channel's first load."""
    async with asyncio.timeout(5):
        await place.context().loaded.wait()


def staged(place: Place) -> list[tuple[Kind, str, str | None]]:
    """Stage what was done, and say what waits of it."""
    place.context().stage("m1")
    return [(one.kind, one.field, one.key) for one in place.layer.row(COUNTS).pending]


@in_virtual_time()
async def test_what_is_peeked_at_is_not_recorded() -> None:
    """Whoever only reads leaves nothing for the next stage to look at."""
    async with contexts() as place:
        context = place.context()
        context.peek(Tally).total = 5
        assert not context.in_use
        context.stage("m1")
        assert context.seal() == 0
        context.state(Tally)
        assert context.in_use
        context.stage("m2")
        assert not context.in_use and context.seal() > 0


@in_virtual_time()
async def test_a_rollback_goes_back_to_the_last_stage() -> None:
    """Not to the beginning: what was staged is what was said."""
    async with contexts() as place:
        context = place.context()
        context.state(Tally).total = 1
        context.stage("m1")
        context.state(Tally).total = 7
        context.rollback()
        assert context.peek(Tally).total == 1
        assert not context.in_use


@in_virtual_time()
async def test_a_renamed_channel_has_the_configuration_of_its_new_login() -> None:
    """The row is found by the login; the old one's is remembered no longer."""
    async with contexts() as place:
        context = place.context("1001", "lobby")
        context.state(ChannelConfig).language = "pt-br"
        context.stage("m1")
        place.context("1001", "lounge")
        assert context.config.language == ""
        place.context("1001", "lobby")
        assert context.config.language == "pt-br"


@in_virtual_time()
async def test_without_a_login_there_is_no_configuration() -> None:
    """The error says since when it is known."""
    async with contexts() as place:
        context = place.context("1001", "")
        with pytest.raises(StateError, match="once the bot has joined"):
            context.peek(ChannelConfig)


@in_virtual_time()
async def test_a_quiet_channel_has_neither_lock_nor_event() -> None:
    """There may be 100,000 of them: what only a channel in use needs is made when it is asked for."""
    async with contexts() as place:
        context = place.context()
        assert not context.busy
        assert context._lock is None and context._loaded_event is None
        async with context.lock:
            assert context.busy
        assert context.lock is context.lock


@in_virtual_time()
async def test_an_absolute_value_under_a_key_that_is_cleaned_stays_absolute() -> None:
    """It is told by the name that the key has in the row."""
    async with contexts() as place:
        context = place.context()
        counts = context.state(Counts)
        context.mark_assigned(Counts, assign(counts, "counts", 5, "de\x00aths"))
        context.stage("m1")
        assert context.state(Counts).counts == {"deaths": 5}
        (operation,) = place.layer.row(RowKey("component_state", "1001", "tests_context_counts")).pending
        assert (operation.kind, operation.key, operation.value) == (Kind.PUT, "deaths", 5)


@in_virtual_time()
async def test_before_the_load_what_changes_nothing_in_ram_is_recorded_all_the_same() -> None:
    """The database may have a value, a key, or many: what was said must hold when they come."""
    async with contexts() as place:
        context = place.context()
        counts = context.state(Counts)
        context.mark_assigned(Counts, assign(counts, "last", ""))
        context.mark_dropped(counts, "counts", "deaths")
        assert staged(place) == [(Kind.DROP, "counts", "deaths"), (Kind.SET, "last", None)]
        context.state(Counts)
        context.mark_assigned(Counts, assign(counts, "counts", {}))
        assert staged(place) == [(Kind.SET, "last", None), (Kind.SET, "counts", None)]


@in_virtual_time()
async def test_after_the_load_it_is_no_change() -> None:
    """RAM shows what is stored: a save for nothing would only cost a request."""
    async with contexts(database=Shelf()) as place:
        context = place.context()
        await until_loaded(place)
        counts = context.state(Counts)
        context.mark_assigned(Counts, assign(counts, "last", ""))
        context.mark_dropped(counts, "counts", "deaths")
        assert staged(place) == []
        assert context.seal() == 0


@in_virtual_time()
async def test_a_row_that_became_unreadable_is_recorded_as_before_the_load() -> None:
    """RAM does not show what a human has entered beside the typo: what was said must hold once that is corrected."""
    async with contexts(database=Shelf()) as place:
        context = place.context()
        await until_loaded(place)
        counts = context.state(Counts)
        row, epoch = place.layer.row(COUNTS), place.layer.epoch
        assert not row.accept(
            Base(b'{"counts":{"a":"typo","deaths":42}}', {}, 1, 0, 0, 1), epoch, row.serial + 1
        )
        assert row.loaded
        context.mark_assigned(Counts, assign(counts, "last", ""))
        context.mark_dropped(counts, "counts", "deaths")
        assert staged(place) == [(Kind.DROP, "counts", "deaths"), (Kind.SET, "last", None)]
        corrected = Base(b'{"counts":{"a":1,"deaths":42},"last":"ana"}', {}, 1, 0, 0, 2)
        assert row.accept(corrected, epoch, row.serial + 1)
        assert (counts.counts, counts.last) == ({"a": 1}, "")


@in_virtual_time()
async def test_a_key_that_is_dropped_and_made_anew_begins_anew() -> None:
    """What the database has under it does not add up with what comes after."""
    async with contexts() as place:
        context = place.context()
        counts = context.state(Counts)
        counts.counts["deaths"] = 3
        assert staged(place) == [(Kind.ADD, "counts", "deaths")]
        context.state(Counts)
        context.mark_dropped(counts, "counts", "deaths")
        counts.counts["deaths"] = 1
        assert staged(place) == [(Kind.PUT, "counts", "deaths")]


@in_virtual_time()
async def test_wrong_names_typed_in_an_outage_are_not_kept_without_end() -> None:
    """P5: beyond the limit a key that RAM does not show is no longer dropped, and counted; one that it shows is."""
    async with contexts() as place:
        context = place.context()
        counts = context.state(Counts)
        counts.counts["seen"] = 1
        for number in range(UNSEEN_DROPS_MAX + 3):
            context.state(Counts)
            context.mark_dropped(counts, "counts", f"unseen-{number}")
            context.stage("m1")
        assert len(staged(place)) == UNSEEN_DROPS_MAX
        assert place.layer.telemetry.counters["unseen_drops_passed_over"] == 4
        context.state(Counts)
        context.mark_dropped(counts, "counts", "seen")
        del counts.counts["seen"]
        assert staged(place)[-1] == (Kind.DROP, "counts", "seen")
