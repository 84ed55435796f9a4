"""The benchmark of the simulator's speed: its nights, its figures, its verdict."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sim_speed import (
    QUICK,
    TARGETS,
    NightFailed,
    Size,
    Speed,
    busy,
    idle,
    main,
    measure,
    play,
    table,
    talk,
    verdict,
    world,
)
from simulator.audience import utterances
from simulator.faults import Crash, Hang
from simulator.rng import SeedTree
from simulator.scenario import Scenario

SMALL = Size(idle_s=20.0, busy_s=6.0, worlds=2, world_s=10.0, rounds=2)


class Here:
    """In place of two processes: plays in this one, one night after the other."""

    def starmap(self, func: Any, iterable: Iterable[Any], chunksize: int | None = None) -> list[Any]:
        """Call it for each."""
        return list(itertools.starmap(func, iterable))


@pytest.mark.parametrize(("scenario", "rate_per_s"), [(busy(65.0), 100.0), (world(605.0), 10.0)])
def test_as_many_speak_as_promised(scenario: Scenario, rate_per_s: float) -> None:
    """Within what chance allows; one in five says a command that the bot answers."""
    lines = list(utterances(scenario.crowds, SeedTree(1).child("audience"), scenario.duration_s))
    expected = rate_per_s * (scenario.duration_s - 5.0)
    assert expected * 0.95 < len(lines) < expected * 1.05
    commands = sum(line.text.startswith("!") for line in lines)
    assert 0.18 < commands / len(lines) < 0.22
    assert idle(60.0).crowds == ()


def test_every_figure_is_a_median_over_rounds() -> None:
    """By the clock that is given, a second for each look, beside what the CPU's says."""
    ticks = itertools.count()
    speeds = measure(SMALL, Here(), lambda: float(next(ticks)))
    assert [(one.name, one.value) for one in speeds] == [("idle", 20.0), ("busy", 6.0), ("worlds", 2.0)]
    assert all(one.on_cpu > 0 for one in speeds)


def test_a_night_that_breaks_a_promise_has_no_speed() -> None:
    """What a viewer was told died with the disk: such a night must not pass for a fast one."""
    lossy = Scenario(
        "lossy",
        "the disk is lost with the process",
        duration_s=15.0,
        disk="lost",
        crowds=talk(("lobby",), 10.0, 15.0),
        faults=(Hang(start_s=4.0), Crash(start_s=10.0)),
    )
    with pytest.raises(NightFailed, match="lossy with seed 1 broke a promise"):
        play(lossy, 1)


@pytest.mark.parametrize(("value", "on_cpu", "met"), [(3.0, 3.0, True), (2.9, 2.95, False), (2.9, 3.0, None)])
def test_a_busy_machine_is_told_from_a_slow_simulator(value: float, on_cpu: float, met: bool | None) -> None:
    """What only the CPU's clock meets was not measured."""
    assert Speed("worlds", value, on_cpu).met is met


def test_the_verdict_is_that_of_the_worst() -> None:
    """A missed target before an unmeasured one; nothing at all is not measured."""
    good, busy_machine, slow = Speed("worlds", 4, 4), Speed("worlds", 2, 4), Speed("worlds", 2, 2)
    assert [verdict(speeds) for speeds in ([good], [good, busy_machine], [busy_machine, slow], [])] == [
        0,
        2,
        1,
        2,
    ]
    shown = [" ".join(line.split()) for line in table([Speed("idle", 12_345.6, 13_000)]).splitlines()]
    assert shown == ["measured on the CPU target", "idle 12,346 13,000 10,000 simulated s/s"]
    assert set(TARGETS) == {"idle", "busy", "worlds"}
    assert QUICK.rounds == 1


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is measured for it."""
    assert main(["--json", str(tmp_path / "nowhere" / "speed.json")]) == 2
    assert "sim_speed: there is no folder" in capsys.readouterr().err
