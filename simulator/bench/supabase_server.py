"""A fake Supabase alone in a process: `python -m simulator.bench.supabase_server SCHEMA_DIR SEED UNIX_START_S`.

What `byte-sim serve` does, without the command line's imports: a benchmark starts it a hundred times. One line of JSON on
standard output says where it listens; it stays until it is killed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from simulator.serve import Stage, serve


def main(arguments: Sequence[str]) -> None:
    """Serve until the process is killed."""
    schema_dir, seed, unix_start_s = arguments
    asyncio.run(_serve(Path(schema_dir), int(seed), float(unix_start_s)))


async def _serve(schema_dir: Path, seed: int, unix_start_s: float) -> None:
    stage = Stage(schema_dir, unix_start_s=unix_start_s, seed=seed)
    await serve(stage, lambda line: print(line, flush=True))  # noqa: T201 - the announcement


if __name__ == "__main__":
    main(sys.argv[1:])
