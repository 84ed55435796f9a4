"""The local snapshot: the rows that the journal last knew, shown until the database can be asked.

How it works. Whatever comes from the database stands in the journal's file too (:mod:`byte_bot.persistence.journal_file`), so a bot
that is started during an outage, and a channel that comes back after its eviction, begin with what they last had: the first by
:meth:`Snapshot.restore` and :meth:`Snapshot.restore_config`, which put bases into RAM that count as shown and not as loaded (nothing is
saved over them). Of a channel of which nothing is stored a row that does not exist is noted: it is known to have nothing, and its
first message need not wait for the database as that of a channel never seen must.

Left out: what is pending, which :meth:`~byte_bot.persistence.layer.PersistenceLayer.restore` takes over at the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from byte_bot.persistence.journal import JournalStore
from byte_bot.persistence.operations import ABSENT, Base, RowKey
from byte_bot.persistence.quiet import QuietRows
from byte_bot.persistence.row import CONFIG_TABLE, Row


class Snapshot:
    """See the module's docstring.

    Args:
        store: the journal's.
        rows: the rows in use.
        quiet: the others in RAM.
    """

    def __init__(self, store: JournalStore, rows: Mapping[RowKey, Row], quiet: QuietRows) -> None:
        self._store = store
        self._rows = rows
        self._quiet = quiet

    def restore(self, channel_id: str) -> bool:
        """Put the channel's last known rows into RAM, to be shown until the load arrives; True if there were any."""
        found = self._store.snapshot(channel_id)
        states = [key for key in found if key.table != CONFIG_TABLE]
        for key in states:
            row = self._rows.get(key)
            if row is not None and not row.loaded:
                row.accept(found[key], 0, 0)
            self._put(key, found[key])
        return bool(states)

    def restore_config(self, login: str) -> None:
        """Put the channel's configuration into RAM as it was last known, to be shown until the list of channels arrives."""
        key = RowKey(CONFIG_TABLE, login)
        if (base := self._store.snapshot(login).get(key)) is not None:
            self._put(key, base)

    def show_config(self, login: str, base: Base) -> None:
        """Put a configuration into RAM that was listed under an epoch given up since, to be shown until the next list arrives."""
        key = RowKey(CONFIG_TABLE, login)
        if (row := self._rows.get(key)) is None:
            self._quiet.put(key, base, 0)
        else:
            row.accept(base, 0, 0)  # passed over if the row was loaded since

    def _put(self, key: RowKey, base: Base) -> None:
        if key not in self._rows and self._quiet.find(key) is None:
            self._quiet.put(key, base, 0)

    def covers(self, channel_id: str, bases: Iterable[tuple[RowKey, Base]]) -> bool:
        """True if it would bring these bases of the channel back; what it does not know yet waits for the journal's disk."""
        known = self._store.snapshot(channel_id)
        return all(base == known.get(key, ABSENT) for key, base in bases)
