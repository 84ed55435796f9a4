"""Long work pauses after each piece, and a whole message is answered in a pause."""

from __future__ import annotations

import asyncio

import pytest

from byte_bot.persistence.pace import HURRIED_PAUSE_S, PATIENT_PIECES, PAUSE_S, PIECE_BYTES, ROW_BYTES, Pace
from simulator.loop import in_virtual_time


@in_virtual_time()
async def test_a_piece_is_as_many_bytes_whatever_they_are_made_of() -> None:
    """Seven small rows, or a large one: then there is a pause, and the next piece begins at nothing."""
    loop, pace = asyncio.get_running_loop(), Pace()
    start_s = loop.time()
    for _ in range(PIECE_BYTES // ROW_BYTES - 1):
        await pace.after(ROW_BYTES)
    assert loop.time() == start_s
    await pace.after(ROW_BYTES)
    assert loop.time() - start_s == pytest.approx(PAUSE_S)
    await pace.after(ROW_BYTES)
    assert loop.time() - start_s == pytest.approx(PAUSE_S)
    await pace.after(PIECE_BYTES)
    assert loop.time() - start_s == pytest.approx(2 * PAUSE_S)


@in_virtual_time()
async def test_work_of_many_turns_gets_through_in_one_pause() -> None:
    """What takes eight turns of the loop meets one piece, not eight."""
    pieces, met = 0, 0

    async def work() -> None:
        nonlocal pieces
        pace = Pace()
        for _ in range(10):
            pieces += 1
            await pace.after(PIECE_BYTES)

    async def message() -> None:
        nonlocal met
        before = pieces
        for _ in range(8):
            await asyncio.sleep(0)
        met = pieces - before

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work())
        await asyncio.sleep(PAUSE_S * 1.5)
        tasks.create_task(message())
    assert (pieces, met) == (10, 0)


@in_virtual_time()
async def test_pieces_can_be_made_smaller() -> None:
    """A test that wants to be between any two rows has a pause after each."""
    loop, pace = asyncio.get_running_loop(), Pace(ROW_BYTES)
    start_s = loop.time()
    await pace.after(ROW_BYTES)
    await pace.after(ROW_BYTES)
    assert loop.time() - start_s == pytest.approx(2 * PAUSE_S)


@in_virtual_time()
async def test_long_work_hurries() -> None:
    """A megabyte of rows takes well under the second that P6 leaves 500 rows, however small the pieces are."""
    loop, pace = asyncio.get_running_loop(), Pace()
    start_s = loop.time()
    for _ in range(PATIENT_PIECES):
        await pace.after(PIECE_BYTES)
    patient_s = PATIENT_PIECES * PAUSE_S
    assert loop.time() - start_s == pytest.approx(patient_s)
    pieces = 1_000_000 // PIECE_BYTES
    for _ in range(pieces - PATIENT_PIECES):
        await pace.after(PIECE_BYTES)
    took_s = loop.time() - start_s
    assert took_s == pytest.approx(patient_s + (pieces - PATIENT_PIECES) * HURRIED_PAUSE_S)
    # It is paced twice: when its rows are frozen, and when they are encoded.
    assert 2 * took_s < 0.6
