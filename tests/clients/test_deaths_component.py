"""Done when: a component in a file of its own works through ``byte-bot run``, and what it keeps survives a restart."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.clients.programs import Fakes, bot, until

DEATHS = Path(__file__).with_name("deaths.py")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without telling it")
def test_a_component_beside_the_bot_counts_on_after_a_restart(fakes: Fakes, tmp_path: Path) -> None:
    """Its command, alias, role and cooldown work; the next process goes on counting where this one stopped."""
    shutil.copy(DEATHS, tmp_path)
    variables = fakes.variables(COMPONENTS="deaths")
    with bot(tmp_path, variables) as first:
        first.event("component_loaded", module="deaths")
        fakes.wait_for_bot()
        not_allowed = fakes.say("!death I want to count too", "viewer_1")
        assert fakes.ask("!death lava") == "Deaths: 1"
        too_soon = fakes.say("!death lava again")
        assert fakes.ask("!ping") == "Pong!", "messages of a channel are handled in order"
        assert not {not_allowed, too_soon} & fakes.replies().keys()
        first.terminate()
        assert first.exit_code() == 0
    assert fakes.stored("deaths") == {"total": 1, "last": "lava"}, "saved before the end of the process"

    with bot(tmp_path, variables):
        fakes.wait_for_bot()
        assert fakes.ask("!d fell off the map") == "Deaths: 2"
        until(lambda: fakes.stored("deaths") == {"total": 2, "last": "fell off the map"} or None, "the row")


def test_a_component_is_found_on_the_python_path(fakes: Fakes, tmp_path: Path) -> None:
    """A folder on PYTHONPATH does as well as the one in which the bot is started."""
    folder = tmp_path / "components"
    folder.mkdir()
    shutil.copy(DEATHS, folder)
    variables = fakes.variables(COMPONENTS="deaths", PYTHONPATH=str(folder), SUPABASE_URL="", SUPABASE_KEY="")
    with bot(tmp_path, variables):
        fakes.wait_for_bot()
        assert fakes.ask("!death lava") == "Deaths: 1"
