"""`make clients`: real Twitch clients, unmodified, against `byte-sim serve`; a table of client and behaviour.

    python -m tests.clients --only tmijs,dank --json clients.json

Installs what is missing into `.peers/clients` (pip and npm, pinned), plays every act with all clients at once, prints the table, what
failed, and what is a client's own fault with the reason; the last line is `N passed, N failed`, with `, N skipped` where Node is
missing. Exit code 0 when nothing failed, 1 when something did, 2 when the fakes did not start, 130 after Ctrl-C.

With `--install`, as `make test` begins, nothing is played: what is missing is installed if that is quickly done, and what cannot be is told,
with the reason; the exit code is 0 all the same, since the tests can do without.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from simulator.termination import cancelled_by_sigterm
from tests.clients.acts import ACTS
from tests.clients.installation import RUNTIMES, Unavailable, install
from tests.clients.performance import perform
from tests.clients.roster import CLIENTS, Client, Runtime
from tests.clients.stage import StageError
from tests.clients.verdicts import Verdict, as_json, exit_code, last_line, remarks, table

NO_STAGE = 2
INTERRUPTED = 130


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.clients", description=(__doc__ or "").partition("\n")[0]
    )
    logins = ", ".join(client.login for client in CLIENTS)
    parser.add_argument("--only", type=_clients, default=CLIENTS, metavar="NAMES", help=f"some of: {logins}")
    parser.add_argument("--quick", action="store_true", help="without the slow acts, as in make test")
    parser.add_argument(
        "--tls", action="store_true", help="everything over TLS, under a throw-away authority"
    )
    parser.add_argument("--install", action="store_true", help="only install what is missing; play nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every verdict as JSON")
    return parser.parse_args(arguments)


def _clients(text: str) -> tuple[Client, ...]:
    wanted = [name for name in text.split(",") if name]
    known = {client.login: client for client in CLIENTS}
    if unknown := [name for name in wanted if name not in known]:
        raise argparse.ArgumentTypeError(f"no client {unknown[0]!r}; there are: {', '.join(known)}")
    return tuple(known[name] for name in wanted)


def tell(words: str) -> None:
    """One line about how far it is."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


async def prepare(clients: Sequence[Client], *, hasty: bool = False) -> dict[Runtime, str]:
    """Install what the clients need; the runtimes that are not to be had, each with the reason."""
    unavailable: dict[Runtime, str] = {}

    async def get(runtime: Runtime) -> None:
        try:
            await install(runtime, tell, hasty=hasty)
        except Unavailable as error:
            unavailable[runtime] = str(error)
            tell(f"Without {runtime}: {error}; its clients are skipped")

    async with asyncio.TaskGroup() as tasks:
        for runtime in RUNTIMES:
            if any(client.runtime == runtime for client in clients):
                tasks.create_task(get(runtime))
    return unavailable


async def run(clients: Sequence[Client], *, quick: bool, tls: bool) -> list[Verdict]:
    """Install, perform, judge."""
    unavailable = await prepare(clients)
    acts = [act for act in ACTS if not (quick and act.slow)]
    with tempfile.TemporaryDirectory() as directory:
        return await perform(
            clients, acts, unavailable, Path(directory), lambda act: tell(f"… {act}"), tls=tls
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code."""
    asked = options(arguments)
    if asked.install:
        asyncio.run(prepare(asked.only, hasty=True))
        return 0
    try:
        verdicts = asyncio.run(cancelled_by_sigterm(run(asked.only, quick=asked.quick, tls=asked.tls)))
    except StageError as error:
        tell(str(error))
        return NO_STAGE
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    if asked.json is not None:
        asked.json.write_text(json.dumps(as_json(verdicts), indent=2) + "\n", encoding="utf-8")
    for part in (table(verdicts), remarks(verdicts)):
        if part:
            sys.stdout.write(f"{part}\n\n")
    sys.stdout.write(f"{last_line(verdicts)}\n")
    return exit_code(verdicts)


if __name__ == "__main__":
    sys.exit(main())
