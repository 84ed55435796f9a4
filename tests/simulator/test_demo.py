"""The demo, played for real: with the shipped bot, with one that forgets, with one that does not stay."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.audience import utterances
from simulator.cli import build_cli
from simulator.demo import BOT_COMMAND, Demo, DemoError, DemoOptions, bot_variables, crowds
from simulator.demo_screen import Picture, Plan
from simulator.loop import START_UNIX_S, in_virtual_time
from simulator.replay import record_night
from simulator.rng import SeedTree
from simulator.serve import DEFAULT_CHANNELS, Stage
from tests.simulator.supabase.project import BOT_SCHEMA

FORGETFUL = (sys.executable, str(Path(__file__).with_name("forgetful_bot.py")))


class Spectator:
    """A view that keeps the pictures and may act on each."""

    interval_s = 0.02

    def __init__(self, act: Callable[[Picture], None]) -> None:
        self._act = act
        self.pictures: list[Picture] = []

    def show(self, picture: Picture) -> None:
        self.pictures.append(picture)
        self._act(picture)


def options(*command: str) -> DemoOptions:
    """A demo of 30 s with this bot."""
    return DemoOptions(BOT_SCHEMA, START_UNIX_S, Plan(30.0), bot_command=command)


@pytest.mark.timeout(60)
def test_the_shipped_bot_loses_nothing_in_a_short_demo(tmp_path: Path) -> None:
    """`byte-sim demo --headless`: every command is answered, every kind of change is confirmed, found once, none is lost."""
    file = tmp_path / "verdict.json"
    arguments = ["demo", "--headless", "--seconds", "6", "--json", str(file)]
    result = CliRunner().invoke(build_cli({}, record_night), arguments)
    verdict = json.loads(file.read_text(encoding="utf-8"))
    assert verdict["lost"] == verdict["doubled"] == verdict["unanswered"] == 0, result.output
    assert verdict["drained"] is True and verdict["bot_exit_code"] == 0
    assert verdict["confirmed"] == verdict["stored"] > 0 and verdict["not_measured"] == []
    # The bot must have felt the outage, or nothing of this says anything about one.
    assert verdict["saves_failed"] > 0, result.output
    assert "so the bot is set to notice it" in result.output
    # The words of the bot's answers are read here: had they changed, a kind would never be confirmed.
    assert all(verdict["confirmed_by_kind"].values()), verdict["confirmed_by_kind"]
    assert set(verdict["p50_ms"]) == set(verdict["p99_ms"]) == {"before", "during", "after"}
    # How fast a busy machine is does not belong in a test; everything else must be kept.
    assert [words for words in verdict["broken"] if "p99" not in words] == []
    assert result.exit_code == (0 if verdict["ok"] else 1)
    assert "the database hangs" in result.output and "verdict" in result.output


@pytest.mark.timeout(60)
async def test_a_bot_that_forgets_is_found_out() -> None:
    """Keys break, heal and quit; what viewers were told and the database does not hold is lost, and counted."""

    def act(picture: Picture) -> None:
        step = {0: 0.1, 1: 0.5, 2: 0.9}.get(len(pressed))
        if picture.stage.startswith("the bot saves"):
            demo.pressed("q")  # again: it will never save
        elif step is not None and picture.elapsed_s > step:
            pressed.append("bhq"[len(pressed)])
            demo.pressed(pressed[-1])

    pressed: list[str] = []
    spectator = Spectator(act)
    demo = Demo(options(*FORGETFUL), spectator)
    verdict = await demo.run()
    assert pressed == ["b", "h", "q"]
    assert not verdict.ok and not verdict.drained
    assert verdict.lost == verdict.confirmed > 0
    assert verdict.extra["outage_s"] > 0
    assert [picture.down for picture in spectator.pictures].count(True) > 1
    stages = list(dict.fromkeys(picture.stage for picture in spectator.pictures))
    assert stages[:4] == [
        "the bot starts",
        "everything works",
        "the database hangs",
        "the database is back",
    ]


@pytest.mark.timeout(60)
async def test_a_demo_that_is_quit_before_the_outage_measured_nothing() -> None:
    """q in the first second: no promise was broken, none was put to the test either."""

    def act(picture: Picture) -> None:
        if picture.elapsed_s > 0.5 and not picture.stage.startswith("the bot saves"):
            demo.pressed("q")

    demo = Demo(options(*BOT_COMMAND), Spectator(act))
    verdict = await demo.run()
    assert verdict.broken == () and not verdict.ok
    assert "no command was answered while the database was down" in verdict.not_measured


@pytest.mark.timeout(30)
async def test_a_bot_that_ends_by_itself_is_an_error_with_its_log() -> None:
    """The demo stops at once and shows the exit code and the end of the bot's log."""
    demo = Demo(options(*FORGETFUL, "mute"), Spectator(lambda picture: None))
    with pytest.raises(DemoError, match=r'exit code 3.*(?s:.)*"why": "it was told to"'):
        await demo.run()


@in_virtual_time()
async def test_keys_do_nothing_before_the_play() -> None:
    """Who presses b while the bot starts has not broken anything."""
    seen: list[Picture] = []
    demo = Demo(options(), Spectator(seen.append))
    demo.pressed("b")
    demo.pressed("h")
    demo.pressed("x")
    demo.show()
    assert not seen[0].down and seen[0].elapsed_s == 0.0
    await asyncio.sleep(0)


@in_virtual_time(hybrid=True)
async def test_the_bot_gets_only_what_it_needs() -> None:
    """The variables name the stage's addresses and the tier that the fake grants the account."""
    async with Stage(BOT_SCHEMA, unix_start_s=START_UNIX_S) as stage:
        variables, long = (bot_variables(stage, Plan(seconds)) for seconds in (6.0, 45.0))
    assert variables["SUPABASE_URL"].startswith("http://127.0.0.1:")
    assert variables["TWITCH_CHANNEL_LOGINS"] == ",".join(DEFAULT_CHANNELS)
    assert variables["TWITCH_RATE_TIER"] == "verified" and variables["LOG_FORMAT"] == "json"
    # A short outage must outlast a few of its requests; the full demo has the bot as shipped.
    assert (variables["DATABASE_TIMEOUT_S"], variables["FLUSH_INTERVAL_S"]) == ("0.89", "0.44")
    assert {"DATABASE_TIMEOUT_S", "FLUSH_INTERVAL_S"} & set(long) == set()
    assert BOT_COMMAND[1:] == ("-m", "byte_bot", "run")


def test_the_audience_stays_below_twitchs_limits() -> None:
    """In any 30.25 s a channel gets fewer than 100 commands, so that no reply ever waits for its turn."""
    plan = Plan(300.0)
    everything = utterances(crowds(DEFAULT_CHANNELS, plan), SeedTree(1), plan.seconds)
    commands = [line for line in everything if line.text.startswith("!")]
    for channel in DEFAULT_CHANNELS:
        moments = [line.at_s for line in commands if line.channel == channel]
        assert len(moments) > 800
        assert all(later - first > 30.25 for first, later in zip(moments, moments[98:], strict=False))


def test_the_plan_scales_with_its_length() -> None:
    """45 s break at 10 and heal at 30; 9 s at 2 and 6."""
    assert (Plan(45.0).break_s, Plan(45.0).heal_s) == (10.0, 30.0)
    assert (Plan(9.0).break_s, Plan(9.0).heal_s) == (2.0, 6.0)
