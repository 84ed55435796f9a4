"""Safeguard: dead letters. What the server refuses is not sent for ever, and not held back for ever either."""

from __future__ import annotations

import asyncio

import pytest

from byte_bot.persistence.dead_letters import DeadLetters
from byte_bot.persistence.journal import (
    DeadLettered,
    JournalImage,
    MemoryJournalStore,
    Rebased,
    Recorded,
    Settled,
)
from byte_bot.persistence.row import Row
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.rig import Rig, Wrapped, fake_supabase, process, settled, wrapped
from tests.safeguards.row_variants import StubbornRow, layer_of
from tests.safeguards.variants import become


class ForgetfulLetters(DeadLetters):
    """Takes nothing over from an earlier process."""

    def restore(self, row: Row, letter: DeadLettered) -> None:
        """Forgotten."""


class HoardingImage(JournalImage):
    """Keeps every letter until somebody drops it."""

    def _retire(self, write: Recorded | Settled | Rebased) -> None:
        pass


async def a_refused_row_is_corrected(rig: Rig) -> None:
    """The server refuses a row; then chat puts something else in its place."""
    await settled(rig)
    rig.add()
    rig.poison()
    await asyncio.sleep(5)
    rig.add(last="well")
    await asyncio.sleep(10)


@pytest.mark.parametrize("retired", [True, False], ids=["with it", "without it"])
@in_virtual_time()
async def test_a_newer_revision_of_a_refused_row_is_saved(retired: bool) -> None:
    """A letter that no newer revision retires holds back all that is said in that channel from then on."""
    fake = fake_supabase()
    async with process(fake) as rig:
        if not retired:
            become(rig.layer, layer_of(StubbornRow))
        await a_refused_row_is_corrected(rig)
        assert rig.stored_total() == (2 if retired else None)
        assert rig.layer.ledger.rows_waiting == (0 if retired else 1)
    fake.close()


@pytest.mark.parametrize("retired", [True, False], ids=["with it", "without it"])
@in_virtual_time()
async def test_the_journal_retires_the_letter_of_a_row_that_moved_on(retired: bool) -> None:
    """Else the next start takes a row for refused that was saved long ago, and humans look for what is not there."""
    fake = fake_supabase()
    disk = MemoryJournalStore("one")
    if not retired:
        become(disk._image, HoardingImage)
    async with process(fake, journal_store=disk) as rig:
        await a_refused_row_is_corrected(rig)
    assert len(disk.read().dead_letters) == (0 if retired else 1)
    fake.close()


@pytest.mark.parametrize("remembered", [True, False], ids=["with it", "without it"])
@in_virtual_time()
async def test_a_restart_does_not_send_a_refused_row_again(remembered: bool) -> None:
    """A bot that a supervisor restarts every minute would send it every minute."""
    fake = fake_supabase()
    disk = MemoryJournalStore("one")
    async with process(fake, journal_store=disk, holder="one") as rig:
        await settled(rig)
        rig.poison()
        await asyncio.sleep(5)
    async with process(fake, journal_store=disk, holder="one", wrap=Wrapped, restored=False) as rig:
        if not remembered:
            become(rig.layer.dead_letters, ForgetfulLetters)
        rig.layer.restore()
        rig.layer.request_load("1")
        await asyncio.sleep(30)
        sent = [row for request in wrapped(rig).requests for row in request.rows]
        assert bool(sent) is not remembered
    fake.close()
