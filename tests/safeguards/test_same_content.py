"""Safeguard: until a save is answered the same content is sent again. What may have arrived is one thing, however often it was tried."""

from __future__ import annotations

import asyncio

import pytest

from byte_bot.errors import DatabaseUnavailable
from byte_bot.persistence.operations import RowKey
from byte_bot.persistence.store import SaveAnswer, SaveRequest
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.rig import Wrapped, fake_supabase, process, settled
from tests.safeguards.row_variants import FickleRow, layer_of
from tests.safeguards.variants import become


class Swallowing(Wrapped):
    """A way to the database on which for a while no answer comes back; whether a save arrives alternates."""

    swallows = False

    async def save(self, request: SaveRequest) -> SaveAnswer:
        """Carry every other one out, and say nothing."""
        if not self.swallows:
            return await super().save(request)
        self.requests.append(request)
        if len(self.requests) % 2:
            await self.inner.save(request)
        raise DatabaseUnavailable("no answer")


@pytest.mark.parametrize("same", [True, False], ids=["with it", "without it"])
@in_virtual_time()
async def test_an_outage_in_a_busy_channel_leaves_two_parts_of_a_row(same: bool) -> None:
    """What was sent, and what came since: with other content each try leaves a part, for as long as no answer comes.

    Each could be what the database has, so none may be joined with another: memory would grow with the outage.
    """
    fake = fake_supabase()
    async with process(fake, wrap=Swallowing) as rig:
        if not same:
            become(rig.layer, layer_of(FickleRow))
        await settled(rig)
        assert isinstance(rig.store, Swallowing)
        rig.store.swallows = True
        row = rig.layer.row(RowKey("component_state", "1", "rig-tally"))
        for _ in range(30):
            rig.add()
            await asyncio.sleep(6)
        tries, parts = len(rig.store.requests), len(row.pending)
        assert tries >= 20
        assert (parts == 2) if same else (parts >= 20)
        rig.store.swallows = False
        await asyncio.sleep(20)
        assert rig.stored_total() == rig.total() == 30
    fake.close()
