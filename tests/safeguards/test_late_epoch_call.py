"""Safeguard: the starts in the journal. A late call of one's own fences nobody; a bot on a copy of the journal does."""

from __future__ import annotations

import asyncio

import pytest

from byte_bot.persistence.claimant import Claimant
from byte_bot.persistence.journal import MemoryJournalStore
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.rig import Wrapped, fake_supabase, process, settled, wrapped
from tests.safeguards.variants import become


class Suspicious(Claimant):
    """Takes every higher epoch for a rival's."""

    def took(self, holder: str) -> bool:
        """Never."""
        return False


class Nameless(Claimant):
    """Looks at the journal's identity alone."""

    def took(self, holder: str) -> bool:
        """Whoever is on this journal, or a copy of it."""
        return holder.rpartition("/")[0] == self._identity


@pytest.mark.parametrize("known", [True, False], ids=["with it", "without it"])
@in_virtual_time()
async def test_a_late_call_of_an_earlier_process_does_not_end_the_bot(known: bool) -> None:
    """Without it the bot ends with the exit code after which nobody starts it again, and there is no other bot."""
    fake, disk = fake_supabase(), MemoryJournalStore("here")
    async with process(fake, journal_store=disk, holder="one") as rig:
        await settled(rig)
        dead = rig.layer.claimant.name
    async with process(fake, journal_store=disk, holder="two", wrap=Wrapped) as rig:
        if not known:
            become(rig.layer.claimant, Suspicious)
        await settled(rig)
        await wrapped(rig).inner.take_epoch(dead, 0)
        rig.add(4)
        await asyncio.sleep(10)
        assert rig.services[0].done() is not known
        assert rig.stored_total() == (4 if known else None)
    fake.close()


@pytest.mark.parametrize("told_apart", [True, False], ids=["with it", "without it"])
@in_virtual_time()
async def test_of_two_bots_on_copies_of_a_journal_one_ends(told_apart: bool) -> None:
    """Without it both go on for ever, each taking the epoch from the other, and a viewer is answered twice."""
    fake, disk, copy = fake_supabase(), MemoryJournalStore("here"), MemoryJournalStore("here")
    async with (
        process(fake, journal_store=disk, holder="one") as first,
        process(fake, journal_store=copy, holder="two") as second,
    ):
        if not told_apart:
            for rig in (first, second):
                become(rig.layer.claimant, Nameless)
        await settled(first)
        await settled(second)
        first.add()
        second.add()
        await asyncio.sleep(10 if told_apart else 2.0)
        if not told_apart:
            # They take it from each other at every step from the first save on: some dozens show that, thousands are only dear.
            for _ in range(300):
                await asyncio.sleep(0)
        ended = [rig.services[0].done() for rig in (first, second)]
        epochs = fake.rows("bot_writer")[0]["epoch"]
        if told_apart:
            assert (ended, epochs) == ([True, False], 2)
        else:
            assert ended == [False, False]
            assert epochs > 10
    fake.close()
