"""The real process: what it leaves behind when the start fails, and that it can be stopped while it waits to start."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from byte_bot.errors import ComponentError, ExitCode
from byte_bot.launch import run
from byte_bot.persistence.journal import JournalStore, MemoryJournalStore
from byte_bot.persistence.journal_lock import Holder, acquire, is_locked
from byte_bot.settings import Settings

needs_signals = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows ends a process without telling it"
)


def settings(journal: Path, **changes: object) -> Settings:
    """Settings of a bot that reaches nobody."""
    return Settings(
        journal_path=str(journal),
        twitch_login="my_bot",
        twitch_token="a" * 30,
        twitch_channel_logins=("my_channel",),
        twitch_irc_host="127.0.0.1",
        twitch_irc_port=9,  # discard: nobody is reached even if the order were wrong
        **changes,
    )


def test_a_component_that_is_not_there_is_a_sentence_and_not_a_traceback(tmp_path: Path) -> None:
    """The real start: it fails before anything is connected, with the words of the loader; the journal is free again."""
    journal = tmp_path / "my_bot.journal"
    given = settings(journal, components=("no_such_component",))
    with pytest.raises(ComponentError, match="no_such_component: there is no such module"):
        run(given)
    assert journal.exists()
    assert not is_locked(journal)
    journal.unlink()
    with pytest.raises(ComponentError):
        run(given.model_copy(update={"durability": "off"}))
    assert not journal.exists()


@pytest.fixture
def caught() -> Iterator[None]:
    """A signal that nobody has a handler for fails the test and does not end the tests."""

    def uncaught(number: int, frame: object) -> NoReturn:
        raise AssertionError(f"signal {number} met no handler")

    before = {number: signal.signal(number, uncaught) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@needs_signals
@pytest.mark.usefixtures("caught")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("waits", [True, False], ids=["it waits", "it was opened at that moment"])
def test_a_stop_before_the_journal_is_open_is_an_orderly_one(
    tmp_path: Path, number: signal.Signals, waits: bool
) -> None:
    """Whatever it waits for (a lock, a disk) is given up, and cleans up, whoever presses again; a bot that is just made stops as any."""
    ended = []

    @asynccontextmanager
    async def opening(*_: object, **__: object) -> AsyncIterator[JournalStore]:
        try:
            signal.raise_signal(number)
            if waits:
                await asyncio.Event().wait()
            async with asyncio.timeout(20):
                yield MemoryJournalStore()
        finally:
            signal.raise_signal(number)
            for _ in range(5):  # rounds of the loop, in which the second signal is heard
                await asyncio.sleep(0)
            ended.append(True)

    assert run(settings(tmp_path / "j"), open_journal=opening) == ExitCode.OK
    assert ended == [True]


@needs_signals
def test_sigterm_ends_a_bot_that_waits_for_another_one_s_journal(tmp_path: Path) -> None:
    """A rolling deploy that is taken back: the real process, waiting for the real lock, stops in order at once."""
    journal = tmp_path / "my_bot.journal"
    lock = acquire(journal, Holder(7, "here", "my_bot", "2026-01-01T00:00:00Z"))
    environment = {
        **os.environ,
        "TWITCH_LOGIN": "my_bot",
        "TWITCH_TOKEN": "a" * 30,
        "TWITCH_CHANNEL_LOGINS": "my_channel",
        "JOURNAL_PATH": str(journal),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "byte_bot", "run", "--wait-lock"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        assert waiting.stderr is not None
        try:
            said = next(line for line in waiting.stderr if "journal_awaited" in line)
            waiting.terminate()
            rest = waiting.stderr.read()
            assert waiting.wait(60) == ExitCode.OK
        finally:
            waiting.kill()
    lock.release()
    assert "process 7 on here" in said
    assert "stopped_before_start" in rest
    assert not journal.exists()
