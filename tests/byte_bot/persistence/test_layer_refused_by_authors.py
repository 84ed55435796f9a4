"""A row that an author's ``__post_init__`` refuses is that row's business, whatever it raises: nothing else stops for it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from byte_bot.persistence.journal import EpochTaken, MemoryJournalStore, Recorded, Settled
from byte_bot.persistence.layer import UNREADABLE_RETRY_S
from byte_bot.persistence.operations import Base, Kind, Operation, RowKey, Stamp
from byte_bot.persistence.state import ChannelState
from simulator.loop import in_virtual_time
from simulator.supabase.server import FakeSupabase
from tests.byte_bot.persistence.rig import Rig, fake_supabase, process, settled

#: What somebody types, and what the code below makes of it.
COINS = (-1, -2, -3, -4)


def count(coins: int) -> None:
    """Only for numbers that are not negative."""
    assert coins != -1, "coins"
    if coins == -2:
        raise KeyError(coins)
    if coins == -3:
        raise ZeroDivisionError
    if coins == -4:
        count(coins)


class Pocket(msgspec.Struct):
    """Refuses some of what is in it."""

    coins: int = 0

    def __post_init__(self) -> None:
        count(self.coins)


class Purse(ChannelState, key="author-purse"):
    """Refuses the same, in itself and in a struct within."""

    coins: int = 0
    pocket: Pocket = msgspec.field(default_factory=Pocket)
    word: str = ""

    def __post_init__(self) -> None:
        count(self.coins)


PURSE = RowKey("component_state", "1", "author-purse")


def typed(where: str, coins: int) -> dict[str, Any]:
    """The column data with a number of coins in the purse, or in its pocket."""
    return {"coins": coins} if where == "purse" else {"pocket": {"coins": coins}}


def stored(fake: FakeSupabase) -> dict[str, Any]:
    """The purse in the database."""
    (row,) = (row for row in fake.rows("component_state") if row["key"] == "author-purse")
    return dict(row["data"])


def say(rig: Rig, word: str) -> None:
    """One transaction on the purse."""
    context = rig.context()
    context.state(Purse).word = word
    context.stage(word)
    context.seal()


async def others_go_on(rig: Rig) -> None:
    """The layer lives: another channel is loaded and saved."""
    before = rig.stored_total("2") or 0
    rig.add(2, "2")
    await asyncio.sleep(10)
    assert rig.stored_total("2") == rig.total("2") == before + 2
    assert not any(service.done() for service in rig.services)


async def corrected(rig: Rig, data: dict[str, Any]) -> None:
    """A human repairs the row, and the bot reads it again."""
    rig.fake.human_update("component_state", {"key": "author-purse"}, {"data": data})
    await asyncio.sleep(UNREADABLE_RETRY_S + 15)
    assert not rig.layer.row(PURSE).unreadable
    assert not any(service.done() for service in rig.services)


def complaints(logs: list[Any]) -> list[str]:
    """The rows that were said to be unreadable."""
    return [entry["row"] for entry in logs if entry["event"] == "row_unreadable"]


@pytest.mark.parametrize("where", ["purse", "pocket"])
@pytest.mark.parametrize("coins", COINS)
@in_virtual_time()
async def test_what_an_author_refuses_between_load_and_save_holds_no_other_row(
    where: str, coins: int
) -> None:
    """It comes back with the refusal of a save; corrected, it takes what was done meanwhile."""
    fake = fake_supabase()
    async with process(fake) as rig:
        say(rig, "before")
        await settled(rig)
        fake.human_update("component_state", {"key": "author-purse"}, {"data": typed(where, coins)})
        with capture_logs() as logs:
            say(rig, "meanwhile")
            await others_go_on(rig)
        assert complaints(logs) == ["component_state/1/author-purse"]
        assert stored(fake) == typed(where, coins)
        assert rig.context().state(Purse).word == "meanwhile"
        await corrected(rig, {"coins": 7})
        assert stored(fake)["word"] == "meanwhile"
        assert stored(fake)["coins"] == rig.context().state(Purse).coins == 7
    fake.close()


@pytest.mark.parametrize("used", [True, False], ids=["used", "used later"])
@in_virtual_time()
async def test_what_an_author_refuses_at_the_first_load_keeps_no_other_row_from_loading(used: bool) -> None:
    """Met by the load, or by the first who asks for a row that was loaded without its class."""
    fake = fake_supabase()
    fake.human_insert(
        "component_state", {"channel_id": "1", "key": "author-purse", "version": 1, "data": {"coins": -1}}
    )
    async with process(fake) as rig:
        with capture_logs() as logs:
            rig.manager.preload(["1"])
            if used:
                say(rig, "word")
            await others_go_on(rig)
            say(rig, "word")
            await others_go_on(rig)
        assert complaints(logs) == ["component_state/1/author-purse"]
        assert stored(fake) == {"coins": -1}
        await corrected(rig, {"coins": 7})
        assert stored(fake) == {"coins": 7, "pocket": {"coins": 0}, "word": "word"}
    fake.close()


@pytest.mark.parametrize("where", ["purse", "pocket"])
@in_virtual_time()
async def test_a_replayed_row_that_its_author_refuses_ends_no_start(where: str) -> None:
    """The journal has it, from before its class refused such a value; nobody asks for it, and it is saved once it is corrected."""
    fake, journal_store = fake_supabase(), MemoryJournalStore()
    row = {"channel_id": "1", "key": "author-purse", "version": 1, "data": typed(where, -1)}
    entered = fake.human_insert("component_state", row)
    base = Base(msgspec.json.encode(typed(where, -1)), {}, 1, 0, 0, entered["edit_no"])
    word = Operation(Kind.SET, "word", None, "earlier", Stamp(1, 1))
    await journal_store.commit([EpochTaken(1), Settled(PURSE, base), Recorded(PURSE, [word])])
    for _ in range(2):  # as it was at each start
        async with process(fake, journal_store=journal_store) as rig:
            with capture_logs() as logs:
                rig.manager.preload(["1"])
                await others_go_on(rig)
            assert complaints(logs) == ["component_state/1/author-purse"]
            assert stored(fake) == typed(where, -1)
    async with process(fake, journal_store=journal_store) as rig:
        rig.manager.preload(["1"])
        await others_go_on(rig)
        await corrected(rig, {"coins": 7})
        assert stored(fake)["word"] == "earlier"
    fake.close()
