"""The command line, ``byte-bot``: run, login, check, migrate, and journal (:mod:`byte_bot.journal_cli`).

How it works. :func:`build_cli` makes a typer application around the function that runs the bot, so that a test can give
it another one; :func:`main` is the entry point. Whatever is wrong on purpose (:class:`~byte_bot.errors.ByteBotError`) is
printed on standard error in plain words, and its class decides the exit code (:class:`~byte_bot.errors.ExitCode`). A
traceback means a bug of ours, and shows no local variables: there are tokens among them.

Left out: everything that runs the bot, which is :mod:`byte_bot.launch`.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from byte_bot import __version__, launch
from byte_bot.auth.errors import LoginFailed
from byte_bot.chat.errors import LoginRejected
from byte_bot.check import as_json, as_text, check_for_real, exit_code
from byte_bot.clock import Clock, SystemClock
from byte_bot.env_file import DEFAULT_ENV_FILE
from byte_bot.errors import ByteBotError, ExitCode, Fenced, JournalLocked, JournalRefused, SettingsError
from byte_bot.finding import Finding, Status
from byte_bot.journal_cli import EnvFile, build_journal_cli
from byte_bot.login import (
    JsonScreen,
    LoginFunction,
    TextScreen,
    login_for_real,
    outcome_as_fields,
    outcome_as_text,
)
from byte_bot.logs import configure_logging, redactor
from byte_bot.persistence.schema import read_schema
from byte_bot.persistence.schema.migrate import Migration, error_as_json, migrate
from byte_bot.settings import Settings, load_settings
from byte_bot.standard_output import say

# \b keeps click from joining the lines of a block.
HELP: Final = """A Twitch chat bot that keeps chatting, and keeps what it was told, while its database is down.

It needs three settings, from the environment or from a file named .env in the
folder it is started in. With two more, of a Supabase project, it remembers
across restarts.

\b
  TWITCH_LOGIN=my_bot                 the bot's own Twitch account
  TWITCH_TOKEN=oauth:...              its user token: chat:read and chat:edit
                                      (or TWITCH_CLIENT_ID: byte-bot login)
  TWITCH_CHANNEL_LOGINS=my_channel    where it chats, separated by commas
  SUPABASE_URL=https://PROJECT.supabase.co
  SUPABASE_KEY=sb_secret_...          the project's secret key

\b
First steps:
  1. Write the lines above, with your values, into .env
  2. byte-bot migrate --print > schema.sql
                                      paste it into Supabase's SQL editor
  3. byte-bot check                   says what works and what to do
  4. byte-bot run                     then write !ping in the channel

\b
Every other setting has a default; byte_bot/README.md lists them.
To try it without Twitch and Supabase: byte-sim demo
"""

NO_DATABASE_URL: Final = """which database? Either
  - byte-bot migrate --print            and paste what it prints into Supabase's SQL editor, or
  - set SUPABASE_DB_URL to the database's address (dashboard, Connect, Session pooler) in this shell (export; of this
    command no .env is read, so that the database's password need not lie beside the bot) and try again"""

_EXIT_CODES: Final[tuple[tuple[type[ByteBotError], ExitCode], ...]] = (
    (SettingsError, ExitCode.SETTINGS),
    (LoginRejected, ExitCode.LOGIN_REFUSED),
    (Fenced, ExitCode.FENCED),
    (JournalLocked, ExitCode.JOURNAL_LOCKED),
    (JournalRefused, ExitCode.JOURNAL_REFUSED),
)

DatabaseUrl = Annotated[
    str,
    typer.Option(
        "--database-url",
        envvar=["SUPABASE_DB_URL", "DATABASE_URL"],
        help="Apply it to this database: postgresql://USER:PASSWORD@HOST:PORT/postgres",
        metavar="URL",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for a program to read.")]
WaitLock = Annotated[
    bool,
    typer.Option("--wait-lock", help="Wait for another process of this bot to end, as in a rolling deploy."),
]
Version = Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)]


def build_cli(
    run_bot: Callable[[Settings, bool], int] = launch.run,
    check_bot: Callable[[Settings], list[Finding]] | None = None,
    migrate_database: Callable[..., Migration] = migrate,
    log_in: LoginFunction = login_for_real,
    clock: Clock | None = None,
) -> typer.Typer:
    """The application.

    Args:
        run_bot: runs the bot to its end and returns the exit code; with True it waits for the journal's lock.
        check_bot: tries everything; None tries it over the real network.
        migrate_database: brings the database behind a URL up to date.
        log_in: gets a token while it shows what a human has to do, and keeps it.
        clock: wall time; None takes the machine's.
    """
    cli = typer.Typer(
        help=HELP,
        no_args_is_help=True,
        # Plain text, the same in every terminal and in a bug report.
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @cli.callback(invoke_without_command=True)
    def top(context: typer.Context, version: Version = False) -> None:
        if version:
            say(f"byte-bot {__version__}")
            raise typer.Exit(ExitCode.OK)
        if context.invoked_subcommand is None:
            raise typer.Exit(ExitCode.OK)

    @cli.command()
    def run(env_file: EnvFile = DEFAULT_ENV_FILE, wait_lock: WaitLock = False) -> None:
        """Run the bot until Ctrl-C or SIGTERM.

        Exit codes: 0 stopped, 1 failed, 2 settings, 3 Twitch refused the token, 4 another bot took over the database,
        5 another process holds the journal, 6 the journal cannot or must not be used.
        """
        settings = _load(env_file)
        configure_logging(settings.log_level, settings.log_format, secrets=settings.secrets)
        try:
            code = run_bot(settings, wait_lock)
        except ByteBotError as error:
            _fail(error, settings.secrets)
        raise typer.Exit(code)

    @cli.command("login")
    def get_token(env_file: EnvFile = DEFAULT_ENV_FILE, json: AsJson = False) -> None:
        """Get a token for the bot, which it then renews by itself.

        Needs TWITCH_CLIENT_ID. Shows an address and a code, and waits until somebody has opened the one as the bot's account, entered
        the other and allowed what is asked for. The token is kept in a file that only its owner can read (TWITCH_TOKEN_FILE); a bot
        that runs takes it up by itself. With --json it prints one object a line.

        Exit codes: 0 the token is kept, 1 there is none, 2 settings.
        """
        screen: TextScreen | JsonScreen = JsonScreen(sys.stdout)
        secrets: Sequence[str] = ()
        try:
            settings = load_settings(env_file=env_file, warn=_warn)
            secrets = settings.secrets
            configure_logging("warning", settings.log_format, secrets=secrets)
            if not json:
                screen = TextScreen(sys.stdout, sys.stderr, settings.twitch_login)
            token, place = log_in(settings, screen)
        except (ByteBotError, KeyboardInterrupt) as error:
            screen.end()
            known = error if isinstance(error, ByteBotError) else LoginFailed("given up; no token was kept")
            if not json:
                _fail(known, secrets)
            JsonScreen(sys.stdout).write("failed", error=redactor(secrets)(str(known)))
            raise typer.Exit(_code_of(known)) from None
        screen.end()
        if isinstance(screen, JsonScreen):
            screen.write("done", **outcome_as_fields(token, place))
        else:
            say(outcome_as_text(token, place, (clock or SystemClock()).unix()))

    @cli.command()
    def check(env_file: EnvFile = DEFAULT_ENV_FILE, json: AsJson = False) -> None:
        """Say what works, what does not, and what to do.

        Tries the settings, the journal's place, the token, the Twitch login, the database, its schema, grants and clock. Changes nothing, and may be
        used while the bot runs. Exit code 0 only if nothing failed, 2 for wrong settings.
        """
        show = as_json if json else as_text
        try:
            settings = load_settings(env_file=env_file, warn=_warn)
            configure_logging("warning", settings.log_format, secrets=settings.secrets)
            findings = check_bot(settings) if check_bot else asyncio.run(check_for_real(settings))
        except SettingsError as error:
            if not json:
                _fail(error)
            say(as_json([Finding("settings", Status.FAILED, str(error), "correct them and try again")]))
            raise typer.Exit(ExitCode.SETTINGS) from None
        # What servers say is quoted in findings; redacted like everything else that is printed.
        say(redactor(settings.secrets)(show(findings)))
        raise typer.Exit(exit_code(findings))

    @cli.command("migrate")
    def bring_up_to_date(
        print_sql: Annotated[
            bool, typer.Option("--print", help="Print the SQL for Supabase's SQL editor; connect to nothing.")
        ] = False,
        database_url: DatabaseUrl = "",
        check: Annotated[
            bool,
            typer.Option("--check", help="Change nothing: say what would be done, exit code 1 if anything."),
        ] = False,
        again: Annotated[
            bool,
            typer.Option(
                "--again", help="Run every file, also those that ran: restores what was dropped or revoked."
            ),
        ] = False,
        json: AsJson = False,
    ) -> None:
        """Make the tables and functions the bot needs, or bring them up to date.

        byte-bot migrate --print > schema.sql

        prints SQL to paste into Supabase's SQL editor. With the address of the database in SUPABASE_DB_URL (or
        DATABASE_URL, from the environment, not from .env; or in --database-url, which counts more than both, and which
        your shell remembers, password and all) it is applied at once, in one transaction. Either way nothing that is there is changed, and doing it again does no harm.

        Exit codes: 0 done, or nothing to do; 1 failed, and nothing was changed (with --check: or something is to be
        done); 2 no address, or a wrong one.
        """
        if print_sql:
            say(read_schema())
            raise typer.Exit(ExitCode.OK)
        try:
            if not database_url.strip():
                raise SettingsError(NO_DATABASE_URL)
            migration = migrate_database(database_url.strip(), dry_run=check, again=again)
        except ByteBotError as error:
            if json:
                say(error_as_json(error))
                raise typer.Exit(_code_of(error)) from None
            _fail(error)
        say(migration.as_json() if json else migration.as_text())
        raise typer.Exit(ExitCode.FAILED if check and migration.pending else ExitCode.OK)

    cli.add_typer(
        build_journal_cli(clock or SystemClock(), _fail),
        name="journal",
        short_help="Look into the bot's journal on this machine, and repair it.",
    )
    return cli


def _load(env_file: Path) -> Settings:
    try:
        return load_settings(env_file=env_file, warn=_warn)
    except SettingsError as error:
        _fail(error)


def _warn(sentence: str) -> None:
    typer.echo(f"byte-bot: {sentence}", err=True)


def _code_of(error: ByteBotError) -> ExitCode:
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), ExitCode.FAILED)


def _fail(error: ByteBotError, secrets: Sequence[str] = ()) -> NoReturn:
    """Print ``error`` without a traceback and end with its exit code."""
    code = _code_of(error)
    typer.echo(f"byte-bot: {redactor(secrets)(str(error))}", err=True)
    if code is ExitCode.SETTINGS:
        typer.echo("byte-bot: `byte-bot --help` shows an example.", err=True)
    raise typer.Exit(code)


def main(arguments: Sequence[str] | None = None) -> None:
    """The script ``byte-bot``: take the arguments (default: the process's), end with an exit code."""
    # A console with a legacy code page must not stop a report with an accent in it.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    build_cli()(args=None if arguments is None else list(arguments), prog_name="byte-bot")
