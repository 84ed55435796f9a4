"""The directory: which channels at boot, without a database, and after every list."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import pytest
from structlog.testing import capture_logs

from byte_bot.context.stream_context import ChannelConfig
from byte_bot.persistence.boot import REMEMBER_S, ChannelDirectory
from byte_bot.persistence.journal import KnownChannel
from byte_bot.persistence.operations import RowKey
from byte_bot.persistence.row import CONFIG_TABLE
from simulator.faults import Hang, MissingFunction, Refused
from simulator.loop import in_virtual_time
from simulator.supabase.server import FakeSupabase
from tests.byte_bot.persistence.rig import Rig, fake_supabase, process


class Channels:
    """The transport's part of it."""

    def __init__(self) -> None:
        self.joined: list[str] = []
        self.parted: list[str] = []

    def join(self, channels: Iterable[str]) -> None:
        """Joins are remembered."""
        self.joined += [login for login in channels if login not in self.joined]

    def part(self, channels: Iterable[str]) -> None:
        """Parts take the login out again."""
        for login in channels:
            self.parted.append(login)
            self.joined.remove(login)


class Scene:
    """A directory on a rig."""

    def __init__(self, rig: Rig, directory: ChannelDirectory, channels: Channels) -> None:
        self.rig = rig
        self.directory = directory
        self.channels = channels

    def config(self, login: str) -> ChannelConfig:
        """The configuration in RAM."""
        return self.rig.context(self.directory.wanted[login], login).config


@contextlib.asynccontextmanager
async def directory_on(
    fake: FakeSupabase,
    *,
    fixed: tuple[str, ...] = (),
    known: tuple[KnownChannel, ...] = (),
    database: bool = True,
) -> AsyncIterator[Scene]:
    """A booted directory that keeps its list up to date."""
    async with process(fake, database=database) as rig:
        channels = Channels()
        directory = ChannelDirectory(
            rig.layer, rig.store, channels, fixed_logins=fixed, preload=rig.manager.preload_named
        )
        await directory.boot(known)
        service = asyncio.get_running_loop().create_task(directory.run())
        try:
            yield Scene(rig, directory, channels)
        finally:
            service.cancel()
            await asyncio.gather(service, return_exceptions=True)


def with_channels(fake: FakeSupabase, **ids: str) -> FakeSupabase:
    """A human adds channels to the table."""
    for login, channel_id in ids.items():
        fake.human_insert("channels_config", {"login": login, "channel_id": channel_id})
    return fake


@in_virtual_time()
async def test_the_database_names_the_channels() -> None:
    """Enabled rows are joined, with the fixed logins; their ids are preloaded, and the list is remembered."""
    fake = with_channels(fake_supabase(), anna="1", bert="2", carl="3")
    fake.human_update("channels_config", {"login": "carl"}, {"enabled": False})
    async with directory_on(fake, fixed=("dora",)) as scene:
        assert sorted(scene.channels.joined) == ["anna", "bert", "dora"]
        assert scene.directory.wanted == {"anna": "1", "bert": "2", "dora": ""}
        assert scene.rig.manager.get_active_channels() == ("1", "2")
        await asyncio.sleep(1)
        assert scene.rig.journal_store.read().channels == [
            KnownChannel("anna", "1"),
            KnownChannel("bert", "2"),
            KnownChannel("dora", ""),
        ]
    fake.close()


@in_virtual_time()
async def test_a_dead_database_delays_the_boot_by_two_seconds_if_channels_are_known() -> None:
    """Then the last known list and the fixed logins are joined, and the log says which came from where."""
    fake = with_channels(fake_supabase(Hang(duration_s=60)), anna="1", erna="5")
    with capture_logs() as logs:
        async with directory_on(
            fake, fixed=("bert", "dora"), known=(KnownChannel("anna", "1"), KnownChannel("bert", "2"))
        ) as scene:
            assert asyncio.get_running_loop().time() == 2.0
            assert scene.channels.joined == ["anna", "bert", "dora"]
            assert scene.directory.wanted == {"anna": "1", "bert": "2", "dora": ""}
            assert not scene.directory.reconciled
            await asyncio.sleep(75)
            assert scene.directory.reconciled
            assert sorted(scene.channels.joined) == ["anna", "bert", "dora", "erna"]
            assert scene.channels.parted == []
    (said,) = [entry for entry in logs if entry["event"] == "channels_without_database"]
    assert said["from_last_known"] == ["anna"]
    assert said["from_settings"] == ["bert", "dora"]
    fake.close()


@in_virtual_time()
async def test_without_settings_the_fixed_logins_are_joined_at_once() -> None:
    """A bot without a database is in the channels of its settings, and reconciles nothing."""
    fake = with_channels(fake_supabase(), anna="1")
    async with directory_on(fake, fixed=("bert",), database=False) as scene:
        assert asyncio.get_running_loop().time() == 0
        assert scene.channels.joined == ["bert"]
        await asyncio.sleep(200)
        assert scene.channels.joined == ["bert"]
    fake.close()


@in_virtual_time()
async def test_lists_are_reconciled_every_minute() -> None:
    """New rows are joined; disabled and deleted ones are parted; fixed logins never are."""
    fake = with_channels(fake_supabase(), anna="1", bert="2", carl="3", dora="4")
    async with directory_on(fake, fixed=("carl", "dora")) as scene:
        fake.human_update("channels_config", {"login": "anna"}, {"enabled": False})
        fake.human_delete("channels_config", {"login": "bert"})
        fake.human_update("channels_config", {"login": "carl"}, {"enabled": False})
        fake.human_delete("channels_config", {"login": "dora"})
        with_channels(fake, erna="5")
        await asyncio.sleep(62)
        assert sorted(scene.channels.parted) == ["anna", "bert"]
        assert sorted(scene.channels.joined) == ["carl", "dora", "erna"]
        # Twitch's id of a fixed login is kept although its row is gone.
        assert scene.directory.wanted == {"carl": "3", "dora": "4", "erna": "5"}
    fake.close()


@in_virtual_time()
async def test_an_empty_list_parts_nobody() -> None:
    """A wiped table is more likely than a wish to leave every channel."""
    fake = with_channels(fake_supabase(), anna="1", bert="2")
    async with directory_on(fake) as scene:
        for login in ("anna", "bert"):
            fake.human_delete("channels_config", {"login": login})
        await asyncio.sleep(65)
        assert sorted(scene.channels.joined) == ["anna", "bert"]
        with_channels(fake, bert="2")
        await asyncio.sleep(65)
        assert scene.channels.joined == ["bert"]
    fake.close()


@in_virtual_time()
async def test_a_list_without_the_sentinel_counts_for_nothing() -> None:
    """A key that sees nothing gets an empty list: no channel is left, and the pause says what to do."""
    fake = with_channels(fake_supabase(), anna="1")
    async with directory_on(fake) as scene:
        fake.human_delete("channels_config", {"login": ".sentinel"})
        fake.human_delete("channels_config", {"login": "anna"})
        await asyncio.sleep(65)
        assert scene.channels.joined == ["anna"]
        assert scene.rig.layer.link.circuit == "paused"
        assert "secret key" in scene.rig.layer.link.last_error
    fake.close()


@in_virtual_time()
async def test_a_humans_pause_reaches_ram_within_a_minute() -> None:
    """The list's rows are the bases of the channels' configuration, also of those that are paused at boot."""
    fake = with_channels(fake_supabase(), anna="1", bert="2")
    fake.human_update("channels_config", {"login": "bert"}, {"paused": True})
    async with directory_on(fake) as scene:
        assert (scene.config("anna").paused, scene.config("bert").paused) == (False, True)
        fake.human_update("channels_config", {"login": "anna"}, {"paused": True, "prefix": "?"})
        await asyncio.sleep(62)
        assert (scene.config("anna").paused, scene.config("anna").prefix) == (True, "?")
    fake.close()


@in_virtual_time()
async def test_a_failed_read_changes_nothing_and_is_made_up_for_at_once() -> None:
    """A channel paused in the database stays paused through an outage, whose end is noticed within seconds."""
    fake = with_channels(fake_supabase(Refused(start_s=50, duration_s=40)), anna="1")
    fake.human_update("channels_config", {"login": "anna"}, {"paused": True})
    async with directory_on(fake) as scene:
        await asyncio.sleep(75)
        assert scene.config("anna").paused
        assert scene.channels.joined == ["anna"]
        fake.human_update("channels_config", {"login": "anna"}, {"paused": False})
        await asyncio.sleep(22)
        assert not scene.config("anna").paused
    fake.close()


@in_virtual_time()
async def test_a_configuration_row_that_a_human_made_anew_counts() -> None:
    """The bot had changed the row; a human deletes it and makes it again: what they wrote is what counts."""
    fake = with_channels(fake_supabase(), anna="1")
    async with directory_on(fake) as scene:
        context = scene.rig.context("1", "anna")
        context.config.paused = True
        context.stage("pause")
        context.seal()
        await asyncio.sleep(5)
        assert [row["paused"] for row in fake.rows("channels_config") if row["login"] == "anna"] == [True]
        fake.human_delete("channels_config", {"login": "anna"})
        with_channels(fake, anna="1")
        await asyncio.sleep(62)
        assert not scene.config("anna").paused
    fake.close()


@in_virtual_time()
async def test_the_bots_own_pause_and_a_humans_prefix_are_both_kept() -> None:
    """The bot changes single columns: an edit of another column in the meantime stays."""
    fake = with_channels(fake_supabase(), anna="1")
    async with directory_on(fake) as scene:
        context = scene.rig.context("1", "anna")
        context.config.paused = True
        context.stage("pause")
        context.seal()
        fake.human_update("channels_config", {"login": "anna"}, {"prefix": "?"})
        await asyncio.sleep(5)
        (row,) = [row for row in fake.rows("channels_config") if row["login"] == "anna"]
        assert (row["paused"], row["prefix"]) == (True, "?")
        assert context.config.prefix == "?"
    fake.close()


@in_virtual_time()
async def test_twitch_tells_the_id_of_a_channel() -> None:
    """The id that comes with JOIN is remembered for the next cold start, and its state preloaded."""
    fake = fake_supabase()
    async with directory_on(fake, fixed=("anna",)) as scene:
        scene.directory.name_channel("anna", "1")
        scene.directory.name_channel("stranger", "9")
        assert scene.rig.manager.get_active_channels() == ("1", "9")
        await asyncio.sleep(REMEMBER_S + 0.1)
        assert scene.rig.journal_store.read().channels == [KnownChannel("anna", "1")]
    fake.close()


@in_virtual_time()
async def test_the_list_is_read_again_after_a_new_epoch() -> None:
    """What was read before the epoch was taken does not count: the next list comes at once."""
    fake = with_channels(fake_supabase(), anna="1")
    async with directory_on(fake) as scene:
        await asyncio.sleep(5)
        asked = fake.requests_by_path["channels_config"]
        scene.rig.layer.renew_epoch(0)
        await scene.rig.layer.ensure_epoch()
        await asyncio.sleep(1)
        assert fake.requests_by_path["channels_config"] > asked
        assert scene.rig.layer.loaded_base(RowKey(CONFIG_TABLE, "anna"))
    fake.close()


@pytest.mark.parametrize(
    "fault", [Refused(duration_s=20), MissingFunction(name="byte_bot_take_epoch", duration_s=20)]
)
def test_the_boot_goes_on_without_a_database_that_says_no(fault: Refused | MissingFunction) -> None:
    """Refused connections and a missing schema are an outage like any other, and end like one."""

    @in_virtual_time()
    async def story() -> None:
        fake = with_channels(fake_supabase(fault), anna="1")
        async with directory_on(fake, fixed=("bert",)) as scene:
            assert scene.channels.joined == ["bert"]
            await asyncio.sleep(30)
            assert sorted(scene.channels.joined) == ["anna", "bert"]
        fake.close()

    story()


@in_virtual_time()
async def test_an_id_that_is_stored_already_makes_no_typed_value() -> None:
    """Twitch names it on every JOIN: of a quiet channel's configuration only the stored row is kept in RAM."""
    fake = with_channels(fake_supabase(), anna="1")
    async with directory_on(fake) as scene:
        await asyncio.sleep(5)
        scene.rig.manager.learn_channel_id("anna", "1")
        row = scene.rig.layer.row(RowKey(CONFIG_TABLE, "anna"))
        assert row.unused
        scene.rig.manager.learn_channel_id("anna", "2")
        assert not row.unused
        assert row.dirty
    fake.close()
