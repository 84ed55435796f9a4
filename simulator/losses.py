"""What the end of a process may have taken with it although viewers were told: the boundary of "nothing lost" (P3), drawn in the account.

What the bot confirmed survives the end of its process; the world's :class:`~simulator.account.Account` holds it to that. Two
things are not promised, and only they are taken back, for the messages that they concern:

* Replies that left while the bot had announced *journal degraded*, and whose messages the disk does not hold: they were in
  RAM only. The database may have them or not. Once its journal says that everything is committed, this holds no more. So it is with
  an orderly end too, if neither the disk nor the database takes what waits.
* With ``DURABILITY=process``, commits after the last sync of a disk whose machine lost its power.

After a power cut a save may have left under a stamp that the disk does not know any more (a row is stamped anew when a new process
has loaded it, and that record is lost). Then a sum that the disk still holds under an older process's stamp is added once
more: it may count twice. That is not promised either, and is allowed for those sums only. A bot that is degraded does not send such
rows, so a death in that state doubles nothing.

*Two processes at once* (:func:`leave_behind`): promised is what the holder of the current epoch confirms. What the one that ended first
has confirmed, and neither saved nor shared with the other, waits on its disk for a human to start it again, and may not be in the
database: so all that it alone had handled in a channel since a row of it was last saved which its disk still holds changed, and all that
changed such a row in this process alone. What was said while one of the two had no epoch yet may have been made by both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from byte_bot.persistence.operations import Kind, RowKey
from simulator.account import Account
from simulator.simulated_bot import Death, Rivalry

#: Where counters are stored: the only sums that the account follows.
COUNTERS = ("component_state", "counters", "values")


def reckon(account: Account, death: Death, channels: Mapping[str, str]) -> None:
    """Take back what this death may have cost; ``channels`` are ids by login."""
    disk = death.disk
    account.lose(death.lost)
    if death.behind:
        account.take_back([message_id for message_id in account.ungated if not disk.holds(message_id)])
    account.ungated.clear()
    if death.lost:
        for channel, counter, number in _sums_of_older_processes(death, channels):
            account.may_count_again(channel, counter, number)


def leave_behind(account: Account, rivalry: Rivalry, channels: Mapping[str, str]) -> None:
    """Take back what the end of one of two processes may have cost, or both may have made; ``channels`` as above."""
    left, kept = rivalry.left, rivalry.kept
    unsaved: dict[str, list[RowKey]] = {}
    for key, row in left.read(pending_only=True).rows.items():
        if row.pending:
            unsaved.setdefault(key.channel_id, []).append(key)

    def is_forsaken(message_id: str, login: str) -> bool:
        # The configuration of a channel is kept under its login.
        keys = (*unsaved.get(channels.get(login, ""), ()), *unsaved.get(login, ()))
        alone = not kept.holds(message_id)
        return any(
            left.handled_since(message_id, key)
            # The other one may have read another prefix, say, and passed it over.
            and (alone or (left.changed_by(message_id, key) and not kept.changed_by(message_id, key)))
            for key in keys
        )

    account.forsake(is_forsaken)
    for message_id in rivalry.unfenced:
        account.may_be_made_twice(message_id)


def _sums_of_older_processes(death: Death, channels: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    """Channel, counter and number of every sum that waits on the disk under the stamp of an earlier process."""
    logins = {channel_id: login for login, channel_id in channels.items()}
    table, component, field = COUNTERS
    for key, row in death.disk.read(pending_only=True).rows.items():
        if (key.table, key.key) != (table, component) or key.channel_id not in logins:
            continue
        for operation in row.pending:
            summed = operation.kind is Kind.ADD and operation.field == field and operation.key is not None
            if summed and operation.stamp.epoch != death.epoch:
                yield logins[key.channel_id], str(operation.key), int(operation.value)
