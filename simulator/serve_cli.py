"""The command ``byte-sim serve``, and the options that it shares with ``byte-sim exec``: which fakes, where, with what in them.

The folder of Byte Bot's tables and the wall clock are given by `simulator.cli`, which alone knows the bot.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from simulator.cli_options import Exit
from simulator.errors import SimulatorError
from simulator.seed_file import read_seed_file
from simulator.serve import DEFAULT_CHANNELS, Ports, ServeError, Stage, serve

LOGIN: Final = re.compile(r"[a-z0-9_]{1,25}")

Fail = Callable[[str], NoReturn]
#: Runs a coroutine in real time: (main, interrupted=exit code after Ctrl-C).
Run = Callable[..., Any]

Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")]
Channels = Annotated[
    str,
    typer.Option(
        help="The channels that exist, separated by commas.",
        show_default=f"{','.join(DEFAULT_CHANNELS)}, or those of the seed file",
    ),
]
Schema = Annotated[
    Path,
    typer.Option(
        help="Folder with the *.sql files of the project's tables.",
        exists=True,
        file_okay=False,
        show_default="Byte Bot's",
    ),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", help="Decides ids and draws.", show_default="taken from the clock")
]
SeedFileOption = Annotated[
    Path | None,
    typer.Option(
        "--seed-file",
        metavar="FILE",
        help="Users, channels, roles, modes and tokens of the fake Twitch (TOML, or JSON if its name ends so).",
    ),
]
Tls = Annotated[
    bool, typer.Option("--tls", help="Serve Twitch under TLS as well, with a throw-away authority.")
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        metavar="FILE",
        help="Where to write the authority's certificate.",
        show_default="a temporary file",
    ),
]


@dataclass(frozen=True)
class StageOptions:
    """What the options say; `stage` makes the stage, in the running loop."""

    channels: str
    schema: Path
    seed: int
    unix_start_s: float
    seed_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    ports: Ports | None = None

    def stage(self) -> Stage:
        """The stage; raises `SimulatorError` for what cannot be."""
        if self.ca_file is not None and not self.tls:
            raise ServeError("--ca-file names where the authority of --tls is written; add --tls")
        logins = tuple(dict.fromkeys(login for login in re.split(r"[,\s]+", self.channels.lower()) if login))
        for login in logins or (("",) if self.channels else ()):
            if not LOGIN.fullmatch(login):
                raise ServeError(
                    f"--channels: {login!r} is no Twitch login (1 to 25 letters a-z, digits and _)"
                )
        return Stage(
            self.schema,
            unix_start_s=self.unix_start_s,
            seed=self.seed,
            channels=logins or None,
            ports=self.ports,
            seed_file=None if self.seed_file is None else read_seed_file(self.seed_file),
            tls=self.tls,
            ca_file=self.ca_file,
        )


def add_serve(
    cli: typer.Typer, schema_dir: Path, unix_time: Callable[[], float], run: Run, fail: Fail
) -> None:
    """Register the command.

    Args:
        schema_dir: the tables of a project for which none are named.
        unix_time: the wall clock, in seconds since 1970.
        run: runs a coroutine in real time; `interrupted` is the exit code after Ctrl-C.
        fail: prints why nothing could be served, and ends the program.
    """

    @cli.command("serve")
    def serve_(
        irc_port: Port = 0,
        web_port: Port = 0,
        supabase_port: Port = 0,
        control_port: Port = 0,
        tls: Tls = False,
        irc_tls_port: Port = 0,
        web_tls_port: Port = 0,
        ca_file: CaFile = None,
        channels: Channels = "",
        seed_file: SeedFileOption = None,
        schema: Schema = schema_dir,
        seed: SeedOption = None,
    ) -> None:
        """Serve the fakes on this machine's ports, for your own bot.

        They stay until Ctrl-C; the bot may be written in any language. When everything listens, one line of JSON says where: irc, irc_ws, eventsub, helix,
        oauth, supabase, control, with an app and users that have tokens. simulator/README.md says how each client library is pointed here.

        \b
        The control address, over HTTP and JSON:
          GET /            describes all of this
          PUT /faults      {"outage": {"kind": "hang"}}, later {"outage": null}
          POST /say        {"channel": "lobby", "login": "mod_1", "text": "!ping"}
          POST /events     {"verb": "raid", "channel": "lobby", "login": "ana", "viewers": 42}
          GET /state       channels, messages, tables, requests, saves, faults
          GET /transcript  what everybody said
        """
        now_s = unix_time()
        options = StageOptions(
            channels,
            schema,
            # Not a fixed seed: a bot that stays up while the fakes start anew would take the new messages for old ones.
            int(now_s) if seed is None else seed,
            now_s,
            seed_file,
            tls,
            ca_file,
            Ports(irc_port, supabase_port, control_port, web_port, irc_tls_port, web_tls_port),
        )
        try:
            run(_stand(options), interrupted=Exit.OK)
        except SimulatorError as error:
            fail(str(error))


async def _stand(options: StageOptions) -> None:
    await serve(options.stage(), typer.echo)
