"""The link: who may call the database when, and what is said about it."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from byte_bot.errors import DatabaseError, DatabasePaused, DatabaseUnavailable, RequestRefused
from byte_bot.persistence.backoff import Backoff
from byte_bot.persistence.breaker import Breaker, Circuit
from byte_bot.persistence.link import Link
from byte_bot.telemetry import Telemetry
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.rig import LoopClock


def make_link(*, kept: bool = True) -> tuple[Link, Telemetry]:
    """A link whose announcements say that seven rows wait."""
    telemetry = Telemetry(LoopClock(), "test")
    return Link(Breaker(Backoff(random.Random(1))), telemetry, lambda: 7, kept=lambda: kept), telemetry


def failing(error: BaseException) -> Callable[[], Awaitable[Any]]:
    """An attempt that ends like this."""

    async def attempt() -> None:
        raise error

    return attempt


async def answering() -> str:
    """An attempt that works."""
    return "answer"


@in_virtual_time()
async def test_an_answer_is_returned() -> None:
    """A healthy call costs nothing but itself."""
    link, telemetry = make_link()
    assert await link.call(answering) == "answer"
    assert telemetry.counters["database_calls"] == 1
    assert asyncio.get_running_loop().time() == 0


@in_virtual_time()
async def test_an_outage_opens_the_circuit_and_is_probed_at_least_every_5_s() -> None:
    """Callers that try in a loop wait between tries, never longer than 5 s, and each failure is raised."""
    link, telemetry = make_link()
    loop = asyncio.get_running_loop()
    times_s: list[float] = []
    with capture_logs() as logs:
        while loop.time() < 60:
            with pytest.raises(DatabaseUnavailable):
                await link.call(failing(DatabaseUnavailable("down")))
            times_s.append(loop.time())
        assert link.circuit is Circuit.OPEN
        assert link.last_error == "down"
        await link.call(answering)
    assert link.circuit is Circuit.CLOSED
    assert link.last_error == ""
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(times_s)]
    assert max(gaps_s) <= 5.0
    assert len(times_s) < 60
    assert telemetry.counters["database_failures"] == len(times_s)
    assert [entry["event"] for entry in logs] == ["database_out", "database_works"]
    assert logs[0]["rows_waiting"] == 7
    assert telemetry.counters["event_circuit"] == 2


@in_virtual_time()
async def test_only_one_caller_probes_an_open_circuit() -> None:
    """While one call tries the others wait, and go on as soon as it has worked."""
    link, _ = make_link()
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            await link.call(failing(DatabaseUnavailable("down")))
    under_way = most = 0

    async def slow() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        healthy.append(link.circuit is Circuit.CLOSED)
        await asyncio.sleep(1.0)
        under_way -= 1

    healthy: list[bool] = []
    await asyncio.gather(*(link.call(slow) for _ in range(4)))
    assert healthy == [False, True, True, True]
    assert most == 3


@in_virtual_time()
async def test_retry_after_is_waited_out() -> None:
    """A server that asks for 30 s is left alone for 30 s."""
    link, _ = make_link()
    with pytest.raises(DatabaseUnavailable):
        await link.call(failing(DatabaseUnavailable("429", retry_after_s=30.0)))
    await link.call(answering)
    assert asyncio.get_running_loop().time() >= 30.0


@in_virtual_time()
async def test_a_pause_is_announced_with_what_to_do_once_a_minute() -> None:
    """A human must act: the text says how, and is not repeated at every probe."""
    link, _ = make_link()
    loop = asyncio.get_running_loop()
    with capture_logs() as logs:
        while loop.time() < 125:
            with pytest.raises(DatabasePaused):
                await link.call(failing(DatabasePaused("42P01", "no such table", "apply the schema")))
    assert link.circuit is Circuit.PAUSED
    paused = [entry for entry in logs if entry["event"] == "database_paused"]
    assert len(paused) == 3
    assert paused[0] | {"event": None} == {
        "event": None,
        "log_level": "error",
        "what_to_do": "apply the schema",
        "what_it_means": "7 rows wait, nothing is lost",
        "server_says": "42P01: no such table",
        "rows_waiting": 7,
    }


@in_virtual_time()
async def test_a_pause_without_a_journal_does_not_say_that_nothing_is_lost() -> None:
    """Whoever reads that the rows are safe would restart the bot."""
    link, _ = make_link(kept=False)
    with capture_logs() as logs, pytest.raises(DatabasePaused):
        await link.call(failing(DatabasePaused("42P01", "no such table", "apply the schema")))
    assert logs[0]["what_it_means"] == "7 rows wait, and are lost if the bot ends before they are saved"


@in_virtual_time()
async def test_the_next_thing_to_do_is_announced_at_once() -> None:
    """Whoever has mended one thing must not wait a minute to hear of the next."""
    link, _ = make_link()
    with capture_logs() as logs:
        for advice in ("set the key", "apply the schema"):
            with pytest.raises(DatabasePaused):
                await link.call(failing(DatabasePaused("401", "no", advice)))
    assert asyncio.get_running_loop().time() < 60
    said = [entry["what_to_do"] for entry in logs if entry["event"] == "database_paused"]
    assert said == ["set the key", "apply the schema"]


@in_virtual_time()
async def test_a_refused_request_means_that_the_database_works() -> None:
    """What is wrong with one request says nothing about the next: no failure is counted."""
    link, telemetry = make_link()
    for _ in range(5):
        with pytest.raises(RequestRefused):
            await link.call(failing(RequestRefused("22P02", "bad text")))
    assert link.circuit is Circuit.CLOSED
    assert telemetry.counters["database_failures"] == 0
    assert asyncio.get_running_loop().time() == 0


@in_virtual_time()
async def test_a_cancelled_probe_lets_the_next_one_try() -> None:
    """A caller that goes away in the middle of the one probe does not lock everybody out."""
    link, _ = make_link()
    for _ in range(3):
        with pytest.raises(DatabaseError):
            await link.call(failing(DatabaseUnavailable("down")))

    async def hanging() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            await link.call(hanging)
    assert await link.call(answering) == "answer"


@in_virtual_time()
async def test_a_pause_is_announced_and_its_end_too() -> None:
    """One line each: what to do, then that it works again, after how long, and how much waits."""
    link, telemetry = make_link()
    loop = asyncio.get_running_loop()
    with capture_logs() as logs:
        while loop.time() < 30:
            with pytest.raises(DatabasePaused):
                await link.call(failing(DatabasePaused("540", "Project paused", "restore it")))
        await link.call(answering)
    assert [entry["event"] for entry in logs] == ["database_paused", "database_works"]
    assert logs[1]["after_s"] == pytest.approx(loop.time())
    assert logs[1]["rows_waiting"] == 7
    assert telemetry.counters["event_circuit"] == 2


@in_virtual_time()
async def test_a_pause_that_comes_and_goes_is_announced_once_a_minute() -> None:
    """Two tables without a grant, between saves that work: each way out once a minute, and no line more."""
    link, telemetry = make_link()
    loop = asyncio.get_running_loop()
    with capture_logs() as logs:
        while loop.time() < 115:
            for table in ("channels_config", "channel_state"):
                with pytest.raises(DatabasePaused):
                    await link.call(failing(DatabasePaused("42501", "no", f"grant {table}")))
                await link.call(answering)
            await asyncio.sleep(1)
    said = [entry["event"] for entry in logs]
    assert said.count("database_paused") == 4
    assert said.count("database_works") <= 4
    assert set(said) == {"database_paused", "database_works"}
    assert telemetry.counters["event_circuit"] <= 8


@in_virtual_time()
async def test_a_pause_that_becomes_an_outage_is_told() -> None:
    """The project is restored, and takes its time to start."""
    link, _ = make_link()
    with capture_logs() as logs:
        with pytest.raises(DatabasePaused):
            await link.call(failing(DatabasePaused("540", "Project paused", "restore it")))
        for _ in range(4):
            with pytest.raises(DatabaseUnavailable):
                await link.call(failing(DatabaseUnavailable("503")))
        await link.call(answering)
    assert [entry["event"] for entry in logs] == ["database_paused", "database_out", "database_works"]


@in_virtual_time()
async def test_a_read_that_works_does_not_end_the_pause_of_saves() -> None:
    """A read-only database answers every question; the log must not say that it works."""
    link, _ = make_link()
    loop = asyncio.get_running_loop()
    with capture_logs() as logs:
        while loop.time() < 100:
            with pytest.raises(DatabasePaused):
                await link.call(failing(DatabasePaused("25006", "read-only", "make room")), "save")
            assert await link.call(answering, "list") == "answer"
        assert [entry["event"] for entry in logs] == ["database_paused"] * 2
        await link.call(answering, "save")
    assert logs[-1]["event"] == "database_works"
