"""Rows that lack a safeguard, and the layer that holds such rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from byte_bot.persistence.layer import PersistenceLayer
from byte_bot.persistence.operations import NO_STAMP, Base, Operation
from byte_bot.persistence.row import Row, Sent
from tests.safeguards.altered import altered


def layer_of(variant: type[Row]) -> type[PersistenceLayer]:
    """A layer whose rows are of this class from the first moment on."""
    return altered(PersistenceLayer, {"Row": variant}, row=None)


class EagerRow(Row):
    """Sendable as soon as something was done to it, whatever it is based on."""

    __slots__ = ()

    @property
    def sendable(self) -> bool:
        """Whether anything waits."""
        return bool(self.pending)


class StamplessRow(Row):
    """Takes what is replayed for something that no base can have."""

    __slots__ = ()

    def replayed(self, operations: Sequence[Operation]) -> None:
        """Take it over without its stamps."""
        super().replayed([msgspec.structs.replace(operation, stamp=NO_STAMP) for operation in operations])


class GravelessRow(Row):
    """Reads no tombstones."""

    __slots__ = ()

    def accept(self, base: Base, epoch: int, serial: int, **options: Any) -> bool:
        """Take the base as if nothing had ever been deleted from it."""
        return super().accept(msgspec.structs.replace(base, tombstones={}), epoch, serial, **options)


class StubbornRow(Row):
    """Once refused, for ever refused."""

    __slots__ = ()

    @property
    def is_refused(self) -> bool:
        """Whatever has changed since."""
        return self.refused > 0


class FickleRow(Row):
    """Sends what it is now, whatever became of the last try."""

    __slots__ = ()

    def freeze(self, epoch: int, now_s: int) -> Sent:
        """The newest state."""
        self.sent = None
        return super().freeze(epoch, now_s)


#: What a :class:`LossyRow` loses.
LOST_FIELDS = ("current_game", "vibe", "style_profile", "observability", "notes", "quotes", "commands")


class LossyRow(Row):
    """Shows every change in RAM, and records only those of counters and chat."""

    __slots__ = ()

    def prepare(self) -> bool:
        """Find what changed, and forget some of it."""
        found = super().prepare()
        if self._changes:
            self._changes = {
                name: [] if name in LOST_FIELDS else told for name, told in self._changes.items()
            }
        return found
