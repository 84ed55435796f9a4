"""The user's data directory on each system."""

from __future__ import annotations

from pathlib import Path

import pytest

from byte_bot.user_folder import user_data_folder


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
