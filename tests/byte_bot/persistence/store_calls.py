"""The store on the fake Supabase or on canned answers, and one call of each of its methods."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

from byte_bot.errors import DatabaseError
from byte_bot.persistence.store import SaveRequest
from byte_bot.persistence.supabase_store import SupabaseStore
from simulator.faults import (
    Fault,
)
from simulator.loop import run
from simulator.supabase.faces import SupabaseTransport
from simulator.supabase.server import FakeSupabase
from tests.byte_bot.persistence.rig import fake_supabase

Call = Callable[[SupabaseStore], Awaitable[Any]]
URL = "http://project.supabase.test"


def save_request(*rows: dict[str, Any], epoch: int = 1, **parts: Any) -> SaveRequest:
    """A save."""
    return SaveRequest(
        epoch, list(rows), parts.get("patches", []), parts.get("history", []), parts.get("events", [])
    )


def state_row(channel_id: str = "1", **fields: Any) -> dict[str, Any]:
    """A row as the writer sends it."""
    return {
        "table": "channel_state",
        "channel_id": channel_id,
        "key": "",
        "version": 1,
        "data": {"vibe": "calm"},
        "tombstones": {},
        "revision": 1,
        "edit_no": None,
    } | fields


CALLS: dict[str, Call] = {
    "take_epoch": lambda store: store.take_epoch("test", 0),
    "save": lambda store: store.save(save_request(state_row())),
    "load_states": lambda store: store.load_states(["1"]),
    "list_channels": lambda store: store.list_channels(),
}


@contextlib.asynccontextmanager
async def store_on(
    transport: httpx.AsyncBaseTransport, *, key: str = "sb_secret_test", timeout_s: float = 5.0
) -> AsyncIterator[SupabaseStore]:
    """The store as the composition root builds it."""
    async with httpx.AsyncClient(transport=transport, follow_redirects=False, timeout=timeout_s) as http:
        yield SupabaseStore(URL, key, http, timeout_s=timeout_s)


@contextlib.asynccontextmanager
async def store_and_fake(*faults: Fault, **options: Any) -> AsyncIterator[tuple[SupabaseStore, FakeSupabase]]:
    """The store on the fake."""
    fake = fake_supabase(*faults, **options)
    async with store_on(SupabaseTransport(fake), key=fake.secret_key) as store:
        yield store, fake
    fake.close()


def outcome(call: Call, *faults: Fault, prepare: Callable[[FakeSupabase], object] = lambda fake: None) -> Any:
    """What a call on the fake ends with: its answer or our error; and in how much time."""

    async def story() -> Any:
        async with store_and_fake() as (store, fake):
            await store.take_epoch("test", 0)
            prepare(fake)
            for number, fault in enumerate(faults):
                fake.faults.set(f"{number}", fault)
            try:
                return await call(store)
            except DatabaseError as error:
                assert asyncio.get_running_loop().time() <= 5.0
                return error

    return run(story())


def answered(call: Call, status: int, content: bytes | str, *, headers: dict[str, str] | None = None) -> Any:
    """What a call ends with if every request is answered like this."""

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=content, headers=headers)

    async def story() -> Any:
        async with store_on(httpx.MockTransport(handler)) as store:
            try:
                return await call(store)
            except DatabaseError as error:
                return error

    return run(story())
