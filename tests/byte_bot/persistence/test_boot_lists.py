"""The directory against a database that is told what to list and when: slow lists, lists of an older epoch, ids."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec
import pytest
from structlog.testing import capture_logs

from byte_bot.errors import DatabaseUnavailable
from byte_bot.persistence.boot import ChannelDirectory
from byte_bot.persistence.journal import KnownChannel, MemoryJournalStore, Recorded
from byte_bot.persistence.operations import Base, Kind, Operation, RowKey, Stamp
from byte_bot.persistence.row import CONFIG_TABLE
from byte_bot.persistence.store import SaveAnswer, SaveRequest
from simulator.loop import current_loop, in_virtual_time
from tests.byte_bot.persistence.rig import Rig, fake_supabase, process


def row(channel_id: str = "", *, enabled: bool = True, paused: bool = False) -> Base:
    """A row of channels_config as the store reads it; without an id the column is null."""
    columns = {"enabled": enabled, "paused": paused} | ({"channel_id": channel_id} if channel_id else {})
    return Base(msgspec.json.encode(columns), edit_no=1)


class Told:
    """A database that lists ``rows`` after ``list_s`` seconds, as they were when it was asked."""

    def __init__(self, **rows: Base) -> None:
        self.rows = rows
        self.list_s = 0.0
        self.down = False
        self.epoch = 0
        self.asked_at_s: list[float] = []
        self.saved: list[SaveRequest] = []

    async def take_epoch(self, holder: str, seen: int) -> int:
        """The next epoch."""
        self._answer()
        self.epoch = max(self.epoch, seen) + 1
        return self.epoch

    async def save(self, request: SaveRequest) -> SaveAnswer:
        """Everything is saved."""
        self._answer()
        self.saved.append(request)
        return SaveAnswer("ok", request.epoch, [])

    async def load_states(self, channel_ids: Sequence[str]) -> dict[RowKey, Base]:
        """No state."""
        self._answer()
        return {}

    async def list_channels(self) -> dict[str, Base]:
        """The rows of the moment of the question."""
        self.asked_at_s.append(round(current_loop().time(), 3))
        rows = dict(self.rows)
        await asyncio.sleep(self.list_s)
        self._answer()
        return rows

    def _answer(self) -> None:
        if self.down:
            raise DatabaseUnavailable("down")


class Roster:
    """Who was joined and parted, in order."""

    def __init__(self) -> None:
        self.moves: list[str] = []

    def join(self, channels: Iterable[str]) -> None:
        """Write joins down."""
        self.moves += [f"+{login}" for login in channels]

    def part(self, channels: Iterable[str]) -> None:
        """Write parts down."""
        self.moves += [f"-{login}" for login in channels]


class Scene:
    """A directory that has not booted yet."""

    def __init__(self, rig: Rig, told: Told, fixed: tuple[str, ...]) -> None:
        self.rig = rig
        self.roster = Roster()
        self.preloaded: list[str] = []
        self.learnt: list[tuple[str, str]] = []
        self.directory = ChannelDirectory(
            rig.layer,
            told,
            self.roster,
            fixed_logins=fixed,
            preload=lambda channels: self.preloaded.extend(channels.values()),
            learn=lambda login, channel_id: self.learnt.append((login, channel_id)),
        )

    def config(self, login: str) -> bytes | None:
        """The data of a configuration row's base in RAM, None for a row that is known not to exist."""
        found = self.rig.layer.loaded_base(RowKey(CONFIG_TABLE, login))
        assert found is not None
        return found.data

    def remembered(self) -> list[KnownChannel]:
        """The list that a cold start would find."""
        return self.rig.journal_store.read().channels


@contextlib.asynccontextmanager
async def scene_on(
    told: Told, *, fixed: tuple[str, ...] = (), journal_store: MemoryJournalStore | None = None
) -> AsyncIterator[Scene]:
    """A process on the database that is told, with a directory."""
    with contextlib.closing(fake_supabase()) as fake:
        async with process(fake, store=told, journal_store=journal_store) as rig:
            yield Scene(rig, told, fixed)


@contextlib.asynccontextmanager
async def kept_up(scene: Scene) -> AsyncIterator[None]:
    """Keep the list up to date inside the block."""
    service = asyncio.create_task(scene.directory.run())
    try:
        yield
    finally:
        service.cancel()
        await asyncio.gather(service, return_exceptions=True)


@in_virtual_time()
async def test_a_list_just_within_three_seconds_counts() -> None:
    """The boot waits for it, and nobody is joined twice."""
    told = Told(anna=row("1"))
    told.list_s = 2.9
    async with scene_on(told, fixed=("bert",)) as scene:
        await scene.directory.boot([])
        assert current_loop().time() == 2.9
        assert scene.roster.moves == ["+anna", "+bert"]
        assert scene.preloaded == ["1"]


@in_virtual_time()
async def test_a_list_that_takes_longer_is_reconciled_when_it_comes() -> None:
    """After 2 s the last known list and the fixed logins are joined; the real list adds and removes later."""
    told = Told(anna=row("1"))
    told.list_s = 2.1
    async with scene_on(told, fixed=("bert",)) as scene:
        await scene.directory.boot([KnownChannel("carla", "3"), KnownChannel("bert", "2")])
        assert current_loop().time() == 2.0
        assert scene.roster.moves == ["+carla", "+bert"]
        assert scene.preloaded == ["3", "2"]
        async with kept_up(scene):
            await asyncio.sleep(6)
            assert scene.roster.moves == ["+carla", "+bert", "-carla", "+anna"]
            assert scene.directory.wanted == {"anna": "1", "bert": "2"}


@in_virtual_time()
async def test_an_empty_list_parts_nobody_over_a_restart_either() -> None:
    """A bot that is started anew while the table is wiped is where it was, and still knows it the next time."""
    told = Told()
    known = [KnownChannel("carla", "3"), KnownChannel("bert", "2")]
    async with scene_on(told, fixed=("bert",)) as scene:
        await scene.directory.boot(known)
        assert scene.roster.moves == ["+carla", "+bert"]
        await asyncio.sleep(2)
        assert set(scene.remembered()) == set(known)
        async with kept_up(scene):
            await asyncio.sleep(61)
            assert scene.roster.moves == ["+carla", "+bert"]
            told.rows["anna"] = row("1")  # it is filled again, and now a list is a list
            await asyncio.sleep(60)
        assert scene.roster.moves == ["+carla", "+bert", "-carla", "+anna"]


@in_virtual_time()
async def test_the_list_is_asked_for_once_a_minute() -> None:
    """Reconciled, the directory asks every 60 s and not more often."""
    told = Told(anna=row("1"))
    async with scene_on(told) as scene:
        await scene.directory.boot([])
        async with kept_up(scene):
            await asyncio.sleep(185)
        at_first, *later = told.asked_at_s
        assert at_first == 0.0
        assert later[-3:] == [60.0, 120.0, 180.0]
        # One more at the start: taking the epoch asks for a list of its own.
        assert len(later) <= 4


@in_virtual_time()
async def test_a_list_of_an_epoch_given_up_at_boot_is_not_believed() -> None:
    """The known channels are joined instead of none at all, and the list is read again at once."""
    told = Told(anna=row("1"))
    told.list_s = 1.0
    async with scene_on(told, fixed=("bert",)) as scene:
        boot = asyncio.create_task(scene.directory.boot([KnownChannel("carla", "3")]))
        await asyncio.sleep(0.5)
        scene.rig.layer.renew_epoch(0)
        await boot
        assert scene.roster.moves == ["+carla", "+bert"]
        async with kept_up(scene):
            await asyncio.sleep(2.5)
        assert scene.roster.moves == ["+carla", "+bert", "-carla", "+anna"]


@in_virtual_time()
async def test_a_list_of_an_epoch_given_up_later_parts_nobody() -> None:
    """A list asked for under the old epoch is thrown away, whatever it says; the next one counts."""
    told = Told(anna=row("1"), bert=row("2"))
    async with scene_on(told) as scene:
        await scene.directory.boot([])
        async with kept_up(scene):
            await asyncio.sleep(59)
            told.list_s = 4.0
            del told.rows["bert"]
            await asyncio.sleep(2)  # the list without bert is on its way
            scene.rig.layer.renew_epoch(0)
            told.rows["bert"] = row("2")
            await asyncio.sleep(20)
        assert scene.roster.moves == ["+anna", "+bert"]
        assert scene.rig.layer.epoch == 2


@in_virtual_time()
async def test_rows_are_bases_and_missing_ones_are_known_to_be_missing() -> None:
    """A listed row is the channel's configuration; a fixed login without a row has none, so that it may be made."""
    told = Told(anna=row("1", paused=True), carla=row("3", enabled=False))
    async with scene_on(told, fixed=("bert",)) as scene:
        await scene.directory.boot([])
        assert scene.config("anna") == told.rows["anna"].data
        assert scene.config("carla") == told.rows["carla"].data
        assert scene.config("bert") is None


@in_virtual_time()
async def test_without_a_list_no_row_is_taken_for_missing() -> None:
    """During an outage nothing is known: defaults must not be written over a human's pause later."""
    told = Told(anna=row("1", paused=True))
    told.down = True
    async with scene_on(told, fixed=("anna",)) as scene:
        await scene.directory.boot([])
        layer = scene.rig.layer
        assert not any(layer.loaded_base(key) for key in layer.known_keys())


@in_virtual_time()
async def test_an_id_once_known_outlives_lists_without_it() -> None:
    """Twitch names the id on JOIN; rows whose column is null do not take it away, and it is offered to them."""
    told = Told(anna=row())
    async with scene_on(told) as scene:
        await scene.directory.boot([])
        assert scene.preloaded == []
        scene.directory.name_channel("anna", "1")
        assert scene.preloaded == ["1"]
        async with kept_up(scene):
            await asyncio.sleep(61)
        assert scene.directory.wanted == {"anna": "1"}
        assert ("anna", "1") in scene.learnt
        assert scene.remembered() == [KnownChannel("anna", "1")]


@in_virtual_time()
async def test_a_fixed_login_is_joined_even_if_its_row_is_disabled() -> None:
    """Who runs the bot decides: TWITCH_CHANNEL_LOGINS is stronger than the table, and the row's id is used."""
    told = Told(bert=row("2", enabled=False))
    async with scene_on(told, fixed=("bert", "bert")) as scene:
        await scene.directory.boot([])
        assert scene.roster.moves == ["+bert"]
        assert scene.preloaded == ["2"]


async def with_a_patch(login: str) -> MemoryJournalStore:
    """What an earlier process left: a pause of this channel that was not saved."""
    store = MemoryJournalStore("one")
    pause = Operation(Kind.SET, "paused", None, True, Stamp(1, 1), "m1", 1_767_225_600)
    await store.commit([Recorded(RowKey(CONFIG_TABLE, login), [pause])])
    return store


@in_virtual_time()
async def test_a_change_of_a_row_that_a_human_deleted_does_not_wait_for_ever() -> None:
    """It is given up, in the journal too, and told about: saved, it would list the channel anew."""
    told, store = Told(anna=row("1")), await with_a_patch("gone")
    async with scene_on(told, journal_store=store) as scene:
        assert scene.rig.layer.ledger.rows_waiting == 1
        with capture_logs() as logs:
            await scene.directory.boot([KnownChannel("gone", "9")])
        assert scene.rig.layer.ledger.rows_waiting == 0
        await asyncio.sleep(30)
        assert [request.patches for request in told.saved if request.patches] == []
        assert store.read().rows[RowKey(CONFIG_TABLE, "gone")].pending == []
        assert scene.rig.layer.telemetry.counters["patches_given_up"] == 1
    (said,) = [entry for entry in logs if entry["event"] == "patch_given_up"]
    assert (said["channel"], said["columns"]) == ("gone", ["paused"])


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "fixed"])
@in_virtual_time()
async def test_a_change_of_a_channel_that_is_wanted_is_saved(listed: bool) -> None:
    """A row that is there, disabled perhaps, and a fixed login without a row, which gets one."""
    told, store = Told(anna=row("1")), await with_a_patch("bert")
    if listed:
        told.rows["bert"] = row("2", enabled=False)
    async with scene_on(told, fixed=() if listed else ("bert",), journal_store=store) as scene:
        await scene.directory.boot([])
        await asyncio.sleep(30)
        assert scene.rig.layer.ledger.rows_waiting == 0
    (patch,) = [patch for request in told.saved for patch in request.patches]
    assert (patch["login"], patch["columns"]) == ("bert", {"paused": True})


@in_virtual_time()
async def test_an_empty_list_gives_nothing_up() -> None:
    """More likely a wiped table than a wish: the change waits for a list with something in it."""
    told, store = Told(), await with_a_patch("anna")
    async with scene_on(told, journal_store=store) as scene:
        await scene.directory.boot([])
        async with kept_up(scene):
            await asyncio.sleep(30)
            assert scene.rig.layer.ledger.rows_waiting == 1
            told.rows["anna"] = row("1")
            await asyncio.sleep(70)
        assert scene.rig.layer.ledger.rows_waiting == 0
    assert [patch["login"] for request in told.saved for patch in request.patches] == ["anna"]
