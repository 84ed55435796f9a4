"""A bot that leaves somebody without an answer is seen, and one that could not hear is not blamed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from byte_bot.app import Application
from byte_bot.bot import Bot
from byte_bot.chat.limiter import MessageLimiter
from byte_bot.chat.message import ChatEvent
from byte_bot.chat.outbox import Outbox, Reply
from simulator.audience import CommandStorm, Spoken, Utterance
from simulator.faults import (
    Crash,
    DiskReadOnly,
    Fault,
    Hang,
    Restart,
    SecondInstance,
    TwitchDisconnect,
    TwitchHalfOpen,
    TwitchReconnect,
    TwitchRefusals,
    TwitchReordering,
)
from simulator.invariants.answered import Answered
from simulator.scenario import Scenario
from simulator.world import ApplicationFactory, World, simulate
from tests.safeguards.bot_variants import FairWeatherBot
from tests.safeguards.variants import application_with, become, names
from tests.simulator.invariants.broken_worlds import watched, working_bot

OUTAGE = Scenario(
    "outage",
    "half a minute without a database",
    duration_s=50,
    crowds=(CommandStorm("lobby", 1.0, ("!ping", "!count deaths +1", "!count deaths")),),
    faults=(Hang(start_s=10, duration_s=30),),
)


class SlowOutbox(Outbox):
    """Says everything five seconds late."""

    def put(self, reply: Reply) -> bool:
        """Take it later."""
        asyncio.get_running_loop().call_later(5.0, super().put, reply)
        return True


class HastyLimiter(MessageLimiter):
    """Keeps no distance between two messages."""

    def channel_ready_at(self, channel: str, text: str, now: float) -> float:
        """At once."""
        return now


class RepeatingLimiter(MessageLimiter):
    """Makes no text distinct from the ones before it."""

    def _free_form(self, state: object, text: str, now: float) -> str | None:
        return text


class DeafBot(Bot):
    """Hears nothing."""

    def on_event(self, event: ChatEvent) -> None:
        """Pass over it."""


def broken(scenario: Scenario, application: ApplicationFactory = Application) -> list[str]:
    """What breaks in the night."""
    return names(item.invariant for item in simulate(scenario, 1, application=application).violations)


def test_a_bot_that_goes_silent_in_an_outage_is_seen() -> None:
    """Nothing it said was wrong and nothing was lost: it said nothing. As shipped it answers."""
    assert broken(OUTAGE, application_with(lambda made: made.bot, FairWeatherBot)) == ["answered"]
    assert broken(OUTAGE) == []


def test_a_late_answer_is_seen() -> None:
    """Five seconds are too many, while Twitch would let the bot speak."""
    assert broken(OUTAGE, application_with(lambda made: made.outbox, SlowOutbox)) == ["answered"]


def test_what_twitch_delivers_late_may_be_answered_late() -> None:
    """By as much: a command that comes two seconds late is answered after two seconds, and five are still too many."""
    late = TwitchReordering(start_s=5, duration_s=20, delay_s=2.0, probability=1.0)
    scenario = Scenario("late", "out of order", duration_s=30, crowds=OUTAGE.crowds, faults=(late,))
    assert broken(scenario) == []
    assert broken(scenario, application_with(lambda made: made.outbox, SlowOutbox)) == ["answered"]


@pytest.mark.parametrize(
    "fault",
    [
        TwitchDisconnect(start_s=10.3),
        TwitchReconnect(start_s=10.3, grace_s=5),
        TwitchHalfOpen(start_s=10.3),
        Crash(start_s=10.3, down_s=5),
        Restart(start_s=10.3),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_bot_that_could_not_hear_is_not_blamed(fault: Fault) -> None:
    """It was away, and it answers again once it is back."""
    scenario = Scenario("away", "the bot is away", crowds=OUTAGE.crowds, faults=(fault,))
    assert broken(scenario) == []


def test_those_that_nobody_heard_are_counted() -> None:
    """The report tells what was said to nobody from what was left without an answer."""
    scenario = Scenario("away", "five seconds", crowds=OUTAGE.crowds, faults=(Crash(start_s=10, down_s=5),))
    report = simulate(scenario, 1)
    assert report.unanswered_away >= 5
    assert report.unanswered - report.unanswered_away <= 1


@pytest.mark.parametrize(
    ("login", "text", "judged"),
    [
        ("viewer", "!ping", True),
        ("viewer", "!count deaths", True),
        ("viewer", "!count", True),
        ("mod", "!count deaths +1", True),
        ("lobby", "!count deaths =5", True),
        ("viewer", "!count deaths +1", False),
        ("viewer", "!nothing", False),
        ("viewer", "ping", False),
    ],
)
def test_only_what_must_be_answered_is_judged(login: str, text: str, judged: bool) -> None:
    """A viewer must not change a counter, and what is no command has no answer."""

    async def story(world: World) -> None:
        await working_bot(world)
        assert world.app is not None
        become(world.app.bot, DeafBot)
        world.say(login, text)
        await asyncio.sleep(5)

    words = watched(story, Answered())
    assert [text in said for said in words] == [True] * judged


def test_a_sleeping_channel_is_silent() -> None:
    """Paused in chat or by a human, until the bot is heard again; then it is judged again."""

    async def story(world: World) -> None:
        await working_bot(world)
        assert world.app is not None
        await world.ask("mod", "!pause")
        world.say("viewer", "!ping")
        world.supabase.human_update("channels_config", {"login": "arcade"}, {"paused": True})
        await asyncio.sleep(70)  # longer than the bot takes to learn of it
        world.say("viewer", "!ping", channel="arcade")
        await asyncio.sleep(5)
        await world.ask("mod", "!resume")
        await world.until(world.drained)
        await world.ask("viewer", "!ping")  # heard again, and not paused in the database any more
        assert not world.violations
        become(world.app.bot, DeafBot)
        world.say("viewer", "!ping")
        await asyncio.sleep(5)

    assert len(watched(story, Answered())) == 1


def test_a_channel_sleeps_although_twitch_refused_to_tell() -> None:
    """The bot has obeyed `!pause`; that its answer was rejected by the channel's filters wakes nobody."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.faults.set("filters", TwitchRefusals())
        world.faults.set("outage", Hang())  # or the row would say it
        world.say("mod", "!pause")
        await asyncio.sleep(1)
        world.faults.clear("filters")
        world.say("viewer", "!ping")
        await asyncio.sleep(5)
        assert world.chat.unanswered == 2

    assert watched(story, Answered()) == []


def test_a_channel_may_sleep_again_when_a_power_cut_has_taken_its_resume() -> None:
    """The disk has the `!pause` and not the `!resume`; a bot that is silent where neither was said is judged as ever."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.faults.set("outage", Hang())  # or the row would say it
        await world.ask("mod", "!pause")
        await world.bot.restart()  # an orderly end syncs the disk
        await world.joined()
        for _ in range(12):
            await world.ask("viewer", "!ping", channel="arcade")
        await world.ask("mod", "!resume")
        world.bot.cut_power()
        world.start_bot()
        await world.joined()
        assert world.account.forsaken
        assert world.app is not None
        world.say("viewer", "!ping")
        await asyncio.sleep(5)
        assert world.chat.unanswered == 1 and not world.violations
        become(world.app.bot, DeafBot)
        world.say("viewer", "!ping", channel="arcade")
        await asyncio.sleep(5)

    words = watched(story, Answered())
    assert len(words) == 1 and "#arcade" in words[0]


def test_a_channel_may_sleep_again_when_its_resume_was_on_no_disk() -> None:
    """It was obeyed while the journal was degraded, and the process died before the disk worked again."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.faults.set("outage", Hang())  # or the row would say it
        await world.ask("mod", "!pause")
        world.faults.set("disk", DiskReadOnly())
        world.say("viewer", "!ping", channel="arcade")
        await asyncio.sleep(2)
        assert world.app is not None and world.app.layer.journal.degraded
        await world.ask("mod", "!resume")
        world.bot.crash()
        world.faults.clear("disk")
        world.start_bot()
        await world.joined()
        before = world.chat.unanswered
        world.say("viewer", "!ping")
        await asyncio.sleep(5)
        assert world.chat.unanswered == before + 1

    assert watched(story, Answered()) == []


def test_what_twitch_forbids_is_no_silence() -> None:
    """A bot that is banned from a channel cannot speak there."""

    async def story(world: World) -> None:
        await working_bot(world)
        world.twitch.ban("lobby", world.bot_login)
        world.say("viewer", "!ping")
        await asyncio.sleep(5)

    assert watched(story, Answered()) == []


def test_an_account_that_twitch_ignores_is_not_heard() -> None:
    """After a restart nobody knows what was said just before; it is ignored where it is nobody, for half an hour."""

    async def story(world: World) -> None:
        await working_bot(world)
        limiter = world.irc.limits.account(world.twitch.users[world.bot_login].id)
        while not limiter.ignored(world.loop.time()):
            limiter.take_message(world.loop.time())
        world.say("viewer", "!ping")
        await asyncio.sleep(20)
        assert world.chat.unanswered == 1

    nobody = Scenario(
        "nobody", "an account like any other", channels=("lobby", "arcade"), moderated=False, verified=False
    )
    assert watched(story, Answered(), nobody) == []


def test_more_than_twitch_allows_may_stay_unanswered() -> None:
    """Six commands a second are more than 100 in 30 s: what the bot drops and counts is excused, and what it says late."""
    scenario = Scenario("flood", "too many", duration_s=60, crowds=(CommandStorm("lobby", 6, ("!ping",)),))
    report = simulate(scenario, 1)
    assert report.ok, report.to_text()
    assert report.unanswered > 50


def test_a_limit_that_ends_between_two_looks_excuses_what_it_held_back() -> None:
    """What waits behind a burst leaves 30 s after it, in less than a second: at the next look the window is nearly empty."""
    bursts = tuple(
        CommandStorm("lobby", 200, ("!ping",), start_s=start_s, duration_s=0.7) for start_s in (5.2, 26.0)
    )
    report = simulate(Scenario("bursts", "two, 21 s apart", duration_s=60, crowds=bursts), 1)
    assert report.ok, report.to_text()
    assert max(report.latencies_ms) > 5_000


def test_a_limit_that_is_over_is_no_excuse() -> None:
    """A bot that is late when it may speak again is seen."""
    bursts = (
        CommandStorm("lobby", 200, ("!ping",), start_s=5.2, duration_s=0.7),
        CommandStorm("lobby", 1, ("!ping",), start_s=40.0, duration_s=5.0),
    )
    scenario = Scenario("bursts", "a burst, and later a few", duration_s=60, crowds=bursts)
    assert broken(scenario, application_with(lambda application: application.outbox, SlowOutbox)) == [
        "answered"
    ]


#: An account like any other: in a channel one message a second, and none that repeats the one before it.
NOBODY = Scenario("nobody", "nobody anywhere", channels=("lobby", "arcade"), moderated=False)


class DeafOutbox(Outbox):
    """Says nothing at all in one channel, and counts nothing."""

    def put(self, reply: Reply) -> bool:
        """Take it, and forget it where nobody is to be answered."""
        return True if reply.channel == "arcade" else super().put(reply)


def test_what_was_dropped_in_one_channel_excuses_nobody_in_another() -> None:
    """The bot is nobody, and has too much to say in the lobby: whoever has no answer in the arcade has none for another reason."""
    lines = (
        *(Utterance(5.0 + 0.01 * number, "lobby", "viewer", "!ping") for number in range(30)),
        Utterance(6.0, "arcade", "viewer", "!ping"),
    )
    scenario = replace(NOBODY, duration_s=30, crowds=(Spoken(lines=lines),))
    assert simulate(scenario, 1).ok
    found = simulate(
        scenario, 1, application=application_with(lambda made: made.outbox, DeafOutbox)
    ).violations
    assert [(item.invariant, item.words.partition(" at ")[0]) for item in found] == [
        ("answered", "'!ping' by viewer in #arcade")
    ]


@pytest.mark.parametrize("other", ["nobody", "died", "cut off"])
def test_an_answer_too_soon_after_the_words_of_another_process_may_be_refused(other: str) -> None:
    """The newer one does not know that the older one has just spoken, which runs on or not; one that is alone has no excuse."""

    async def story(world: World) -> None:
        await working_bot(world)
        await asyncio.sleep(2)
        await world.ask("viewer", "!count deaths")
        if other != "nobody":
            if other == "cut off":
                world.irc.disconnect_all()  # the older one comes back later, and does not hear what is said meanwhile
            world.start_rival()
            rival = world.bot.rival
            assert rival is not None
            await world.until(lambda: rival.app is not None and "lobby" in rival.app.transport.joined)
            if other == "died":
                world.crash_bot()
                await asyncio.sleep(0.1)  # until Twitch knows
        world.say("viewer", "!ping")
        await asyncio.sleep(25)
        assert world.irc.stats["refused_msg_ratelimit"] == 1
        assert world.chat.unanswered == 1

    alone = other == "nobody"
    hasty = application_with(lambda made: made.outbox.limiter, HastyLimiter) if alone else Application
    assert len(watched(story, Answered(), NOBODY, hasty)) == (1 if alone else 0)


@pytest.mark.parametrize("own", [True, False])
def test_an_answer_that_repeats_the_process_before_may_be_refused(own: bool) -> None:
    """One that has just begun does not know what was said last; that it repeats itself is no excuse, however young it is."""

    async def story(world: World) -> None:
        await working_bot(world)
        await asyncio.sleep(2)
        await world.ask("viewer", "!count deaths" if own else "!ping")
        world.crash_bot()
        world.start_bot()
        await world.joined()
        await asyncio.sleep(2)
        if own:
            await world.ask("viewer", "!ping")
            await asyncio.sleep(2)
        world.say("viewer", "!ping")
        await asyncio.sleep(25)
        assert world.irc.stats["refused_msg_duplicate"] == 1

    repeating = application_with(lambda made: made.outbox.limiter, RepeatingLimiter)
    assert len(watched(story, Answered(), NOBODY, repeating)) == (1 if own else 0)


def test_what_one_of_two_processes_dropped_stays_counted_when_it_has_ended() -> None:
    """It had too much to say and dropped what became too old; at its end the newer one takes its place, which has dropped nothing."""
    lines = tuple(Utterance(5.0 + 0.01 * n, "lobby", "viewer", "!ping") for n in range(30))
    scenario = Scenario(
        "ended",
        "too much is asked, and at the heal a second process is the one that stays",
        duration_s=22.5,
        channels=("lobby",),
        moderated=False,
        crowds=(Spoken(lines=lines),),
        faults=(SecondInstance(start_s=12.0),),
    )
    report = simulate(scenario, 1)
    assert report.ok, report.to_text()
    assert report.unanswered > 10
