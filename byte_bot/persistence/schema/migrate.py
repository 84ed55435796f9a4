"""``byte-bot migrate``: brings the database's schema up to this program's, over a connection to PostgreSQL itself.

How it works. The schema's files (:mod:`byte_bot.persistence.schema`) are versions, written down in the database with their
checksums. Inside one transaction, and behind a lock that only one migration can hold, `migrate` reads what is written
there, runs the first file that is missing or has another checksum, and every later one, and writes them down. All can be
run again without harm, so what was pasted into Supabase's editor without being written down is simply run again and then
is. It ends with all of them or, whatever goes wrong, with none.

The database is named by a URL, which holds a password. Nothing of it is ever shown but user, host and port: what libpq
makes of a URL with a special character in its password is refused before it can be quoted in an error.

psycopg is an extra, ``[migrate]``, and imported on first use: the bot itself speaks HTTP only, and who pastes the SQL by
hand needs no driver.

Left out: going back. A schema is only ever added to, so an older program works on a newer one; this command alone refuses.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from byte_bot.errors import MigrationError, SettingsError
from byte_bot.logs import redactor
from byte_bot.persistence.schema import CREATE_LEDGER, TAKE_LOCK, SchemaVersion, schema_versions

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

# Seconds until a connection is given up; chosen: a project on another continent needs less than one.
CONNECT_TIMEOUT_S: Final = 10
# Seconds to wait for another migration, or for a transaction that uses a table; the bot's own take milliseconds.
LOCK_TIMEOUT_S: Final = 15
# Seconds for one file. It makes a handful of objects; only an index on a long history takes longer than a blink.
STATEMENT_TIMEOUT_S: Final = 120

_URL_EXAMPLE: Final = "postgresql://postgres.PROJECT:PASSWORD@HOST:5432/postgres"
_PLACEHOLDER: Final = "[YOUR-PASSWORD]"  # in the URL that the dashboard shows
_WHERE_URL: Final = "dashboard, Connect, Session pooler"
_ENCODE: Final = "write special characters of the password percent-encoded (% as %25, @ as %40, / as %2F, # as %23, : as %3A)"
# Python reads such a URL as if nothing were wrong; libpq refuses it, and quotes what stands there.
_BARE_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_INSTALL: Final = "pip install 'psycopg[binary]>=3.2,<4', or the extra [migrate] with the bot"
_BY_HAND: Final = "or paste the output of `byte-bot migrate --print` into Supabase's SQL editor"

# What to do about a SQLSTATE; others are shown in the server's words alone.
_ADVICE: Final[Mapping[str, str]] = {
    "42501": f"connect as the user postgres ({_WHERE_URL}), {_BY_HAND}",
    "42704": "this is no Supabase database: the roles anon, authenticated and service_role must exist",
    "25006": "the database is read-only: a project that is out of disk, or a replica",
    "55P03": "another migration, or a transaction that was left open, holds a lock: try again, or end it in the dashboard",
    "53100": "the database's disk is full: free or buy space, then try again",
    "57014": "it took too long: try again while the database has less to do",
}
# What a failed login or connection says, in lower case, and what to do. The first that fits counts.
_CONNECTION_ADVICE: Final[tuple[tuple[str, str], ...]] = (
    ("password authentication failed", "check the password (dashboard, Database, Settings: it can be reset)"),
    ("wrong password", "check the password (dashboard, Database, Settings: it can be reset)"),
    ("sasl", "check the password (dashboard, Database, Settings: it can be reset)"),
    ("no password supplied", f"the URL has no password: {_URL_EXAMPLE}"),
    ("tenant or user not found", f"check user and host: copy the URL anew ({_WHERE_URL})"),
    ("does not exist", f"check user and database: copy the URL anew ({_WHERE_URL})"),
    (
        "",
        (
            "check host and port, and whether the project is paused; db.PROJECT.supabase.co needs IPv6, the session"
            f" pooler does not ({_WHERE_URL}), {_BY_HAND}"
        ),
    ),
)


class Step(enum.StrEnum):
    """What `migrate` does about one file."""

    CURRENT = "current"
    APPLY = "apply"
    APPLY_AGAIN = "apply again"


@dataclass(frozen=True, slots=True)
class FileStep:
    """One file and what is done about it."""

    file: SchemaVersion
    step: Step


@dataclass(frozen=True, slots=True)
class Migration:
    """What was done, or would be.

    ``steps`` has one entry a file; ``by_hand`` is True when the tables were there and nothing was written down;
    ``dry_run`` when nothing was changed.
    """

    database: str
    steps: tuple[FileStep, ...]
    by_hand: bool
    dry_run: bool

    @property
    def pending(self) -> tuple[FileStep, ...]:
        """The files that were run, or would be."""
        return tuple(one for one in self.steps if one.step is not Step.CURRENT)

    def as_json(self) -> str:
        """One JSON object."""
        files = [
            {"version": one.file.version, "name": one.file.name, "step": str(one.step)} for one in self.steps
        ]
        found: dict[str, object] = {
            "ok": True, "database": self.database, "dry_run": self.dry_run, "by_hand": self.by_hand,
            "pending" if self.dry_run else "applied": [one.file.name for one in self.pending], "files": files,
        }  # fmt: skip
        return json.dumps(found)

    def as_text(self) -> str:
        """Lines for people."""
        words = {
            Step.CURRENT: "is there",
            Step.APPLY: "would be applied" if self.dry_run else "applied",
            Step.APPLY_AGAIN: "would be applied again" if self.dry_run else "applied again",
        }
        lines = [f"{one.file.name:<16}{words[one.step]}" for one in self.steps]
        if self.by_hand:
            lines.insert(
                0, "The tables are there, but no version is written down: made by hand. No row is changed."
            )
        if not self.pending:
            lines.append(f"{self.database} is up to date.")
        elif self.dry_run:
            lines.append(f"{self.database} was not changed: without --check the files would be applied.")
        else:
            lines.append(f"{self.database} is up to date now.")
        return "\n".join(lines)


def plan(
    recorded: Mapping[int, str], files: Sequence[SchemaVersion], *, again: bool = False
) -> tuple[FileStep, ...]:
    """What is to be done about each file: from the first that is missing or differs, all are run.

    Args:
        recorded: the checksum of each version that is written down in the database.
        files: the program's, in order.
        again: run all of them.

    Raises:
        MigrationError: a version is written down that is newer than all the program's.
    """
    newest = files[-1].version
    if recorded and max(recorded) > newest:
        raise MigrationError(
            f"the database's schema is version {max(recorded)}, this program knows {newest}: it is older than the one that"
            " made the schema. Nothing was changed; migrate with the newest byte-bot that uses this database"
        )
    steps: list[FileStep] = []
    differs = again
    for file in files:
        known = recorded.get(file.version)
        # A later file may change what an earlier one made, so it must also have the last word.
        differs = differs or known != file.checksum
        step = Step.CURRENT if not differs else Step.APPLY if known is None else Step.APPLY_AGAIN
        steps.append(FileStep(file, step))
    return tuple(steps)


def migrate(
    url: str,
    *,
    dry_run: bool = False,
    again: bool = False,
    files: Sequence[SchemaVersion] | None = None,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
) -> Migration:
    """Bring the database behind ``url`` up to date, all of it or nothing.

    Args:
        url: ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``.
        dry_run: only say what would be done.
        again: run also what is written down: a table, function or grant that somebody took away comes back.
        files: other files than the program's, for a test.
        lock_timeout_s: how long to wait for another migration, or for a transaction that uses a table.

    Returns:
        What was done about each file.

    Raises:
        SettingsError: the URL is none, or has something in it that libpq does not know.
        MigrationError: it could not be done, and nothing was changed; with the way out, without the password.
    """
    files = schema_versions() if files is None else files
    address = address_of(url)
    with _connected(url, address, lock_timeout_s) as connection:
        if dry_run:
            connection.execute("set transaction read only")
        else:
            connection.execute(TAKE_LOCK.encode())
        recorded = _recorded(connection)
        by_hand = not recorded and _exists(connection, "public.bot_writer")
        done = Migration(address, plan(recorded, files, again=again), by_hand, dry_run)
        if done.pending and not dry_run:
            connection.execute(CREATE_LEDGER.encode())
            for one in done.pending:
                connection.execute((one.file.sql + one.file.record).encode())
    return done


def error_as_json(error: Exception) -> str:
    """The JSON object of a migration that was not done."""
    return json.dumps({"ok": False, "error": str(error)})


def address_of(url: str) -> str:
    """User, host, port and database of a PostgreSQL URL, for people: everything but the password.

    Raises:
        SettingsError: it is no such URL, or one whose password would be taken for something else.
    """
    if _PLACEHOLDER in url:
        raise SettingsError(
            f"the database's URL still says {_PLACEHOLDER}: put the project's database password there"
        )
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    except ValueError:
        # Its words would quote what it took for the port.
        raise SettingsError(
            f"the database's URL has no port that is a number: {_URL_EXAMPLE}; {_ENCODE}"
        ) from None
    if parts.scheme not in ("postgres", "postgresql"):
        raise SettingsError(f"the database's URL must look like this: {_URL_EXAMPLE} ({_WHERE_URL})")
    if url.count("@") != parts.netloc.count("@") or parts.netloc.count("@") > 1 or parts.fragment:
        raise SettingsError(f"the database's URL cannot be read: {_ENCODE}")
    if _BARE_PERCENT.search(url):
        raise SettingsError(f"the database's URL cannot be read: {_ENCODE}")
    user = f"{unquote(parts.username)}@" if parts.username else ""
    return f"{user}{parts.hostname or 'localhost'}:{port}{parts.path}"


@contextmanager
def _connected(url: str, address: str, lock_timeout_s: float) -> Iterator[Connection]:
    """A connection in a transaction, which is committed at the end; whatever PostgreSQL says becomes a MigrationError."""
    try:
        # Here and not above: see the module's docstring.
        import psycopg
    except ImportError as error:
        raise MigrationError(f"a PostgreSQL driver is needed: {_INSTALL}; {_BY_HAND} [{error}]") from None

    try:
        redact = redactor(_secrets_of(url, psycopg.conninfo.conninfo_to_dict))
    except (psycopg.Error, UnicodeError):
        # Without its words: they quote a piece of the URL, and what is secret in it could not be read.
        raise SettingsError(
            "the database's URL cannot be read by PostgreSQL's own library: check the names of the parameters behind its ?"
            f" (sslmode=require, for example), and {_ENCODE}"
        ) from None
    try:
        # No prepared statements: a pooler hands each transaction to another connection.
        connection = psycopg.connect(
            url,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="byte-bot migrate",
            prepare_threshold=None,
        )
    except psycopg.Error as error:
        words = redact(" ".join(str(error).split()))
        advice = next(advice for text, advice in _CONNECTION_ADVICE if text in words.lower())
        raise MigrationError(f"{address} cannot be reached: {advice} [{words}]") from None
    try:
        with connection:
            # Settings of the transaction: a pooler drops those that a connection is opened with.
            connection.execute(
                f"set local lock_timeout = '{lock_timeout_s}s'; set local statement_timeout = '{STATEMENT_TIMEOUT_S}s'".encode()
            )
            yield connection
    except psycopg.Error as error:
        words = redact(" ".join(str(error).split()))
        advice = _ADVICE.get(error.sqlstate or "", _BY_HAND.removeprefix("or "))
        raise MigrationError(
            f"{address} was not changed: {advice} [{error.sqlstate or 'connection lost'}: {words}]"
        ) from None


def _secrets_of(url: str, parse: Callable[[str], Mapping[str, object]]) -> list[str]:
    """The password, as it stands in the URL and decoded."""
    raw = urlsplit(url).password or ""
    return [secret for secret in (raw, str(parse(url).get("password") or "")) if secret]


def _exists(connection: Connection, relation: str) -> bool:
    row = connection.execute("select to_regclass(%s) is not null", [relation]).fetchone()
    return bool(row and row[0])


def _recorded(connection: Connection) -> dict[int, str]:
    if not _exists(connection, "byte_bot_private.schema_versions"):
        return {}
    rows = connection.execute("select version, checksum from byte_bot_private.schema_versions").fetchall()
    return {int(version): str(checksum) for version, checksum in rows}
