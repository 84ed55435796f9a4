"""The latency benchmark end to end, with real processes, for a few seconds: does it measure, store, judge?"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from benchmarks.chat_latency import InStep, Run, choices_of, findings, main, parser
from benchmarks.chat_plan import ROUNDS_MIN, SOAK, STRATEGIES, Choices, Job, Part, UnknownChoice
from benchmarks.strategies import POWER, strategy
from simulator.bench.measure import Bench, Patience
from simulator.bench.plan import CONDITIONS, Condition, Load
from simulator.bench.probe import Cores
from simulator.bench.report import BROKEN, KEPT, KILLED, UNMEASURED, status
from simulator.bench.results import FLOOR, Round, Sample, rows_of
from simulator.loop import START_UNIX_S

HANG = Condition("hang", {"kind": "hang"})
SHORT = Patience(reply_s=2.0, lead_s=0.2, quiet_s=12.0)


def choices(*options: str) -> Choices:
    """What a command line asks for."""
    return choices_of(parser().parse_args(options))


async def test_byte_bot_is_measured_with_a_database_that_hangs() -> None:
    """Every message is answered, requests, memory and loop are read, and nothing is lost once the database is back."""
    async with Bench(strategy("byte_bot"), 1, unix_start_s=START_UNIX_S, patience=SHORT) as bench:
        one = await bench.measure(HANG, Load(1, 50, 1.0))
    assert len(one.samples) == 50
    assert all(sample.latency_ms is not None and sample.latency_ms > 0 for sample in one.samples)
    assert (one.lost, one.stale, one.messages) == (0, 0, 60)
    assert one.requests >= 1
    assert one.rss_start_mb > 20
    assert one.loop_lag_p99_ms is not None and 0 < one.loop_lag_p99_ms < 1_000


async def test_a_bot_that_waits_for_its_database_is_measured_as_waiting() -> None:
    """The benchmark can fail: with 500 ms of database latency `inline` takes at least as long, and queues."""
    slow = Condition("500 ms", {"kind": "latency", "ms": 500})
    async with Bench(strategy("inline"), 1, unix_start_s=START_UNIX_S, patience=SHORT) as bench:
        one = await bench.measure(slow, Load(1, 4, 1.0))
    waited = [sample.latency_ms for sample in one.samples if sample.latency_ms is not None]
    assert waited and min(waited) >= 500
    assert max(waited) >= 1_000
    assert one.requests == one.messages


def test_options_are_choices() -> None:
    """Names in one word with commas, parts by what was asked for."""
    found = choices("--loads", "20x100", "--conditions", "hang, healthy", "--rounds", "2", "--seed", "9")
    assert [load.name for load in found.loads] == ["20x100"]
    assert [one.name for one in found.conditions] == ["healthy", "hang"]
    assert (found.rounds, found.seed, found.strategies, found.quick) == (2, 9, STRATEGIES, False)
    assert "picture" not in found.parts and "soak" in found.parts
    assert "picture" in choices("--plot", "file.png").parts
    assert choices("--only-rounds").parts == ("rounds",)
    assert choices("--only-picture", "--plot", "p.png").parts == ("picture",)
    assert choices("--only-soak").parts == ("soak",)
    with pytest.raises(UnknownChoice, match="add --plot"):
        choices("--only-picture")
    assert (choices("--quick").rounds, choices("--quick", "--rounds", "3").rounds) == (1, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--conditions", "slow"), "there is no condition 'slow'"),
        (("--strategies", "mine"), "there is no strategy 'mine'"),
        (("--rounds", "0"), "at least 1"),
        (("--lanes", "0"), "it must be 1 to 8"),
    ],
)
def test_a_misspelt_option_is_refused_before_anything_is_measured(
    options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the exit code of a usage error."""
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def made_up(strategy_name: str, condition: str, p99_ms: float, rate: float = 100) -> Round:
    """A round in which every answer took as long."""
    return Round(
        strategy=strategy_name,
        condition=condition,
        channels=20,
        rate=rate,
        samples=[Sample(0.0, p99_ms)] * 10,
        requests=0,
        messages=10,
        rss_start_mb=50.0,
        rss_end_mb=61.0,
    )


def test_a_slow_condition_breaks_p2_and_memory_breaks_p5() -> None:
    """The verdicts can fail; rows come in the order of the tables."""
    run = Run(choices(), Cores(enabled=False), None)
    run.rounds = [
        made_up("byte_bot", "hang", 40.0),
        made_up("byte_bot", "healthy", 1.0),
        made_up(FLOOR, "healthy", 1.0),
        made_up("byte_bot", "hang", 1.0, SOAK.rate),
    ]
    assert [(row.strategy, row.condition) for row in run.rows][:3] == [
        (FLOOR, "healthy"), ("byte_bot", "healthy"), ("byte_bot", "hang")
    ]  # fmt: skip
    found = run.findings()
    assert status(found) == BROKEN
    assert [one.ok for one in found if one.promise == "P5"] == [False]
    run.rounds = []
    assert status(run.findings()) == UNMEASURED


def test_waiting_for_the_disk_is_judged_by_a_limit_of_its_own() -> None:
    """4 ms over the floor keep P2 for `byte_bot power`, and break it for `byte_bot`; 6 ms break both."""

    def kept(strategy_name: str, p99_ms: float) -> bool | None:
        rows = rows_of([made_up(FLOOR, "healthy", 1.0), made_up(strategy_name, "healthy", p99_ms)])
        (finding,) = [one for one in findings(rows) if one.promise == "P2"]
        return finding.ok

    assert (kept(POWER, 5.0), kept("byte_bot", 5.0), kept(POWER, 7.0)) == (True, False, False)


async def test_a_bot_that_cannot_be_run_costs_its_job_and_the_rest_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The result is written after every job, and the failure is told at once and kept for the end."""
    file = tmp_path / "rows.json"
    run = Run(choices("--only-rounds", "--strategies", "floor", "--rounds", "1"), Cores(enabled=False), file)
    load = Load(1, 50, 0.2)
    healthy = (CONDITIONS[0],)
    unknown = Condition("impossible", {"kind": "no such fault"})
    run.plan(
        [
            ((Job(part="rounds", strategy="inline", conditions=(unknown,), loads=(load,)),),),
            ((Job(part="rounds", strategy=FLOOR, conditions=healthy, loads=(load,)),),),
        ]
    )
    await run.measure()
    assert len(run.failures) == 1
    assert "no such fault" in run.failures[0]
    (row,) = json.loads(file.read_text())
    assert (row["strategy"], row["condition"], row["samples"], row["rounds"]) == (FLOOR, "healthy", 10, 1)
    assert "[2/2] round 1, 1 channel, 50 messages/s: p99 ms: floor healthy" in capsys.readouterr().err


async def test_lanes_measure_at_the_same_time(tmp_path: Path) -> None:
    """Two bots, one of them with one condition more: both are measured whole, and the run says how many lanes there were."""
    run = Run(choices("--only-rounds", "--rounds", "1"), Cores(enabled=False), tmp_path / "rows.json")
    load = Load(1, 50, 0.2)
    first = Job(part="rounds", strategy=FLOOR, conditions=(CONDITIONS[0],), loads=(load,))
    second = Job(part="rounds", strategy="byte_bot", conditions=(CONDITIONS[0], HANG), loads=(load, load))
    run.plan([((first,), (second,))])
    await run.measure()
    assert run.failures == []
    assert [(row.strategy, row.condition, row.samples, row.unanswered) for row in run.rows] == [
        (FLOOR, "healthy", 10, 0), ("byte_bot", "healthy", 10, 0), ("byte_bot", "hang", 10, 0)
    ]  # fmt: skip
    assert run.lanes == {load.words: 2}


def job_of(part: Part) -> Job:
    """A job of that part."""
    return Job(part=part, strategy="byte_bot", conditions=(HANG,), loads=(SOAK,))


async def test_a_measurement_with_less_than_the_whole_machine_is_made_again() -> None:
    """By what the host took, never by its result: the least disturbed one counts; what the others lost and cost stays."""
    stolen = [0.3, 0.1, 0.2]
    tries = [
        msgspec.structs.replace(
            made_up("byte_bot", "hang", latency), stolen=share, lost=number, requests=number
        )
        for number, (latency, share) in enumerate(zip((1.0, 50.0, 2.0), stolen, strict=True))
    ]
    tries[0].rss_end_mb, tries[0].settle_s = 500.0, 33.0

    waiting = iter(tries)

    async def measure() -> Round:
        return next(waiting)

    run = Run(choices(), Cores(enabled=False), None)
    kept = await run._undisturbed(job_of("rounds"), measure)
    assert isinstance(kept, Round)
    run.rounds.append(kept)
    assert (run.repeated, len(kept.samples) > 0, kept.stolen) == (2, True, 0.1)
    (row,) = run.rows
    assert (row.rounds, row.p99_ms, row.lost) == (1, 50.0, 3)
    assert (row.rss_growth_mb, row.settle_s, row.requests_per_1000) == (450.0, 33.0, 100.0)
    waiting = iter([kept])
    kept.stolen = 0.0
    assert await run._undisturbed(job_of("rounds"), measure) is kept


async def test_the_soak_is_never_made_again() -> None:
    """Its second try would be another process: the memory of the first would be judged by nobody."""
    first = msgspec.structs.replace(made_up("byte_bot", "hang", 1.0, SOAK.rate), stolen=0.5, rss_end_mb=500.0)
    tries = iter([first, made_up("byte_bot", "hang", 1.0, SOAK.rate)])

    async def measure() -> Round:
        return next(tries)

    run = Run(choices(), Cores(enabled=False), None)
    assert await run._undisturbed(job_of("soak"), measure) is first
    assert (run.repeated, run.rounds) == (0, [])


async def test_nobody_starts_before_all_are_ready_and_nobody_waits_for_those_who_left() -> None:
    """The barrier between the lanes."""
    in_step, passed = InStep(2), []

    async def lane(name: str, steps: int) -> None:
        for step in range(steps):
            await in_step.wait()
            passed.append((step, name))
        in_step.leave()

    first = asyncio.create_task(lane("long", 3))
    for _ in range(5):
        await asyncio.sleep(0)
    assert passed == []
    await lane("short", 1)
    await first
    assert sorted(passed) == [(0, "long"), (0, "short"), (1, "long"), (2, "long")]


def exit_code(hang_ms: float, *options: str, rounds: int = ROUNDS_MIN, lost: int = 0) -> int:
    """The exit code of a run in which every hang had this p99."""
    run = Run(choices(*options), Cores(enabled=False), None)
    for _ in range(rounds):
        hang = msgspec.structs.replace(made_up("byte_bot", "hang", hang_ms), lost=lost, stale=0)
        run.rounds += [made_up(FLOOR, "healthy", 1.0), made_up("byte_bot", "healthy", 1.0), hang]
    return run.status


def test_few_rounds_neither_keep_nor_break_p2() -> None:
    """As the table of all promises says; nine do. A lost change is one, by however few."""
    assert [exit_code(p99_ms, "--only-rounds") for p99_ms in (1.0, 40.0)] == [KEPT, BROKEN]
    assert [exit_code(p99_ms, "--only-rounds", rounds=8) for p99_ms in (1.0, 40.0)] == [UNMEASURED] * 2
    assert exit_code(1.0, "--only-rounds", rounds=1, lost=1) == BROKEN


def test_a_run_of_everything_answers_for_memory() -> None:
    """Also if it leaves out what measures it; a run of rounds only, or without Byte Bot, does not."""
    assert exit_code(1.0) == exit_code(1.0, "--quick") == UNMEASURED
    assert exit_code(1.0, "--strategies", "floor,byte_bot power") == KEPT
    for options, asked in (((), ["P5"]), (("--quick",), ["P5"]), (("--only-rounds",), [])):
        found = Run(choices(*options), Cores(enabled=False), None).findings()
        assert [one.promise for one in found if one.ok is None] == asked


def test_a_lost_change_fails_the_run() -> None:
    """Not only P2 decides: nor do a kill's losses get lost because nothing else was measured at its load."""
    row = msgspec.structs.replace(rows_of([made_up("byte_bot", "healthy", 1.0)])[0], lost=0, stale=0)
    assert exit_code(1.0, "--only-rounds") == KEPT
    assert exit_code(1.0, "--only-rounds", lost=503) == BROKEN
    killed = msgspec.structs.replace(
        made_up("byte_bot", "healthy", 1.0), samples=[], rate=100, lost_after_kill=77, stale_after_kill=2
    )
    (found,) = [one for one in findings([row], [killed]) if KILLED in one.words]
    assert (found.ok, "77 changes lost" in found.words) == (False, True)


def test_the_soak_is_not_judged_for_its_latency() -> None:
    """One round of another length is no measurement of P2; its memory is judged."""
    soak = msgspec.structs.replace(
        made_up("byte_bot", "healthy", 1.0), rate=SOAK.rate, condition="hang", rss_end_mb=500.0
    )
    found = findings(rows_of([soak]), [soak])
    assert [one.ok for one in found if one.promise == "P5"] == [False]
    assert not [one for one in found if one.promise == "P2"]


@pytest.mark.parametrize(
    "options",
    [
        ("--conditions", ","),
        ("--strategies", ""),
        ("--only-rounds", "--only-picture", "--plot", "x.png"),
        ("--only-soak", "--only-rounds"),
        ("--quick", "--only-soak"),
        ("--json", "/there/is/no/such/folder/x.json"),
    ],
)
def test_options_that_measure_nothing_are_refused(options: tuple[str, ...]) -> None:
    """Before anything is measured."""
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
