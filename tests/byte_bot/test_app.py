"""The application: how it starts, what it returns, and that it stops in order and in time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from byte_bot.app import DRAIN_S, FLUSH_S, JOURNAL_S, Application, Surroundings
from byte_bot.components.counters import Counters
from byte_bot.errors import ExitCode
from byte_bot.persistence.journal import JournalImage, KnownChannel, KnownChannels, Settled
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_opening import open_journal
from byte_bot.persistence.journal_schema import Owner
from byte_bot.persistence.operations import Base, RowKey
from byte_bot.settings import Settings
from simulator.faults import Hang
from simulator.scenario import Scenario
from simulator.world import BOT_TOKEN, ApplicationFactory, World, play
from tests.byte_bot.rig import Disk

#: Containers kill 10 s after SIGTERM (DESIGN section 3: all under 8).
SHUTDOWN_S = 8.0

NIGHT = Scenario("night", "a story told by a test", channels=("lobby",), fixed=("lobby",))


def with_disk(disk: Disk) -> ApplicationFactory:
    """An application whose journal is on ``disk``."""

    def build(settings: Settings, surroundings: Surroundings) -> Application:
        return Application(settings, replace(surroundings, journal_store=disk))

    return build


def test_without_a_database_the_bot_answers_and_says_once_that_nothing_is_kept() -> None:
    """No Supabase settings: an outage without end, announced at the start; every stage of the stop works."""
    scenario = replace(NIGHT, settings={"supabase_url": "", "supabase_key": ""})

    async def story(world: World) -> None:
        with capture_logs() as lines:
            world.start_bot()
            await world.joined(within_s=5)
            assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
            assert world.app is not None
            assert world.app.bot.status()["circuit"] == "none"
            assert await world.stop_bot() == ExitCode.OK
        assert [line["event"] for line in lines].count("no_database") == 1
        assert world.supabase.requests_total == 0

    play(story, scenario)


def test_the_stages_of_the_stop_fit_into_the_time_that_there_is() -> None:
    """Inboxes and outbox, flush, journal: what each may take adds up to less than 8 s."""
    assert DRAIN_S + FLUSH_S + JOURNAL_S < SHUTDOWN_S


def test_what_was_said_before_the_stop_is_answered_and_saved() -> None:
    """A command in the inbox when SIGTERM comes: its answer leaves and its change is in the database."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        world.say("mod", "!count deaths +1")
        await asyncio.sleep(0.02)  # it is in the bot's process, not answered yet
        assert await world.stop_bot() == ExitCode.OK
        await asyncio.sleep(1)
        assert [line.text for line in world.transcript] == ["deaths: 1"]
        assert world.counter("lobby", "deaths") == 1

    play(story, replace(NIGHT, latency_ms=20.0))


@pytest.mark.parametrize("settings", [{}, {"supabase_url": "", "supabase_key": ""}], ids=["with", "without"])
def test_an_answer_at_the_gate_leaves_before_the_end(settings: dict[str, str]) -> None:
    """The journal takes its time over the last change, and Twitch allows the answer a little later: it is waited for."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await asyncio.sleep(5)
        await world.ask("mod", "!count deaths +1")
        await asyncio.sleep(0.6)  # 1.0 s, and a margin, must lie between two messages in a channel
        world.say("mod", "!count deaths +1")
        await asyncio.sleep(0.01)
        await world.stop_bot()
        await asyncio.sleep(1)
        assert [line.text for line in world.transcript] == ["deaths: 1", "deaths: 2"]

    scenario = replace(NIGHT, moderated=False, verified=False, settings=settings)
    play(story, scenario, application=with_disk(Disk(delay_s=0.3)), strict=False)


def test_the_stop_is_in_time_while_the_database_hangs() -> None:
    """The flush is cut short, exit code 0, and the change is in the journal for the next process."""
    disk = Disk()

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        world.break_database(Hang())
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        before_s = world.loop.time()
        assert await world.stop_bot() == ExitCode.OK
        assert world.loop.time() - before_s < SHUTDOWN_S
        assert disk.read().pending_channels == (world.channels["lobby"],)

    play(story, NIGHT, application=with_disk(disk), strict=False)


def test_a_stop_during_the_boot_does_not_wait_for_it() -> None:
    """A database that hangs at boot may be waited for, but not by somebody who wants to stop."""

    async def story(world: World) -> None:
        world.break_database(Hang())
        world.start_bot()
        await asyncio.sleep(0.1)
        before_s = world.loop.time()
        assert await world.stop_bot() == ExitCode.OK
        assert world.loop.time() - before_s <= FLUSH_S + 0.01

    play(story, NIGHT, strict=False)


def test_a_refused_login_ends_the_bot_at_once() -> None:
    """A wrong token: nothing to save, nothing to wait for, and an exit code that says so."""

    async def story(world: World) -> None:
        world.twitch.revoke_token(BOT_TOKEN)
        with capture_logs() as lines:
            world.start_bot()
            await world.until(lambda: not world.bot_runs, 2)
        assert world.exit_codes == [ExitCode.LOGIN_REFUSED]
        assert "TWITCH_TOKEN" in next(line["why"] for line in lines if line["event"] == "login_refused")

    play(story, NIGHT)


def test_a_token_that_ends_in_mid_stream_costs_nothing() -> None:
    """Twitch refuses the next login: what viewers were told is saved before the bot ends."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert await world.ask("mod", "!count deaths +1") == "deaths: 1"
        world.twitch.revoke_token(BOT_TOKEN)
        world.irc.disconnect_all()
        await world.until(lambda: not world.bot_runs, 20)
        assert world.exit_codes == [ExitCode.LOGIN_REFUSED]
        assert world.counter("lobby", "deaths") == 1

    play(story, replace(NIGHT, settings={"flush_interval_s": 60.0}))


def test_a_fenced_bot_stops_at_once_and_keeps_its_journal() -> None:
    """What it could not save stays pending in the journal, and nothing of it is written over the newer process."""
    disk = Disk()

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +1")
        await world.until(world.drained)
        world.supabase.human_update("bot_writer", {"id": 1}, {"epoch": 7, "holder": "another bot"})
        assert await world.ask("mod", "!count deaths +1") == "deaths: 2"
        await world.until(lambda: not world.bot_runs, 10)
        assert world.exit_codes == [ExitCode.FENCED]
        assert world.counter("lobby", "deaths") == 1
        assert disk.read().pending_channels == (world.channels["lobby"],)

    play(story, NIGHT, application=with_disk(disk), strict=False)


def test_the_status_is_logged_as_often_as_the_settings_say() -> None:
    """One line every STATUS_INTERVAL_S seconds, with the bot's health."""

    async def story(world: World) -> None:
        with capture_logs() as lines:
            world.start_bot()
            await asyncio.sleep(10.5)
        found = [line for line in lines if line["event"] == "status"]
        assert [line["circuit"] for line in found] == ["closed", "closed"]

    play(story, replace(NIGHT, settings={"status_interval_s": 5.0}))


def test_components_are_looked_for_beside_the_bot(tmp_path: Path) -> None:
    """A module in the folder that the surroundings name is loaded, and its command answers."""
    (tmp_path / "test_app_waves.py").write_text(
        "from byte_bot.components.api import Component, command\n"
        "class Waves(Component):\n"
        "    @command()\n"
        "    async def wave(self, ctx):\n"
        "        await ctx.reply('hello')\n"
        "async def setup(bot):\n"
        "    await bot.add_component(Waves())\n",
        encoding="utf-8",
    )

    def build(settings: Settings, surroundings: Surroundings) -> Application:
        return Application(settings, replace(surroundings, components_folder=tmp_path))

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        assert await world.ask("viewer", "!wave") == "hello"

    play(story, replace(NIGHT, settings={"components": ("test_app_waves",)}), application=build)


def test_a_fenced_bot_says_what_is_lost() -> None:
    """Confirmed changes that it may not save any more are counted in a warning."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +1")
        await world.until(world.drained)
        with capture_logs() as lines:
            world.supabase.human_update("bot_writer", {"id": 1}, {"epoch": 7, "holder": "another bot"})
            await world.ask("mod", "!count deaths +1")
            await world.until(lambda: not world.bot_runs, 10)
        (warning,) = [line for line in lines if line["event"] == "stopped_with_unsaved_rows"]
        assert warning["rows_lost"] >= 1
        assert "another bot" in warning["why"]

    play(story, NIGHT, application=with_disk(Disk()), strict=False)


def test_a_bot_in_no_channel_says_what_to_do() -> None:
    """No enabled row and no logins in the settings: a warning, once."""

    async def story(world: World) -> None:
        world.supabase.human_update("channels_config", {"login": "lobby"}, {"enabled": False})
        with capture_logs() as lines:
            world.start_bot()
            await asyncio.sleep(30)
            await world.stop_bot()
        (warning,) = [line for line in lines if line["event"] == "no_channels"]
        assert "channels_config" in warning["what_to_do"]

    play(story, replace(NIGHT, fixed=()), strict=False)


@pytest.mark.parametrize("broken", [False, True])
def test_a_stop_while_components_load_is_obeyed_at_once(tmp_path: Path, broken: bool) -> None:
    """A setup that takes its time is given up and what was loaded is torn down; one that fails is still heard."""
    name = f"test_app_sleepy_{broken}".lower()
    (tmp_path / f"{name}.py").write_text(
        "import asyncio\n"
        "from byte_bot.components.api import ChannelState\n"
        "async def setup(bot):\n"
        f"    {'raise ValueError(1)' if broken else 'await asyncio.sleep(9)'}\n",
        encoding="utf-8",
    )

    built: list[Application] = []

    def build(settings: Settings, surroundings: Surroundings) -> Application:
        built.append(Application(settings, replace(surroundings, components_folder=tmp_path)))
        return built[-1]

    async def story(world: World) -> None:
        world.start_bot()
        await asyncio.sleep(1)
        if broken:
            return
        before_s = world.loop.time()
        assert await world.stop_bot() == ExitCode.OK
        assert world.loop.time() - before_s < 0.1
        (application,) = built
        assert application.bot.components == ()

    scenario = replace(NIGHT, settings={"components": (name,)})
    if broken:
        with pytest.raises(Exception, match="ValueError: 1"):
            play(story, scenario, application=build, strict=False)
    else:
        play(story, scenario, application=build, strict=False)


def test_a_bot_whose_disk_fails_says_what_may_be_lost() -> None:
    """A durable journal that is degraded at the end, and a database that is away: the rows are counted in a warning."""

    class DurableDisk(Disk):
        durable = True

    disk = DurableDisk()

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        world.break_database(Hang())
        for disk.broken in (False, True):
            with capture_logs() as lines:
                await world.ask("mod", "!count deaths +1")
                if disk.broken:
                    await world.stop_bot()
        (warning,) = [line for line in lines if line["event"] == "stopped_with_unsaved_rows"]
        assert "the journal's disk does not work" in warning["why"]

    play(story, NIGHT, application=with_disk(disk), strict=False)


def test_a_start_during_an_outage_answers_from_the_journal(tmp_path: Path) -> None:
    """A thousand channels in the file, nothing in the database to be had: all joined, each knows its counter, within 3 s."""
    path = tmp_path / "my_bot.journal"
    owner = Owner("my_bot", "host/1/abc")
    ids = {f"channel{number}": str(10_000 + number) for number in range(1_000)}
    journal = SqliteJournal(open_journal(path, owner, durability="process", now_s=0.0))
    base = Base(b'{"values":{"deaths":41}}', {}, 1, 1, 1, 0)
    rows = [RowKey("component_state", channel_id, "counters") for channel_id in ids.values()]
    journal.apply([KnownChannels([KnownChannel(*item) for item in ids.items()])], 1)
    journal.apply([Settled(key, base) for key in rows], 2)

    class Inline(Disk):
        def read(self, *, pending_only: bool = False) -> JournalImage:
            return journal.read(pending_only=pending_only)

        def snapshot(self, channel_id: str) -> dict[RowKey, Base]:
            return journal.snapshot(channel_id)

    async def story(world: World) -> None:
        world.break_database(Hang())
        world.start_bot()
        # The 3 s that the database has at boot, and the login.
        await asyncio.sleep(3.1)
        assert world.app is not None
        app = world.app
        assert len(app.directory.wanted) >= 1_000
        states = [app.manager.obtain(channel_id).state(Counters) for channel_id in ids.values()]
        assert {state.values["deaths"] for state in states} == {41}

    play(story, NIGHT, application=with_disk(Inline()), strict=False)
    journal.close()


def test_a_bot_without_a_database_keeps_its_state_in_the_journal() -> None:
    """An outage without end: what viewers were told is there after a crash, and after the next one."""
    heard: list[str] = []

    async def story(world: World) -> None:
        for _ in range(3):
            world.start_bot()
            await world.joined()
            await world.ask("mod", "!count deaths +2")
            heard.append(str(await world.ask("mod", "!count deaths")))
            world.crash_bot()

    play(story, replace(NIGHT, settings={"supabase_url": "", "supabase_key": ""}), strict=False)
    assert [line.rpartition(" ")[2] for line in heard] == ["2", "4", "6"]
