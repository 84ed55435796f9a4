"""The writer: one task, one request for everything, one save in flight.

Theory of operation
-------------------
``flush_interval_s`` after the first change, or as soon as a full batch waits or a row can be sent that has waited so long for
its load, what waits by then is saved, batch by batch: each is *frozen* and sent as one call of ``byte_bot_save``. What changes
meanwhile waits for the next flush, or a busy chat would keep the writer writing without a pause. Freezing, encoding and
acknowledging 500 rows take longer than a chat should wait, so each is done in pieces with pauses between them
(:mod:`byte_bot.persistence.pace`).

What the answer means:

* saved rows become their own new base; the journal is trimmed and its snapshot updated in one write;
* rows refused as ``edited`` or ``stale`` come back as they stand: rebased, and sent again with the next batch, under a
  higher epoch if theirs is above our own, or their revision none that can be overtaken under it. Refused again in the same
  flush, they wait for the next one: a table editor that changes a row without a pause must not keep the writer writing;
* rows refused as ``invalid`` are dead letters (:mod:`byte_bot.persistence.dead_letters`), and so is a row that cannot
  even be encoded: left out until a newer revision of the row replaces them; their operations stay in the journal;
* ``fenced``: another process took over; :class:`~byte_bot.errors.Fenced` ends the program. If the higher epoch was asked
  for by this process or an earlier one on this journal (:mod:`byte_bot.persistence.claimant`), that call has arrived late,
  and a new epoch is taken;
* ``unknown_epoch``: the database was restored from a backup; a new epoch is taken.

No answer: the outcome is unknown, and the next batch is half as large, in case it was its size. The same content is
sent again (equal stamps are accepted by the server), so that
a base that is read meanwhile either contains all of it or nothing. If the request surely never arrived, and no earlier
one with the same content may have, the next one carries the newest state instead.

Before a request leaves, the journal has committed the bases it builds on and the operations it carries (or is
degraded): what the database has under a stamp, a restarted process must find under that stamp, or it counts it twice.
So while the journal is degraded a row is *held back* whose operations it may hold under older stamps: an earlier process's, or
those made before the epoch was known. They are no less safe there, and go when the disk works again. What the disk surely
does not have is saved as ever: it would be lost with the process, and no restart could count it twice.

A request that is refused as a whole for its data or size is halved until the culprit stands alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog

from byte_bot.errors import (
    DatabaseError,
    DatabasePaused,
    DatabaseUnavailable,
    Fenced,
    RequestRefused,
    StateError,
)
from byte_bot.persistence.journal import Sending, Settled
from byte_bot.persistence.ledger import BATCH_ROWS_MAX, Batch, Horizon
from byte_bot.persistence.operations import EPOCH_BELIEVED_MAX, Base, RowKey
from byte_bot.persistence.pace import ACKNOWLEDGED_BYTES, PIECE_BYTES, ROW_BYTES, Pace
from byte_bot.persistence.row import CONFIG_TABLE, Row, Sent
from byte_bot.persistence.store import (
    EPOCH_BEYOND,
    UNENCODABLE,
    DatabaseStore,
    Refusal,
    SaveAnswer,
    SaveRequest,
)

if TYPE_CHECKING:
    from byte_bot.persistence.layer import PersistenceLayer

#: One save carries no further row once its rows' data exceed this many bytes; chosen: a slow uplink (2 Mbit/s) needs
#: four of the five seconds of a call's deadline for it.
BATCH_BYTES_MAX = 1_000_000

_BEYOND_WORDS: Final = (
    "the stored row has the epoch {}, which no bot process can have taken: delete the row in the table editor and enter it "
    "again without epoch and revision"
)

_log = structlog.get_logger(__name__)


class Writer:
    """See the module's docstring.

    Args:
        layer: rows, ledger, journal, link, epoch.
        store: the database, None without Supabase settings (then :meth:`run` is never called).
        flush_interval_s: seconds from the first change to its save.
        piece_bytes: see :data:`~byte_bot.persistence.pace.PIECE_BYTES`.
    """

    def __init__(
        self,
        layer: PersistenceLayer,
        store: DatabaseStore | None,
        *,
        flush_interval_s: float = 2.0,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self._layer = layer
        self._store = store
        self._flush_interval_s = flush_interval_s
        self._piece_bytes = piece_bytes
        #: Rows that are acknowledged at a time; few commits of the journal with many bases are cheaper than many with few.
        self._rows_at_once = max(1, piece_bytes // ACKNOWLEDGED_BYTES)
        self._work = asyncio.Event()
        self._at_once = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._work_since_s = 0.0
        #: Rows that the server has refused in this flush, as they had changed there.
        self._refused_now: dict[RowKey, None] = {}
        #: Rows that the last flush has left: what cannot be sent (dead letters, say), and what had only just changed.
        self._left_over = 0

    def work_arrived(self, since_s: float | None = None) -> None:
        """Something waits to be saved; cheap, called on the chat path.

        Args:
            since_s: loop seconds since when a row has waited that can be sent only now, as its load has come: if that is longer
                than a flush waits, it goes at once (with the flush that is under way, if there is one).
        """
        if not self._work.is_set():
            self._work_since_s = self._now_s()
            self._work.set()
        # Without the rows that stay in any case: 500 dead letters would else have each change sent by itself.
        if self._layer.ledger.rows_waiting - self._left_over >= BATCH_ROWS_MAX:
            self._at_once.set()
        if since_s is not None and self._now_s() - since_s > self._flush_interval_s:
            self._at_once.set()

    async def run(self) -> None:
        """Flush for ever, until cancelled or fenced."""
        while True:
            await self._work.wait()
            try:
                async with asyncio.timeout_at(self._work_since_s + self._flush_interval_s):
                    await self._at_once.wait()
            except TimeoutError:
                pass
            self._work.clear()
            await self.flush(self._layer.ledger.horizon(self._now_s()))
            self._left_over = self._layer.ledger.rows_waiting
            self._at_once.clear()

    async def flush(self, until: Horizon | None = None) -> None:
        """Save everything that can be saved, batch by batch; returns when nothing sendable waits any more.

        With ``until`` only what waited then.
        """
        async with self._flushing:
            self._refused_now.clear()
            while True:
                try:
                    await self._layer.ensure_epoch()
                except DatabaseError as error:
                    _log.debug("epoch_not_taken", why=str(error))
                    continue
                await self._adopt_replayed()
                batch = self._layer.ledger.take(self._sendable, until)
                if not batch:
                    return
                try:
                    await self._save(batch)
                finally:
                    self._layer.ledger.release()

    async def _adopt_replayed(self) -> None:
        """Give replayed rows that have been loaded their classes, piece by piece: to make 10,000 values takes a second."""
        pace = Pace()
        for row in [row for row in self._layer.unadopted.values() if row.loaded]:
            self._layer.adopt(row)
            await pace.after(len(row.base.data or b"") + ROW_BYTES)

    def _sendable(self, key: RowKey) -> bool:
        row = self._layer.row(key)
        if key in self._layer.unadopted:
            return False  # loaded only just now: without its class a count would begin at 0 and not at its default
        if self._layer.journal.degraded and self._awaits_journal(row):
            return False
        if self.is_unlisted(row):
            return False
        # A row whose new base waits for an open transaction to end would only be refused again.
        return row.sendable and not self._layer.base_waits(key.channel_id)

    def is_unlisted(self, row: Row) -> bool:
        """True for a channel's row that a human has deleted, alone or with all others: saved, a change would list it anew."""
        login = row.key.channel_id
        return row.key.table == CONFIG_TABLE and row.base.data is None and not self._layer.may_list(login)

    def _awaits_journal(self, row: Row) -> bool:
        """True if a restarted process could find the row's changes under older stamps than a save would give them now."""
        return not self._layer.journal.committed(row.restamped_at)

    async def _save(self, batch: Batch) -> None:
        """Send one batch once; what was not answered waits again in the ledger."""
        if not self._layer.epoch:
            self._layer.ledger.give_back(batch)  # the other half of the batch learnt that the epoch is gone
            return
        sents: dict[RowKey, Sent] = {}
        try:
            await self._freeze(batch, sents)
            await self._hold_back(sents)
            if not (sents or batch.history or batch.events):
                return
            answer = await self._send(batch, sents)
        except (DatabaseUnavailable, DatabasePaused) as error:
            if isinstance(error, DatabasePaused) or error.surely_not_executed:
                self._unfreeze(sents)
            else:
                self._doubt(sents)
                self._layer.ledger.unanswered(batch)
            self._layer.ledger.give_back(batch)
            self._layer.telemetry.count("saves_failed")
            return
        except RequestRefused as error:
            await self._isolate(batch, sents, error)
            return
        except BaseException:
            self._doubt(sents)
            self._layer.ledger.give_back(batch)
            raise
        await self._answered(batch, sents, answer)

    async def _freeze(self, batch: Batch, sents: dict[RowKey, Sent]) -> None:
        """Put into ``sents`` what the batch's rows are sent as, piece by piece.

        Each boundary is journaled in the same turn of the loop: what chat records next must not be combined there with
        what the save carries.
        """
        now_s = self._layer.ages.earliest_s()
        pace, size = Pace(self._piece_bytes), 0
        for key in batch.rows:
            row = self._layer.row(key)
            # Half of a batch waits for the other half: a load may have settled or replaced its rows meanwhile.
            if not row.sendable:
                continue
            if size > BATCH_BYTES_MAX:
                break  # the rest still stands in the ledger, and goes with the next batch
            try:
                sents[key] = row.freeze(self._layer.epoch, now_s)
            except (TypeError, ValueError, OverflowError, RecursionError, StateError) as error:
                # What no JSON can hold (components' values are checked before, so it came in some other way), or an author's
                # upgrade that fails now: the other rows must not wait for it.
                self._layer.dead_letters.refuse(row, None, UNENCODABLE, str(error))
                continue
            self._layer.journal.append([Sending(key, sents[key].base.stamp)])
            row_size = len(sents[key].base.data or b"")
            size += row_size
            await pace.after(row_size + ROW_BYTES)

    async def _hold_back(self, sents: dict[RowKey, Sent]) -> None:
        """Wait for the journal, and take out what must not leave without it; that still stands in the ledger."""
        await self._layer.journal.wait(self._layer.journal.appended)
        held = [key for key in sents if self._awaits_journal(self._layer.row(key))]
        if held:
            self._unfreeze({key: sents.pop(key) for key in held})

    def _unfreeze(self, sents: Mapping[RowKey, Sent]) -> None:
        """The request surely was not executed: lower the boundaries, also in the journal."""
        rows = [self._layer.row(key) for key in sents]
        for row in rows:
            row.unfreeze()
        self._layer.journal.append([Sending(row.key, row.boundary) for row in rows])

    def _doubt(self, keys: Iterable[RowKey]) -> None:
        for key in keys:
            self._layer.row(key).unanswered()

    async def _send(self, batch: Batch, sents: Mapping[RowKey, Sent]) -> SaveAnswer:
        assert self._store is not None
        store, layer = self._store, self._layer
        rows: list[dict[str, Any]] = []
        patches: list[dict[str, Any]] = []
        for key, sent in sents.items():
            (patches if key.table == CONFIG_TABLE else rows).append(sent.payload)
        request = SaveRequest(layer.epoch, rows, patches, list(batch.history), list(batch.events))
        return await layer.link.call(lambda: store.save(request), "save")

    async def _isolate(self, batch: Batch, sents: Mapping[RowKey, Sent], error: RequestRefused) -> None:
        """The whole request was refused: halve it until the culprit stands alone."""
        if batch.size > 1:
            self._layer.telemetry.count("saves_bisected")
            first, second = batch.halves()
            try:
                await self._save(first)
            except BaseException:
                self._layer.ledger.give_back(second)
                raise
            await self._save(second)
            return
        for key, sent in sents.items():
            self._layer.dead_letters.refuse(self._layer.row(key), sent, error.code, error.words)
        if batch.history or batch.events:
            self._layer.telemetry.count("appends_refused")
            _log.warning("append_refused", why=str(error))

    async def _answered(self, batch: Batch, sents: Mapping[RowKey, Sent], answer: SaveAnswer) -> None:
        layer = self._layer
        if answer.status == "fenced" and layer.claimant.took(answer.holder):
            # A call that this process gave up, or an earlier one on this journal sent before it died, arrived late.
            layer.ledger.give_back(batch)
            layer.renew_epoch(answer.epoch)
            return
        if answer.status == "fenced":
            layer.ledger.give_back(batch)
            raise Fenced(layer.epoch, answer.epoch)
        if answer.status == "unknown_epoch":
            layer.ledger.give_back(batch)
            layer.renew_epoch(answer.epoch)
            return
        layer.telemetry.count("saves")
        layer.ledger.answered()
        refused = {refusal.key: refusal for refusal in answer.refused}
        serial = layer.next_serial()
        await self._acknowledge([key for key in sents if key not in refused], sents, serial)
        # Once, what was refused keeps its place, and so goes with this flush's next batch.
        again = [key for key in sents if key in refused and key in self._refused_now]
        layer.ledger.settle(again, (), self._now_s())
        self._refused_now |= dict.fromkeys(refused)
        pace = Pace(self._piece_bytes)
        for refusal in answer.refused:
            self._refused(refusal, sents, serial)
            await pace.after(len(refusal.stored.data or b"") + ROW_BYTES)
        if refused:
            self.work_arrived()
        stale = [one.stored for one in answer.refused if one.reason == "stale" and not _is_beyond(one)]
        # Rows of another project were imported, or a number was typed: under this epoch nothing of them could ever be saved.
        outranked = [stored.epoch for stored in stale if _outranks(stored, layer.epoch)]
        if outranked:
            layer.renew_epoch(max(outranked))

    async def _acknowledge(self, saved: Sequence[RowKey], sents: Mapping[RowKey, Sent], serial: int) -> None:
        """The database has these rows: what was sent becomes their base, piece by piece."""
        layer, pace, done = self._layer, Pace(self._piece_bytes), 0
        try:
            while done < len(saved):
                piece = saved[done : done + self._rows_at_once]
                rows = [layer.row(key) for key in piece]
                layer.journal.append(
                    [Settled(row.key, row.base) for row in rows if row.acknowledged(sents[row.key], serial)]
                )
                for row in rows:
                    layer.dead_letters.look_at(row)
                dirty = [row.key for row in rows if row.dirty]
                layer.ledger.settle(dirty, piece, self._now_s())
                layer.telemetry.count("rows_saved", len(piece))
                if dirty:
                    self.work_arrived()
                done += len(piece)
                if done < len(saved):
                    await pace.after(len(piece) * ACKNOWLEDGED_BYTES)
        finally:
            # Cut short (the program ends): for the rest the answer is as good as lost.
            self._doubt(saved[done:])

    def _refused(self, refusal: Refusal, sents: Mapping[RowKey, Sent], serial: int) -> None:
        if refusal.key not in sents:
            # History and events ride in the same answer; they are at most once past an error.
            self._layer.telemetry.count("appends_refused")
            _log.warning("append_refused", what="/".join(refusal.key), why=refusal.message)
            return
        if refusal.reason == "invalid" or _is_beyond(refusal):
            row = self._layer.row(refusal.key)
            sqlstate, words = refusal.sqlstate, refusal.message
            if _is_beyond(refusal):
                sqlstate, words = EPOCH_BEYOND, _BEYOND_WORDS.format(refusal.stored.epoch)
            self._layer.dead_letters.refuse(row, sents[refusal.key], sqlstate, words)
            return
        self._layer.telemetry.count(f"rows_refused_{refusal.reason}")
        _log.info("row_rebased", row="/".join(refusal.key), why=refusal.reason)
        self._layer.deliver(refusal.key, refusal.stored, serial, authoritative=True)

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()


def _outranks(stored: Base, epoch: int) -> bool:
    """True if no revision under ``epoch`` is newer than the stored row's: a later epoch's, or one of bigint's last.

    That one reads 0, since it is not believed (:mod:`byte_bot.persistence.answers`), and nothing is stale beside a real 0.
    """
    return stored.epoch > epoch or (stored.epoch == epoch and not stored.revision)


def _is_beyond(refusal: Refusal) -> bool:
    """True if the row was kept for an epoch that cannot be overtaken: taking a higher one would use up all there are."""
    return refusal.reason == "stale" and refusal.stored.epoch > EPOCH_BELIEVED_MAX
