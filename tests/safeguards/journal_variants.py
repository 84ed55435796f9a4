"""Journals that lack a safeguard: between the shipped journal and its store, something else is committed or read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from byte_bot.app import Application, Surroundings
from byte_bot.persistence.journal import JournalStore, StoreCounts
from byte_bot.persistence.journal_image import JournalImage, Write
from byte_bot.persistence.operations import Base, RowKey
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
