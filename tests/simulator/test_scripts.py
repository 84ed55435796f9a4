"""Scripts with a name: each has a docstring, and does what it says to the world it gets."""

from __future__ import annotations

import inspect

from simulator.audience import CommandStorm
from simulator.scenario import Scenario
from simulator.scripts import EDIT_EVERY_S, SCRIPTS
from simulator.world import World, play


def test_every_script_says_what_it_does() -> None:
    """The name in a file is that of the function."""
    for name, script in SCRIPTS.items():
        assert script.__name__ == name and inspect.getdoc(script)


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
