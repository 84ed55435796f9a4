"""The body of a save is one JSON object, however it was cut."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from byte_bot.persistence.pace import PAUSE_S, PIECE_BYTES, ROW_BYTES
from byte_bot.persistence.save_body import save_body
from byte_bot.persistence.store import SaveRequest
from byte_bot.persistence.supabase_store import SupabaseStore
from simulator.loop import in_virtual_time

REQUEST = SaveRequest(
    3,
    [
        {"key": f"zé {number}", "data": {"n": number, "text": "x" * 100}}
        for number in range(2 * PIECE_BYTES // ROW_BYTES + 1)
    ],
    [{"login": "anna"}],
    [],
    [{"id": "e", "data": {"why": '"'}}],
)


@in_virtual_time()
async def test_a_save_in_pieces_is_one_json_object() -> None:
    """What the server gets is the same as if it had been encoded at once."""
    bodies: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        assert request.headers["content-type"] == "application/json"
        return httpx.Response(200, json={"status": "ok", "epoch": 3, "refused": []})

    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
        await SupabaseStore("https://project.supabase.co", "key", http).save(REQUEST)
    names = {"p_epoch": 3, "p_rows": REQUEST.rows, "p_patches": REQUEST.patches}
    assert json.loads(bodies[0]) == {**names, "p_history": [], "p_events": REQUEST.events}


@in_virtual_time()
async def test_there_is_a_pause_after_each_piece() -> None:
    """Two pieces and a row: two pauses. A row that is a piece by itself has one of its own."""
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    await save_body(REQUEST)
    assert loop.time() - start_s == pytest.approx(2 * PAUSE_S)
    start_s = loop.time()
    await save_body(SaveRequest(3, [{"data": "x" * PIECE_BYTES}], [], [], []))
    assert loop.time() - start_s == pytest.approx(PAUSE_S)


@in_virtual_time()
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object()])
async def test_what_json_cannot_hold_is_an_error(value: object) -> None:
    """It would else be stored as null, or as something that no client can read."""
    with pytest.raises((ValueError, TypeError)):
        await save_body(SaveRequest(1, [{"data": value}], [], [], []))
