"""Who is compared, and with which settings each is started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.contenders import BYTE_BOT, CASES, FLOOR, OURS, command_of, furnish, variables_for
from byte_bot.settings import load_settings
from simulator.bench.stage import Addresses

WITHOUT = Addresses("127.0.0.1", 1234, "byte_test_bot", "oauth:" + "f" * 30, ("one", "two"), folder="here")
WITH_DATABASE = Addresses(
    "127.0.0.1",
    1234,
    "byte_test_bot",
    "oauth:" + "f" * 30,
    ("one", "two"),
    "http://127.0.0.1:1",
    "sb_secret_fake000000000",
    "here",
)


def test_the_table_has_every_bot_beside_the_reference() -> None:
    """No name twice; each says something whose reply can be told from another's."""
    names = [case.name for case in CASES]
    assert names[0] == "bare_loop"
    assert len(set(names)) == len(names)
    for case in CASES:
        assert ("{n}" in case.says) == (case.matched_by == "number")
        assert case.note and case.start > 0


@pytest.mark.parametrize("bot", OURS)
def test_byte_bot_understands_its_settings(bot: str) -> None:
    """Nothing is warned about, the limits are beyond reach, and only one of the two has a database."""
    warnings: list[str] = []
    variables = variables_for(bot, WITH_DATABASE if bot == BYTE_BOT else WITHOUT)
    settings = load_settings(variables, None, warn=warnings.append)
    assert warnings == []
    assert settings.has_database == (bot == BYTE_BOT)
    assert settings.twitch_channel_logins == ("one", "two")
    assert settings.components == ("echo",)
    assert settings.twitch_messages_per_30s >= 1_000_000


def test_the_others_are_told_where_the_chat_is() -> None:
    """And nothing else: they have no database."""
    assert variables_for("tmi.js", WITHOUT) == {
        "CHAT_HOST": "127.0.0.1",
        "CHAT_PORT": "1234",
        "CHAT_CHANNELS": "one,two",
    }


def test_byte_bots_folder_has_the_component_that_it_is_told_to_load(tmp_path: Path) -> None:
    """Nobody else's has; that it is found there is shown where the bot is run (test_load.py)."""
    furnish("bare_loop", tmp_path)
    assert list(tmp_path.iterdir()) == []
    furnish(FLOOR, tmp_path)
    assert [path.stem for path in tmp_path.iterdir()] == [variables_for(FLOOR, WITHOUT)["COMPONENTS"]]


def test_our_own_bots_run_in_this_python() -> None:
    """The bare loop is a file, Byte Bot is what its users start."""
    assert Path(command_of("bare_loop")[1]).is_file()
    assert command_of(FLOOR) == command_of(BYTE_BOT) == (sys.executable, "-m", "byte_bot", "run")
