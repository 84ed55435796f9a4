"""`byte-sim exec`: real commands on real fakes, in real time; exit codes, Ctrl-C, and what is said about mistakes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.cli import Exit, build_cli
from simulator.exec_cli import ExecError, run_command, variables_of
from simulator.loop import START_UNIX_S
from simulator.placeholders import PlaceholderError
from simulator.replay import record_night
from simulator.serve import Stage
from tests.simulator.supabase.project import BOT_SCHEMA

ROOT = Path(__file__).parents[2]
UNIX_ONLY = pytest.mark.skipif(
    sys.platform == "win32", reason="signals cannot be sent to one process on Windows"
)


async def executed(
    *program: str,
    extra: Mapping[str, str] | None = None,
    ours: Mapping[str, str] | None = None,
    **times_s: float,
) -> int:
    """The exit code of a command on a stage of its own."""
    stage = Stage(BOT_SCHEMA, unix_start_s=START_UNIX_S, seed=3, channels=("one", "two"))
    return await run_command(program, stage, extra=extra or {}, ours=ours or {}, **times_s)


def python(code: str, *arguments: str) -> Sequence[str]:
    """A Python program as a command."""
    return (sys.executable, "-c", code, *arguments)


async def test_the_commands_exit_code_is_passed_on() -> None:
    """Zero and others alike."""
    assert await executed(*python("pass")) == 0
    assert await executed(*python("import sys; sys.exit(7)")) == 7


async def test_the_command_is_told_where_the_fakes_are_and_they_answer() -> None:
    """A stdlib-only program logs in to chat, asks Helix, and reads a table, all by its environment."""
    code = """
import json, os, socket, urllib.request as web
env = os.environ
chat = socket.create_connection((env["TWITCH_IRC_HOST"], int(env["TWITCH_IRC_PORT"])), timeout=10)
chat.sendall(f"PASS {env['TWITCH_TOKEN']}\\r\\nNICK {env['TWITCH_LOGIN']}\\r\\n".encode())
assert b" 001 byte_test_bot " in chat.recv(4096)
token = env["BYTE_SIM_USERS_BYTE_TEST_BOT_TOKEN"]
headers = {"Authorization": "Bearer " + token, "Client-Id": env["TWITCH_CLIENT_ID"]}
users = json.load(web.urlopen(web.Request(env["TWITCH_HELIX_URL"] + "/users", headers=headers), timeout=10))
assert users["data"][0]["login"] == env["TWITCH_LOGIN"], users
rows = web.Request(env["SUPABASE_URL"] + "/rest/v1/bot_writer", headers={"apikey": env["SUPABASE_KEY"]})
assert json.load(web.urlopen(rows, timeout=10))[0]["id"] == 1
assert env["TWITCH_CHANNEL_LOGINS"] == "one,two" and env["INHERITED"] == "yes"
"""
    assert await executed(*python(code), ours={"INHERITED": "yes"}) == 0


async def test_byte_bot_finds_everything_in_order_under_tls() -> None:
    """Its own check, told by variables alone: application, token, chat under the throw-away root, database, all of it works."""
    stage = Stage(BOT_SCHEMA, unix_start_s=time.time(), seed=3, tls=True)
    ours = {"PATH": os.environ.get("PATH", "")}
    check = (sys.executable, "-m", "byte_bot", "check")
    assert await run_command(check, stage, extra={"PYTHONPATH": str(ROOT)}, ours=ours) == 0


async def test_placeholders_are_filled_in_the_command_and_in_extra_variables() -> None:
    """Extra variables win over ours; the command's arguments get addresses too."""
    code = "import os, sys; sys.exit(0 if sys.argv[1] == os.environ['BYTE_SIM_IRC_PORT'] == os.environ['PORT'] else 1)"
    extra = {"PORT": "{irc_port}"}
    assert await executed(*python(code, "{irc_port}"), extra=extra, ours={"PORT": "1"}) == 0
    with pytest.raises(PlaceholderError, match="did you mean"):
        await executed(*python(code, "{irc_prot}"))


async def test_a_command_that_cannot_be_started_is_named() -> None:
    """With the way out where a shell was meant."""
    with pytest.raises(ExecError, match=r"cannot start 'no-such-program-here'.*without a shell"):
        await executed("no-such-program-here")


@UNIX_ONLY
async def test_a_command_that_a_signal_ended_gives_a_shells_code() -> None:
    """128 + 9 for SIGKILL."""
    assert await executed(*python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")) == 128 + 9


# Says in chat that it is ready: by then its signal handler is in place.
READY = """
import json, os, signal, sys, time, urllib.request as web
def say(text):
    body = json.dumps({"channel": "lobby", "login": "viewer_1", "text": text}).encode()
    web.urlopen(os.environ["BYTE_SIM_CONTROL_URL"] + "/say", body, timeout=10).read()
"""


@UNIX_ONLY
@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("signal.SIG_DFL", 128 + signal.SIGTERM),
        ("lambda *_: (say('bye'), sys.exit(5))", 5),
        ("signal.SIG_IGN", 128 + signal.SIGKILL),
    ],
    ids=["asked", "polite", "stubborn"],
)
async def test_a_cancelled_run_ends_its_command(handler: str, expected: int) -> None:
    """Asked with SIGTERM while the fakes still answer, killed if it does not listen; its own exit code comes back."""
    ready = asyncio.Event()
    stage = Stage(BOT_SCHEMA, unix_start_s=START_UNIX_S, seed=3)
    stage.twitch.on_message(lambda _: ready.set())
    code = f"{READY}signal.signal(signal.SIGTERM, {handler})\nsay('ready')\ntime.sleep(60)"
    # The patience before each step is nothing: there is no terminal whose Ctrl-C the command could have heard by itself.
    run = run_command(
        python(code),
        stage,
        extra={},
        ours={},
        polite_s=0.0,
        stop_s=0.0 if expected == 128 + signal.SIGKILL else 30.0,
    )
    task = asyncio.create_task(run)
    await ready.wait()
    task.cancel()
    assert await task == expected


def test_extra_variables_are_names_and_values() -> None:
    """A value may have '=' in it."""
    assert variables_of(("A=1", "B=x=y", "C=")) == {"A": "1", "B": "x=y", "C": ""}
    with pytest.raises(ExecError, match="--env 'nonsense' is no NAME=VALUE"):
        variables_of(("nonsense",))


def test_the_commands_own_options_are_its_own(tmp_path: Path) -> None:
    """With or without -- in front; ours come before."""
    file = tmp_path / "arguments.json"
    code = f"import json, sys; open({str(file)!r}, 'w').write(json.dumps(sys.argv[1:])); sys.exit(3)"
    cli = build_cli({}, record_night)
    for dashes in ([], ["--"]):
        result = CliRunner().invoke(
            cli, ["exec", "--channels", "one", *dashes, sys.executable, "-c", code, "--help", "--seed", "x"]
        )
        assert result.exit_code == 3, result.output
        assert json.loads(file.read_text(encoding="utf-8")) == ["--help", "--seed", "x"]


def test_mistakes_are_told_before_anything_runs(tmp_path: Path) -> None:
    """A seed file that is not there, channels that cannot be, variables without a value."""
    cli = build_cli({}, record_night)
    for arguments, words in (
        (["--seed-file", str(tmp_path / "none.toml")], "cannot read the seed file"),
        (["--channels", "no-hyphens"], "'no-hyphens' is no Twitch login"),
        (["--env", "x"], "is no NAME=VALUE"),
        (["--ca-file", "x.pem"], "add --tls"),
    ):
        result = CliRunner().invoke(cli, ["exec", *arguments, sys.executable, "-c", "pass"])
        assert result.exit_code == Exit.NOT_TRIED
        assert words in result.output


@UNIX_ONLY
def test_ctrl_c_in_a_terminal_ends_both_and_gives_the_commands_code() -> None:
    """The whole foreground job gets SIGINT, as from a terminal; the fakes outlive the bot's goodbye."""
    bot = (
        "import os, signal, sys, urllib.request as web\n"
        "def bye(*_):\n"
        "    web.urlopen(os.environ['BYTE_SIM_CONTROL_URL'] + '/state', timeout=10).read()\n"
        "    sys.exit(4)\n"
        "signal.signal(signal.SIGINT, bye)\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    program = (
        "import sys; from simulator.cli import main; main(['exec', '--', sys.executable, '-c', sys.argv[1]])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, bot],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        # A terminal's Ctrl-C: to every process of the foreground group.
        subprocess.run(["kill", "-INT", "--", f"-{process.pid}"], check=True)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 4, errors
    assert errors.startswith("byte-sim: the fakes are up; control address http://127.0.0.1:")
    assert "Traceback" not in errors
