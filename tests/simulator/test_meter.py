"""The meter counts what is under way and changes nothing."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from simulator.loop import current_loop, run
from simulator.meter import Meter, MeteredTransport

SAVE = "https://project.supabase.test/rest/v1/rpc/byte_bot_save"
LIST = "https://project.supabase.test/rest/v1/channels_config"


class Slow(httpx.AsyncBaseTransport):
    """Answers after a second, or fails."""

    closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Wait, then echo the method."""
        await asyncio.sleep(1)
        if request.url.query:
            raise httpx.ReadError("broken")
        return httpx.Response(200, text=request.method)

    async def aclose(self) -> None:
        """Note it."""
        self.closed = True


def test_it_counts_requests_and_saves_at_once() -> None:
    """Now, at most at once, and in all."""

    async def body() -> None:
        meter = Meter()
        async with httpx.AsyncClient(transport=MeteredTransport(Slow(), meter)) as http:
            requests = [asyncio.create_task(http.post(SAVE)), asyncio.create_task(http.get(LIST))]
            await asyncio.sleep(0.5)
            assert (meter.requests_now, meter.saves_now) == (2, 1)
            assert [response.text for response in await asyncio.gather(*requests)] == ["POST", "GET"]
            await http.post(SAVE)
        assert (meter.requests_now, meter.saves_now) == (0, 0)
        assert (meter.requests_at_once_max, meter.saves_at_once_max, meter.requests_total) == (2, 1, 3)

    run(body())


def test_a_failed_request_is_over_too() -> None:
    """An error passes through, and what failed is not under way any more."""

    async def body() -> None:
        meter, inner = Meter(), Slow()
        async with httpx.AsyncClient(transport=MeteredTransport(inner, meter)) as http:
            with pytest.raises(httpx.ReadError):
                await http.post(SAVE + "?fail")
        assert (meter.requests_now, meter.saves_now) == (0, 0)
        assert inner.closed

    run(body())


def test_a_dead_process_waits_for_nothing() -> None:
    """After a crash no `finally` counts down, so the world says that the process has died."""

    async def body() -> None:
        loop, meter = current_loop(), Meter()

        async def save() -> None:
            async with httpx.AsyncClient(transport=MeteredTransport(Slow(), meter)) as http:
                await http.post(SAVE)

        loop.spawn("bot", save())
        loop.spawn("other", save())
        await asyncio.sleep(0.5)
        assert (meter.requests_now, meter.saves_now) == (2, 2)
        loop.kill_process("bot")
        meter.process_died()
        assert (meter.requests_now, meter.saves_now) == (1, 1)
        await asyncio.sleep(1)
        assert (meter.requests_now, meter.saves_now) == (0, 0)

    run(body())


def test_what_two_processes_do_at_once_is_not_at_once() -> None:
    """Limits are for one process."""

    async def body() -> None:
        loop, meter = current_loop(), Meter()

        async def save() -> None:
            async with httpx.AsyncClient(transport=MeteredTransport(Slow(), meter)) as http:
                await http.post(SAVE)

        for name in ("bot", "other"):
            loop.spawn(name, save())
        await asyncio.sleep(2)
        assert (meter.requests_at_once_max, meter.saves_at_once_max, meter.requests_total) == (1, 1, 2)

    run(body())


def test_who_observes_is_told_of_each_request() -> None:
    """When it leaves, with its body, and when it is over, with the answer's status or none."""
    told: list[tuple[object, ...]] = []

    async def body() -> None:
        loop, meter = current_loop(), Meter()
        meter.observe(
            lambda request: told.append((loop.time(), request.method, request.content)),
            lambda request, status: told.append((loop.time(), request.method, status)),
        )
        async with httpx.AsyncClient(transport=MeteredTransport(Slow(), meter)) as http:
            await http.post(SAVE, content=b"rows")
            with pytest.raises(httpx.ReadError):
                await http.get(LIST + "?fail")

    run(body())
    assert told == [(0.0, "POST", b"rows"), (1.0, "POST", 200), (1.0, "GET", b""), (2.0, "GET", None)]
