"""A command whose report cannot be written says so and fails, instead of a traceback or a code of 0."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import typer

from byte_bot.errors import ExitCode
from byte_bot.standard_output import say, standard_output
from tests.byte_bot.persistence.journal_files import sample

# The command line imports the composition root.
pytest.importorskip("byte_bot.app", exc_type=ImportError)

from byte_bot.cli import main

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="only Linux has a disk that is always full")


@needs_full
@pytest.mark.parametrize(
    "arguments",
    [
        ("journal", "status"),
        ("journal", "list", "--json"),
        ("journal", "show", "channel_state/1"),
        ("journal", "export", "-"),
        ("migrate", "--print"),
        ("check", "--json"),
        ("--version",),
    ],
)
def test_no_command_breaks_on_a_full_disk(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One sentence; `check` has no settings here, and reports that in JSON on standard output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TWITCH_LOGIN", raising=False)
    arguments += ("--file", str(sample(tmp_path))) if arguments[0] == "journal" else ()
    with (
        FULL.open("w", encoding="utf-8") as out,
        redirect_stdout(out),
        pytest.raises(SystemExit) as ended,
    ):
        main(arguments)
    assert ended.value.code == ExitCode.FAILED
    assert capsys.readouterr().err == "byte-bot: standard output cannot be written: No space left on device\n"


@needs_full
def test_python_does_not_complain_at_the_end_either() -> None:
    """The whole process: its own code, and nothing about an exception that was ignored."""
    with FULL.open("w") as out:
        ended = subprocess.run(
            [sys.executable, "-m", "byte_bot", "migrate", "--print"],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == ExitCode.FAILED
    assert ended.stderr == "byte-bot: standard output cannot be written: No space left on device\n"


class Broken(io.StringIO):
    """A stream that takes everything until it has to be written."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def flush(self) -> None:
        """Fail."""
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(
    ("number", "raised"),
    [(errno.EIO, typer.Exit), (errno.ENOSPC, typer.Exit), (errno.EPIPE, BrokenPipeError)],
)
def test_whatever_the_disk_says_is_told(number: int, raised: type[Exception]) -> None:
    """A reader that has gone is click's business."""

    def write() -> None:
        with standard_output() as out:
            out.write("a report")

    for work in (write, lambda: say("a report")):
        with redirect_stdout(Broken(number)), pytest.raises(raised):
            work()
