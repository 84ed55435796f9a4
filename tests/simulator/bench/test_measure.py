"""Measuring bots of the tests' own: what is slow shows as slow, what is not answered as unanswered, what is lost as lost."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from simulator.bench.child import BenchError
from simulator.bench.matching import Expectation
from simulator.bench.measure import (
    LOOK_EVERY_S,
    STILL_S,
    Bench,
    Patience,
    Storage,
    Target,
    count_of,
    shortfall,
    stood_still,
    total_of,
)
from simulator.bench.plan import CONDITIONS, Condition, Load
from simulator.bench.results import latencies_ms
from simulator.bench.stage import Addresses
from simulator.loop import START_UNIX_S, in_virtual_time

BOT = Path(__file__).with_name("count_bot.py")
HEALTHY = CONDITIONS[0]
PATIENCE = Patience(reply_s=0.5, lead_s=0.1, quiet_s=0.2, quiet_after_kill_s=0.2)


def variables(addresses: Addresses) -> dict[str, str]:
    """What the bot of the tests has to know."""
    return {
        "HOST": addresses.irc_host,
        "PORT": str(addresses.irc_port),
        "TOKEN": addresses.token,
        "CHANNELS": ",".join(addresses.channels),
        "DB_URL": addresses.supabase_url,
        "DB_KEY": addresses.supabase_key,
    }


def bench(delay_s: float = 0.0, leaves_out: int = 0, command: tuple[str, ...] = ()) -> Bench:
    """A bot that is slow or forgetful, in two channels."""
    target = Target(
        "counting",
        command or (sys.executable, str(BOT), str(delay_s), str(leaves_out)),
        variables,
        (("!count wins +1", "wins"), ("!count deaths +1", "deaths")),
        Expectation(r"(?P<key>\w+): (?P<value>\d+)"),
        uses_database=False,
    )
    return Bench(target, 2, unix_start_s=START_UNIX_S, patience=PATIENCE)


async def test_a_bot_that_takes_its_time_is_measured_as_slow() -> None:
    """Each reply takes 30 ms and one message is due every 20 ms: latency grows with every message, in an open loop."""
    async with bench(delay_s=0.03) as running:
        one = await running.measure(HEALTHY, Load(2, 50, 0.3))
    latencies = [sample.latency_ms for sample in one.samples if sample.latency_ms is not None]
    assert len(latencies) == len(one.samples) == 15
    assert min(latencies) >= 30
    # 19 messages with those of the lead: the last one waits for 18 others that took 10 ms longer than their interval.
    assert latencies[-1] >= 19 * 30 - 18 * 20
    # Each reply holds its loop for 30 ms: a PONG that took no time was not measured.
    assert one.loop_lag_p99_ms is not None and one.loop_lag_p99_ms > 0
    assert (one.messages, one.requests, one.lost, one.stale) == (20, 0, None, None)


async def test_what_a_bot_leaves_out_is_unanswered_and_counts_as_the_whole_patience() -> None:
    """It answers the four questions of the warm-up, and leaves out the fifth message, the tenth and so on."""
    async with bench(leaves_out=5) as running:
        one = await running.measure(HEALTHY, Load(2, 100, 0.2))
    assert sum(sample.latency_ms is None for sample in one.samples) >= 3
    assert latencies_ms(one)[-1] == 500


async def test_a_killed_bot_is_started_again() -> None:
    """And measured on: the next round finds a process that answers."""
    async with bench() as running:
        first = running._bot.pid
        killed = await running.measure(HEALTHY, Load(2, 50, 0.1), kill="in mid-load")
        assert running._bot.pid != first, "it was not killed"
        after = await running.measure(HEALTHY, Load(2, 50, 0.1))
    assert (killed.messages, killed.samples) == (10, [])
    assert all(sample.latency_ms is not None for sample in after.samples)


async def test_a_bot_killed_after_its_answers_has_been_measured_before() -> None:
    """Latencies and memory are those of the process that dies."""
    async with bench() as running:
        first = running._bot.pid
        one = await running.measure(HEALTHY, Load(2, 50, 0.1), kill="after answers")
        assert running._bot.pid != first, "it was not killed"
    assert len(one.samples) == 5
    assert all(sample.latency_ms is not None for sample in one.samples)
    assert one.rss_start_mb > 0 and one.rss_end_mb > 0


async def test_a_condition_acts_as_long_as_it_asks_before_the_first_sample() -> None:
    """So that what a bot does about a call that it gave up is among the samples of a short load."""
    async with bench() as running:
        one = await running.measure(Condition("slow", None, lead_s=1.0), Load(2, 50, 0.1))
    assert (one.messages, len(one.samples)) == (55, 5)


async def test_the_picture_has_every_message_of_the_load() -> None:
    """In the order they were due."""
    async with bench() as running:
        line = await running.timeline(HEALTHY, Load(2, 50, 0.2), (0.05, 0.1))
    assert [at_s for at_s, _ in line.points] == pytest.approx([number / 50 for number in range(10)])
    assert line.outage == (0.05, 0.1)


async def test_a_bot_that_ends_is_an_error_with_its_last_words() -> None:
    """Not a row with no answers."""
    program = "import sys; print('no such token', file=sys.stderr); sys.exit(3)"
    with pytest.raises(BenchError, match=r"ended before it could join its channels[\s\S]*no such token"):
        async with bench(command=(sys.executable, "-c", program)):
            pass


@in_virtual_time()
async def test_a_bot_has_caught_up_when_no_request_has_come_for_a_second() -> None:
    """Twenty saves 0.3 s apart are waited for, from the first look on, and a bot that never stops is given up."""
    loop = asyncio.get_running_loop()
    start = loop.time()

    async def saves() -> int:
        return min(20, int((loop.time() - start) / 0.3))

    since = await stood_still(saves, give_up_at=start + 60.0)
    assert since - start == pytest.approx(6.0, abs=LOOK_EVERY_S)
    assert loop.time() - since == pytest.approx(STILL_S)

    async def polls() -> int:
        return int(loop.time() / 0.3)

    began = loop.time()
    await stood_still(polls, give_up_at=began + 5.0)
    assert loop.time() - began == pytest.approx(5.0, abs=LOOK_EVERY_S)


def storing(folder: Path, every_s: float) -> Bench:
    """A bot that stores each counter before it answers, in one channel; a request for each follows, one every so many seconds."""
    (folder / "tables.sql").write_text(
        "create table if not exists public.counters (name text primary key, value bigint);\n"
        "grant select, insert, update, delete on table public.counters to service_role;\n"
    )
    storage = Storage(
        "counters",
        lambda rows, logins: {("channel_1", str(row["name"])): int(row["value"]) for row in rows},
        schema_dir=folder,
    )
    target = Target(
        "storing",
        (sys.executable, str(BOT), "0", "0", str(every_s)),
        variables,
        (("!count wins +1", "wins"),),
        Expectation(r"(?P<key>\w+): (?P<value>\d+)"),
        storage=storage,
    )
    patience = Patience(reply_s=0.5, lead_s=0.1, quiet_s=0.5)
    return Bench(target, 1, unix_start_s=START_UNIX_S, patience=patience)


async def test_a_condition_that_heals_is_over_when_the_samples_begin(tmp_path: Path) -> None:
    """With the same fault until the end nothing is answered; healed, messages are."""
    fault, load = {"kind": "refused"}, Load(1, 40, 0.5)
    async with storing(tmp_path, 0.0) as running:
        out = await running.measure(Condition("out", fault), load)
        back = await running.measure(Condition("back again", fault, heals=True), load)
    assert [sample.latency_ms for sample in out.samples] == [None] * 20
    assert len(back.samples) == 20
    assert any(sample.latency_ms is not None for sample in back.samples)


async def test_what_a_bot_saves_besides_does_not_reach_into_the_next_condition(tmp_path: Path) -> None:
    """Its counters are there at once; what it saves of each besides is waited for."""
    async with storing(tmp_path, 0.15) as running:
        one = await running.measure(HEALTHY, Load(1, 40, 0.1))
    assert (one.messages, one.lost) == (8, 0)
    # Those of the warm-up may come on top.
    assert one.requests >= 2 * one.messages


def test_what_is_missing_is_what_viewers_were_told_and_the_database_does_not_have() -> None:
    """A value that is there and larger is not missing; a counter that is not there lacks all of it."""
    confirmed = {("a", "wins"): 7, ("a", "deaths"): 3, ("b", "wins"): 2}
    missing = shortfall(confirmed, {("a", "wins"): 5, ("a", "deaths"): 4})
    assert missing == {("a", "wins"): 2, ("b", "wins"): 2}
    assert (total_of(missing), count_of(missing)) == (4, 2)
    assert (total_of(None), count_of(None)) == (None, None)
