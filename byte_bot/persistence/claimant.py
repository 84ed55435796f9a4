"""Under which name this process takes epochs, and whether a higher epoch was taken by a rival.

How it works. The name is the journal's identity and the id of this *start*, drawn anew by every process. A process that finds
a higher epoch in the database looks at who took it. It was no rival if it was this process (a call that it gave up has
arrived late), or an earlier one on this journal, which is dead: the journal's lock says so. So before its first call a process
writes its start into the journal, and the next one reads there which starts were before it.

A journal that was copied to another machine (a volume's snapshot) has the same identity, and no lock that both would see. Two
processes on two copies tell each other apart by their starts. Neither takes the other for a dead one for ever: a start is
known only to who began later with a journal that had it, and of two processes not both can have begun after the other.

Left out: a note that is not on the disk, since the journal is degraded or a power cut took it along (with ``DURABILITY=process``).
A call of such a start that arrives after its death fences the next process as a rival would.
"""

from __future__ import annotations

from byte_bot.persistence.journal import EpochTaken, Journal


class Claimant:
    """See the module's docstring.

    Args:
        journal: where the start is written down.
        identity: the journal's.
        start: this process's id.
    """

    def __init__(self, journal: Journal, identity: str, start: str) -> None:
        self._journal = journal
        self._identity = identity
        self._start = start
        #: The journal's number of the note; 0: not written yet.
        self._noted = 0
        #: The starts of earlier processes on this journal.
        self.earlier: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What the database is told."""
        return f"{self._identity}/{self._start}"

    async def announce(self, seen_epoch: int) -> str:
        """Have the journal know this start before an epoch is asked for; the name to ask under.

        Args:
            seen_epoch: the highest epoch known.
        """
        if not self._noted:
            self._noted = self._journal.append([EpochTaken(seen_epoch, self._start)])
        await self._journal.wait(self._noted)
        return self.name

    def took(self, holder: str) -> bool:
        """True if ``holder`` is this process, or an earlier one on this journal."""
        identity, _, start = holder.rpartition("/")
        return identity == self._identity and (start == self._start or start in self.earlier)
