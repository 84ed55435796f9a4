"""A bot in a process of its own: small Python programs in place of bots, on a real loop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from simulator.bot_process import LINE_BYTES_MAX, BotProcess, clean_environment

unix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals are Unix's")
STAY = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "


class Log:
    """Keeps events, and lets a test wait for the next."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()

    def __call__(self, event: Mapping[str, Any]) -> None:
        self.events.put_nowait(event)


def bot(program: str, folder: Path, log: Log, **variables: str) -> BotProcess:
    """A process that runs a piece of Python."""
    return BotProcess((sys.executable, "-c", program), variables, folder, log)


def say(text: str) -> str:
    """A statement that logs a line."""
    return f"print({text!r}, file=sys.stderr, flush=True); "


async def test_its_json_lines_are_events_and_the_rest_is_kept(tmp_path: Path) -> None:
    """Lines that are no JSON objects are for people, and both kinds are among the last lines."""
    log = Log()
    program = "import sys; " + say('{"event": "status"}') + say("hello") + say("{broken") + say("[1]")
    async with bot(program, tmp_path, log) as process:
        assert await process.wait() == 0
    assert log.events.get_nowait() == {"event": "status"}
    assert log.events.empty()
    assert process.last_lines == ('{"event": "status"}', "hello", "{broken", "[1]")


async def test_it_sees_its_variables_and_none_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is clean, and the directory is the one given."""
    monkeypatch.setenv("TWITCH_TOKEN", "of this machine")
    log = Log()
    program = (
        "import json, os, sys; "
        "names = [os.environ.get(name) for name in ('TWITCH_LOGIN', 'TWITCH_TOKEN')]; "
        "print(json.dumps({'names': names, 'folder': os.getcwd()}), file=sys.stderr)"
    )
    async with bot(program, tmp_path, log, TWITCH_LOGIN="some_bot") as process:
        await process.wait()
    event = log.events.get_nowait()
    assert event["names"] == ["some_bot", None]
    assert Path(event["folder"]).name == tmp_path.name


@unix_only
async def test_leaving_asks_it_to_end(tmp_path: Path) -> None:
    """SIGTERM reaches it, and the exit code is its own; asking again changes nothing."""
    log = Log()
    async with bot(STAY + say('{"event": "ready"}') + "time.sleep(60)", tmp_path, log) as process:
        await log.events.get()
    assert process.exit_code == 7
    assert await process.stop() == 7


@unix_only
async def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed when its time is up."""
    log = Log()
    deaf = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    process = bot(deaf + say('{"event": "ready"}') + "time.sleep(60)", tmp_path, log)
    async with process:
        await log.events.get()
        assert await process.stop(within_s=0.1) == -signal.SIGKILL


async def test_a_line_without_end_does_not_stop_it(tmp_path: Path) -> None:
    """A log line longer than the limit ends the reading of the log, and the process goes on to its end."""
    log = Log()
    program = f"import sys; print('x' * {LINE_BYTES_MAX * 3}, file=sys.stderr)"
    async with bot(program, tmp_path, log) as process:
        assert await process.wait() == 0
    assert "longer than" in process.last_lines[-1]


def test_the_environment_keeps_only_what_programs_need() -> None:
    """PATH stays, a key does not, and the bot's own variables win."""
    ours = {"PATH": "here", "SUPABASE_KEY": "secret", "HOME": "home"}
    environment = clean_environment(ours, {"TWITCH_LOGIN": "bot"})
    assert environment == {"PATH": "here", "PYTHONUTF8": "1", "TWITCH_LOGIN": "bot"}


@unix_only
async def test_a_killed_bot_has_no_chance_to_clean_up(tmp_path: Path) -> None:
    """SIGKILL, whatever it does on SIGTERM; killing it again changes nothing."""
    log = Log()
    program = STAY + say('{"event": "up"}') + "time.sleep(60)"
    async with bot(program, tmp_path, log) as process:
        await log.events.get()
        assert process.running
        assert process.pid > 0
        assert await process.kill() == -signal.SIGKILL
        assert not process.running
        assert await process.kill() == -signal.SIGKILL
