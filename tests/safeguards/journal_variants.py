"""Journals that lack a safeguard: stores between which and the shipped journal something else is committed, and variants of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from byte_bot.app import Application, Surroundings
from byte_bot.persistence.journal import Journal, JournalStore, StoreCounts
from byte_bot.persistence.journal_backlog import RowWrite
from byte_bot.persistence.journal_image import (
    Handled,
    JournalImage,
    Rebased,
    Recorded,
    Sending,
    Settled,
    Write,
)
from byte_bot.persistence.operations import ABSENT, Base, RowKey
from byte_bot.persistence.snapshot import Snapshot
from byte_bot.settings import Settings
from simulator.world import ApplicationFactory


class PassedOn:
    """A store that passes everything on as it is; a variant changes :meth:`instead_of`."""

    def __init__(self, inner: JournalStore) -> None:
        self.inner = inner
        self.durable = inner.durable
        self.identity = inner.identity

    @property
    def counts(self) -> StoreCounts:
        """What the store has counted."""
        return self.inner.counts

    def instead_of(self, write: Write) -> list[Write]:
        """What is committed instead of this write."""
        return [write]

    async def commit(self, writes: Sequence[Write]) -> None:
        """Commit what the variant makes of it."""
        await self.inner.commit([other for write in writes for other in self.instead_of(write)])

    def read(self, *, pending_only: bool = False) -> JournalImage:
        """What was committed."""
        return self.inner.read(pending_only=pending_only)

    def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
        """The last known bases."""
        return self.inner.snapshot(channel_id)


def application_on(variant: type[PassedOn]) -> ApplicationFactory:
    """A factory of applications whose journal lies on such a store."""

    def build(settings: Settings, surroundings: Surroundings) -> Application:
        store = variant(surroundings.journal_store)
        return Application(settings, replace(surroundings, journal_store=store))

    return build


class NoBoundaries(PassedOn):
    """Does not know that a save is on its way."""

    def instead_of(self, write: Write) -> list[Write]:
        """Everything else."""
        return [] if isinstance(write, Sending) else [write]


class NoWindow(PassedOn):
    """Does not remember which messages were handled."""

    def instead_of(self, write: Write) -> list[Write]:
        """Everything else."""
        return [] if isinstance(write, Handled) else [write]


class OldStamps(PassedOn):
    """Leaves what an earlier process did under that one's stamps."""

    def instead_of(self, write: Write) -> list[Write]:
        """Everything else."""
        return [] if isinstance(write, Rebased) and write.operations else [write]


class TrimOnly(PassedOn):
    """Drops what was saved, and does not keep what the database has now: that would be another transaction."""

    def instead_of(self, write: Write) -> list[Write]:
        """The old base, and nothing pending."""
        if not isinstance(write, Settled):
            return [write]
        known = self.snapshot(write.key.channel_id).get(write.key, ABSENT)
        return [Rebased(write.key, known, [])]


class RecordsFirst(Journal):
    """Lets records go at once, whatever waits about their rows."""

    def _append_about_row(self, write: RowWrite) -> None:
        if isinstance(write, Recorded) and not self._folding:
            self._waiting.append(write)
        else:
            super()._append_about_row(write)


class DroppingJournal(Journal):
    """Folds what waits into nothing."""

    def _fold(self, group: Iterable[Write]) -> None:
        super()._fold(())
        self._backlog.take_all()


class HastyJournal(Journal):
    """Has nobody wait: whoever asks is told that all is committed."""

    async def wait(self, sequence: int) -> None:
        """Go."""

    def committed(self, sequence: int) -> bool:
        """Yes."""
        return True


class OpenGate(Journal):
    """Lets every reply go at once."""

    def after(self, sequence: int, callback: Callable[[], None]) -> None:
        """Go."""
        callback()


class PatientJournal(Journal):
    """Waits for its disk, however long it takes."""

    def _look(self) -> None:
        self._watch = None


class NervousJournal(Journal):
    """Degraded once and for all."""

    @property
    def degraded(self) -> bool:
        """Always."""
        return True

    @degraded.setter
    def degraded(self, _value: bool) -> None:
        pass


class StatesOnly(Snapshot):
    """Knows what channels have, and not how they are configured."""

    def restore_config(self, login: str) -> None:
        """Leave it at the defaults."""
