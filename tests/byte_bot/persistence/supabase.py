"""A fake Supabase project with the bot's schema, and stores that talk to it or to a made-up server; in virtual time."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from byte_bot.persistence.schema import SCHEMA_DIR
from byte_bot.persistence.store import SaveRequest
from byte_bot.persistence.supabase_store import SupabaseStore
from simulator.loop import START_UNIX_S, current_loop
from simulator.supabase.faces import SupabaseTransport
from simulator.supabase.server import FakeSupabase


@asynccontextmanager
async def project(*, schema: bool = True, rows_max: int = 1000) -> AsyncIterator[FakeSupabase]:
    """A project that answers at most ``rows_max`` rows at a time; without ``schema`` nothing was pasted yet."""
    fake = FakeSupabase(
        SCHEMA_DIR if schema else None,
        time_source=current_loop().time,
        unix_start=START_UNIX_S,
        rng=random.Random(1),
        rows_max=rows_max,
    )
    try:
        yield fake
    finally:
        fake.close()


@asynccontextmanager
async def store_on(
    peer: FakeSupabase | httpx.AsyncBaseTransport,
    *,
    key: str | None = None,
    timeout_s: float = 5.0,
    http_timeout_s: float | None = None,
) -> AsyncIterator[SupabaseStore]:
    """A store with its own HTTP client, whose timeout per read is ``http_timeout_s`` (the deadline's unless given)."""
    fake = peer if isinstance(peer, FakeSupabase) else None
    transport = SupabaseTransport(peer) if isinstance(peer, FakeSupabase) else peer
    secret = key or (fake.secret_key if fake else "sb_secret_x")
    limit_s = timeout_s if http_timeout_s is None else http_timeout_s
    async with httpx.AsyncClient(
        transport=transport, follow_redirects=False, timeout=httpx.Timeout(limit_s)
    ) as http:
        yield SupabaseStore("http://project.supabase.test", secret, http, timeout_s=timeout_s)


def nothing(epoch: int) -> SaveRequest:
    """A save without content."""
    return SaveRequest(epoch, [], [], [], [])


def state_row(
    channel_id: str,
    key: str = "",
    *,
    data: dict[str, Any],
    revision: int = 1,
    edit_no: int | None = None,
) -> dict[str, Any]:
    """One object of ``p_rows``; without a key it is the channel's own row."""
    return {
        "table": "component_state" if key else "channel_state",
        "channel_id": channel_id,
        "key": key,
        "version": 1,
        "data": data,
        "tombstones": {},
        "revision": revision,
        "edit_no": edit_no,
    }
