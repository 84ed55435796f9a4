"""Scripts with a name: each has a docstring, and does what it says to the world it gets."""

from __future__ import annotations

import inspect

from simulator.audience import CommandStorm
from simulator.faults import ConsentEnded, TwitchDisconnect
from simulator.scenario import Scenario
from simulator.scripts import EDIT_EVERY_S, LOOKS_EVERY_S, SCRIPTS
from simulator.world import World, play


def test_every_script_says_what_it_does() -> None:
    """The name in a file is that of the function."""
    for name, script in SCRIPTS.items():
        assert script.__name__ == name and inspect.getdoc(script)


def test_somebody_logs_the_bot_in_anew_when_they_look() -> None:
    """Within the time between two looks, and before the heal would."""
    scenario = Scenario(
        "renewed",
        "the consent ends, and the connection",
        duration_s=4 * LOOKS_EVERY_S,
        faults=(ConsentEnded(start_s=LOOKS_EVERY_S + 1), TwitchDisconnect(start_s=LOOKS_EVERY_S + 2)),
        renewable_token=True,
        script=SCRIPTS["log_in_anew"],
    )

    async def night(world: World) -> None:
        attending: list[bool] = []
        world.loop.call_at(2 * LOOKS_EVERY_S - 1, lambda: attending.append(bool(world.attendance("lobby"))))
        world.loop.call_at(3 * LOOKS_EVERY_S, lambda: attending.append(bool(world.attendance("lobby"))))
        report = await world.night()
        assert report.ok, report.to_text()
        assert attending == [False, True]

    play(night, scenario, judge=False)


def test_a_human_edits_what_is_stored_by_hand() -> None:
    """Also where there is one channel only; at the end it is not paused."""
    scenario = Scenario(
        "edited",
        "two edits",
        duration_s=3 * EDIT_EVERY_S + 1,
        crowds=(CommandStorm("lobby", 1, ("!count deaths +1",), duration_s=3.0),),
        script=SCRIPTS["edit_by_hand"],
        settings={"config_refresh_s": 2.0},
    )

    async def night(world: World) -> None:
        report = await world.night()
        assert report.ok, report.to_text()
        assert world.counter("lobby", "falls") == 2
        assert (world.config("lobby")["language"], world.config("lobby")["paused"]) == ("en", False)

    play(night, scenario, judge=False)
