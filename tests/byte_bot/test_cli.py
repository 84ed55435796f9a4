"""The command line: help, exit codes, and that errors are sentences on standard error."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from byte_bot import __version__, launch
from byte_bot.auth.device_flow import LoginScreen
from byte_bot.auth.errors import LoginFailed, TokenFileRefused
from byte_bot.auth.oauth import DeviceCode
from byte_bot.auth.user_token import UserToken
from byte_bot.chat.errors import LoginRejected
from byte_bot.errors import ByteBotError, ExitCode, Fenced, JournalLocked, JournalRefused, SettingsError
from byte_bot.finding import Finding, Status
from byte_bot.login import LoginFunction, login_for_real
from byte_bot.persistence.schema import schema_files, schema_versions
from byte_bot.persistence.schema.migrate import FileStep, Migration, Step, migrate
from byte_bot.settings import Settings

# The command line imports the composition root.
pytest.importorskip("byte_bot.app", exc_type=ImportError)

from byte_bot.cli import HELP, build_cli, main

TOKEN = "abcdefghijklmnopqrstuvwxyz0123"
MINIMAL = {"TWITCH_LOGIN": "my_bot", "TWITCH_TOKEN": f"oauth:{TOKEN}", "TWITCH_CHANNEL_LOGINS": "my_channel"}


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Calls the command line in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def call(
        *arguments: str,
        env: dict[str, str] | None = None,
        run_bot: Callable[[Settings, bool], int] = lambda settings, wait_lock: 0,
        check_bot: Callable[[Settings], list[Finding]] | None = None,
        migrate_database: Callable[..., Migration] = migrate,
        log_in: LoginFunction = login_for_real,
    ) -> tuple[int, str, str]:
        cli = build_cli(run_bot, check_bot, migrate_database, log_in)
        result = CliRunner().invoke(cli, arguments, env=env or {})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return call


Invoke = Callable[..., tuple[int, str, str]]


def remember(seen: list[Settings], code: int = 0) -> Callable[[Settings, bool], int]:
    """A bot that ends at once with this exit code."""

    def run_bot(settings: Settings, wait_lock: bool) -> int:
        seen.append(settings)
        return code

    return run_bot


def raises(error: Exception) -> Callable[[Settings, bool], int]:
    """A bot that ends with an error."""

    def run_bot(settings: Settings, wait_lock: bool) -> int:
        raise error

    return run_bot


def test_help_shows_the_settings_that_matter_and_the_first_steps(invoke: Invoke) -> None:
    """A newcomer needs no other page to start."""
    code, out, _ = invoke("--help")
    assert code == 0
    for word in (
        *MINIMAL,
        "SUPABASE_URL",
        "SUPABASE_KEY",
        "byte-bot check",
        "byte-bot run",
        "byte-bot migrate --print > schema.sql",
    ):
        assert word in out
    assert "  TWITCH_LOGIN=my_bot                 the bot's own Twitch account\n" in out


def test_the_help_s_example_is_a_valid_env_file(invoke: Invoke, tmp_path: Path) -> None:
    """What is shown can be copied: the bot starts with it."""
    names = (*MINIMAL, "SUPABASE_URL", "SUPABASE_KEY")
    lines = [line.split()[0] for line in HELP.splitlines() if line.strip().startswith(names)]
    assert len(lines) == len(names)
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
    seen: list[Settings] = []
    code, _, _ = invoke("run", run_bot=remember(seen))
    assert code == 0
    assert seen[0].supabase_url == "https://PROJECT.supabase.co"


def test_no_arguments_show_the_help(invoke: Invoke) -> None:
    """Instead of an error about a missing command."""
    _, out, err = invoke()
    assert "First steps" in out + err


def test_version(invoke: Invoke) -> None:
    """The package's version."""
    assert invoke("--version") == (0, f"byte-bot {__version__}\n", "")


def test_run_passes_settings_on_and_its_exit_code_back(invoke: Invoke) -> None:
    """The environment is read, the composition root decides how it ends."""
    seen: list[Settings] = []
    code, out, err = invoke("run", env=MINIMAL, run_bot=remember(seen, ExitCode.JOURNAL_LOCKED))
    assert (code, out, err) == (5, "", "")
    assert seen[0].twitch_login == "my_bot"


def test_run_names_every_wrong_setting_and_starts_nothing(invoke: Invoke) -> None:
    """Exit code 2, one line each, on standard error, no traceback."""
    code, out, err = invoke("run", env={"TWITCH_LOGIN": "a b"}, run_bot=raises(AssertionError("started")))
    assert (code, out) == (ExitCode.SETTINGS, "")
    assert err.startswith(
        "byte-bot: 3 settings are missing or wrong (no settings in '.env' here):\n  - TWITCH_LOGIN: 'a b'"
    )
    assert "TWITCH_TOKEN is missing" in err
    assert "Traceback" not in err


def test_run_reads_the_named_file(invoke: Invoke, tmp_path: Path) -> None:
    """--env-file; one that is not there is an error and not ignored."""
    file = tmp_path / "other.env"
    file.write_text("\n".join(f"{name}={value}" for name, value in MINIMAL.items()), encoding="utf-8")
    assert invoke("run", "--env-file", str(file))[0] == 0
    code, _, err = invoke("run", "--env-file", "nope.env", env=MINIMAL)
    assert code == ExitCode.SETTINGS
    assert "there is no file 'nope.env'" in err


def test_a_misspelt_variable_is_warned_of(invoke: Invoke) -> None:
    """And the bot starts all the same."""
    code, _, err = invoke("run", env={**MINIMAL, "DEFAULT_LANGAUGE": "pt-br"})
    assert code == 0
    assert (
        err
        == "byte-bot: DEFAULT_LANGAUGE is set, but there is no such setting: did you mean DEFAULT_LANGUAGE?\n"
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LoginRejected("my_bot", "Login authentication failed"), ExitCode.LOGIN_REFUSED),
        (Fenced(3, 4), ExitCode.FENCED),
        (JournalLocked("in use by process 7"), ExitCode.JOURNAL_LOCKED),
        (JournalRefused("of a newer release"), ExitCode.JOURNAL_REFUSED),
        (SettingsError("COMPONENTS: there is no module 'x'"), ExitCode.SETTINGS),
        (ByteBotError("something else"), ExitCode.FAILED),
    ],
)
def test_an_error_on_purpose_is_a_sentence_and_an_exit_code(
    invoke: Invoke, error: ByteBotError, code: ExitCode
) -> None:
    """So that a supervisor can tell "fix me" from "restart me", and a human reads words."""
    ended, out, err = invoke("run", env=MINIMAL, run_bot=raises(error))
    assert (ended, out) == (code, "")
    assert err.startswith(f"byte-bot: {error}")
    assert "Traceback" not in err


def test_an_error_never_shows_the_token(invoke: Invoke) -> None:
    """Whatever a library put into its message."""
    _, _, err = invoke("run", env=MINIMAL, run_bot=raises(ByteBotError(f"PASS oauth:{TOKEN} failed")))
    assert err == "byte-bot: PASS oauth:[redacted] failed\n"


def test_a_bug_is_not_hidden(invoke: Invoke) -> None:
    """What is no error of ours comes out as it is."""
    with pytest.raises(ZeroDivisionError):
        invoke("run", env=MINIMAL, run_bot=raises(ZeroDivisionError()))


FINE = Finding("settings", Status.OK, "bot my_bot")
BROKEN = Finding("twitch login", Status.FAILED, f"refused {TOKEN}", "make a new token")


def test_check_prints_what_it_found(invoke: Invoke) -> None:
    """0 if all is well, 1 if not; secrets redacted."""
    code, out, err = invoke("check", env=MINIMAL, check_bot=lambda settings: [FINE])
    assert (code, err) == (0, "")
    assert out == "ok      settings  bot my_bot\n\nEverything the bot needs works.\n"
    code, out, _ = invoke("check", env=MINIMAL, check_bot=lambda settings: [FINE, BROKEN])
    assert code == ExitCode.FAILED
    assert "failed  twitch login  refused [redacted]" in out


def test_check_as_json_is_one_object_in_every_case(invoke: Invoke) -> None:
    """Also when already the settings are wrong."""
    code, out, _ = invoke("check", "--json", env=MINIMAL, check_bot=lambda settings: [FINE])
    assert (code, json.loads(out)["ok"]) == (0, True)
    code, out, _ = invoke("check", "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["checks"][0]["name"]) == (ExitCode.SETTINGS, False, "settings")
    assert "TWITCH_LOGIN is missing" in found["checks"][0]["words"]


def test_check_with_wrong_settings_says_so(invoke: Invoke) -> None:
    """The same list as `run`."""
    code, out, err = invoke("check")
    assert (code, out) == (ExitCode.SETTINGS, "")
    assert "TWITCH_TOKEN is missing" in err


def test_check_tries_the_real_network(invoke: Invoke) -> None:
    """Without an injected check: a port of this machine where nobody listens."""
    env = {
        **MINIMAL,
        "TWITCH_IRC_HOST": "127.0.0.1",
        "TWITCH_IRC_PORT": "1",
        "TWITCH_IRC_TLS": "no",
        "DURABILITY": "off",
    }
    code, out, _ = invoke("check", "--json", env=env)
    assert code == ExitCode.FAILED
    assert [item["status"] for item in json.loads(out)["checks"]] == [
        "ok",
        "warning",
        "skipped",
        "failed",
        "skipped",
    ]


@pytest.mark.parametrize("options", [(), ("--wait-lock",)])
def test_a_rolling_deploy_waits_for_the_journal(invoke: Invoke, options: tuple[str, ...]) -> None:
    """Only if it is told to."""
    waits: list[bool] = []

    def run_bot(settings: Settings, wait_lock: bool) -> int:
        waits.append(wait_lock)
        return 0

    code, _, _ = invoke("run", *options, env=MINIMAL, run_bot=run_bot)
    assert (code, waits) == (0, [bool(options)])


LOGIN_ENV = {"TWITCH_LOGIN": "my_bot", "TWITCH_CLIENT_ID": "abc", "TWITCH_CHANNEL_LOGINS": "my_channel"}
GOT = UserToken(access=TOKEN, login="my_bot", user_id="12", scopes=("chat:read",), refresh="refreshrefresh")


def logs_in(settings: Settings, screen: LoginScreen) -> tuple[UserToken, str]:
    """A human who is quick."""
    screen.show(DeviceCode("d" * 30, "ABCDEFGH", "https://www.twitch.test/activate", 1800))
    screen.waiting(1799, "")
    return GOT, "the file"


def test_login_shows_where_to_go_and_whose_token_it_is(invoke: Invoke) -> None:
    """On standard output what a human needs, the progress beside; never a token."""
    code, out, err = invoke("login", env=LOGIN_ENV, log_in=logs_in)
    assert code == 0
    assert out.startswith("Open   https://www.twitch.test/activate\n")
    assert "enter  ABCDEFGH" in out
    assert "The token belongs to my_bot (id 12), scopes chat:read." in out
    assert "the file" in out
    assert "Ctrl-C gives up" in err
    assert TOKEN not in out + err
    assert "refreshrefresh" not in out + err


def test_login_for_programs_is_an_object_a_line(invoke: Invoke) -> None:
    """The code first, then what came of it."""
    code, out, err = invoke("login", "--json", env=LOGIN_ENV, log_in=logs_in)
    assert (code, err) == (0, "")
    shown, done = map(json.loads, out.splitlines())
    assert (shown["event"], shown["user_code"]) == ("code", "ABCDEFGH")
    assert (done["event"], done["login"], done["file"]) == ("done", "my_bot", "the file")
    assert TOKEN not in out


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (LoginFailed("it was denied in the browser"), ExitCode.FAILED, "it was denied"),
        (TokenFileRefused("the file is damaged"), ExitCode.FAILED, "the file is damaged"),
        (KeyboardInterrupt(), ExitCode.FAILED, "given up; no token was kept"),
        (SettingsError("TWITCH_CLIENT_ID is missing"), ExitCode.SETTINGS, "TWITCH_CLIENT_ID is missing"),
    ],
)
def test_a_login_that_fails_is_a_sentence_or_an_object(
    invoke: Invoke, error: BaseException, code: ExitCode, words: str
) -> None:
    """Ctrl-C too: no traceback, and an exit code."""

    def fails(settings: Settings, screen: LoginScreen) -> tuple[UserToken, str]:
        raise error

    ended, out, err = invoke("login", env=LOGIN_ENV, log_in=fails)
    assert (ended, out) == (code, "")
    assert err.startswith(f"byte-bot: {words}")
    ended, out, err = invoke("login", "--json", env=LOGIN_ENV, log_in=fails)
    assert (ended, err) == (code, "")
    assert json.loads(out)["event"] == "failed"
    assert json.loads(out)["error"].startswith(words)


def test_login_with_wrong_settings_says_so(invoke: Invoke) -> None:
    """The same list as `run`, as an object too; without a client id it says where to get one."""
    code, out, err = invoke("login")
    assert (code, out) == (ExitCode.SETTINGS, "")
    assert "TWITCH_LOGIN is missing" in err
    code, out, _ = invoke("login", "--json")
    assert (code, json.loads(out)["event"]) == (ExitCode.SETTINGS, "failed")
    code, _, err = invoke("login", env=MINIMAL)
    assert code == ExitCode.SETTINGS
    assert "dev.twitch.tv/console" in err


def test_migrate_prints_every_file_in_order(invoke: Invoke) -> None:
    """Ready to paste: each file's text, in the order of the names; no database is needed."""
    code, out, _ = invoke("migrate", "--print")
    assert code == 0
    positions = [out.index(path.read_text(encoding="utf-8").strip()) for path in schema_files()]
    assert positions == sorted(positions)
    assert len(positions) >= 3


def migrates(seen: list[tuple[str, dict[str, bool]]], step: Step = Step.APPLY) -> Callable[..., Migration]:
    """A database that remembers how it was called."""

    def migrate(url: str, **options: bool) -> Migration:
        seen.append((url, options))
        return Migration("me@db:5432/x", (FileStep(schema_versions()[0], step),), False, options["dry_run"])

    return migrate


@pytest.mark.parametrize("name", ["SUPABASE_DB_URL", "DATABASE_URL"])
def test_migrate_takes_the_address_from_the_environment(invoke: Invoke, name: str) -> None:
    """So that a password need not stand in the shell's history."""
    seen: list[tuple[str, dict[str, bool]]] = []
    code, out, _ = invoke("migrate", env={name: " postgresql://db "}, migrate_database=migrates(seen))
    assert (code, seen) == (0, [("postgresql://db", {"dry_run": False, "again": False})])
    assert out == "001_tables      applied\nme@db:5432/x is up to date now.\n"


def test_migrate_prefers_the_option(invoke: Invoke) -> None:
    """What is typed counts more than what lies about in the environment."""
    seen: list[tuple[str, dict[str, bool]]] = []
    arguments = ("migrate", "--database-url", "postgresql://typed", "--again")
    invoke(*arguments, env={"SUPABASE_DB_URL": "postgresql://db"}, migrate_database=migrates(seen))
    assert seen == [("postgresql://typed", {"dry_run": False, "again": True})]


@pytest.mark.parametrize(("step", "code"), [(Step.APPLY, 1), (Step.APPLY_AGAIN, 1), (Step.CURRENT, 0)])
def test_migrate_check_tells_by_its_exit_code(invoke: Invoke, step: Step, code: int) -> None:
    """For a script: 0 nothing to do, 1 something; as JSON too."""
    env = {"SUPABASE_DB_URL": "postgresql://db"}
    ended, out, _ = invoke("migrate", "--check", "--json", env=env, migrate_database=migrates([], step))
    assert (ended, json.loads(out)["dry_run"]) == (code, True)


def test_migrate_without_an_address_says_both_ways(invoke: Invoke) -> None:
    """By hand, or with the address; exit code 2."""
    code, out, err = invoke("migrate")
    assert (code, out) == (ExitCode.SETTINGS, "")
    assert "byte-bot migrate --print" in err
    assert "SUPABASE_DB_URL" in err
    assert "no .env is read" in err


def test_migrate_that_fails_is_a_sentence_or_an_object(invoke: Invoke) -> None:
    """A real address at which nobody listens; the password is not shown."""
    env = {"SUPABASE_DB_URL": "postgresql://me:correct-horse@127.0.0.1:1/x"}
    code, out, err = invoke("migrate", env=env)
    assert (code, out) == (ExitCode.FAILED, "")
    assert err.startswith("byte-bot: me@127.0.0.1:1/x cannot be reached")
    code, out, _ = invoke("migrate", "--json", env=env)
    assert (code, json.loads(out)["ok"]) == (ExitCode.FAILED, False)
    assert "horse" not in out + err


def test_main_ends_with_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """The script of the package."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"byte-bot {__version__}\n"


def test_python_m_byte_bot_is_the_same_program(tmp_path: Path) -> None:
    """As a process of its own, with the exit code of wrong settings and no traceback."""
    package = Path(__file__).resolve().parents[2]
    ended = subprocess.run(
        [sys.executable, "-m", "byte_bot", "run"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(package), "PATH": "", "SYSTEMROOT": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == ExitCode.SETTINGS
    assert ended.stdout == ""
    assert "TWITCH_LOGIN is missing" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_start_imports_nothing_that_only_others_need() -> None:
    """Neither what an extra brings nor the parts of Supabase's client for logins, files and sockets, half a second on a slow machine."""
    left_out = (
        "supabase",
        "realtime",
        "storage3",
        "supabase_auth",
        "twitchio",
        "aiohttp",
        "psycopg",
        "simulator",
    )
    program = f"import byte_bot.cli, sys; print(*[name for name in {left_out} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes a home folder of any name")
@pytest.mark.parametrize("arguments", [("run",), ("check",), ("check", "--json")])
def test_a_home_folder_that_nobody_has_is_a_wrong_setting(
    invoke: Invoke, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """The real bot and the real check: before anything is connected, in words."""
    env = {**MINIMAL, "JOURNAL_PATH": "~nouser/x", "TWITCH_IRC_HOST": "127.0.0.1", "TWITCH_IRC_PORT": "9"}
    code, out, err = invoke(*arguments, env=env, run_bot=launch.run)
    assert code == ExitCode.SETTINGS
    assert "JOURNAL_PATH begins with ~nouser" in (out if "--json" in arguments else err)
