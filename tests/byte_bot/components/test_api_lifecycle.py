"""The extension API over time: rows of older versions, rows that come late, components that come and go."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest

from byte_bot.components.api import Add, ChannelState, Component, Context, command
from byte_bot.persistence.journal import MemoryJournalStore, Settled
from byte_bot.persistence.operations import Base, RowKey
from simulator.loop import in_virtual_time
from tests.byte_bot.components.harness import CHANNEL_ID, chat_with


class Tally(ChannelState, key="tally", version=2):
    """Counts, since version 2 by name."""

    by_name: Annotated[dict[str, int], Add] = {}

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Version 1 had one number."""
        return {"by_name": {"all": data["total"]}, "kept": data.get("kept")}


class Tallier(Component):
    """Shows the tally."""

    @command()
    async def tally(self, ctx: Context, name: str = "all") -> None:
        """Counts one more."""
        by_name = ctx.state(Tally).by_name
        by_name[name] = by_name.get(name, 0) + 1
        await ctx.reply(f"{name}: {by_name[name]}")


async def tallied(data: bytes, version: int) -> str:
    """What a bot says whose journal knows a row of that version."""
    journal = MemoryJournalStore()
    key = RowKey("component_state", CHANNEL_ID, "tally")
    await journal.commit([Settled(key, Base(data, version=version, epoch=1, revision=1, edit_no=0))])
    async with chat_with(Tallier(), journal=journal) as chat:
        return await chat.viewer("!tally")


@in_virtual_time()
async def test_an_older_row_is_upgraded() -> None:
    """A row of version 1 is read by the class of version 2."""
    assert await tallied(b'{"total": 7}', 1) == "all: 8"
    assert await tallied(b'{"by_name": {"all": 4}}', 2) == "all: 5"


@in_virtual_time()
async def test_a_newer_row_is_not_touched() -> None:
    """The bot goes on with what it did itself, and does not save over what it cannot read."""
    assert await tallied(b'{"new": "shape"}', 3) == "all: 1"


class Loading(Component):
    """Tells when it is loaded and taken down."""

    def __init__(self, *, fails: bool = False) -> None:
        self.seen: list[str] = []
        self._fails = fails

    async def component_load(self) -> None:
        """Loaded."""
        if self._fails:
            raise OSError("no network")
        self.seen.append("load")

    async def component_teardown(self) -> None:
        """Taken down."""
        self.seen.append("teardown")

    @command()
    async def loaded(self, ctx: Context) -> None:
        """Is there."""
        await ctx.reply("yes")


@in_virtual_time()
async def test_components_are_loaded_and_taken_down_once() -> None:
    """And a removed one hears nothing."""
    component = Loading()
    async with chat_with(component) as chat:
        assert await chat.viewer("!loaded") == "yes"
        await chat.bot.remove_component(component)
        assert await chat.viewer("!loaded") == ""
    assert component.seen == ["load", "teardown"]


class Clinging(Component):
    """Does not want to go."""

    async def component_teardown(self) -> None:
        """Hangs."""
        await asyncio.sleep(3600)


@in_virtual_time()
async def test_a_component_that_does_not_let_go_does_not_hold_up_the_stop() -> None:
    """It is taken out, logged and counted, within half a second."""
    component = Clinging()
    async with chat_with(component) as chat:
        before = asyncio.get_running_loop().time()
        await chat.bot.remove_component(component)
        assert asyncio.get_running_loop().time() - before == pytest.approx(0.5)
        assert chat.bot.components == ()
        assert chat.count("teardowns_failed") == 1


@in_virtual_time()
async def test_a_component_that_cannot_load_is_not_half_there() -> None:
    """Its names are free again, for instance for a second try."""
    async with chat_with() as chat:
        with pytest.raises(OSError, match="no network"):
            await chat.bot.add_component(Loading(fails=True))
        assert chat.bot.components == ()
        await chat.bot.add_component(Loading())
        assert await chat.viewer("!loaded") == "yes"


class Shelf(ChannelState, key="shelf"):
    """Words by name, and one of them all."""

    words: dict[str, str] = {}
    best: str = ""


class Librarian(Component):
    """Takes away whatever it is told."""

    @command()
    async def forget(self, ctx: Context, name: str = "") -> None:
        """Forgets a word, or says that there is no best one."""
        shelf = ctx.state(Shelf)
        if name:
            ctx.drop(shelf, "words", name + "\x00")
        else:
            ctx.assign(shelf, "best", "")


@in_virtual_time()
async def test_what_was_taken_away_is_not_in_a_row_that_comes_late() -> None:
    """Also under a name that is cleaned before it is stored, and after a restart."""
    journal = MemoryJournalStore()
    async with chat_with(Librarian(), journal=journal) as chat:
        chat.state(Shelf).words["seen"] = "here"
        for line in ("!forget unseen", "!forget seen", "!forget"):
            await chat.viewer(line)
    async with chat_with(Librarian(), journal=journal) as chat:
        base = Base(
            b'{"words":{"unseen":"a","seen":"b","kept":"c"},"best":"a"}', epoch=3, revision=9, edit_no=0
        )
        chat.layer.deliver(RowKey("component_state", CHANNEL_ID, "shelf"), base, chat.layer.next_serial())
        assert chat.state(Shelf) == Shelf({"kept": "c"}, "")
