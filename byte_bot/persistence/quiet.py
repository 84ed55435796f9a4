"""Quiet rows: what is kept in RAM of a row that nobody has used since its base arrived. Pure.

Most channels are quiet, and there may be 100,000 of them with three rows each. A :class:`~byte_bot.persistence.row.Row`
with its value, operations and save on its way is for a row in use; of a quiet one the base says it all. So
:class:`~byte_bot.persistence.layer.PersistenceLayer` keeps bases in here, and makes a row of one when somebody asks for it
(:meth:`QuietRows.take`). There is no way back but the channel's eviction: a row once used may have been sent, refused or
changed, and knows things that a base does not.

Kept small on purpose, measured for 100,000 channels: no key objects (the owner's dict key, table and component key are
strings that all channels share), nothing that the garbage collector must look at, and the one row of a login in
``channels_config`` without a tuple around it. Logins have a dict of their own, since one can look like a channel's id.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from byte_bot.persistence.operations import Base, RowKey
from byte_bot.persistence.row import CONFIG_TABLE


class QuietRow(msgspec.Struct, frozen=True, gc=False):
    """One row: its table and component key, its base, and the layer's counter when that was taken over."""

    table: str
    key: str
    base: Base
    serial: int


class QuietRows:
    """The quiet rows of all channels and logins."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[QuietRow, ...]] = {}
        self._configs: dict[str, QuietRow] = {}

    def __iter__(self) -> Iterator[RowKey]:
        for login in self._configs:
            yield RowKey(CONFIG_TABLE, login)
        for channel_id in self._states:
            yield from self.keys_of(channel_id)

    def find(self, key: RowKey) -> QuietRow | None:
        """The row, None if it is not here."""
        table, owner, name = key
        if table == CONFIG_TABLE:
            return self._configs.get(owner)
        for row in self._states.get(owner, ()):
            if row.key == name and row.table == table:
                return row
        return None

    def keys_of(self, channel_id: str) -> list[RowKey]:
        """The keys of one channel's rows, its configuration left out."""
        return [RowKey(row.table, channel_id, row.key) for row in self._states.get(channel_id, ())]

    def put(self, key: RowKey, base: Base, serial: int) -> None:
        """Keep ``base``, taken over at ``serial``, in place of what was known of the row."""
        row = QuietRow(key.table, key.key, base, serial)
        if key.table == CONFIG_TABLE:
            self._configs[key.channel_id] = row
        else:
            self._states[key.channel_id] = (*self._others(key), row)

    def take(self, key: RowKey) -> QuietRow | None:
        """Hand out the row, which is not quiet any more; None if it is not here."""
        row = self.find(key)
        if row is None:
            return None
        if key.table == CONFIG_TABLE:
            del self._configs[key.channel_id]
        elif others := self._others(key):
            self._states[key.channel_id] = others
        else:
            del self._states[key.channel_id]
        return row

    def forget(self, channel_id: str) -> None:
        """Drop a channel's rows; its configuration stays."""
        self._states.pop(channel_id, None)

    def _others(self, key: RowKey) -> tuple[QuietRow, ...]:
        rows = self._states.get(key.channel_id, ())
        return tuple([row for row in rows if row.key != key.key or row.table != key.table])
