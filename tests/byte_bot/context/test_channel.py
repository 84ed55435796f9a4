"""One channel's transaction: what is used is looked at, what is staged stays, what is read only costs nothing."""

from __future__ import annotations

from typing import Annotated

import pytest

from byte_bot.context.stream_context import ChannelConfig
from byte_bot.errors import StateError
from byte_bot.persistence.operations import Kind, RowKey
from byte_bot.persistence.state import Add, ChannelState, assign
from simulator.loop import in_virtual_time
from tests.byte_bot.context.contexts import Tally, contexts


class Counts(ChannelState, key="tests_context_counts"):
    """Numbers by name, whose changes add up."""

    counts: Annotated[dict[str, int], Add] = {}


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
