"""`byte-bot run` whose journal folds its log again and again, and that dies in a fold if it is told to.

    python tests/kill/folding_bot.py '{"log_slots": 8, "fold_rows": 2, "dies_in_fold": 3, "dies_at": 0.5}' run

A bot as it is shipped folds every few thousand commits, which no run of a kill test lives to see. This one is put together from the
same parts, with a log of a few lines (`log_slots`) and folds of a few rows (`fold_rows`): see `byte_bot/persistence/journal_file.py`.

In the fold number `dies_in_fold` (0: in none) it kills itself, with SIGKILL: SQLite calls back before every instruction of its virtual
machine, so any point of the fold can be the one. `dies_at` says which, as a part of what the fold before took: 0 is the first
instruction, and where the fold is over before, it dies right behind it, before the next commit. Only folds that have something
to fold count, and in which a record of chat is.

It says each fold on standard error, one JSON object a line: `fold_began`, `fold_ended`, and `dies_in_fold` as its last words.
"""

from __future__ import annotations

import functools
import json
import os
import sqlite3
import sys
from collections.abc import Iterable

import msgspec

from byte_bot import launch
from byte_bot.cli import build_cli
from byte_bot.persistence.journal_disk import journal_on_disk
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import Recorded, Write

#: Instructions of a process's first fold, and for each row of it; measured: 245 for one row, some 60 for each other one. The last
#: seventh is COMMIT and what follows it.
INSTRUCTIONS, INSTRUCTIONS_PER_ROW = 185, 60
STDERR = 2
#: SIGKILL; on Windows any number but two ends the process at once.
KILL = 9


class Folding(msgspec.Struct, frozen=True):
    """See the module's docstring."""

    log_slots: int
    fold_rows: int
    dies_in_fold: int = 0
    dies_at: float = 0.0

    def dying(self, in_fold: int, at: float) -> Folding:
        """The same file, by a process that dies there."""
        return msgspec.structs.replace(self, dies_in_fold=in_fold, dies_at=at)


def command(folding: Folding) -> tuple[str, ...]:
    """Starts such a bot; the options of `byte-bot run` may follow."""
    return (sys.executable, __file__, msgspec.json.encode(folding).decode(), "run")


def say(event: str, **values: object) -> None:
    """One line of the log, out of the process when this returns."""
    os.write(STDERR, json.dumps({"event": event, **values}).encode() + b"\n")


class FoldingJournal(SqliteJournal):
    """See the module's docstring."""

    def __init__(self, folding: Folding, connection: sqlite3.Connection) -> None:
        super().__init__(connection, log_slots=folding.log_slots, fold_rows=folding.fold_rows)
        self._folding = folding
        self._chat = False
        self._folds = 0
        self._instructions = 0
        self._took = INSTRUCTIONS

    def apply(self, writes: Iterable[Write], number: int) -> None:
        """Commit, and remember whether chat has a part in it."""
        writes = list(writes)
        super().apply(writes, number)
        self._chat = self._chat or any(isinstance(write, Recorded) for write in writes)

    def fold(self) -> bool:
        """Fold, or die in it."""
        if self._last is None:
            # The first: what an earlier process left.
            left = [write for _, writes in self._log() for write in writes]
            self._chat = self._chat or any(isinstance(write, Recorded) for write in left)
            rows = len({key for write in left if (key := getattr(write, "key", None)) is not None})
            self._took = INSTRUCTIONS + INSTRUCTIONS_PER_ROW * min(rows, self._fold_rows)
        if not self._chat:
            return super().fold()
        self._folds += 1
        say("fold_began", number=self._folds)
        self._instructions = 0
        self._connection.set_progress_handler(self._count, 1)
        folded = super().fold()
        self._connection.set_progress_handler(None, 1)
        if self._folds == self._folding.dies_in_fold:
            self._die()
        say("fold_ended", number=self._folds)
        self._took, self._chat = self._instructions, False
        return folded

    def _count(self) -> int:
        dies = self._folds == self._folding.dies_in_fold
        if dies and self._instructions >= self._folding.dies_at * self._took:
            self._die()
        self._instructions += 1
        return 0

    def _die(self) -> None:
        say("dies_in_fold", number=self._folds, instruction=self._instructions)
        os.kill(os.getpid(), KILL)


def main() -> None:
    """Run the bot; the first argument is the `Folding` as JSON, the others are those of `byte-bot`."""
    folding = msgspec.json.decode(sys.argv[1], type=Folding)
    opener = functools.partial(journal_on_disk, core=functools.partial(FoldingJournal, folding))
    build_cli(functools.partial(launch.run, open_journal=opener))(args=sys.argv[2:], prog_name="byte-bot")


if __name__ == "__main__":
    main()
