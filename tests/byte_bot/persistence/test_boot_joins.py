"""What the directory's channels are configured as at the moment of their JOIN: a message may come right behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from byte_bot.context.stream_context import ChannelConfig
from byte_bot.persistence.boot import ChannelDirectory
from byte_bot.persistence.journal import KnownChannel, MemoryJournalStore
from byte_bot.persistence.journal_image import Rebased
from byte_bot.persistence.operations import Base, RowKey
from byte_bot.persistence.row import CONFIG_TABLE
from simulator.loop import in_virtual_time
from tests.byte_bot.persistence.rig import Rig
from tests.byte_bot.persistence.test_boot_lists import Roster, Scene, Told, kept_up, row, scene_on


def many(count: int) -> dict[str, Base]:
    """Rows of paused channels."""
    return {f"c{number}": row(str(number), paused=True) for number in range(count)}


class Watching(Roster):
    """A roster that looks, at the moment of each JOIN, at what a message would meet that came at once."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self.rig = rig
        self.paused: dict[str, bool] = {}
        self.loaded: dict[str, bool] = {}
        self.at_once: list[int] = []
        #: How many configurations were known at each join.
        self.known: list[int] = []
        #: Called at the end of each join with how many it was.
        self.then: Callable[[int], None] = lambda joins: None

    def join(self, channels: Iterable[str]) -> None:
        """Ask for each login's configuration."""
        logins, layer = list(channels), self.rig.layer
        super().join(logins)
        self.at_once.append(len(logins))
        for login in logins:
            self.loaded[login] = layer.loaded_base(RowKey(CONFIG_TABLE, login)) is not None
        self.known.append(sum(key.table == CONFIG_TABLE for key in layer.known_keys()))
        for login in logins:
            self.paused[login] = self.rig.context(login.removeprefix("c"), login).peek(ChannelConfig).paused
        self.then(len(self.at_once))


def watched(scene: Scene, told: Told, fixed: tuple[str, ...] = ()) -> Watching:
    """A roster that looks, and a directory on it."""
    roster = Watching(scene.rig)
    scene.directory = ChannelDirectory(
        scene.rig.layer, told, roster, fixed_logins=fixed, preload=scene.rig.manager.preload_named
    )
    return roster


@in_virtual_time()
async def test_each_channel_of_a_long_list_is_configured_before_it_is_joined() -> None:
    """A paused one is silent to its first message; and the first channels do not wait for the rows of the last."""
    told = Told(**many(250))
    async with scene_on(told) as scene:
        roster = watched(scene, told, fixed=("dora",))
        await scene.directory.boot([])
        assert roster.moves == [*(f"+{login}" for login in many(250)), "+dora"]
        assert roster.at_once == [100, 100, 51]
        assert roster.known == [100, 200, 251]
        assert all(roster.loaded.values())
        assert roster.paused == {**dict.fromkeys(many(250), True), "dora": False}


@in_virtual_time()
async def test_channels_that_are_listed_later_are_configured_before_they_are_joined() -> None:
    """With 250 new ones among those that are joined already."""
    told = Told(anna=row("900"))
    async with scene_on(told) as scene:
        roster = watched(scene, told)
        await scene.directory.boot([])
        async with kept_up(scene):
            told.rows = {"anna": row("900", paused=True), **many(250)}
            await asyncio.sleep(61)
        assert roster.at_once == [1, 100, 100, 50]
        assert all(roster.loaded.values())
        assert roster.paused == {"anna": False, **dict.fromkeys(many(250), True)}
        assert scene.rig.context("900", "anna").peek(ChannelConfig).paused


@in_virtual_time()
async def test_without_a_database_each_channel_is_configured_as_it_last_was_before_it_is_joined() -> None:
    """And the first are joined while the last are still looked up."""
    store, told = MemoryJournalStore("one"), Told()
    told.down = True
    bases = [Rebased(RowKey(CONFIG_TABLE, login), base, []) for login, base in many(250).items()]
    await store.commit(bases)
    async with scene_on(told, journal_store=store) as scene:
        roster = watched(scene, told)
        await scene.directory.boot([KnownChannel(login, login.removeprefix("c")) for login in many(250)])
        assert roster.at_once == [100, 100, 50]
        assert roster.known == [100, 200, 250]
        assert roster.paused == dict.fromkeys(many(250), True)
        assert not any(roster.loaded.values())


@in_virtual_time()
async def test_channels_whose_epoch_is_given_up_amid_their_joins_are_joined_as_the_list_said() -> None:
    """They are shown so, and count as not loaded until the next list, which is asked for at once."""
    told = Told(**many(250))
    async with scene_on(told) as scene:
        roster = watched(scene, told)
        roster.then = lambda joins: scene.rig.layer.renew_epoch(0) if joins == 1 else None
        await scene.directory.boot([])
        assert roster.moves == [f"+{login}" for login in many(250)]
        assert roster.paused == dict.fromkeys(many(250), True)
        assert [login for login, loaded in roster.loaded.items() if loaded] == list(many(100))
        async with kept_up(scene):
            await asyncio.sleep(5)
        assert len(told.asked_at_s) == 2
        assert all(scene.config(login) == base.data for login, base in told.rows.items())
        assert len(roster.moves) == 250


class GivingUp(Roster):
    """A roster during whose first join the epoch is given up."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self.rig = rig

    def join(self, channels: Iterable[str]) -> None:
        """The database was restored from a backup, say."""
        if not self.moves:
            self.rig.layer.renew_epoch(0)
        super().join(channels)


@in_virtual_time()
async def test_the_next_list_is_asked_for_at_once_even_if_nobody_else_wants_the_database() -> None:
    """No channel has an id yet, so none is loaded: it is the list that takes the new epoch."""
    told = Told(**dict.fromkeys(many(250), row(paused=True)))
    async with scene_on(told) as scene:
        roster = GivingUp(scene.rig)
        scene.directory = ChannelDirectory(
            scene.rig.layer, told, roster, fixed_logins=(), preload=scene.rig.manager.preload_named
        )
        await scene.directory.boot([])
        async with kept_up(scene):
            await asyncio.sleep(5)
        assert all(scene.config(login) == base.data for login, base in told.rows.items())
        assert len(roster.moves) == 250
