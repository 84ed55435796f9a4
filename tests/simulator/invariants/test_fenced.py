"""A process that goes on although the database has turned it away is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from byte_bot.persistence.ledger import Batch
from byte_bot.persistence.operations import RowKey
from byte_bot.persistence.row import Sent
from byte_bot.persistence.store import SaveAnswer
from byte_bot.persistence.writer import Writer
from simulator.faults import CutBody, Hang
from simulator.invariants.fenced import Fenced
from simulator.world import World
from tests.safeguards.variants import application_with
from tests.simulator.invariants.broken_worlds import watched, working_bot


class DeafWriter(Writer):
    """Takes being turned away for a database that does not answer."""

    async def _answered(self, batch: Batch, sents: Mapping[RowKey, Sent], answer: SaveAnswer) -> None:
        """Try again later."""
        if answer.status == "fenced":
            self._layer.ledger.give_back(batch)
            await asyncio.sleep(1)
            return
        await super()._answered(batch, sents, answer)


async def superseded(world: World) -> None:
    """A second process has taken over, and the first finds out at its next save."""
    await working_bot(world)
    world.start_rival()
    await world.until(lambda: world.supabase.rows("bot_writer")[0]["epoch"] == 2)
    world.say("mod", "!count deaths +1")
    await asyncio.sleep(30)


def test_the_bot_as_shipped_ends() -> None:
    """And the one that took over is let alone."""
    assert watched(superseded, Fenced()) == []


def test_one_that_does_not_listen_is_seen() -> None:
    """It goes on confirming what is never saved."""
    deaf = application_with(lambda application: application.layer.writer, DeafWriter)
    words = watched(superseded, Fenced(), application=deaf)
    assert words[0].startswith("a save under epoch 1 was turned away 15")
    assert words[0].endswith("and its process goes on")


def test_one_that_cannot_hear_it_is_not_judged() -> None:
    """The answer is cut short each time, and after it the database hangs: the process takes it for an outage."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.start_rival()
        await world.until(lambda: world.supabase.rows("bot_writer")[0]["epoch"] == 2)
        world.break_database(CutBody())
        world.say("mod", "!count deaths +1")
        await world.until(lambda: world.supabase.saves[-1].status == "fenced")
        world.break_database(Hang())
        await asyncio.sleep(30)

    assert watched(story, Fenced()) == []
