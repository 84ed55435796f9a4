"""``byte-bot journal``: what the journal on this machine holds, and what to do with rows that the database refused.

How it works. ``status``, ``list``, ``show`` and ``export`` read beside a running bot and change nothing
(:mod:`byte_bot.persistence.journal_inspection`). ``requeue`` and ``drop`` write, so they need the bot stopped: they take the
journal's lock (:mod:`byte_bot.persistence.journal_repair`). The journal is found as the bot finds it, by ``JOURNAL_PATH`` and
``TWITCH_LOGIN``, or is named with ``--file``; no other setting is needed, and none is looked at but to keep it out of what is
printed.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final, NoReturn, Protocol, TextIO

import typer

from byte_bot import journal_tables
from byte_bot.clock import Clock, iso_utc
from byte_bot.env_file import DEFAULT_ENV_FILE, named_values
from byte_bot.errors import ByteBotError, SettingsError
from byte_bot.logs import redactor
from byte_bot.persistence.journal_inspection import Entry, JournalReader, key_of, open_for_reading
from byte_bot.persistence.journal_lock import Holder, holder_of, is_locked, lock_path
from byte_bot.persistence.journal_opening import journal_path
from byte_bot.persistence.journal_origin import COMPANIONS, SQLITE_MAGIC, followed
from byte_bot.persistence.journal_repair import open_for_repair
from byte_bot.setting_values import login_of
from byte_bot.standard_output import say, standard_output
from byte_bot.user_folder import expanded

HELP: Final = """Look into the bot's journal on this machine, and repair it.

status, list, show and export may be used while the bot runs, and change
nothing. requeue and drop need the bot stopped.

\b
A row that the database refused (a dead letter):
  1. byte-bot journal list --dead      which, and the server's words
  2. byte-bot journal show ROW         what was sent
  3. correct the cause, stop the bot, then
     byte-bot journal requeue ROW      it is sent again at the next start
  or byte-bot journal drop ROW         its changes are given up

\b
Exit codes: 0 done, 1 failed or not found, 2 settings or usage,
5 the bot holds the journal, 6 there is no journal or it cannot be used.
"""
#: Rows of a list that ``--limit`` does not change.
LIST_LIMIT: Final = 50
#: Columns of a terminal in which the tables are still readable.
WIDTH_MIN: Final = 60

EnvFile = Annotated[
    Path,
    typer.Option(
        "--env-file", help="File with lines NAME=value; the environment overrides it.", metavar="PATH"
    ),
]
File = Annotated[
    Path | None,
    typer.Option(
        "--file", help="The journal's file; otherwise JOURNAL_PATH and TWITCH_LOGIN say.", metavar="PATH"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Channel = Annotated[
    str, typer.Option("--channel", help="Only this channel: its login, or its id.", metavar="CHANNEL")
]
Dead = Annotated[bool, typer.Option("--dead", help="Only rows that the database refused.")]
Limit = Annotated[int, typer.Option("--limit", help="How many rows at most.", min=1)]
RowName = Annotated[
    str, typer.Argument(help="As `list` shows it: component_state/141981764/counters.", metavar="ROW")
]
MaybeRow = Annotated[str, typer.Argument(help="As `list` shows it.", metavar="ROW", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="Every dead letter.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Target = Annotated[
    str, typer.Argument(help="The file to write; - writes to standard output.", metavar="FILE")
]


class Fail(Protocol):
    """Ends the program with a sentence and an exit code."""

    def __call__(self, error: ByteBotError, secrets: Sequence[str] = ()) -> NoReturn:
        """Print ``error`` without ``secrets``, and leave."""
        ...


class _Place:
    """Which journal is meant, and what must not be printed.

    Args:
        file: the journal, if it was named.
        env_file: where settings stand beside the environment.

    Raises:
        SettingsError: neither the file nor the bot's login is known.
    """

    def __init__(self, file: Path | None, env_file: Path) -> None:
        values = named_values(None, env_file)
        self._redact = redactor(
            [values.get(name, "") for name in ("twitch_token", "twitch_client_secret", "supabase_key")]
        )
        setting = values.get("journal_path", "").strip()
        login = values.get("twitch_login", "")
        if file is not None:
            # Whoever names a file means that one, whoever's it is.
            self.path, self.login = followed(expanded(file, "--file")), ""
            return
        if not login:
            raise SettingsError(
                "TWITCH_LOGIN is missing: it says whose journal is meant. Set it, start in the folder of the bot's .env, "
                "or name the journal with --file"
            )
        try:
            self.login = login_of(login)
        except ValueError as error:
            raise SettingsError(f"TWITCH_LOGIN: {error}") from None
        # Where a link leads to: there lie the WAL and the lock, and there the bot would set the file aside.
        self.path = followed(journal_path(setting, self.login, os.environ))

    def open(self, *, salvage: bool = False) -> AbstractContextManager[JournalReader]:
        """The journal, to be read; with ``salvage`` a damaged one as far as it goes."""
        return open_for_reading(self.path, self.login, salvage=salvage)

    def use(self) -> journal_tables.Use:
        """Who holds it."""
        held = is_locked(self.path)
        return journal_tables.Use(held, holder_of(self.path) if held else None)

    def sizes(self) -> journal_tables.FileSizes:
        """Bytes on disk."""
        wal = Path(f"{self.path}-wal")
        return journal_tables.FileSizes(self.path.stat().st_size, wal.stat().st_size if wal.exists() else 0)

    def say(self, text: str) -> None:
        """Print, without secrets."""
        say(self._redact(text))

    def write(self, lines: Iterable[str], out: TextIO) -> int:
        """Write lines, without secrets; how many."""
        written = 0
        for written, line in enumerate(lines, start=1):  # noqa: B007  # counted
            out.write(f"{self._redact(line)}\n")
        return written


def build_journal_cli(clock: Clock, fail: Fail) -> typer.Typer:
    """The commands of ``byte-bot journal``.

    Args:
        clock: wall time, for ages.
        fail: ends the program when something is wrong on purpose.
    """
    cli = typer.Typer(
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @cli.command()
    def status(env_file: EnvFile = DEFAULT_ENV_FILE, file: File = None, json: AsJson = False) -> None:
        """Say where the journal is, who holds it, and how much waits in it."""

        def work() -> None:
            place = _Place(file, env_file)
            with place.open() as reader:
                overview = reader.overview(clock.unix())
            facts = (escaped_path(place.path), overview, place.sizes(), place.use())
            if json:
                place.say(journal_tables.json_text(journal_tables.overview_data(*facts), indent=2))
            else:
                place.say(journal_tables.overview_text(*facts, _width()))

        _guarded(work, fail)

    @cli.command(name="list")
    def list_rows(
        env_file: EnvFile = DEFAULT_ENV_FILE,
        file: File = None,
        channel: Channel = "",
        dead: Dead = False,
        limit: Limit = LIST_LIMIT,
        json: AsJson = False,
    ) -> None:
        """List the rows whose changes wait, refused ones first."""

        def work() -> None:
            place = _Place(file, env_file)
            with place.open() as reader:
                listing = reader.listing(channel=channel, dead_only=dead, limit=limit)
            if json:
                place.say(journal_tables.json_text(journal_tables.listing_data(listing), indent=2))
            else:
                place.say(journal_tables.listing_text(listing, clock.unix(), _width()))

        _guarded(work, fail)

    @cli.command()
    def show(
        row: RowName, env_file: EnvFile = DEFAULT_ENV_FILE, file: File = None, json: AsJson = False
    ) -> None:
        """Show one row: base, pending changes, why it was refused."""

        def work() -> None:
            place = _Place(file, env_file)
            with place.open() as reader:
                entry = _entry(reader, row)
            if json:
                data = {**journal_tables.entry_data(entry), "unreadable": reader.unreadable}
                place.say(journal_tables.json_text(data, indent=2))
            else:
                text = journal_tables.entry_text(entry, _width())
                place.say(text + journal_tables.unreadable_text(reader.unreadable, _width()))

        _guarded(work, fail)

    @cli.command()
    def export(
        target: Target, env_file: EnvFile = DEFAULT_ENV_FILE, file: File = None, dead: Dead = False
    ) -> None:
        """Write everything as JSON lines, for repairs by hand.

        FILE holds what viewers wrote, so only its owner may read it. One that is
        there is replaced, once everything is written; a database never is. Of
        a damaged journal what can be read is written, with exit code 1.
        """

        def work() -> None:
            place = _Place(file, env_file)
            # In this order: the old file stays if the journal turns out to have been changed meanwhile.
            with _written(target, place.path) as out, place.open(salvage=True) as reader:
                now_s = clock.unix()
                lines = place.write(
                    journal_tables.export_lines(
                        reader.overview(now_s),
                        reader.channels(),
                        reader.handled(),
                        reader.everything(dead_only=dead),
                        now_s,
                        reader.unreadable,
                    ),
                    out,
                )
            if target != "-":
                say(f"{lines} lines written to {target}")
            if reader.unreadable:
                raise ByteBotError(
                    f"the journal {place.path} cannot be read in full, so the export is not complete."
                    + journal_tables.unreadable_text(reader.unreadable, _width())
                )

        _guarded(work, fail)

    @cli.command()
    def requeue(
        row: MaybeRow = "",
        env_file: EnvFile = DEFAULT_ENV_FILE,
        file: File = None,
        every: All = False,
        json: AsJson = False,
    ) -> None:
        """Have a refused row sent again at the bot's next start.

        The bot must be stopped.
        """
        if bool(row) is every:
            raise typer.BadParameter("name a row, or say --all")

        def work() -> None:
            place = _Place(file, env_file)
            with open_for_repair(place.path, place.login, _holder(place, clock)) as repair:
                reader = repair.reader
                entries = list(reader.everything(dead_only=True)) if every else [_entry(reader, row)]
                for entry in entries:
                    if entry.letter is None:
                        raise ByteBotError(
                            f"{entry.key.name} is no dead letter: nothing of it was refused. "
                            "`byte-bot journal list --dead` shows what was"
                        )
                repair.requeue(entries)
            if json:
                place.say(journal_tables.json_text({"requeued": _changes(entries)}, indent=2))
                return
            for entry in entries:
                place.say(f"requeued: {_named(entry)}")
            place.say("They are sent at the bot's next start." if entries else "There are no dead letters.")

        _guarded(work, fail)

    @cli.command()
    def drop(
        row: RowName,
        env_file: EnvFile = DEFAULT_ENV_FILE,
        file: File = None,
        yes: Yes = False,
        json: AsJson = False,
    ) -> None:
        """Give up a row's pending changes.

        What the database has counts then. The bot must be stopped.
        """
        if json and not yes:
            raise typer.BadParameter("--json needs --yes: a program cannot be asked")

        def work() -> None:
            place = _Place(file, env_file)
            with open_for_repair(place.path, place.login, _holder(place, clock)) as repair:
                entry = _entry(repair.reader, row)
                if not entry.operations and entry.letter is None:
                    raise ByteBotError(
                        f"{entry.key.name} has no pending changes: there is nothing to give up"
                    )
                if not yes:
                    place.say(journal_tables.entry_text(entry, _width()))
                    typer.confirm(
                        f"\nGive up {_named(entry)}? Viewers were told of them", abort=True, err=True
                    )
                repair.drop([entry])
            if json:
                place.say(journal_tables.json_text({"given_up": _changes([entry])}, indent=2))
            else:
                place.say(f"given up: {_named(entry)}. The row is as the database has it.")

        _guarded(work, fail)

    return cli


def _guarded(work: Callable[[], None], fail: Fail) -> None:
    try:
        work()
    except ByteBotError as error:
        fail(error)


def escaped_path(path: Path) -> str:
    """A path as it can be shown."""
    return journal_tables.escaped(str(path))


def _entry(reader: JournalReader, name: str) -> Entry:
    key = key_of(name)
    entry = None if key is None else reader.entry(key)
    if entry is None:
        raise ByteBotError(
            f"the journal has no row {journal_tables.escaped(name)!r}: `byte-bot journal list` shows those with changes, as "
            "TABLE/CHANNEL or TABLE/CHANNEL/KEY"
        )
    return entry


def _named(entry: Entry) -> str:
    number = len(entry.operations)
    return f"{number} change{'' if number == 1 else 's'} of {journal_tables.escaped(entry.key.name)}"


def _changes(entries: Iterable[Entry]) -> list[dict[str, str | int]]:
    """For a program: the rows, and how many changes each had."""
    return [{"row": entry.key.name, "changes": len(entry.operations)} for entry in entries]


def _holder(place: _Place, clock: Clock) -> Holder:
    login = place.login or "byte-bot journal"
    return Holder(os.getpid(), socket.gethostname(), login, iso_utc(clock.unix()))


@contextmanager
def _written(target: str, journal: Path) -> Iterator[TextIO]:
    """A file to be filled, for its owner only: viewers' words are in it.

    It takes the place of ``target`` once it is whole, so one that was there is neither cut short nor left with a mode of its own.

    Raises:
        ByteBotError: it cannot be written, or must not be: it is the journal or belongs to it, or it is another database.
    """
    if target == "-":
        with standard_output() as out:
            yield out
        return
    path = Path(os.path.realpath(target))
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        if path.exists() and not path.is_file():
            raise ByteBotError(f"{target!r} is no file: name one, or let - write to standard output")
        if _belongs_to(path, journal) or _is_database(path):
            raise ByteBotError(
                f"{target!r} is a journal or belongs to one: the export would destroy it. Name another file"
            )
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _unwritable(target, error) from None
    try:
        with open(descriptor, "w", encoding="utf-8") as out:
            yield out
        os.replace(part, path)
    except OSError as error:
        raise _unwritable(target, error) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _belongs_to(path: Path, journal: Path) -> bool:
    """True if ``path`` is the journal, or one of the files beside it, by whatever name; also one that is not there now."""
    real = Path(os.path.realpath(journal))
    files = [lock_path(real), *(real.with_name(f"{real.name}{end}") for end in COMPANIONS)]
    return path in files or any(path.samefile(file) for file in files if path.exists() and file.exists())


def _is_database(path: Path) -> bool:
    """True for a file of SQLite's: another bot's journal perhaps."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def _unwritable(target: str, error: OSError) -> ByteBotError:
    return ByteBotError(f"{target!r} cannot be written: {error.strerror or error}")


def _width() -> int:
    return max(WIDTH_MIN, shutil.get_terminal_size().columns)
