"""What a process without its database shows: what the one before it last knew."""

from __future__ import annotations

import asyncio

from byte_bot.context.stream_context import ChannelConfig
from byte_bot.persistence.journal import MemoryJournalStore
from byte_bot.persistence.operations import ABSENT, Base, RowKey
from byte_bot.persistence.quiet import QuietRows
from byte_bot.persistence.row import CONFIG_TABLE, Row
from byte_bot.persistence.snapshot import Snapshot
from simulator.faults import Refused
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.rig import fake_supabase, process

CONFIG = RowKey(CONFIG_TABLE, "anna")
PAUSED = Base(b'{"paused":true,"language":"pt-br"}', {}, 1, 1, 1, 0)


@in_virtual_time()
async def test_a_channel_of_which_nothing_is_stored_is_known_to_have_nothing() -> None:
    """After its load; before that its first message would wait for the database."""
    fake, journal_store = fake_supabase(), MemoryJournalStore()
    async with process(fake, journal_store=journal_store) as rig:
        assert rig.context().hold_first
        await asyncio.sleep(5)
    fake.faults.set("down", Refused())
    async with process(fake, journal_store=journal_store, holder="next") as rig:
        assert not rig.context().hold_first
        assert rig.context("2", "bert").hold_first
        assert rig.total() == 0
    fake.close()


@in_virtual_time()
async def test_a_configuration_is_shown_until_the_list_arrives_and_never_put_over_what_is_known() -> None:
    """Quietly, so that the list's row counts and nothing of it is saved."""
    fake, journal_store = fake_supabase(), MemoryJournalStore()
    async with process(fake, journal_store=journal_store) as rig:
        await rig.layer.ensure_epoch()
        rig.layer.deliver(CONFIG, PAUSED, rig.layer.next_serial())
        await asyncio.sleep(1)
    fake.faults.set("down", Refused())
    async with process(fake, journal_store=journal_store, holder="next") as rig:
        rig.layer.snapshot.restore_config("anna")
        rig.layer.snapshot.restore_config("bert")
        assert list(rig.layer.known_keys()) == [CONFIG]
        assert rig.layer.loaded_base(CONFIG) is None
        config = rig.context().state(ChannelConfig)
        assert (config.paused, config.language, config.prefix) == (True, "pt-br", "")
        fake.faults.clear("down")
        await rig.layer.ensure_epoch()
        rig.layer.deliver(CONFIG, Base(b'{"paused":false}', {}, 1, 1, 2, 0), rig.layer.next_serial())
        rig.layer.snapshot.restore_config("anna")
        assert not rig.context().state(ChannelConfig).paused
    fake.close()


@in_virtual_time()
async def test_a_configuration_of_an_epoch_that_was_given_up_is_shown_and_not_taken_for_loaded() -> None:
    """In use or not; under what was changed here, and never over what was loaded since."""
    fake = fake_supabase()
    async with process(fake) as rig:
        await rig.layer.ensure_epoch()
        for login in ("anna", "bert"):
            rig.layer.deliver(RowKey(CONFIG_TABLE, login), ABSENT, rig.layer.next_serial())
        config = rig.context().state(ChannelConfig)
        config.prefix = "?"
        rig.context().stage("op-1")
        rig.context().seal()
        rig.layer.renew_epoch(0)
        listed = Base(PAUSED.data, edit_no=1)
        for login in ("anna", "bert"):
            rig.layer.snapshot.show_config(login, listed)
            assert rig.layer.loaded_base(RowKey(CONFIG_TABLE, login)) is None
        assert (config.paused, config.prefix) == (True, "?")
        assert rig.context("2", "bert").state(ChannelConfig).paused
        await rig.layer.ensure_epoch()
        rig.layer.deliver(CONFIG, Base(b'{"paused":false}', edit_no=2), rig.layer.next_serial())
        rig.layer.snapshot.show_config("anna", listed)
        assert (config.paused, config.prefix) == (False, "?")
    fake.close()


@in_virtual_time()
async def test_a_login_that_looks_like_a_channels_id_is_not_taken_for_it() -> None:
    """They stand under the same name in the journal."""
    fake, journal_store = fake_supabase(), MemoryJournalStore()
    async with process(fake, journal_store=journal_store) as rig:
        await rig.layer.ensure_epoch()
        rig.layer.deliver(RowKey(CONFIG_TABLE, "1"), PAUSED, rig.layer.next_serial())
        await asyncio.sleep(1)
        rows: dict[RowKey, Row] = {}
        assert not Snapshot(journal_store, rows, QuietRows()).restore("1")
    fake.close()


@in_virtual_time()
async def test_it_covers_what_it_would_bring_back() -> None:
    """Not a newer base than it has; a row that does not exist need not be noted."""
    fake, journal_store = fake_supabase(), MemoryJournalStore()
    async with process(fake, journal_store=journal_store) as rig:
        rig.add(3)
        await asyncio.sleep(5)
        key = RowKey("component_state", "1", "rig-tally")
        base = rig.layer.loaded_base(key)
        assert base is not None
        snapshot = rig.layer.snapshot
        assert snapshot.covers("1", [(key, base), (RowKey("component_state", "1", "other"), ABSENT)])
        assert not snapshot.covers("1", [(key, ABSENT)])
        assert not snapshot.covers("2", [(key, base)])
    fake.close()
