"""Environment and file, before anything is checked; how settings are made of them stands in test_settings.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from byte_bot.env_file import named_values, read_env_file
from byte_bot.errors import SettingsError


def test_names_are_in_lower_case_and_empty_values_are_absent(tmp_path: Path) -> None:
    """As the fields of the settings are called; the environment wins unless it is empty."""
    file = tmp_path / "bot.env"
    file.write_text("TWITCH_LOGIN=file_bot\nLOG_LEVEL=debug\nBOT_OWNERS=\n", encoding="utf-8")
    assert named_values({"Twitch_Login": "env_bot", "LOG_LEVEL": " "}, file) == {
        "twitch_login": "env_bot",
        "log_level": "debug",
    }


def test_without_a_file_nothing_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None reads none, and the default need not be there; a file that was named must be."""
    monkeypatch.chdir(tmp_path)
    assert read_env_file(None) == {}
    assert read_env_file(".env") == {}
    with pytest.raises(SettingsError, match=r"there is no file .other\.env."):
        read_env_file("other.env")


@pytest.mark.skipif(os.name != "posix", reason="Windows makes a home folder of any name")
@pytest.mark.parametrize(
    ("name", "words"), [("x" * 300, "there is no file"), ("~nouser/.env", "--env-file begins with ~nouser")]
)
def test_a_path_that_cannot_be_is_told_in_words(name: str, words: str) -> None:
    """A name that no disk takes, the home of a user who is not there."""
    with pytest.raises(SettingsError, match=words):
        read_env_file(name)
