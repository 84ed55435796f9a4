"""Ends of the process that have a story: what the next process knows, and what is in the database afterwards."""

from __future__ import annotations

import pytest

from byte_bot.errors import ExitCode
from simulator.faults import Hang, Refused
from tests.kill.changes import Change, Place
from tests.kill.folding_bot import Folding, command
from tests.kill.theatre import RunningBot, Theatre, has_signals

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

DEATHS = Place("room_1", "tally", "deaths")
DIED = Change(DEATHS, "+", "1")
HOW_MANY = Change(DEATHS, "look")
GAME = Place("room_1", "game")

needs_signals = pytest.mark.skipif(not has_signals(), reason="Windows ends a process without telling it")


async def saved(theatre: Theatre, bot: RunningBot) -> None:
    """Wait until everything is saved, and look that nothing is lost or doubled."""
    await theatre.drained(bot)
    assert not theatre.verdict().broken


@needs_signals
async def test_sigterm_in_mid_outage_keeps_everything() -> None:
    """An orderly stop while the database hangs leaves nothing behind but the journal, and that is enough."""
    async with Theatre(1) as theatre:
        bot = await theatre.start()
        await theatre.in_channels(bot)
        assert await theatre.ask(DIED, bot) == "deaths: 1"
        theatre.break_database(Hang())
        assert await theatre.ask(DIED, bot) == "deaths: 2"
        await theatre.ask(Change(GAME, "set", "Puzzle Quest"), bot)
        assert await theatre.stop(bot) == ExitCode.OK
        assert theatre.stored() != {DEATHS: 2, GAME: "Puzzle Quest"}, "the outage came too late"
        theatre.heal()
        bot = await theatre.start()
        await theatre.in_channels(bot)
        await saved(theatre, bot)
        assert theatre.stored() == {DEATHS: 2, GAME: "Puzzle Quest"}
        assert await theatre.ask(HOW_MANY, bot) == "deaths: 2"


async def test_a_cold_start_in_the_same_outage_knows_what_was_said() -> None:
    """Killed in an outage and started again in it, the bot answers from the journal: what was saved before, and what was not."""
    async with Theatre(1) as theatre:
        bot = await theatre.start()
        await theatre.in_channels(bot)
        for _ in range(3):
            await theatre.ask(DIED, bot)
        await theatre.drained(bot)
        assert theatre.stored() == {DEATHS: 3}
        theatre.break_database(Refused())
        assert await theatre.ask(DIED, bot) == "deaths: 4"
        await theatre.kill(bot)
        bot = await theatre.start()
        await theatre.in_channels(bot)
        assert await theatre.ask(HOW_MANY, bot) == "deaths: 4"
        assert await theatre.ask(DIED, bot) == "deaths: 5"
        assert theatre.stored() == {DEATHS: 3}
        theatre.heal()
        await saved(theatre, bot)
        assert theatre.stored() == {DEATHS: 5}


async def test_what_the_database_has_alone_is_known_in_an_outage_too() -> None:
    """Everything was saved and the journal is empty: its snapshot still answers when the next process finds no database."""
    async with Theatre(1) as theatre:
        bot = await theatre.start()
        await theatre.in_channels(bot)
        await theatre.ask(DIED, bot)
        await theatre.drained(bot)
        await theatre.kill(bot)
        theatre.break_database(Refused())
        bot = await theatre.start()
        await theatre.in_channels(bot)
        assert await theatre.ask(HOW_MANY, bot) == "deaths: 1"


async def test_killed_twice_in_a_row_during_replay() -> None:
    """Killed when it takes the epoch, and again when it loads or saves what it replayed: the next process has the same journal."""
    async with Theatre(2) as theatre:
        bot = await theatre.start()
        await theatre.in_channels(bot)
        theatre.break_database(Hang())
        other = Place("room_2", "tally", "deaths")
        for _ in range(10):
            theatre.say(DIED)
            theatre.say(Change(other, "+", "1"))
        await theatre.answered(bot)
        await theatre.kill(bot)
        theatre.heal()
        for extra in range(2):
            bot = await theatre.start()
            # Each time a little later in the conversation with the database: epoch, list of channels, rows, save.
            reached = theatre.stage.supabase.requests_total + 2 + 2 * extra
            await theatre.until(
                lambda reached=reached: theatre.stage.supabase.requests_total >= reached,  # type: ignore[misc]
                "its first requests",
                10,
                bot,
            )
            await theatre.kill(bot)
        bot = await theatre.start()
        await theatre.in_channels(bot)
        assert await theatre.ask(HOW_MANY, bot) == "deaths: 10"
        await saved(theatre, bot)
        assert theatre.stored() == {DEATHS: 10, other: 10}


@pytest.mark.parametrize("dies_at", [0.5, 0.9, 2.0])
async def test_killed_in_the_midst_of_a_fold(dies_at: float) -> None:
    """Within its rows, at its commit, right behind it; the journal is all there is."""
    folding = Folding(log_slots=50, fold_rows=256)
    async with Theatre(1) as theatre:
        bot = await theatre.start(command=command(folding))
        await theatre.in_channels(bot)
        theatre.break_database(Hang())
        for _ in range(9):
            await theatre.ask(DIED, bot)
        await theatre.kill(bot)
        # The next one dies while it folds what this one left; and that after it in one of many folds.
        bot = await theatre.start(command=command(folding.dying(1, dies_at)))
        assert await theatre.exit_code(bot) != ExitCode.OK
        assert bot.event("dies_in_fold") is not None
        often = Folding(log_slots=50, fold_rows=1)
        bot = await theatre.start(command=command(often.dying(12, dies_at)))
        await theatre.in_channels(bot)
        while bot.process.running:
            theatre.say(DIED)
            await theatre.until(lambda: not (bot.process.running and theatre.book.outstanding), "a reply", 10)
        await theatre.kill(bot)
        assert (bot.count("fold_began"), bot.count("fold_ended")) == (12, 11)
        bot = await theatre.start(command=command(often))
        await theatre.in_channels(bot)
        await theatre.ask(HOW_MANY, bot)
        theatre.heal()
        await saved(theatre, bot)
        assert theatre.stored()[DEATHS] in range(9, len(theatre.book.exchanges))


@needs_signals
async def test_the_second_process_on_a_journal_says_who_holds_it() -> None:
    """It ends at once with a code of its own, and the first goes on as if nothing had been."""
    async with Theatre(1) as theatre:
        first = await theatre.start()
        await theatre.in_channels(first)
        await theatre.ask(DIED, first)
        second = await theatre.start()
        assert await theatre.exit_code(second) == ExitCode.JOURNAL_LOCKED
        words = "\n".join(second.process.last_lines)
        assert f"process {first.process.pid} " in words
        assert "--wait-lock" in words
        assert await theatre.ask(DIED, first) == "deaths: 2"
        await saved(theatre, first)
        assert await theatre.stop(first) == ExitCode.OK


@needs_signals
async def test_with_wait_lock_the_second_process_takes_over() -> None:
    """A rolling deploy: the second waits while the first lives, and goes on where it ended."""
    async with Theatre(1) as theatre:
        first = await theatre.start()
        await theatre.in_channels(first)
        await theatre.ask(DIED, first)
        second = await theatre.start("journal.sqlite", "--wait-lock")
        theatre.break_database(Refused())
        assert await theatre.ask(DIED, first) == "deaths: 2"
        assert second.process.running
        assert second.event("started") is None
        await theatre.kill(first)
        await theatre.in_channels(second)
        assert await theatre.ask(DIED, second) == "deaths: 3"
        theatre.heal()
        await saved(theatre, second)
        assert theatre.stored() == {DEATHS: 3}


@needs_signals
async def test_two_processes_with_two_journals() -> None:
    """The later one fences the earlier, whose journal keeps what it could not save: started again, it puts that on top."""
    async with Theatre(1) as theatre:
        older = await theatre.start("older.sqlite")
        await theatre.in_channels(older)
        for _ in range(3):
            await theatre.ask(DIED, older)
        await theatre.drained(older)
        theatre.break_database(Hang())
        assert await theatre.ask(DIED, older) == "deaths: 4"
        newer = await theatre.start("newer.sqlite")
        await theatre.until(lambda: len(theatre.stage.irc.connected) == 2, "the second login", 10, newer)
        theatre.heal()
        await theatre.until(lambda: newer.event("epoch_taken") is not None, "the newer epoch", 10, newer)
        # Small talk: history is saved too, and only who saves learns that it is fenced.
        theatre.stage.say("room_1", "viewer_1", "hello")
        assert await theatre.exit_code(older) == ExitCode.FENCED
        theatre.book.give_up()
        goodbye = Change(Place("room_1", "tally", "wins"), "+", "1")
        assert await theatre.ask(goodbye, newer) == "wins: 1"
        await theatre.drained(newer)
        assert await theatre.stop(newer) == ExitCode.OK
        older = await theatre.start("older.sqlite")
        await theatre.in_channels(older)
        await saved(theatre, older)
        assert await theatre.ask(HOW_MANY, older) == "deaths: 4"
        assert theatre.stored() == {DEATHS: 4, goodbye.place: 1}


@pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="a running process is limited by prlimit, Linux only"
)
async def test_a_full_disk_silences_nobody() -> None:
    """No file may grow any more: the journal is degraded and says so, chat goes on, and the journal works again when it may."""
    assert resource is not None
    async with Theatre(1) as theatre:
        bot = await theatre.start()
        await theatre.in_channels(bot)
        theatre.break_database(Hang())
        assert await theatre.ask(DIED, bot) == "deaths: 1"
        before = resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE, (0, before[1]))
        assert await theatre.ask(DIED, bot) == "deaths: 2"
        await theatre.until(lambda: bot.event("journal_degraded") is not None, "journal_degraded", 10, bot)
        assert await theatre.ask(DIED, bot) == "deaths: 3"
        resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE, before)
        await theatre.until(
            lambda: bot.event("journal_works_again") is not None, "journal_works_again", 10, bot
        )
        assert await theatre.ask(DIED, bot) == "deaths: 4"
        # From here on everything is durable again, what was said meanwhile too.
        await theatre.kill(bot)
        theatre.heal()
        bot = await theatre.start()
        await theatre.in_channels(bot)
        assert await theatre.ask(HOW_MANY, bot) == "deaths: 4"
        await saved(theatre, bot)
        assert theatre.stored() == {DEATHS: 4}
