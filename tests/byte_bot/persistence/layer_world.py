"""The shipped persistence layer on a disk and a database that the test steps: the world of the stateful test of the layer.

Layer, writer, journal and its SQLite core are the bot's, the database is the fake Supabase, and virtual time passes when the test
says so: any step may come between any two turns of the loop. What is written here once more is only the *model*: which changes
chat made, and which of them viewers were told of.

Every change adds to a counter, perhaps sets a word, and leaves a *mark*: a key of its own in a mapping whose numbers add up.
The marks in the database tell which changes it has, and how often; counter and word must be what these changes amount to. A change
that nobody was told of may be lost in a crash, one that was told of may not.

The bounds are small: a commit takes one row's bookkeeping along, a save three of the four rows, and work pauses after each row.

A human who *restores a backup* takes back what came after it, so nothing of that is owed to the viewers any more; what the bot has
not saved by then still is. It takes :data:`RESTORE_S`, in which nothing reaches the database but what is on its way already.
Left out, since no number can tell it: a backup of the epoch that the bot still holds, and saves of before delivered after it.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import msgspec

from byte_bot.errors import Fenced
from byte_bot.persistence.journal import Handled, Journal, JournalStore
from byte_bot.persistence.ledger import Ledger
from byte_bot.persistence.state import Add, ChannelState
from simulator.faults import Fault, Refused
from simulator.loop import new_loop
from tests.byte_bot.persistence.layer_disk import COMMIT_S, PacedDisk
from tests.byte_bot.persistence.rig import Rig, process
from tests.simulator.supabase.project import ask, project

FLUSH_INTERVAL_S = 0.25
BOOKKEEPING_WRITES_MAX = 1
BATCH_ROWS_MAX = 3
PIECE_BYTES = 1
#: Turns of the loop after which everybody has done what takes no time.
TURNS = 30
#: Longer than any request is on its way.
RESTORE_S = 15.0
#: P6: after the fault everything is saved within 10 s and what the backlog takes; a request may hang for 5 s before.
SETTLE_S = 16.0
#: Seconds that an orderly stop gives the flush and the journal, as the application does.
FLUSH_S, JOURNAL_S = 4.0, 1.0
#: Saves that may be delivered once more.
SAVES_KEPT = 6
#: What a backup holds.
BACKED_UP = ("component_state", "bot_writer")


class First(ChannelState, key="layer-world-first"):
    """What chat changes, but for the note, which is the human's."""

    total: Annotated[int, Add] = 0
    last: str = ""
    marks: Annotated[dict[str, int], Add] = {}
    note: str = ""


class Second(First, key="layer-world-second"):
    """The same in another row."""


class Place(NamedTuple):
    """A row: its channel and its class."""

    channel_id: str
    cls: type[First]

    @property
    def key(self) -> tuple[str, str]:
        """By which it is found in the table."""
        return self.channel_id, self.cls.__state_key__


PLACES = (Place("1", First), Place("1", Second), Place("2", First), Place("2", Second))
CHANNELS = {"1": "anna", "2": "bert"}


@dataclass(frozen=True)
class Change:
    """What one message did."""

    place: Place
    mark: str
    amount: int
    says: bool


@dataclass(frozen=True)
class Backup:
    """The database as it was at one moment."""

    epoch: int
    tables: Mapping[str, list[tuple[Any, ...]]]


class LayerWorld:
    """See the module's docstring; every method is one step that may come at any time, followed by :meth:`check`.

    Args:
        stored: the rows are in the database at first.
        journal_class: a test that switches off a safeguard gives its own.
    """

    def __init__(self, *, stored: bool, journal_class: type[Journal] = Journal) -> None:
        self.loop = new_loop()
        self.disk = PacedDisk()
        self.fake = project(clock=self.loop.time)
        self.fake.observe_saves(self._observe)
        for place in PLACES if stored else ():
            data = msgspec.to_builtins(place.cls())
            row = {"channel_id": place.channel_id, "key": place.cls.__state_key__, "version": 1}
            self.fake.human_insert("component_state", {**row, "data": data, "tombstones": {}})
        self.backups: list[Backup] = []
        self.saves: list[bytes] = []
        self.changes: dict[str, Change] = {}
        #: The marks of the changes that viewers were told of; and those that a restored backup took back.
        self.confirmed: dict[str, None] = {}
        self.taken_back: dict[str, None] = {}
        #: What was told of while the journal was degraded: it counts once the journal has it all the same.
        self._ungated: list[tuple[int, str]] = []
        self._notes: dict[tuple[str, str], str] = {}
        self._stamps: dict[tuple[str, str], tuple[int, int]] = {}
        self._journal_class = journal_class
        self._numbers = 0
        self._repeating = False
        self._boot()

    # the process

    def _boot(self) -> None:
        self._numbers += 1
        self._ungated = []
        self._told_to_stop = asyncio.Event()
        self._rig: Rig | None = None
        self._process = self.loop.spawn("bot", self._live(f"layer-world-{self._numbers}"))
        while self._rig is None:
            self.turn()

    async def _live(self, holder: str) -> None:
        async with process(
            self.fake,
            journal_store=self.disk.open(),
            journal=self._journal,
            ledger=Ledger(batch_rows_max=BATCH_ROWS_MAX),
            holder=holder,
            flush_interval_s=FLUSH_INTERVAL_S,
            piece_bytes=PIECE_BYTES,
        ) as rig:
            self._rig = rig
            rig.manager.preload_named({login: channel_id for channel_id, login in CHANNELS.items()})
            told = asyncio.get_running_loop().create_task(self._told_to_stop.wait())
            await asyncio.wait([*rig.services, told], return_when=asyncio.FIRST_COMPLETED)
            try:
                if told.done():
                    await _at_most(FLUSH_S, rig.layer.writer.flush)
                    await _at_most(JOURNAL_S, rig.layer.journal.drain)
                else:
                    told.cancel()
                    await rig.services[0]
            except* Fenced:
                pass  # it ends, and keeps its journal

    def _journal(self, store: JournalStore) -> Journal:
        return self._journal_class(
            store, on_degraded=self._degraded, bookkeeping_writes_max=BOOKKEEPING_WRITES_MAX
        )

    def _degraded(self, degraded: bool) -> None:
        if not degraded:
            self.rig.layer.writer.work_arrived()  # rows were held back meanwhile, as the application knows

    @property
    def rig(self) -> Rig:
        """The process that runs, or ran last."""
        assert self._rig is not None
        return self._rig

    def crash(self, commit_s: float | None = COMMIT_S) -> None:
        """The process dies; a new one starts from what is in the file. What is on its way to the database stays there.

        ``commit_s`` says how the new one finds the disk, as :meth:`disk_conduct` does.
        """
        self.loop.kill_process("bot")
        self.disk.commit_s = commit_s
        self._boot()

    def stop(self) -> None:
        """The process stops in order, and a new one starts."""
        self._told_to_stop.set()
        self.loop.run_until_complete(self._process.wait())
        self._boot()

    # time

    def pass_time(self, seconds: float) -> None:
        """Let time pass; 0: as many turns of the loop as everybody needs."""
        if not seconds:
            self.turn()
            return
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def turn(self) -> None:
        """Let everybody do what takes no time."""

        async def turns() -> None:
            for _ in range(TURNS):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())

    def _call(self, step: Callable[[], None]) -> None:
        async def call() -> None:
            step()

        self.loop.run_until_complete(call())

    # chat

    def change(self, index: int, amount: int, *, says: bool) -> str:
        """A message and its handler's transaction; the change's mark."""
        change = Change(PLACES[index % len(PLACES)], f"op-{len(self.changes)}", amount, says)
        self.changes[change.mark] = change
        self._call(lambda: self._commit(change))
        return change.mark

    def _commit(self, change: Change) -> None:
        channel_id, cls = change.place
        context = self.rig.context(channel_id, CHANNELS[channel_id])
        state = context.state(cls)
        state.total += change.amount
        state.marks[change.mark] = 1
        if change.says:
            state.last = change.mark
        context.stage(change.mark)
        sequence, journal = context.seal(Handled(change.mark)), self.rig.layer.journal

        def reply() -> None:
            if journal.degraded:
                self._ungated.append((sequence, change.mark))
            else:
                self.confirmed[change.mark] = None

        journal.after(sequence, reply)

    # the disk

    def disk_conduct(self, commit_s: float | None) -> None:
        """Commits take that long from now on; None: they wait."""
        self.disk.conduct(commit_s)
        self.turn()

    def disk_acknowledges(self) -> None:
        """The commit under way has worked."""
        self.disk.store.acknowledge()
        self.turn()

    def disk_fails(self) -> None:
        """It has not, which is certain."""
        self.disk.store.fail()
        self.turn()

    def disk_leaves_in_doubt(self, *, written: bool) -> None:
        """Nobody can say whether it has."""
        self.disk.store.leave_in_doubt(written=written)
        self.turn()

    # the database

    def database(self, fault: Fault | None) -> None:
        """The database has that fault from now on, or works."""
        if fault is None:
            self.fake.faults.clear("walk")
        else:
            self.fake.faults.set("walk", fault)

    def _observe(self, arguments: Mapping[str, Any]) -> None:
        if not self._repeating:
            self.saves.append(json.dumps(arguments).encode())
            del self.saves[:-SAVES_KEPT]

    def repeat_save(self, index: int) -> None:
        """One of the last saves is delivered once more."""
        self._repeating = True
        ask(self.fake, "POST", "rpc/byte_bot_save", raw=self.saves[-1 - index % len(self.saves)])
        self._repeating = False

    def human_edit(self, index: int) -> None:
        """A human writes a note into a row, if it is stored."""
        place = PLACES[index % len(PLACES)]
        row = self._stored().get(place.key)
        if row is None:
            return
        note = self._notes[place.key] = f"note-{len(self.changes)}"
        where = {"channel_id": place.channel_id, "key": place.cls.__state_key__}
        self.fake.human_update("component_state", where, {"data": {**row["data"], "note": note}})

    def another_takes_over(self) -> None:
        """Another bot takes the next epoch, and then does nothing."""
        ask(self.fake, "POST", "rpc/byte_bot_take_epoch", {"p_holder": "another", "p_seen": 0})

    def back_up(self) -> None:
        """The database is copied."""
        (writer,) = self.fake.rows("bot_writer")
        execute = self.fake.engine.connection.execute
        tables = {table: execute(f'SELECT * FROM "{table}"').fetchall() for table in BACKED_UP}
        self.backups.append(Backup(writer["epoch"], tables))

    def restore(self, index: int) -> None:
        """A copy takes the place of the database, if the bot can tell: not while it holds the epoch of the copy."""
        self.fake.faults.set("restore", Refused())
        self.pass_time(RESTORE_S)
        self.fake.faults.clear("restore")
        index %= len(self.backups)
        backup = self.backups[index]
        if self._process.running and 0 < self.rig.layer.epoch <= backup.epoch:
            return
        # What came later never was: neither copies nor requests of that time appear again.
        del self.backups[index + 1 :]
        self.saves.clear()
        before = self._stored()
        engine = self.fake.engine
        with engine.transaction():
            for table, rows in backup.tables.items():
                engine.connection.execute(f'DELETE FROM "{table}"')
                for row in rows:
                    engine.connection.execute(
                        f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', row
                    )
        after = self._stored()
        for key, row in before.items():
            left = after[key]["data"]["marks"] if key in after else {}
            self.taken_back |= dict.fromkeys(mark for mark in row["data"]["marks"] if mark not in left)
        self._stamps.clear()
        self._notes = {key: row["data"]["note"] for key, row in after.items()}

    def _stored(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {(row["channel_id"], row["key"]): row for row in self.fake.rows("component_state")}

    # what must hold

    def check(self) -> None:
        """After every step: nothing is there twice, no row goes back, and no edit is overwritten."""
        if not self._process.running:
            self.loop.run_until_complete(self._process.wait())  # fenced; raises any other error
            self._boot()
        journal = self.rig.layer.journal
        if not journal.degraded:
            self.confirmed |= dict.fromkeys(
                mark for sequence, mark in self._ungated if journal.committed(sequence)
            )
            self._ungated = [one for one in self._ungated if not journal.committed(one[0])]
        for key, row in self._stored().items():
            twice = [mark for mark, times in row["data"]["marks"].items() if times != 1]
            assert not twice, f"{key}: counted more than once: {twice}"
            stamp = row["epoch"], row["revision"]
            assert stamp >= self._stamps.get(key, (0, 0)), f"{key} went back to {stamp}"
            self._stamps[key] = stamp
            assert row["data"]["note"] == self._notes.get(key, ""), f"{key}: the human's note is gone"

    def converge(self) -> None:
        """The faults are over; everybody changes something once more, and what waits is saved."""
        self.fake.faults.clear_all()
        self.disk_conduct(COMMIT_S)
        self.pass_time(SETTLE_S)
        self.check()
        for index in range(len(PLACES)):
            self.change(index, 1, says=True)
        # Only a save tells who was superseded: then there is a new process, which saves it.
        for _ in range(2):
            self.pass_time(SETTLE_S)
            self.check()

    def check_end(self) -> None:
        """What must hold then: the database has what viewers were told of, and RAM and journal agree."""
        layer, stored = self.rig.layer, self._stored()
        assert not layer.journal.degraded
        assert layer.ledger.rows_waiting == 0
        assert not [row.key for row in layer.rows.values() if row.dirty]
        assert not [key for key, row in self.disk.read().rows.items() if row.pending]
        for place in PLACES:
            data = stored[place.key]["data"]
            changes = [change for change in self.changes.values() if change.place == place]
            there = [change for change in changes if change.mark in data["marks"]]
            assert len(there) == len(data["marks"]), f"{place.key}: {data['marks']} of {changes}"
            lost = [
                change.mark
                for change in changes
                if change.mark in self.confirmed
                and change not in there
                and change.mark not in self.taken_back
            ]
            assert not lost, f"{place.key}: told of, and lost: {lost}"
            said = [change.mark for change in there if change.says]
            assert data["last"] == said[-1], f"{place.key}: {data['last']} is not the newest of {said}"
            assert data["total"] == sum(change.amount for change in there), f"{place.key}: {data}"
            shown = self.rig.context(place.channel_id).peek(place.cls)
            assert msgspec.to_builtins(shown) == data, f"{place.key}: RAM and database differ"

    def close(self) -> None:
        """Let everything go; raises what failed unnoticed."""
        try:
            self.loop.clean_up()
            gc.collect()  # while the loop lives: a task that failed unnoticed says so when it is collected
            self.loop.failures.raise_all()
        finally:
            self.loop.close()
            self.fake.close()
            self.disk.close()


async def _at_most(limit_s: float, work: Callable[[], Any]) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await work()
    except TimeoutError:
        pass
