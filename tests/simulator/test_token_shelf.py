"""The token's file of a world: it outlives processes, and the lock of a dead one does not hold anybody up."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from byte_bot.auth.user_token import UserToken
from simulator.loop import current_loop, run
from simulator.token_shelf import TokenShelf

TOKEN = UserToken(access="first", login="byte_bot", refresh="again")


def test_whoever_looks_sees_that_it_has_changed() -> None:
    """By its stamp, as of a file."""

    async def body() -> None:
        shelf = TokenShelf(TOKEN)
        before = shelf.stamp()
        assert await shelf.load() == TOKEN
        await shelf.save(replace(TOKEN, access="second"))
        assert shelf.stamp() != before
        found = await shelf.load()
        assert found is not None
        assert found.access == "second"

    run(body())


@pytest.mark.parametrize(("killed", "waits_s"), [(False, 5.0), (True, 2.0)])
def test_one_process_at_a_time_may_change_it(killed: bool, waits_s: float) -> None:
    """The other waits until the block is left, or until its process is dead."""

    async def body() -> float:
        loop, shelf = current_loop(), TokenShelf(TOKEN)
        got_s: list[float] = []

        async def hold() -> None:
            async with shelf.exclusive():
                await asyncio.sleep(5)

        async def want() -> None:
            async with shelf.exclusive():
                got_s.append(loop.time())

        loop.spawn("holder", hold())
        await asyncio.sleep(1)
        waiting = loop.spawn("waiter", want())
        await asyncio.sleep(1)
        if killed:
            loop.kill_process("holder")
        await waiting.wait()
        return got_s[0]

    assert run(body()) == pytest.approx(waits_s, abs=0.11)
