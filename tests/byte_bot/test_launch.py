"""The real process: what it leaves behind when the start fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from byte_bot.errors import ComponentError
from byte_bot.launch import run
from byte_bot.persistence.journal_lock import is_locked
from byte_bot.settings import Settings


def test_a_component_that_is_not_there_is_a_sentence_and_not_a_traceback(tmp_path: Path) -> None:
    """The real start: it fails before anything is connected, with the words of the loader; the journal is free again."""
    journal = tmp_path / "my_bot.journal"
    settings = Settings(
        journal_path=str(journal),
        twitch_login="my_bot",
        twitch_token="a" * 30,
        twitch_channel_logins=("my_channel",),
        twitch_irc_host="127.0.0.1",
        twitch_irc_port=9,  # discard: nobody is reached even if the order were wrong
        components=("no_such_component",),
    )
    with pytest.raises(ComponentError, match="no_such_component: there is no such module"):
        run(settings)
    assert journal.exists()
    assert not is_locked(journal)
    journal.unlink()
    with pytest.raises(ComponentError):
        run(settings.model_copy(update={"durability": "off"}))
    assert not journal.exists()
