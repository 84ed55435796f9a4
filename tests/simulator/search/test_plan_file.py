"""A seed of the search, wherever a scenario file can stand."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from simulator.cli import build_cli
from simulator.faults import Crash, PowerCut, Restart
from simulator.replay import Night, record_night
from simulator.scenario_file import night_toml, parse_night
from simulator.scenarios import SCENARIOS
from simulator.search.outcome import judge_seed
from simulator.search.plan import draw_night
from simulator.search.plan_file import night_file, plan_of, seed_night

#: Cheap nights: one whose ready tasks are in a random order, and one in which the bot's process ends and begins anew.
RANDOM_ORDER, BEGINS_ANEW = 95, 111


def test_a_seed_is_the_night_that_the_search_draws() -> None:
    """The same scenario, seed and order, there and back."""
    assert plan_of(seed_night(41)) == draw_night(41)


def test_the_nights_below_are_what_they_are_called() -> None:
    """Should what seeds draw ever change, others must take their place."""
    assert draw_night(RANDOM_ORDER).ready_order == "random"
    faults = draw_night(BEGINS_ANEW).scenario.faults
    assert any(isinstance(fault, Crash | PowerCut | Restart) for fault in faults)


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("seed", [RANDOM_ORDER, BEGINS_ANEW])
def test_a_replay_is_the_night_that_the_search_played(seed: int) -> None:
    """To the microsecond: a line that replays a failure shows that failure, from Python and by the command."""
    played = judge_seed(seed)
    night = seed_night(seed)
    recording = record_night(night.scenario, Night(str(seed), night.seed, order=night.ready_order))
    assert recording.trace_hash == played.trace_hash
    assert recording.report is not None and len(recording.report.violations) == 0
    if seed == RANDOM_ORDER:
        shown = CliRunner().invoke(
            build_cli(SCENARIOS, record_night), ["replay", str(seed), "--only", "bot_started"]
        )
        assert shown.exit_code == 0 and f"{seed}  seed {seed}  ok\n" in shown.output
        assert f"trace          {played.trace_hash}\n" in shown.output


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_can_be_written_as_a_file(seed: int) -> None:
    """And read back as the same night."""
    night = night_file(draw_night(seed))
    assert parse_night(night_toml(night), "seed.toml") == night
