"""PersistenceLayer: the rows in RAM, and the three tasks that keep the database in step with them.

How it works
------------
* Rows live here by key. The chat path changes them in RAM and calls :meth:`record`, which journals the operations and
  marks the rows dirty; it never waits. Of a row that nobody has used yet only the base is kept
  (:mod:`byte_bot.persistence.quiet`); :meth:`row` makes a :class:`Row` of it.
* :meth:`run` owns the tasks: the journal's commits, the writer (:mod:`byte_bot.persistence.writer`), and the loader,
  which reads what is missing, up to 100 channels a request. All of them share one :class:`Link`.
* The **epoch** is taken from the database only, before the first load that counts. A load made under an older epoch
  is thrown away. After taking it: load, rebase, re-stamp in the journal, write.
* While a channel's transaction is open (:meth:`begin` … :meth:`end`), bases that arrive for its rows wait until it is
  closed: a handler never sees its state change under it, and nothing of it is lost.

Left out: which channels exist (:mod:`byte_bot.persistence.boot`) and what a channel's context is
(:mod:`byte_bot.context.manager`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import structlog

from byte_bot.clock import AgeClock, Clock
from byte_bot.errors import DatabaseError, DatabasePaused
from byte_bot.persistence.claimant import Claimant
from byte_bot.persistence.dead_letters import DeadLetters
from byte_bot.persistence.journal import EpochTaken, Handled, Journal, JournalStore, Recorded, Write
from byte_bot.persistence.journal_image import JournalImage, Rebased
from byte_bot.persistence.ledger import Ledger
from byte_bot.persistence.link import Link
from byte_bot.persistence.operations import ABSENT, Base, Operation, RowKey, is_older
from byte_bot.persistence.pace import PIECE_BYTES
from byte_bot.persistence.quiet import QuietRow, QuietRows
from byte_bot.persistence.row import CONFIG_TABLE, Row
from byte_bot.persistence.snapshot import Snapshot
from byte_bot.persistence.state import StateSpec, holds_object
from byte_bot.persistence.store import DatabaseStore
from byte_bot.persistence.supabase_store import LOAD_IDS_MAX
from byte_bot.persistence.writer import Writer
from byte_bot.telemetry import Telemetry

#: The table with one row for every channel: the StreamContext's.
STATE_TABLE = "channel_state"
#: Seconds after which a row that could not be read (a typo in the table editor) is read again.
UNREADABLE_RETRY_S = 60.0
#: Channels whose load is put into RAM before the loop has its turn; chosen: a few milliseconds.
CHANNELS_AT_ONCE = 20

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LayerParts:
    """What the composition root gives to the layer; ``store`` is None without Supabase settings."""

    store: DatabaseStore | None
    link: Link
    ledger: Ledger
    journal: Journal
    journal_store: JournalStore
    clock: Clock
    telemetry: Telemetry
    flush_interval_s: float = 2.0
    piece_bytes: int = PIECE_BYTES


class PersistenceLayer:
    """See the module's docstring. Belongs to the event loop."""

    def __init__(self, parts: LayerParts) -> None:
        self._parts = parts
        self._store = parts.store
        self.link = parts.link
        self.ledger = parts.ledger
        self.journal = parts.journal
        self.telemetry = parts.telemetry
        self.ages = AgeClock(parts.clock, lambda: asyncio.get_running_loop().time())
        self.dead_letters = DeadLetters(parts.journal, parts.clock, parts.telemetry)
        #: Who takes the epochs.
        self.claimant = Claimant(parts.journal, parts.journal_store.identity, parts.telemetry.boot_id)
        #: The rows in use; the others are quiet.
        self.rows: dict[RowKey, Row] = {}
        self._by_owner: dict[str, tuple[Row, ...]] = {}
        self._quiet = QuietRows()
        self.snapshot = Snapshot(parts.journal_store, self.rows, self._quiet)
        #: Quiet rows whose bases are older than this are shown, and read before they count as loaded.
        self._known_since = 1
        self.epoch = 0
        #: Called after an epoch was taken: lists and refreshes made before it do not count.
        self.on_epoch: Callable[[], None] | None = None
        #: Says of a login whether the bot itself may list the channel; else a row that is not there was deleted.
        self.may_list: Callable[[str], bool] = lambda login: True
        #: Called with a channel id when its load has been put into RAM.
        self.on_loaded: Callable[[str], None] | None = None
        #: Finds the state class of a row that was replayed from the journal and that nobody has used since.
        self.find_spec: Callable[[RowKey], StateSpec | None] | None = None
        #: Such rows, as long as they have no class.
        self.unadopted: dict[RowKey, Row] = {}
        self._next_serial = 1
        self._seen_epoch = 0
        self._epoch_lock = asyncio.Lock()
        self._open: dict[str, int] = {}
        self._deferred: dict[str, list[Callable[[], None]]] = {}
        self._to_load: dict[str, None] = {}
        #: Channels whose rows were all read under this epoch, with the serial of that load.
        self._loaded: dict[str, int] = {}
        self._load_wanted = asyncio.Event()
        #: What was said about unreadable rows, and the channels that will be read again because of one.
        self._complaints: dict[RowKey, str] = {}
        self._reading_again: dict[str, asyncio.TimerHandle] = {}
        self.writer = Writer(
            self, parts.store, flush_interval_s=parts.flush_interval_s, piece_bytes=parts.piece_bytes
        )

    @property
    def has_database(self) -> bool:
        """False without Supabase settings: an outage without end."""
        return self._store is not None

    # ── rows and transactions ────────────────────────────────────────────────────────────────────────────────────

    def row(self, key: RowKey) -> Row:
        """The row in RAM, from now on in use; made empty and unloaded if nothing is known of it."""
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Row(key)
            if (quiet := self._quiet.take(key)) is not None:
                row.accept(quiet.base, self.epoch if self._counts_as_loaded(quiet) else 0, quiet.serial)
            elif key.table != CONFIG_TABLE and key.channel_id in self._loaded:
                # The channel's load has said it all: what did not come with it does not exist.
                row.accept(ABSENT, self.epoch, self._loaded[key.channel_id])
            self._by_owner[key.channel_id] = (*self._by_owner.get(key.channel_id, ()), row)
        return row

    def rows_of(self, owner: str) -> dict[RowKey, Row]:
        """The rows in use of one channel id (or of one login, for ``channels_config``)."""
        return {row.key: row for row in self._by_owner.get(owner, ())}

    def known_keys(self) -> Iterator[RowKey]:
        """The keys of all rows in RAM, quiet ones too."""
        yield from self.rows
        yield from self._quiet

    def loaded_base(self, key: RowKey) -> Base | None:
        """The row's base if it is in RAM and loaded; the row stays quiet if it is."""
        if (row := self.rows.get(key)) is not None:
            return row.base if row.loaded else None
        quiet = self._quiet.find(key)
        return quiet.base if quiet is not None and self._counts_as_loaded(quiet) else None

    def _counts_as_loaded(self, quiet: QuietRow) -> bool:
        return quiet.serial >= self._known_since

    def begin(self, *owners: str) -> None:
        """A transaction on the rows of these owners (channel id, login) is open: bases wait."""
        for owner in owners:
            self._open[owner] = self._open.get(owner, 0) + 1

    def end(self, *owners: str) -> None:
        """The transaction is closed: what waited is put into RAM now."""
        for owner in owners:
            if others := self._open[owner] - 1:
                self._open[owner] = others
                continue
            del self._open[owner]
            if self._deferred:
                for apply in self._deferred.pop(owner, ()):
                    apply()

    def when_idle(self, owner: str, apply: Callable[[], None]) -> None:
        """Call ``apply`` now, or at the end of the owner's open transaction."""
        if owner in self._open:
            self._deferred.setdefault(owner, []).append(apply)
        else:
            apply()

    def base_waits(self, owner: str) -> bool:
        """True if a base has arrived for one of the owner's rows and waits for its open transaction to end."""
        return owner in self._deferred

    def record(self, changes: Iterable[tuple[Row, list[Operation]]], handled: Handled | None = None) -> int:
        """Journal what a transaction did and mark its rows dirty; the sequence number for the gate, 0 if nothing."""
        writes: list[Write] = []
        sequence = self.journal.appended + 1
        for row, operations in changes:
            if operations:
                writes.append(Recorded(row.key, operations))
                self.dead_letters.look_at(row)
                if row.pending:  # else a save has overtaken the record: it took what was staged before the handler returned
                    self.ledger.mark(row.key, asyncio.get_running_loop().time())
                    row.recorded_at = row.recorded_at or sequence
        if handled is not None:
            writes.append(handled)
        if not writes:
            return 0
        self.writer.work_arrived()
        return self.journal.append(writes)

    # ── loads ────────────────────────────────────────────────────────────────────────────────────────────────────

    def request_load(self, channel_id: str) -> None:
        """Read the channel's rows when the database can be asked; asking twice is asking once."""
        if self._store is not None and channel_id not in self._to_load:
            self._to_load[channel_id] = None
            self._load_wanted.set()

    def is_loading(self, channel_id: str) -> bool:
        """True if the channel's rows are being read, or wait to be."""
        return channel_id in self._to_load

    def deliver(self, key: RowKey, base: Base, serial: int, *, authoritative: bool = False) -> None:
        """Put a base into RAM, after the channel's open transaction if there is one."""
        epoch = self.epoch
        self.when_idle(key.channel_id, lambda: self._accept(key, base, epoch, serial, authoritative))

    def _accept(self, key: RowKey, base: Base, epoch: int, serial: int, authoritative: bool) -> None:
        if epoch != self.epoch:
            return  # read under an epoch that was given up while the base waited
        if key not in self.rows and not authoritative and self._accept_quietly(key, base, serial):
            return
        row = self.row(key)
        if row.loaded and not row.dirty and row.base == base and not row.unreadable:
            return
        now_s = self.ages.earliest_s()
        recorded_at = row.recorded_at
        restamped = any(operation.stamp.epoch != epoch for operation in row.pending)
        accepted = row.accept(base, epoch, serial, now_s=now_s, authoritative=authoritative)
        if row.unreadable:
            self.report_unreadable(row)
        if not accepted:
            return
        # Not the number at which it was asked: another may have been asked meanwhile. No load is asked at this one yet.
        row.serial = self._next_serial
        self._complaints.pop(key, None)
        if row.dirty:
            since_s = self.ledger.mark(key, asyncio.get_running_loop().time())
            # A row that a save of ours was refused for has its turn in the next flush.
            self.writer.work_arrived(None if authoritative else since_s)
        else:
            self.ledger.clear(key)
        sequence = self.journal.append(
            [Rebased(row.key, row.base, list(row.pending)), *self.dead_letters.after_rebase(row)]
        )
        # Also if nothing is pending any more: the journal may have it still, and a base of this epoch would not tell.
        if restamped and self.journal.may_hold(recorded_at):
            row.restamped_at = sequence

    def _accept_quietly(self, key: RowKey, base: Base, serial: int) -> bool:
        """Take the base of a row that nobody uses as :meth:`Row.accept` would; False if that takes a row."""
        known = self._quiet.find(key)
        if (
            known is not None
            and self._counts_as_loaded(known)
            and (known.base == base or serial < known.serial or is_older(base, known.base))
        ):
            return True
        if not self.epoch or not holds_object(base):
            return False
        self._quiet.put(key, base, self._next_serial)
        self.journal.append([Rebased(key, base, [])])
        return True

    def report_unreadable(self, row: Row) -> None:
        """Say what is wrong with a row that does not fit its class, once, and read it again in a while."""
        channel_id, loop = row.key.channel_id, asyncio.get_running_loop()
        if row.key.table != CONFIG_TABLE and channel_id not in self._reading_again:
            handle = loop.call_later(UNREADABLE_RETRY_S, self._read_again, channel_id)
            self._reading_again[channel_id] = handle
        if self._complaints.get(row.key) == row.unreadable:
            return
        self._complaints[row.key] = row.unreadable
        _log.error(
            "row_unreadable",
            row="/".join(row.key),
            why=row.unreadable,
            what_to_do="correct the row in Supabase's table editor; until then it is not written, nothing is lost",
        )
        self.telemetry.event("row_unreadable", row="/".join(row.key), why=row.unreadable)

    def _read_again(self, channel_id: str) -> None:
        del self._reading_again[channel_id]
        self.request_load(channel_id)

    def adopt(self, row: Row) -> None:
        """Give a replayed row its state class, so that it can be saved before anybody uses it."""
        self.unadopted.pop(row.key, None)
        if self.find_spec and (spec := self.find_spec(row.key)) is not None:
            row.view(spec)
            if row.unreadable:
                self.report_unreadable(row)

    async def _load_loop(self, store: DatabaseStore) -> None:
        while True:
            await self._load_wanted.wait()
            self._load_wanted.clear()
            while self._to_load:
                await self._load_some(store, list(islice(self._to_load, LOAD_IDS_MAX)))
                await self.journal.room()
            self._to_load.clear()  # empty it is, but after a boot with 100,000 channels as large as then

    async def _load_some(self, store: DatabaseStore, channel_ids: list[str]) -> None:
        try:
            await self.ensure_epoch()
            serial, epoch = self.next_serial(), self.epoch
            found = await self.link.call(lambda: store.load_states(channel_ids), "load")
        except DatabaseError as error:
            _log.debug("load_failed", channels=len(channel_ids), why=str(error))
            return
        if epoch != self.epoch:
            return  # a new epoch was taken meanwhile: this load does not count, the next round asks again
        self.telemetry.count("channels_loaded", len(channel_ids))
        by_channel: dict[str, dict[RowKey, Base]] = {channel_id: {} for channel_id in channel_ids}
        for key, base in found.items():
            if key.channel_id in by_channel:
                by_channel[key.channel_id][key] = base
        for number, (channel_id, bases) in enumerate(by_channel.items(), start=1):
            # Not before: until its load is delivered a channel must not be evicted.
            self._to_load.pop(channel_id, None)
            self._deliver_channel(channel_id, bases, epoch, serial)
            if number % CHANNELS_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _deliver_channel(self, channel_id: str, bases: dict[RowKey, Base], epoch: int, serial: int) -> None:
        """One channel's load: what came, and "no row" for what did not."""

        def apply() -> None:
            if epoch != self.epoch:
                self.request_load(channel_id)
                return
            self._loaded[channel_id] = serial
            for key, base in bases.items():
                self._accept(key, base, epoch, serial, False)
            # Of a channel of which nothing is stored that is noted too: else it would be taken for one never seen when it comes
            # back from the snapshot, and its first message would wait for the database.
            nothing = () if bases else (RowKey(STATE_TABLE, channel_id),)
            for key in dict.fromkeys((*self.rows_of(channel_id), *self._quiet.keys_of(channel_id), *nothing)):
                if key not in bases:
                    self._accept(key, ABSENT, epoch, serial, False)
            if self.on_loaded:
                self.on_loaded(channel_id)

        self.when_idle(channel_id, apply)

    def next_serial(self) -> int:
        """The next number of the counter that orders loads and changes of bases."""
        serial = self._next_serial
        self._next_serial += 1
        return serial

    # ── epoch ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def ensure_epoch(self) -> int:
        """This process's epoch, taken from the database if there is none yet; raises a :class:`DatabaseError`."""
        store = self._store
        if store is None:
            raise DatabasePaused(
                "no settings", "no database is configured", "set SUPABASE_URL and SUPABASE_KEY"
            )
        async with self._epoch_lock:
            if not self.epoch:
                name = await self.claimant.announce(self._seen_epoch)
                epoch = await self.link.call(lambda: store.take_epoch(name, self._seen_epoch), "epoch")
                # What the database says: a number that it passed over, since nobody can have seen it, is none to save under.
                self.epoch, self._seen_epoch = epoch, max(epoch, self._seen_epoch)
                self.journal.append([EpochTaken(epoch)])
                self.telemetry.event("epoch", epoch=epoch)
                _log.info("epoch_taken", epoch=epoch)
                if self.on_epoch:
                    self.on_epoch()
        return self.epoch

    def renew_epoch(self, database_epoch: int) -> None:
        """The database knows another epoch (a restored backup, imported rows): take a new one, read everything dirty again."""
        _log.warning("epoch_unknown_to_database", ours=self.epoch, database=database_epoch)
        self.epoch, self._seen_epoch = 0, max(self._seen_epoch, database_epoch)
        for row in self.rows.values():
            row.forget_base()
        self.next_serial()  # every quiet row was taken over at or before it
        self._known_since = self._next_serial
        loaded, self._loaded = self._loaded, {}
        for channel_id in loaded:
            self.request_load(channel_id)

    # ── start and stop ───────────────────────────────────────────────────────────────────────────────────────────

    def restore(self) -> JournalImage:
        """Take over what the journal holds: pending operations, snapshots, the epoch; returns the image."""
        image = self._parts.journal_store.read(pending_only=True)
        self._seen_epoch, self.claimant.earlier = image.epoch, frozenset(image.starts)
        now_s = asyncio.get_running_loop().time()
        for key, stored in image.rows.items():
            if not stored.pending:
                continue
            row = self.row(key)
            if stored.base is not None:
                row.accept(stored.base, 0, 0)
            row.replayed(stored.pending)
            self.unadopted[key] = row
            self.ledger.mark(key, now_s)
            if key in image.dead_letters:
                self.dead_letters.restore(row, image.dead_letters[key])
        return image

    def may_leave(self, channel_id: str) -> bool:
        """True if a channel whose rows are clean may leave RAM: it would come back from the snapshot as it is."""
        keys = (*self.rows_of(channel_id), *self._quiet.keys_of(channel_id))
        states = ((key, self.loaded_base(key)) for key in keys if key.table != CONFIG_TABLE)
        return self.snapshot.covers(channel_id, ((key, base) for key, base in states if base is not None))

    async def run(self) -> None:
        """The layer's tasks, until cancelled; raises :class:`~byte_bot.errors.Fenced` when another process took over."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.journal.run(), name="journal")
            if self._store is not None:
                tasks.create_task(self.writer.run(), name="writer")
                tasks.create_task(self._load_loop(self._store), name="loader")

    def forget(self, channel_id: str) -> None:
        """Drop a channel's rows from RAM (eviction), which must be clean; its configuration stays."""
        owned = self._by_owner.get(channel_id, ())
        # Told apart from the configuration of a login that looks like this id.
        for row in [row for row in owned if row.key.table != CONFIG_TABLE]:
            assert not row.dirty, f"a row with unsaved changes must stay in RAM: {row.key}"
            del self.rows[row.key]
            self._complaints.pop(row.key, None)
        if kept := tuple(row for row in owned if row.key.table == CONFIG_TABLE):
            self._by_owner[channel_id] = kept
        else:
            self._by_owner.pop(channel_id, None)
        self._quiet.forget(channel_id)
        self._loaded.pop(channel_id, None)
