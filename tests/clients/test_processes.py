"""How ``byte-bot run`` ends, as a supervisor (systemd, Docker, a shell) sees it: exit codes, words, and in time."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from byte_bot.errors import ExitCode
from tests.clients.programs import Fakes, Program, bot, until

#: Containers kill 10 s after SIGTERM; the bot promises to be gone in 8.
SHUTDOWN_S = 8.0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without telling it")
def test_sigterm_ends_the_bot_in_time_while_the_database_hangs(fakes: Fakes, tmp_path: Path) -> None:
    """A database that answers nothing holds up neither the answers nor the end: exit code 0 within 8 s."""
    with bot(tmp_path, fakes.variables()) as program:
        fakes.wait_for_bot()
        assert fakes.ask("!count deaths +1") == "deaths: 1"
        fakes.hang_database()
        assert fakes.ask("!count deaths +1") == "deaths: 2"
        program.terminate()
        assert program.exit_code(SHUTDOWN_S) == ExitCode.OK
        assert program.event("stopped")["rows_waiting"] > 0, "it says what it could not save"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without telling it")
def test_sigterm_ends_the_bot_in_time_while_it_starts_without_a_database(
    fakes: Fakes, tmp_path: Path
) -> None:
    """The wait for the first list of channels is no reason to stay: the same 8 s hold from the first moment on."""
    shutil.copy(Path(__file__).with_name("deaths.py"), tmp_path)
    fakes.hang_database()
    with bot(tmp_path, fakes.variables(COMPONENTS="deaths")) as program:
        program.event("component_loaded")
        program.terminate()
        assert program.exit_code(SHUTDOWN_S) == ExitCode.OK


@pytest.mark.parametrize(
    ("mode", "auth"), [("irc", "installed"), ("eventsub", "installed"), ("eventsub", "cloud")]
)
def test_from_the_login_on_the_bot_chats(fakes: Fakes, tmp_path: Path, mode: str, auth: str) -> None:
    """`byte-bot login`, a human's consent, `byte-bot run`: on both transports, as the account and as the application.

    However much they tell, neither prints or logs a token or a secret.
    """
    variables = fakes.login_variables(
        tmp_path, TWITCH_CHAT_MODE=mode, TWITCH_BOT_AUTH=auth, LOG_LEVEL="debug"
    )
    with Program("byte-bot", "login", "--json", variables=variables, directory=tmp_path) as login:
        fakes.approve(login.object(lambda line: line.get("event") == "code", "the code")["user_code"])
        assert login.exit_code() == ExitCode.OK
    given = fakes.state()["web"].get("tokens_given_client_credentials", 0)
    with bot(tmp_path, variables) as program:
        program.object(
            lambda line: line.get("event") == "status" and line["counters"].get("channels_joined", 0) > 0,
            "the bot in its channel",
        )
        assert fakes.ask("!count deaths +1") == "deaths: 1"
        by_face = {"irc": "connected", "eventsub": "eventsub_connected"}
        assert [name for face, name in by_face.items() if fakes.twitch["login"] in fakes.state()[name]] == [
            by_face[mode]
        ]
    asked_as_app = fakes.state()["web"].get("tokens_given_client_credentials", 0) > given
    assert asked_as_app == (auth == "cloud")
    kept = json.loads((tmp_path / "token.json").read_text("utf-8"))
    secrets = fakes.secrets()
    assert {kept["access_token"], kept["refresh_token"], variables["TWITCH_CLIENT_SECRET"]} <= set(secrets)
    assert [one for one in secrets if one in login.output or one in program.output] == []


def test_wrong_settings_are_all_named(tmp_path: Path) -> None:
    """Exit code 2, and one line for each variable that is missing or wrong; no secret in any of them."""
    variables = {
        "TWITCH_TOKEN": "not a token",
        "TWITCH_CHANNEL_LOGINS": "no such channel!",
        "SUPABASE_URL": "https://supabase.com/dashboard/project/abcdefgh",
        "FLUSH_INTERVAL_S": "soon",
    }
    with bot(tmp_path, variables) as program:
        assert program.exit_code() == ExitCode.SETTINGS
    for name in (*variables, "TWITCH_LOGIN", "SUPABASE_KEY"):
        assert f"\n  - {name}" in program.output
    assert "not a token" not in program.output


def test_a_wrong_token_has_an_exit_code_of_its_own(fakes: Fakes, tmp_path: Path) -> None:
    """Exit code 3 tells a supervisor that starting again does not help, and the log what to do."""
    with bot(tmp_path, fakes.variables(TWITCH_TOKEN="oauth:" + "x" * 30)) as program:
        assert program.exit_code() == ExitCode.LOGIN_REFUSED
    assert "TWITCH_TOKEN" in program.event("login_refused")["why"]
    assert "x" * 30 not in program.output


def test_the_second_process_fences_the_first(fakes: Fakes, tmp_path: Path) -> None:
    """Two bots on one database: the older one ends with exit code 4, the newer one goes on."""
    with bot(tmp_path, fakes.variables()) as older:
        fakes.wait_for_bot()
        assert fakes.ask("!count deaths +1") == "deaths: 1"
        # As on another machine: with a journal of its own.
        with bot(tmp_path, fakes.variables(JOURNAL_PATH=str(tmp_path / "newer.journal"))) as newer:
            newer.event("started")
            fakes.say("!count deaths +1")
            assert older.exit_code() == ExitCode.FENCED
            assert "took over this database" in older.event("fenced")["why"]
            assert fakes.ask("!ping") == "Pong!"
            newer.terminate()
            if sys.platform != "win32":
                assert newer.exit_code() == ExitCode.OK


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without telling it")
def test_a_kill_during_an_outage_loses_nothing_that_was_confirmed(fakes: Fakes, tmp_path: Path) -> None:
    """The next process knows it before the database can be asked, and saves it when it can."""
    with bot(tmp_path, fakes.variables()) as first:
        fakes.wait_for_bot()
        assert fakes.ask("!count deaths +1") == "deaths: 1"
        fakes.hang_database()
        assert fakes.ask("!count deaths +1") == "deaths: 2"
        first.kill()
    with bot(tmp_path, fakes.variables()) as second:
        second.event("started")
        assert fakes.ask("!count deaths +1") == "deaths: 3"
        fakes.heal()
        until(
            lambda: (fakes.stored("counters") or {}).get("values", {}).get("deaths") == 3 or None, "the save"
        )
