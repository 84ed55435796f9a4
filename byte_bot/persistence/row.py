"""One row in RAM: its base, what was done since, and the typed value that components see.

Life of a row::

    unloaded ──(base arrives)──▶ clean ──(commit)──▶ dirty ──(frozen for a save)──▶ sent ──(acknowledged)──▶ clean
        └──────(commit)──▶ dirty, unloaded: never sent until its base has arrived

* :meth:`Row.commit` compares the value with what :mod:`byte_bot.persistence.shadow` remembers of it and turns the
  difference into operations.
* :meth:`Row.freeze` gives what a save sends. Until an answer says what became of it, the same revision and content are sent again, and
  operations up to it are not coalesced with newer ones: a base read meanwhile may or may not contain it, and must be able to say so.
* :meth:`Row.accept` takes a base from a load, a refused save or the local snapshot, and rebases. A load can show a
  save before its own answer arrives; that answer then has nothing left to say (:meth:`Row.acknowledged`).

A base that does not fit the state class (a typo in the table editor, a newer program's row), or is nested too deeply, is
*unreadable*: it is not taken, and as long as it is the newest the row is never sent, so nothing of the human's is overwritten. RAM goes
on with what it had before (defaults in a row not loaded yet) and the local operations, which stay in the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import msgspec

from byte_bot.errors import StateError
from byte_bot.persistence.coalescing import coalesce, coalesced
from byte_bot.persistence.operations import (
    ABSENT,
    NO_STAMP,
    Base,
    Change,
    Operation,
    RowKey,
    Stamp,
    Tombstones,
    believed_revision,
    counted_revision,
    is_contained,
    is_older,
    rebase,
)
from byte_bot.persistence.shadow import Shadow, encoded
from byte_bot.persistence.state import ChannelState, StateSpec, StateT, stored_object
from byte_bot.persistence.storable import encoded_with_room

CONFIG_TABLE = "channels_config"
#: :attr:`Row.recorded_at` of what was replayed: older than every number.
EARLIER_PROCESS = -1


class Sent(NamedTuple):
    """A save on its way: what would become the base if it is acknowledged, and the JSON object that was sent."""

    base: Base
    payload: dict[str, Any]


class Row:
    """One row of one channel; belongs to the event loop, not thread-safe."""

    __slots__ = (
        "_assigned",
        "_boundary_before",
        "_changes",
        "_shadow",
        "_spec",
        "_state",
        "base",
        "boundary",
        "in_doubt",
        "key",
        "loaded",
        "pending",
        "recorded_at",
        "refused",
        "restamped_at",
        "revision",
        "sent",
        "serial",
        "unreadable",
    )

    def __init__(self, key: RowKey) -> None:
        self.key = key
        self.base = ABSENT
        #: False until a base of this process's epoch has arrived: a row without it is never sent.
        self.loaded = False
        self.pending: list[Operation] = []
        #: The journal's number of the oldest record of what is pending; 0: none, :data:`EARLIER_PROCESS`: there before it began.
        self.recorded_at = 0
        #: The journal's number of the record that gave what was pending new stamps, in place of others that it may hold, or found
        #: it in the base; 0: none. Before that is committed no save may carry the row.
        self.restamped_at = 0
        self.revision = 0
        self.sent: Sent | None = None
        #: The stamp up to which operations were sent: whatever became of it, they are not coalesced with newer ones.
        self.boundary = NO_STAMP
        self._boundary_before = NO_STAMP
        #: True once a try to save :attr:`sent` ended without an answer: the database may have it, or get it yet.
        self.in_doubt = False
        #: The layer's counter at the last change of the base; a load that was asked earlier is ignored.
        self.serial = 0
        self.unreadable = ""
        #: The revision that the server refused as invalid (a dead letter); a newer one retires it.
        self.refused = 0
        self._assigned: list[tuple[str, str | None]] | None = None
        self._spec: StateSpec | None = None
        self._state: ChannelState | None = None
        #: The value at the last commit; None as long as there is no value.
        self._shadow: Shadow | None = None
        #: What :meth:`prepare` found, for the commit that follows.
        self._changes: dict[str, list[Change]] | None = None

    def __repr__(self) -> str:
        return f"<Row {'/'.join(self.key)} loaded={self.loaded} pending={len(self.pending)}>"

    @property
    def assigned(self) -> list[tuple[str, str | None]]:
        """The fields, and keys of mappings, that were given an absolute value since the last commit; to be added to."""
        if self._assigned is None:
            self._assigned = []
        return self._assigned

    @property
    def dirty(self) -> bool:
        """True if something was done here that no acknowledged save contains."""
        return bool(self.pending)

    @property
    def sendable(self) -> bool:
        """True if a save may contain this row: it has changes, and its base is loaded and readable."""
        return (
            bool(self.pending)
            and self.shows_stored
            and self._shape_known
            and (not self.is_refused or self.sent is not None)
        )

    @property
    def shows_stored(self) -> bool:
        """True if RAM shows all that is stored: the base is loaded, and no unreadable one has come since."""
        return self.loaded and not self.unreadable

    @property
    def is_refused(self) -> bool:
        """True if what is pending was refused as it is, and nothing has changed since: it is a dead letter."""
        return bool(self.pending) and self.revision <= self.refused

    @property
    def _shape_known(self) -> bool:
        """False only for a row of an older shape with newer operations while its class is not loaded."""
        if self._spec is not None or self.base.data is None:
            return True
        return all(operation.version == self.base.version for operation in self.pending)

    @property
    def unused(self) -> bool:
        """True if no component has asked for the value yet, so that its class is not known."""
        return self._spec is None

    def shown(self) -> dict[str, Any] | None:
        """A copy of the value that components see now, as plain data; None if none has asked for it yet.

        Nothing is recorded, cut or loaded: it is for whoever compares RAM with the database from outside.
        """
        if self._state is None or self._spec is None:
            return None
        return {
            name: msgspec.json.decode(encoded(self._spec, name, getattr(self._state, name)))
            for name in self._spec.rules
        }

    def view(self, spec: StateSpec) -> ChannelState:
        """The typed value, in RAM; the same object as long as the row lives."""
        if self._state is None:
            self._spec = spec
            self._materialise()
        return cast(ChannelState, self._state)

    def typed(self, spec: StateSpec, cls: type[StateT]) -> StateT:
        """:meth:`view` with the class's own type; raises :class:`StateError` if another class uses the key."""
        state = self.view(spec)
        if not isinstance(state, cls):
            raise StateError(
                f"two state classes share the key {self.key.key!r}: {type(state).__qualname__} and "
                f"{cls.__qualname__}; give one of them another key"
            )
        return state

    def commit(self, epoch: int, op_id: str, at_s: int) -> list[Operation]:
        """Record what changed in the value since the last commit; the stamped operations, [] if nothing did.

        What :meth:`prepare` found is used if it was called just before: it says beforehand whether all rows of a
        transaction can be stored.
        """
        if self._state is None or self._spec is None or self._shadow is None:
            return []
        changes = self._changes
        if changes is None:
            changes = self._shadow.changes(self._spec, self._state, self._assigned or ())
        self._changes = self._assigned = None
        if not changes:
            return []
        self._shadow.keep(self._spec, self._state, changes)
        # Before the base is known neither is the stored revision: the number of this epoch could be taken already.
        stamp = Stamp(epoch if self.loaded else 0, self.revision + 1)
        version = self._spec.version
        operations: list[Operation] = []
        for told in changes.values():
            for change in told:
                operation = change.stamped(stamp, op_id, at_s, version)
                operations.append(operation)
                coalesce(self.pending, operation, self.boundary)
        if operations:
            self.revision += 1
        return operations

    def changed(self) -> bool:
        """True if the value differs from the last commit, without recording anything.

        Raises:
            StateError: the value as it is now cannot be stored.
        """
        changed = self.prepare()
        self._changes = None
        return changed

    def prepare(self) -> bool:
        """Find what changed, for the commit that follows at once; cuts ``Recent`` lists to their cap. False if nothing did.

        Raises:
            StateError: the value as it is now cannot be stored.
        """
        if self._state is None or self._spec is None or self._shadow is None:
            return False
        self._changes = self._shadow.changes(self._spec, self._state, self._assigned or ())
        return bool(self._changes)

    def rollback(self) -> None:
        """Put the value back to what it was at the last commit, in the same object."""
        self._assigned = None
        self._changes = None
        if self._state is not None and self._spec is not None and self._shadow is not None:
            self._shadow.restore(self._spec, self._state)

    def freeze(self, epoch: int, now_s: int) -> Sent:
        """What a save sends for this row; the same again until :meth:`acknowledged` or :meth:`accept` settle it."""
        assert self.sendable, f"a row without a base must never be sent: {self!r}"
        if self.sent is None:
            self.sent = self._frozen(epoch, now_s)
            self._boundary_before, self.boundary = self.boundary, self.sent.base.stamp
            self.in_doubt = False
        return self.sent

    def refuse(self, sent: Sent | None = None) -> None:
        """The server will never take the content of ``sent``: leave it out until a newer revision replaces it.

        Without ``sent``: what is pending now cannot even be sent.
        """
        self.refused = max(self.refused, self.revision if sent is None else sent.base.revision)
        if sent is not None and self.sent is sent:
            self.unfreeze()
            self.sent = None

    def unanswered(self) -> None:
        """A try to save ended without an answer: from now on nobody knows whether the database has it."""
        self.in_doubt = True

    def unfreeze(self) -> None:
        """The last try surely never reached the database: the next save may carry newer changes, if no earlier try did."""
        if self.sent is not None and not self.in_doubt:
            self.sent = None
            self.boundary = self._boundary_before
            # What came after the try was kept apart from what it carried: in a long outage that is a part for each try.
            self.pending = coalesced(self.pending, boundary=self.boundary)

    def acknowledged(self, sent: Sent, serial: int) -> bool:
        """The database has what was sent: it is the base now.

        Returns:
            False if a load has shown it already, and perhaps more: then the base in RAM stays.
        """
        if self.sent is not sent:
            return False
        self.base = sent.base
        self.serial = serial
        self.sent = None
        self.pending = [operation for operation in self.pending if not is_contained(operation, self.base)]
        self._forget_records()
        return True

    def accept(
        self, base: Base, epoch: int, serial: int, *, now_s: int = 0, authoritative: bool = False
    ) -> bool:
        """Take a base that was read from the database and put the local operations on it.

        Args:
            base: the row as the database showed it; :data:`ABSENT` if there is none.
            epoch: this process's epoch, 0 if it has none yet (a snapshot's base: it is shown, never sent over).
            serial: the layer's counter when the read was asked for.
            now_s: wall time in seconds, for the age of tombstones.
            authoritative: the answer to our own save, which cannot have been overtaken.

        Returns:
            False if the base was ignored: RAM already knows a newer one.
        """
        if not authoritative and self.loaded and (serial < self.serial or is_older(base, self.base)):
            return False
        pending = [operation for operation in self.pending if not is_contained(operation, base)]
        if not self._readable(base, pending):
            return False
        if base.edit_no != self.base.edit_no:
            self.refused = 0  # a human changed the row: what was refused may fit now
        self.base = base
        self.serial = serial
        # Never below what is stored: a row that was evicted and comes back would else stamp its changes as contained.
        self.revision = max(self.revision, counted_revision(base, epoch))
        self.loaded = self.loaded or epoch > 0
        if self.sent is not None and (authoritative or self._settles(base, epoch)):
            self.sent = None
        self.pending = pending
        self._drop_buried()
        self._forget_records()
        if epoch:
            self._restamp(epoch)
        if self._spec is not None:
            self._materialise()
        return True

    def _settles(self, base: Base, epoch: int) -> bool:
        """True if ``base`` tells what became of the save on its way: contained, or fenced off by a newer epoch."""
        assert self.sent is not None
        sent = self.sent.base
        contained = sent.epoch == base.epoch and sent.revision <= base.revision
        return contained or (epoch > 0 and sent.epoch != epoch)

    def forget_base(self) -> None:
        """A new epoch: what RAM knows of the database may be out of date, so nothing is sent until it is read."""
        self.loaded = False

    def replayed(self, operations: Sequence[Operation]) -> None:
        """Take over the pending operations of an earlier process, from the journal."""
        self.pending = [*operations, *self.pending]
        self.recorded_at = EARLIER_PROCESS
        revisions = [believed_revision(operation.stamp.revision) or 1 for operation in operations]
        self.revision = max([self.revision, *revisions])
        if self._spec is not None:
            self._materialise()

    def _readable(self, base: Base, pending: Sequence[Operation]) -> bool:
        """True if the row fits the class, and still does with the local operations on it; an object if no class is known."""
        try:
            if self._spec is None:
                stored_object(base)
            else:
                self._spec.instance(rebase(self._spec.complete(base), base.tombstones, pending).data)
        except (StateError, RecursionError) as error:
            # The latter: more levels of lists than can be read, from a human's hand or an earlier release's journal.
            self.unreadable = str(error)
            return False
        self.unreadable = ""
        return True

    def _drop_buried(self) -> None:
        """Remove the operations that lose against a newer tombstone of the base."""
        if self.base.tombstones:
            self.pending = rebase({}, self.base.tombstones, self.pending).surviving

    def _forget_records(self) -> None:
        if not self.pending:
            self.recorded_at = 0

    def _restamp(self, epoch: int) -> None:
        refused = self.is_refused
        stamped = []
        for operation in self.pending:
            if operation.stamp.epoch != epoch:
                self.revision += 1
                operation = msgspec.structs.replace(operation, stamp=Stamp(epoch, self.revision))
            stamped.append(operation)
        self.pending = stamped
        if refused:
            # Another number for what was refused already: every restart would else send it once more.
            self.refused = max(self.refused, self.revision)

    def _rebased(self, now_s: int = 0) -> tuple[dict[str, Any], Tombstones]:
        # Without its class (a component that is not installed any more, or not used yet) a row is saved all the same:
        # operations are plain data, and missing fields get their defaults when it is read.
        data = stored_object(self.base) if self._spec is None else self._spec.complete(self.base)
        value = rebase(data, self.base.tombstones, self.pending, now_s=now_s)
        return value.data, value.tombstones

    @property
    def _version(self) -> int:
        if self._spec is not None:
            return self._spec.version
        return max([self.base.version, *(operation.version for operation in self.pending)])

    def _materialise(self) -> None:
        """Make the typed value from base and operations, in the object that components already hold."""
        assert self._spec is not None
        complaint = self.unreadable  # about another base, which was not taken
        if self._readable(self.base, self.pending):
            data, _ = self._rebased()
        else:
            self.base, self.loaded = ABSENT, False
            complaint = self.unreadable
            data = self._rebased()[0] if self._readable(ABSENT, self.pending) else self._spec.defaults
        self.unreadable = complaint
        try:
            self._show(self._spec, data)
        except StateError as error:  # it can be read, but not be written: nested too deeply as well
            self.base, self.loaded, self.unreadable = ABSENT, False, str(error)
            self._show(self._spec, self._spec.defaults)

    def _show(self, spec: StateSpec, data: dict[str, Any]) -> None:
        fresh = spec.instance(data)
        if self._state is None:
            self._state = fresh
        for field in fresh.__struct_fields__:
            setattr(self._state, field, getattr(fresh, field))
        self._shadow = Shadow(spec, self._state)

    def _frozen(self, epoch: int, now_s: int) -> Sent:
        data, tombstones = self._rebased(now_s)
        base = Base(
            encoded_with_room(data), tombstones, self._version, epoch, self.revision, self.base.edit_no or 0
        )
        if self.key.table == CONFIG_TABLE:
            columns = {op.field: data[op.field] for op in self.pending}
            payload: dict[str, Any] = {
                "login": self.key.channel_id,
                "columns": dict(sorted(columns.items())),
                "revision": self.revision,
                "edit_no": self.base.edit_no,
            }
        else:
            payload = {
                "table": self.key.table,
                "channel_id": self.key.channel_id,
                "key": self.key.key,
                "version": self._version,
                "data": data,
                "tombstones": tombstones,
                "revision": self.revision,
                "edit_no": self.base.edit_no,
            }
        return Sent(base, payload)
