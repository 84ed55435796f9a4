"""Who took a higher epoch: this process, an earlier one on this journal, or a rival."""

from __future__ import annotations

import asyncio
from pathlib import Path

from byte_bot.errors import Fenced
from byte_bot.persistence.claimant import Claimant
from byte_bot.persistence.journal import EpochTaken, Journal, MemoryJournalStore
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import STARTS_MAX
from byte_bot.persistence.journal_opening import connect, open_journal
from byte_bot.persistence.journal_schema import Owner
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.journal_writes import image_of
from tests.byte_bot.persistence.rig import Rig, Wrapped, fake_supabase, process, settled, wrapped


def copy_of(store: MemoryJournalStore) -> MemoryJournalStore:
    """The journal as a snapshot of the volume brings it to another machine: the same identity."""
    copy = MemoryJournalStore(store.identity)
    copy._image = store.read()
    return copy


def claimant(start: str, *earlier: str) -> Claimant:
    """One on the journal ``host/1/abc``."""
    one = Claimant(Journal(MemoryJournalStore()), "host/1/abc", start)
    one.earlier = frozenset(earlier)
    return one


def test_only_itself_and_those_before_it_on_this_journal_are_no_rivals() -> None:
    """Another start on the same journal is one, and so is the same start on another journal."""
    me = claimant("b", "a")
    assert me.name == "host/1/abc/b"
    assert me.took("host/1/abc/b")
    assert me.took("host/1/abc/a")
    for rival in ("host/1/abc/c", "host/1/abc", "host/2/abc/b", "", "b"):
        assert not me.took(rival), rival


def test_starts_are_remembered_once_and_not_for_ever() -> None:
    """The oldest are forgotten first; to ask again is not another start."""
    image = image_of(*(EpochTaken(1, f"s{number}") for number in (*range(STARTS_MAX + 2), STARTS_MAX + 1)))
    assert image.starts == [f"s{number}" for number in range(2, STARTS_MAX + 2)]


def test_starts_are_in_the_file_folded_or_not(tmp_path: Path) -> None:
    """As an earlier release's file, one without any is read too."""
    path = tmp_path / "my_bot.journal"
    journal = SqliteJournal(open_journal(path, Owner("my_bot", "here"), durability="process", now_s=0.0))
    assert journal.read().starts == []
    journal.apply([EpochTaken(0, "a")], 1)
    journal.fold()
    journal.apply([EpochTaken(3, "b")], 2)
    assert (journal.read().starts, journal.read().epoch) == (["a", "b"], 3)
    while journal.fold():
        pass
    journal.close()
    following = SqliteJournal(connect(path))
    assert (following.read().starts, following.read().epoch) == (["a", "b"], 3)
    following.close()


@in_virtual_time()
async def test_the_start_is_in_the_journal_before_the_database_is_asked() -> None:
    """A process that dies before it was answered is known to the next one."""
    known: list[list[str]] = []

    class Watching(Wrapped):
        async def take_epoch(self, holder: str, seen: int) -> int:
            known.append(disk.read().starts)
            return await super().take_epoch(holder, seen)

    fake, disk = fake_supabase(), MemoryJournalStore("here")
    async with process(fake, journal_store=disk, holder="one", wrap=Watching) as rig:
        await settled(rig)
    assert known == [["one"]]
    assert fake.rows("bot_writer")[0]["holder"] == "here/one"
    fake.close()


@in_virtual_time()
async def test_a_call_of_a_dead_process_on_this_journal_fences_nobody() -> None:
    """It was sent before the process died, and is carried out when the next one has its epoch."""
    fake, disk = fake_supabase(), MemoryJournalStore("here")
    async with process(fake, journal_store=disk, holder="one") as rig:
        await settled(rig)
        dead = rig.layer.claimant.name
    async with process(fake, journal_store=disk, holder="two", wrap=Wrapped) as rig:
        rig.add(3)
        await settled(rig)
        await wrapped(rig).inner.take_epoch(dead, 0)
        rig.add(4)
        await asyncio.sleep(8)
        assert not rig.services[0].done()
        assert rig.stored_total() == rig.total() == 7
    fake.close()


def fenced(rig: Rig) -> bool:
    """True if the process has ended because another one took over."""
    (service,) = rig.services
    error = service.exception() if service.done() else None
    return isinstance(error, BaseExceptionGroup) and error.subgroup(Fenced) is not None


@in_virtual_time()
async def test_of_two_bots_on_copies_of_one_journal_the_later_one_stays() -> None:
    """A snapshot of a running bot's volume: neither takes the other's epoch for a call of its own, so one of them ends."""
    fake, disk = fake_supabase(), MemoryJournalStore("here")
    async with process(fake, journal_store=disk, holder="one") as first:
        first.add()
        await settled(first)
        copy = copy_of(disk)
        async with process(fake, journal_store=copy, holder="two") as second:
            await settled(second)
            first.add()
            second.add(10)
            await asyncio.sleep(20)
            assert (fenced(first), fenced(second)) == (True, False)
            assert second.stored_total() == second.total() == 11
            async with process(fake, journal_store=disk, holder="three") as third:
                await settled(third)
                second.add(100)
                await asyncio.sleep(20)
                assert (fenced(second), fenced(third)) == (True, False)
                # What was fenced off waits in its journal: the first one's was saved by the third.
                assert third.stored_total() == third.total() == 12
    assert fake.rows("bot_writer")[0]["epoch"] == 3
    fake.close()
