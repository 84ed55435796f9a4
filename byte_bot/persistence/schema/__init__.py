"""The bot's database schema, shipped as SQL files.

How it works. Each file ``NNN_name.sql`` is one version of the schema, NNN its number. A file can be run again without
harm, and a released one is never edited: what comes later is a file of its own. `read_schema` hands all over as one
script for Supabase's SQL editor, and ``byte-bot migrate`` (`migrate`) runs the same pieces itself. Both
write down what they ran, with a checksum, in ``byte_bot_private.schema_versions``, so that each recognises what the
other did; both refuse a database in which a later program has written down a version that is not known here.

What the tables and functions promise stands in the files themselves. Only `migrate` connects to anything.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SCHEMA_DIR: Final = Path(__file__).resolve().parent

# Held to the end of the transaction, so that two migrations at once run one after the other. The number is "byte-bot"
# in ASCII, read as one integer; the lock is the database's own, and nobody else has a reason to take it.
TAKE_LOCK: Final = f"select pg_advisory_xact_lock({int.from_bytes(b'byte-bot')});\n"

# Not one of the files: it has to be there before the first of them, whose versions it holds.
CREATE_LEDGER: Final = """\
create schema if not exists byte_bot_private;
create table if not exists byte_bot_private.schema_versions (
  version integer primary key check (version > 0),
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now(),
  applied_by text not null default session_user
);
comment on table byte_bot_private.schema_versions is 'Which of byte-bot''s schema files ran here; written by byte-bot migrate.';
alter table byte_bot_private.schema_versions enable row level security;
revoke all on table byte_bot_private.schema_versions from public, anon, authenticated, service_role;
"""

_HEADER: Final = """\
-- Byte Bot's schema: paste all of this into the SQL editor of Supabase's dashboard and run it. It makes what is missing,
-- and changes nothing that is there already. Printed by byte-bot migrate --print.

"""

_REFUSE_NEWER: Final = """\
do $$
begin
  if exists (select from byte_bot_private.schema_versions where version > {newest}) then
    raise exception 'this database has a newer schema than the program that printed this: print it with a newer byte-bot';
  end if;
end
$$;
"""


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """One file: its number, its name without ``.sql``, and its text with newlines as line ends."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def record(self) -> str:
        """The statement that writes down that this file was run."""
        return (
            "insert into byte_bot_private.schema_versions (version, name, checksum)\n"
            f"values ({self.version}, '{self.name}', '{self.checksum}')\n"
            "on conflict (version) do update set name = excluded.name, checksum = excluded.checksum,\n"
            "  applied_at = now(), applied_by = session_user;\n"
        )


def schema_files() -> tuple[Path, ...]:
    """The schema's SQL files in the order in which they must be run."""
    return tuple(sorted(SCHEMA_DIR.glob("*.sql")))


def schema_versions() -> tuple[SchemaVersion, ...]:
    """The files with their texts, in the order of their numbers."""
    return tuple(
        SchemaVersion(int(path.stem.partition("_")[0]), path.stem, path.read_text(encoding="utf-8"))
        for path in schema_files()
    )


def read_schema() -> str:
    """The whole schema as one SQL script: each file under its name, and what writes down that it was run."""
    versions = schema_versions()
    refuse_newer = _REFUSE_NEWER.format(newest=versions[-1].version)
    parts = [f"-- {one.name}.sql\n\n{one.sql}\n{one.record}" for one in versions]
    return "\n".join((_HEADER + TAKE_LOCK + CREATE_LEDGER + refuse_newer, *parts))
