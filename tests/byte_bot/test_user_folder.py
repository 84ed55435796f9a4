"""The user's data directory on each system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from byte_bot.errors import SettingsError
from byte_bot.user_folder import expanded, user_data_folder


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", "~/.local/share/byte-bot"),
        ({"XDG_DATA_HOME": "/data"}, "linux", "/data/byte-bot"),
        ({"XDG_DATA_HOME": "relative"}, "linux", "~/.local/share/byte-bot"),
        ({}, "darwin", "~/Library/Application Support/byte-bot"),
        ({"LOCALAPPDATA": "/local"}, "win32", "/local/byte-bot"),
    ],
)
def test_each_system_s_own_place(environment: dict[str, str], platform: str, expected: str) -> None:
    """As the XDG specification, Apple and Microsoft want it."""
    assert user_data_folder(environment, platform) == Path(expected).expanduser()


@pytest.mark.skipif(os.name != "posix", reason="Windows makes a folder for any name")
def test_a_home_folder_that_nobody_has_is_a_wrong_setting() -> None:
    """The sentence names the setting and the user."""
    assert expanded("~/x", "JOURNAL_PATH") == Path.home() / "x"
    with pytest.raises(SettingsError, match=r"JOURNAL_PATH begins with ~nouser, and .* write the whole path"):
        expanded("~nouser/x", "JOURNAL_PATH")
