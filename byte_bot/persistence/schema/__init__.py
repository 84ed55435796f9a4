"""The bot's database schema, shipped as SQL files.

The files are pasted into Supabase's SQL editor in the order of their names, or handed over as one text by
`read_schema`. Each can be run again without harm. What the tables and functions promise stands in the files
themselves. This package only finds the files: it connects to nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

SCHEMA_DIR: Final = Path(__file__).resolve().parent


def schema_files() -> tuple[Path, ...]:
    """The schema's SQL files in the order in which they must be run."""
    return tuple(sorted(SCHEMA_DIR.glob("*.sql")))


def read_schema() -> str:
    """The whole schema as one SQL script, each part under its file's name."""
    return "\n".join(f"-- {path.name}\n\n{path.read_text(encoding='utf-8')}" for path in schema_files())
