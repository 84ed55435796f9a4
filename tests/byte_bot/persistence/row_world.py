"""A row, its journal and a simulated database that interleave in any order: the world of the stateful test of rows.

The database follows the words of ``byte_bot_save`` (contract: epoch fence, row guard, human edits), written here once
more so that the bot's code is compared with the contract and not with itself. The network is the worst one: a request
may be executed late or never, its answer may be lost, a load may be read and delivered at any time. The process may
crash between any two steps, and then loses what its journal has not synced.

The disk under the journal is one of ``row_disk.py``: a list, for long walks, or the shipped journal on the shipped SQLite core.

What the world must show in the end is what :meth:`World.expected` says: the intentions of the chat, one after the other, on
what was in the database first.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from byte_bot.persistence.journal import Handled, JournalImage, Rebased, Recorded, Sending, Settled
from byte_bot.persistence.operations import ABSENT, Base, RowKey
from byte_bot.persistence.row import Row, Sent
from byte_bot.persistence.state import Add, ChannelState, Recent, StateSpec, assign
from tests.byte_bot.persistence.row_disk import PlainDisk, RowDisk

LINES_CAP = 3


class Sample(ChannelState, key="row-world"):
    """One field of every merge rule; ``note`` belongs to the human."""

    total: Annotated[int, Add] = 0
    last: str = ""
    counts: Annotated[dict[str, int], Add] = {}
    names: dict[str, str] = {}
    lines: Annotated[list[str], Recent(LINES_CAP)] = []
    note: str = ""


KEY = RowKey("component_state", "1", "row-world")
SPEC = StateSpec(Sample)


@dataclass
class Stored:
    """The row in the database."""

    data: dict[str, Any]
    tombstones: dict[str, Any] = field(default_factory=dict)
    epoch: int = 0
    revision: int = 0
    edit_no: int = 0

    def base(self) -> Base:
        """The row as a load shows it."""
        return Base(
            msgspec.json.encode(self.data),
            copy.deepcopy(self.tombstones),
            1,
            self.epoch,
            self.revision,
            self.edit_no,
        )


class Database:
    """One row and the epoch, with the contract's save function."""

    def __init__(self, data: dict[str, Any] | None) -> None:
        self.row = None if data is None else Stored(data, edit_no=1)
        self.epoch = 0

    def base(self) -> Base:
        """What a load reads now."""
        return self.row.base() if self.row else ABSENT

    def take_epoch(self, seen: int) -> int:
        """``byte_bot_take_epoch``."""
        self.epoch = max(self.epoch, seen) + 1
        return self.epoch

    def save(self, epoch: int, payload: dict[str, Any]) -> tuple[str, Base]:
        """``byte_bot_save`` for one row: "saved", "fenced", "edited" or "stale", and the row as it stands."""
        if self.epoch != epoch:
            return "fenced", ABSENT
        stored, edit_no = self.row, payload["edit_no"]
        if stored is None:
            if edit_no is not None:
                return "edited", ABSENT
            stored = self.row = Stored({})
        else:
            if edit_no is None and stored.epoch == epoch and stored.edit_no == 0:
                edit_no = 0
            if edit_no != stored.edit_no:
                return "edited", stored.base()
            if (stored.epoch, stored.revision) > (epoch, payload["revision"]):
                return "stale", stored.base()
        stored.data = copy.deepcopy(payload["data"])
        stored.tombstones = copy.deepcopy(payload["tombstones"])
        stored.epoch, stored.revision = epoch, payload["revision"]
        return "saved", ABSENT

    def human_edit(self, note: str) -> None:
        """A human sets the note, and a name of their own, in the table editor."""
        if self.row is None:
            self.row = Stored({"note": note, "names": {"human": note}}, edit_no=1)
            return
        self.row.data = {**self.row.data, "note": note}
        self.row.data["names"] = {**self.row.data.get("names", {}), "human": note}
        self.row.edit_no += 1


@dataclass
class Request:
    """A save on the wire: executed at most once, whenever that is."""

    epoch: int
    sent: Sent
    answer: tuple[str, Base] | None = None


@dataclass
class Load:
    """A load: asked, later read in the database, later delivered."""

    serial: int
    epoch: int
    base: Base | None = None


Intent = tuple[str, str, Any]


class Process:
    """One run of the bot, reduced to one row: what the layer and the writer do with it."""

    def __init__(self, image: JournalImage, row: Row) -> None:
        self.epoch = 0
        self.serial = 0
        self.row = row
        self.handled = dict(image.handled)
        stored = image.rows.get(KEY)
        if stored is not None:
            if stored.base is not None:
                self.row.accept(stored.base, 0, 0)
            self.row.replayed(stored.pending)
        self.row.view(SPEC)
        self.waiting: Request | None = None
        self.loads: list[Load] = []


class World:
    """Database, journal, wire and process; every method is one step that may come at any time.

    Args:
        data: the row in the database at first, None for none.
        disk: under the journal.
        row_class: a test that plants a bug gives its own.
    """

    def __init__(
        self, data: dict[str, Any] | None, disk: RowDisk | None = None, row_class: type[Row] = Row
    ) -> None:
        self.initial = data or {}
        self.database = Database(data)
        self.disk = disk if disk is not None else PlainDisk()
        self.row_class = row_class
        #: What chat wanted, by the id of the message; and what it was told of once it was durable.
        self.intents: dict[str, Intent] = {}
        self.confirmed: dict[str, None] = {}
        self.wire: list[Request] = []
        self.note = str(self.initial.get("note", ""))
        self.human = False
        self.op_no = 0
        self.process = Process(self.disk.read(), row_class(KEY))

    # what the chat does

    def state(self) -> Sample:
        """The value in RAM."""
        value = self.process.row.view(SPEC)
        assert isinstance(value, Sample)
        return value

    def change(self, intent: Intent) -> None:
        """A message, and its handler's transaction."""
        self.op_no += 1
        self.receive(f"op-{self.op_no}", intent)

    def repeat(self, index: int) -> None:
        """Twitch delivers a message again: one of the last, also if the process that handled it is dead."""
        if self.intents:
            message_id = list(self.intents)[-1 - index % len(self.intents)]
            self.receive(message_id, self.intents[message_id])

    def receive(self, message_id: str, intent: Intent) -> None:
        """A message arrives; one that was handled is passed over."""
        if message_id in self.process.handled:
            return
        state, row = self.state(), self.process.row
        kind, key, value = intent
        match kind:
            case "add":
                state.total += value
            case "assign":
                row.assigned.append(assign(state, "total", value))
            case "set":
                self._insist(assign(state, "last", value))
            case "count":
                state.counts[key] = state.counts.get(key, 0) + value
            case "put":
                self._insist(assign(state, "names", value, key))
            case "uncount":
                self._insist(("counts", key))
                state.counts.pop(key, None)
            case "unname":
                self._insist(("names", key))
                state.names.pop(key, None)
            case "clear":
                self._insist(assign(state, "counts", {}))
            case "line":
                state.lines.append(value)
        operations = row.commit(self.process.epoch, message_id, 1_000 + self.op_no)
        self.process.handled[message_id] = None
        recorded = [Recorded(KEY, operations)] if operations else []
        # Also where nothing was recorded: what chat was told must hold.
        self.intents[message_id] = intent
        self.disk.append([*recorded, Handled(message_id)], lambda: self.confirmed.setdefault(message_id))

    def _insist(self, assigned: tuple[str, str | None]) -> None:
        """It holds whatever is stored, as `Context.assign` and `Context.drop` have it: also where the base is not known yet."""
        if not self.process.row.loaded:
            self.process.row.assigned.append(assigned)

    # what the disk does

    def sync(self) -> None:
        """The journal commits what was appended."""
        self.disk.sync()

    def crash(self) -> None:
        """The process dies; a new one starts from what is on the disk. What is on the wire stays there."""
        image = self.disk.crash()
        assert all(message_id in image.handled for message_id in self.confirmed), (
            "confirmed, and not on the disk"
        )
        for message_id in [one for one in self.intents if one not in image.handled]:
            del self.intents[message_id]
        self.process = Process(image, self.row_class(KEY))

    # what the layer and the writer do

    def take_epoch(self) -> None:
        """The process takes its epoch."""
        if not self.process.epoch:
            self.process.epoch = self.database.take_epoch(0)

    def send(self) -> None:
        """The writer sends the row, after the journal's commit."""
        process = self.process
        if process.epoch and process.waiting is None and process.row.sendable:
            sent = process.row.freeze(process.epoch, 2_000)
            self.disk.append([Sending(KEY, sent.base.stamp)])
            self.sync()
            process.waiting = Request(process.epoch, sent)
            self.wire.append(process.waiting)

    def connection_refused(self) -> None:
        """A request surely never left."""
        if self.process.waiting is not None and self.process.waiting.answer is None:
            self.wire.remove(self.process.waiting)
            self.process.waiting = None
            self.process.row.unfreeze()
            self.disk.append([Sending(KEY, self.process.row.boundary)])

    def execute(self, index: int) -> None:
        """One request on the wire reaches the database."""
        if self.wire:
            request = self.wire.pop(index % len(self.wire))
            request.answer = self.database.save(request.epoch, request.sent.payload)

    def lose_answer(self) -> None:
        """The writer's patience ends: the request may have been executed, or may be yet."""
        if self.process.waiting is not None:
            self.process.waiting = None
            self.process.row.unanswered()

    def answer(self) -> None:
        """The answer of the executed request arrives."""
        process, request = self.process, self.process.waiting
        if request is None or request.answer is None:
            return
        process.waiting = None
        status, base = request.answer
        assert status != "fenced", "nobody else took an epoch"
        process.serial += 1
        if status == "saved":
            if process.row.acknowledged(request.sent, process.serial):
                self.disk.append([Settled(KEY, process.row.base)])
        else:
            self._accept(base, process.serial, authoritative=True)

    def ask(self) -> None:
        """A load is asked for."""
        if self.process.epoch:
            self.process.serial += 1
            self.process.loads.append(Load(self.process.serial, self.process.epoch))

    def read(self, index: int) -> None:
        """The database reads the row for a load."""
        if self.process.loads:
            load = self.process.loads[index % len(self.process.loads)]
            load.base = load.base or self.database.base()

    def deliver(self, index: int) -> None:
        """A load's answer arrives."""
        if self.process.loads:
            load = self.process.loads[index % len(self.process.loads)]
            if load.base is not None:
                self.process.loads.remove(load)
                self._accept(load.base, load.serial)

    def load_at_once(self) -> None:
        """A load that meets no obstacle."""
        self.take_epoch()
        self.ask()
        self.read(-1)
        self.deliver(-1)

    def evict(self) -> None:
        """A clean row leaves RAM and comes back from the journal's snapshot."""
        process = self.process
        if process.row.loaded and not process.row.dirty and process.waiting is None and not process.loads:
            self.sync()
            process.row = self.row_class(KEY)
            process.row.accept(self.disk.snapshot().get(KEY, ABSENT), 0, 0)
            process.row.view(SPEC)

    def _accept(self, base: Base, serial: int, *, authoritative: bool = False) -> None:
        process, row = self.process, self.process.row
        if row.accept(base, process.epoch, serial, now_s=2_000, authoritative=authoritative):
            process.serial += 1
            row.serial = process.serial
            self.disk.append([Rebased(KEY, row.base, list(row.pending))])

    def human_edit(self, note: str) -> None:
        """A human edits the row."""
        self.database.human_edit(note)
        self.note, self.human = note, True

    # the end

    def converge(self) -> None:
        """The faults are over: everything goes through, as the layer and the writer would have it."""
        self.lose_answer()
        self.take_epoch()
        self.process.loads.clear()
        self.load_at_once()
        for _ in range(4):
            if not self.process.row.dirty:
                break
            self.send()
            self.execute(len(self.wire) - 1)
            self.answer()
        while self.wire:
            self.execute(0)
        self.load_at_once()

    def check(self) -> None:
        """What must hold after every step."""
        row = self.process.row
        # However long it takes, what is pending is bounded by the row's contents, not by what was done.
        assert len(row.pending) <= 40
        if row.loaded:
            shown, expected = msgspec.to_builtins(self.state()), self.expected()
            for name in ("total", "last", "counts", "lines"):
                assert shown[name] == expected[name], name

    def check_end(self) -> None:
        """What must hold once everything has gone through: database, RAM and intentions agree."""
        assert msgspec.to_builtins(self.state()) == self.expected()
        assert not self.process.row.dirty
        stored = {} if self.database.row is None else self.database.row.data
        assert SPEC.complete(ABSENT) | stored == self.expected()

    def expected(self) -> dict[str, Any]:
        """The intentions, one after the other, on what the database held first."""
        initial = {"total": 0, "last": "", "counts": {}, "names": {}, "lines": [], "note": ""} | self.initial
        value = copy.deepcopy(initial)
        for kind, key, item in self.intents.values():
            match kind:
                case "add":
                    value["total"] += item
                case "assign":
                    value["total"] = item
                case "set":
                    value["last"] = item
                case "count":
                    value["counts"][key] = value["counts"].get(key, 0) + item
                case "put":
                    value["names"][key] = item
                case "uncount":
                    value["counts"].pop(key, None)
                case "unname":
                    value["names"].pop(key, None)
                case "clear":
                    value["counts"] = {}
                case "line":
                    value["lines"] = [*value["lines"], item][-LINES_CAP:]
        value["note"] = self.note
        if self.human:
            value["names"]["human"] = self.note
        return value
