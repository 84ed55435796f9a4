"""Safeguard: the pause. What is wrong with the database is no fault of the rows: they wait, and are saved when it is mended."""

from __future__ import annotations

import asyncio

import pytest

from byte_bot.errors import DatabasePaused, RequestRefused
from byte_bot.persistence.store import SaveAnswer, SaveRequest
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.rig import Misconfigured, Wrapped, fake_supabase, process

CHANNELS = [f"{number}" for number in range(1, 21)]


class Blaming(Wrapped):
    """Takes what the server refuses for the fault of what was sent."""

    async def save(self, request: SaveRequest) -> SaveAnswer:
        """Save, and blame the request."""
        try:
            return await super().save(request)
        except DatabasePaused as error:
            raise RequestRefused(error.code, error.words) from None


@pytest.mark.parametrize("pauses", [True, False], ids=["with it", "without it"])
@in_virtual_time()
async def test_a_schema_that_was_taken_out_of_the_api_loses_nothing(pauses: bool) -> None:
    """Without the pause every row is a dead letter after twice as many requests as rows, and none is saved when all is well."""
    fake = fake_supabase()
    way = Misconfigured(fake, (406, "PGRST106"))
    async with process(fake, transport=way, wrap=Wrapped if pauses else Blaming) as rig:
        rig.manager.preload(CHANNELS)
        await asyncio.sleep(1)
        for channel_id in CHANNELS:
            rig.add(channel_id=channel_id)
        await asyncio.sleep(30)
        way.error = None
        await asyncio.sleep(30)
        stored = sum(rig.stored_total(channel_id) == 1 for channel_id in CHANNELS)
        assert stored == (len(CHANNELS) if pauses else 0)
        assert rig.layer.telemetry.counters["dead_letters"] == (0 if pauses else len(CHANNELS))
    fake.close()
