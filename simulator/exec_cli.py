"""The command ``byte-sim exec -- COMMAND``: the fakes, somebody's bot on them, and the bot's own exit code.

The command runs without a shell in this folder, with this terminal and this environment, over which come the variables of
`exec_environment`. Whatever it prints is its own; only one line on standard error says where the control address is.

Ctrl-C in a terminal reaches the command by itself, as part of the same foreground job; so it gets `POLITE_S` to end before it is asked
(SIGTERM) and `STOP_S` before it is killed. Its exit code is passed on, 128 + n where signal n ended it, as shells have it. The fakes
stay up until it has ended: a bot that says goodbye to its database can.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from simulator.cli_options import Exit
from simulator.errors import SimulatorError
from simulator.exec_environment import placeholders, variables
from simulator.placeholders import filled
from simulator.serve import Stage
from simulator.serve_cli import (
    CaFile,
    Channels,
    Fail,
    Run,
    Schema,
    SeedFileOption,
    SeedOption,
    StageOptions,
    Tls,
)

POLITE_S: Final = 2.0  # chosen: a bot that hears Ctrl-C itself has begun to stop by then
STOP_S: Final = 10.0  # as long as containers wait between SIGTERM and SIGKILL
SIGNALLED: Final = 128  # a shell's exit code for a command that signal n ended is 128 + n
VARIABLE: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)", re.DOTALL)


class ExecError(SimulatorError):
    """The command cannot be run as asked; the message says what to change."""


async def run_command(
    command: Sequence[str],
    stage: Stage,
    *,
    extra: Mapping[str, str],
    ours: Mapping[str, str],
    announce: Callable[[str], object] = lambda line: None,
    polite_s: float = POLITE_S,
    stop_s: float = STOP_S,
) -> int:
    """Run a command on the fakes of a stage until it ends, and return its exit code as a shell would.

    `extra` variables come over all others; they and the command may contain placeholders. `ours` is the environment to start from.
    Cancelled, it lets the command end, asks it to, kills it, and returns its exit code all the same. Raises `ExecError` where it cannot
    be started, `SimulatorError` where the fakes cannot.
    """
    async with stage:
        addresses = stage.addresses()
        values = placeholders(addresses)
        words = [filled(word, values) for word in command]
        with tempfile.TemporaryDirectory(prefix="byte-sim-") as folder:
            given = {name: filled(value, values) for name, value in extra.items()}
            environment = {**ours, **variables(addresses, folder), **given}
            try:
                process = await asyncio.create_subprocess_exec(*words, env=environment)
            except OSError as error:
                raise ExecError(
                    f"cannot start {words[0]!r}: {error.strerror or error}. It is started without a shell; "
                    "where one is needed: byte-sim exec -- sh -c '...'"
                ) from error
            announce(f"byte-sim: the fakes are up; control address {stage.control_url}")
            code = await _ended(process, polite_s, stop_s)
    return code if code >= 0 else SIGNALLED - code


async def _ended(process: asyncio.subprocess.Process, polite_s: float, stop_s: float) -> int:
    try:
        return await process.wait()
    except asyncio.CancelledError:
        # Taken as a wish to stop, not passed on: the exit code is the command's, and the fakes stay up until it has ended.
        for patience_s, press in ((polite_s, process.terminate), (stop_s, process.kill)):
            try:
                async with asyncio.timeout(patience_s):
                    return await process.wait()
            except TimeoutError:
                _signal(press)
        return await process.wait()


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except ProcessLookupError:
        pass  # it ended in this very moment


def variables_of(given: Sequence[str]) -> dict[str, str]:
    """What --env says, by name; raises `ExecError`."""
    found: dict[str, str] = {}
    for text in given:
        match = VARIABLE.fullmatch(text)
        if match is None:
            raise ExecError(f"--env {text!r} is no NAME=VALUE, such as --env 'IRC_PORT={{irc_port}}'")
        found[match["name"]] = match["value"]
    return found


def add_exec(
    cli: typer.Typer, schema_dir: Path, unix_time: Callable[[], float], run: Run, fail: Fail
) -> None:
    """Register the command; the arguments are those of `serve_cli.add_serve`."""

    # What follows the command's name is the command's own, options too, with or without -- in front.
    @cli.command("exec", context_settings={"allow_interspersed_args": False})
    def exec_(
        command: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="What starts your bot.")],
        variable: Annotated[
            list[str] | None,
            typer.Option("--env", metavar="NAME=VALUE", help="A variable for the bot; may be repeated."),
        ] = None,
        tls: Tls = False,
        ca_file: CaFile = None,
        channels: Channels = "",
        seed_file: SeedFileOption = None,
        schema: Schema = schema_dir,
        seed: SeedOption = None,
    ) -> None:
        """Run your own bot on the fakes, and end with its exit code.

        Starts what `byte-sim serve` starts, then the command, with variables that say where the fakes are: those that Byte Bot and twurple
        read, the throw-away authority of --tls, and BYTE_SIM_JSON, BYTE_SIM_IRC_PORT, BYTE_SIM_HELIX_URL and so on for every value of
        the line that `serve` prints. The same values as placeholders: {irc_port}, {helix_url}.

        \b
          byte-sim exec -- byte-bot run
          byte-sim exec -- node bot.js --port {irc_port}
          byte-sim exec --env 'IRC={irc_host}:{irc_port}' -- ./my_bot
        """
        now_s = unix_time()
        options = StageOptions(
            channels, schema, int(now_s) if seed is None else seed, now_s, seed_file, tls, ca_file
        )

        async def main() -> int:
            return await run_command(
                command,
                options.stage(),
                extra=variables_of(variable or ()),
                ours=dict(os.environ),
                announce=lambda line: typer.echo(line, err=True),
            )

        try:
            code: Any = run(main(), interrupted=Exit.INTERRUPTED)
        except SimulatorError as error:
            fail(str(error))
        raise typer.Exit(code)
