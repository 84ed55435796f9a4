"""What the latency benchmark measures, in which order and for how long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from benchmarks.chat_plan import (
    BYTE_BOT,
    LOADS,
    POWER_CONDITIONS,
    SOAK,
    Choices,
    Job,
    batches,
    chosen_loads,
    chosen_strategies,
    lanes_of,
    outage_of,
    quick,
    total_seconds,
)
from benchmarks.strategies import POWER, SMALL_BOTS
from simulator.bench.plan import CONDITIONS, SAMPLES_MIN, Load, UnknownChoice
from simulator.bench.results import FLOOR
from simulator.faults import fault_from_json
from simulator.world import World, play


def planned_jobs(choices: Choices) -> list[Job]:
    """Every job, in the order of batches and lanes."""
    return [job for batch in batches(choices) for lane in batch for job in lane]


def test_the_full_run_is_what_p2_asks_for() -> None:
    """Nine rounds of at least 1,000 samples, every condition, every load, and the floor beside."""
    planned = planned_jobs(Choices())
    rounds = [job for job in planned if job.part == "rounds"]
    for load in LOADS:
        assert load.count() >= SAMPLES_MIN
        bot = [job for job in rounds if job.strategy == BYTE_BOT and job.loads[0] == load]
        for number in range(9):
            measured = [one.name for job in bot if job.number == number for one in job.conditions]
            assert sorted(measured) == sorted(one.name for one in CONDITIONS)
        assert all(len(job.loads) == len(job.conditions) for job in bot)
        assert len([job for job in rounds if job.strategy == FLOOR and job.loads[0] == load]) == 9
    assert {job.strategy for job in planned if job.part == "small bots"} == set(SMALL_BOTS)
    assert [job.loads[-1] for job in planned if job.part == "soak"][-1] == SOAK


def test_every_condition_is_in_the_readme() -> None:
    """A table with a word that nobody explains is none."""
    readme = (Path(__file__).parents[2] / "benchmarks" / "README.md").read_text(encoding="utf-8")
    words = readme.partition("- **Conditions**: ")[2].partition("- **")[0]
    assert [one.name for one in CONDITIONS if one.name not in words] == []


def test_the_full_run_takes_about_an_hour_and_forty_minutes() -> None:
    """By the estimate, with the picture."""
    assert 95 * 60 <= total_seconds(batches(Choices())) <= 105 * 60


@pytest.mark.parametrize("seed", range(5))
def test_the_way_back_begins_inside_the_shortest_load(seed: int) -> None:
    """Healed at the first sample, the database has the first save at most 1.6 s later, by the bot's own rhythm."""
    (back,) = [condition for condition in CONDITIONS if condition.heals]
    hang = fault_from_json(dict(back.fault or {}))

    async def story(world: World) -> float:
        loop = asyncio.get_running_loop()
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +1")
        await world.until(lambda: world.counter("lobby", "deaths") == 1)
        await asyncio.sleep(3.0)
        world.break_database(hang)
        healed_at = loop.time() + back.lead_s
        while loop.time() < healed_at - 0.5:
            await world.ask("mod", "!count deaths +1")
            await asyncio.sleep(0.25)
        await asyncio.sleep(healed_at - loop.time())
        assert world.counter("lobby", "deaths") == 1
        world.heal()
        await world.until(lambda: world.counter("lobby", "deaths") != 1)
        return loop.time() - healed_at

    assert play(story, seed=seed) <= 1.6 <= min(load.seconds for load in LOADS) / 2


def test_a_bad_minute_of_the_machine_is_a_third_of_the_rounds_at_most() -> None:
    """Rounds that run side by side share one order: no batch has the majority that would decide a median."""
    for batch in batches(Choices()):
        assert len({job.number for lane in batch for job in lane if job.part == "rounds"}) <= 3
    assert all(len(batch) == 1 for batch in batches(Choices(rounds=1, parts=("rounds",))))


@pytest.mark.parametrize(("load", "lanes"), [(LOADS[0], 3), (LOADS[1], 1), (LOADS[2], 1), (SOAK, 1)])
def test_low_rates_share_the_machine(load: Load, lanes: int) -> None:
    """As many lanes as keep the rates together within the limit; --lanes does not put two high rates together."""
    assert lanes_of(load, Choices()) == lanes
    assert lanes_of(load, Choices(lanes=1)) == 1
    assert lanes_of(load, Choices(lanes=8)) == (8 if lanes > 1 else 1)


def test_only_like_is_measured_beside_like() -> None:
    """The lanes of a batch are rounds of one strategy that go through the same conditions in step."""
    for batch in batches(Choices(parts=("rounds",))):
        assert 1 <= len(batch) <= lanes_of(batch[0][0].loads[0], Choices())
        assert len({repr((job.strategy, job.conditions, job.loads)) for lane in batch for job in lane}) == 1
        assert len({job.number for lane in batch for job in lane}) == len(batch)


def test_rounds_are_interleaved() -> None:
    """Every load goes through the whole time, what is compared stands side by side, and the order is drawn afresh."""
    planned = [job for job in planned_jobs(Choices()) if job.part == "rounds"]
    for load in LOADS:
        places = [place for place, job in enumerate(planned) if job.loads[0] == load]
        assert min(places) < len(planned) / 2 < max(places)
        of_load = [job for job in planned if job.loads[0] == load]
        for floor in (place for place, job in enumerate(of_load) if job.strategy == FLOOR):
            beside = of_load[max(0, floor - 24) : floor + 25]
            assert any(job.strategy == BYTE_BOT and job.number == of_load[floor].number for job in beside)
    alone = [job for job in planned if job.strategy == BYTE_BOT and job.loads[0] == LOADS[2]]
    assert len({tuple(one.name for one in job.conditions) for job in alone}) == len(alone) == 9


def test_the_seed_decides_the_order() -> None:
    """The same again, or another."""
    assert batches(Choices(seed=4)) == batches(Choices(seed=4))
    assert batches(Choices(seed=4)) != batches(Choices(seed=5))


def test_a_small_bot_gets_a_new_process_for_each_condition() -> None:
    """One that is stuck must not carry that into the next."""
    small = [job for job in planned_jobs(Choices()) if job.part == "small bots"]
    assert {len(job.conditions) for job in small} == {1}
    assert len(small) == len(SMALL_BOTS) * (len(CONDITIONS) - 1)


def test_waiting_for_the_disk_is_measured_where_it_can_differ() -> None:
    """Few conditions, and no rate that no disk follows."""
    planned = planned_jobs(Choices(strategies=(FLOOR, BYTE_BOT, POWER), parts=("rounds",), rounds=1))
    power = [job for job in planned if job.strategy == POWER]
    assert {load for job in power for load in job.loads} == set(LOADS[:2])
    assert {one.name for job in power for one in job.conditions} == set(POWER_CONDITIONS)


def test_only_what_is_asked_for_is_measured() -> None:
    """Strategies and parts that were not chosen do not appear."""
    chosen = Choices(strategies=(FLOOR, "inline"), parts=("rounds", "small bots", "kill"), rounds=1)
    planned = planned_jobs(chosen)
    assert {job.strategy for job in planned} == {FLOOR, "inline"}
    assert {job.part for job in planned} == {"rounds", "small bots", "kill"}


def test_the_quick_run_takes_some_three_minutes() -> None:
    """Without the picture; and keeps what the command line named."""
    found = quick(msgspec.structs.replace(Choices(), parts=("rounds", "small bots", "kill", "soak")))
    assert 160 <= total_seconds(batches(found)) <= 200
    named = quick(Choices(loads=(LOADS[2],), conditions=CONDITIONS[:1]))
    assert (named.loads, named.conditions) == ((LOADS[2],), tuple(CONDITIONS[:1]))


def test_names_on_the_command_line_are_checked() -> None:
    """A misspelt one is refused with those there are; the order is that of the tables."""
    assert [load.name for load in chosen_loads(["20x1000", "1x50"])] == ["1x50", "20x1000"]
    assert chosen_strategies(["inline", FLOOR]) == (FLOOR, "inline")
    with pytest.raises(UnknownChoice, match="'2x2'; there are: 1x50, 20x100, 20x1000"):
        chosen_loads(["2x2"])
    with pytest.raises(UnknownChoice, match="there are: floor, byte_bot"):
        chosen_strategies(["mine"])


def test_the_picture_has_a_line_for_the_floor() -> None:
    """Beside every bot, also in the quick run: it has no outage, so what moves there is the machine."""
    for chosen in (Choices(), quick(Choices())):
        lines = [job.strategy for job in planned_jobs(chosen) if job.part == "picture"]
        assert lines[:2] == [FLOOR, BYTE_BOT]
        assert len(set(lines)) == len(lines) >= 3


def test_the_outage_of_the_picture_is_its_middle_third() -> None:
    """Healthy before, and time to recover after."""
    assert outage_of(Load(1, 1, 24)) == (8, 16)
