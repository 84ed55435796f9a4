"""Whether a result can be written, asked before anything is measured: a file that cannot be made would cost an hour's figures.

What is asked is what can be known without making the file: its folder is there and may be written to, and it is no folder
itself. A disk that is full at the end is not foreseen.
"""

from __future__ import annotations

import os
from pathlib import Path

from simulator.bench.child import BenchError


class UnwritableFile(BenchError):
    """A result could not be written there; the message says why."""


def check_writable(*files: Path | None) -> None:
    """Raise `UnwritableFile` for the first of these that cannot be written; None needs no file."""
    for file in files:
        if file is None:
            continue
        folder = file.absolute().parent
        if not folder.is_dir():
            raise UnwritableFile(
                f"there is no folder {str(file.parent)!r} to write {file.name!r} to: make it"
            )
        if file.is_dir():
            raise UnwritableFile(f"{str(file)!r} is a folder: name a file in it")
        if not os.access(file if file.exists() else folder, os.W_OK):
            raise UnwritableFile(f"{str(file)!r} may not be written by this user")
