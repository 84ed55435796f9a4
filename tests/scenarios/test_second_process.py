"""A second bot is started on the same database by mistake."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

from byte_bot.errors import ExitCode
from simulator.audience import CommandStorm
from simulator.faults import Crash, Fault, Flapping, Hang, PowerCut, Refused, Restart, SecondInstance
from simulator.scenario import Scenario
from simulator.supabase.wire import Request
from simulator.world import World, play, simulate
from tests.safeguards.variants import other_machine
from tests.scenarios.places import PLACES, Place


def test_the_newer_process_fences_the_older_one(place: Place) -> None:
    """The first process finds a higher epoch at its next save, writes nothing, and exits with a code of its own.

    Until that save nothing tells it that it has a rival, so one command is confirmed by both; none after it.
    """

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +10")
        await world.until(world.drained)
        async with other_machine(world):
            twice = world.say("mod", "!count deaths +1")
            await world.until(lambda: not world.bot_runs, 20)
            assert world.exit_codes == [ExitCode.FENCED]
            await world.until(lambda: world.counter("lobby", "deaths") == 11)
            assert await world.ask("mod", "!count deaths +1") == "deaths: 12"
            await world.until(lambda: world.counter("lobby", "deaths") == 12)
            await asyncio.sleep(5)
            assert [line.text for line in world.transcript] == [
                "deaths: 10",
                "deaths: 11",
                "deaths: 11",
                "deaths: 12",
            ]
            (counters,) = (row for row in world.supabase.rows("component_state") if row["key"] == "counters")
            assert (counters["epoch"], counters["data"]["values"]) == (2, {"deaths": 12})
            # The first process was turned away once, and did not try again.
            turned_away = [(save.epoch, save.saved) for save in world.supabase.saves if save.status != "ok"]
            assert turned_away == [(1, 0)]
            world.judge()
        # `single_save` is for one process: saves of two may well be in flight at once.
        found = [one for one in world.violations if one.invariant != "single_save"]
        assert [(one.invariant, twice in one.words) for one in found] == [("answered_once", True)]

    play(story, Scenario("second", "two instances"), **place, strict=False)


@pytest.mark.parametrize("where", ["memory", "eventsub"])  # over TCP the second one hears the command too
def test_what_the_older_one_confirmed_alone_waits_in_its_journal(where: str) -> None:
    """Confirmed after the other has taken over and before it hears commands: not saved, and not forgotten either."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +10")
        await world.until(world.drained)
        second = asyncio.create_task(world.start_second_bot(), name="second")
        await world.until(lambda: world.supabase.rows("bot_writer")[0]["epoch"] == 2, 20)
        assert world.second is not None
        assert world.second.transport.joined == (), "the second process must not hear the command"
        assert await world.ask("mod", "!count deaths +1") == "deaths: 11"
        await world.until(lambda: not world.bot_runs, 20)
        assert world.exit_codes == [ExitCode.FENCED]
        assert world.counter("lobby", "deaths") == 10
        assert await world.ask("viewer", "!count deaths") == "deaths: 10"
        world.second.stop()
        assert await second is ExitCode.OK
        world.start_bot()
        await world.joined()
        assert await world.ask("viewer", "!count deaths") == "deaths: 11"
        await world.converge()
        assert world.counter("lobby", "deaths") == 11
        world.judge()

    play(story, Scenario("journal", "two instances, one after the other"), **PLACES[where])


def test_a_call_of_its_own_that_arrives_late_fences_nobody(place: Place) -> None:
    """A `byte_bot_take_epoch` that was given up, or sent by a crashed process, may still be carried out: no rival."""

    async def story(world: World) -> None:
        world.start_bot()
        await world.joined()
        await world.ask("mod", "!count deaths +1")
        await world.until(world.drained)
        assert world.app is not None
        late = take_epoch(world, world.app.layer.claimant.name)
        assert await world.ask("mod", "!count deaths +1") == "deaths: 2"
        await world.until(world.drained)
        await world.until(lambda: world.counter("lobby", "deaths") == 2)
        assert world.bot_runs
        assert world.app.layer.epoch > late
        world.judge()

    play(story, Scenario("late_epoch", "a late call"), **place)


def mistaken(*faults: Fault, fixed: tuple[str, ...] = ()) -> Scenario:
    """A night in which a second process is started by mistake, over what else there is to bear."""
    return Scenario(
        "mistaken",
        "a second process by mistake",
        duration_s=60.0,
        channels=("lobby", "arcade"),
        fixed=fixed,
        crowds=(
            CommandStorm(
                "lobby", 1.0, ("!count deaths +1", "!quote add words {n}"), ("moderator",), 5.0, 50.0
            ),
            CommandStorm(
                "arcade", 0.5, ("!count wins +1", "!game Game {n}", "!ping"), ("moderator",), 5.0, 50.0
            ),
        ),
        faults=(SecondInstance(start_s=20.0), *faults),
    )


def test_a_night_with_a_second_process_keeps_its_promises(place: Place) -> None:
    """The older one is gone soon, the newer one carries on."""
    report = simulate(mistaken(), seed=1, **place)
    assert report.violations == ()
    assert report.counts["incarnations"] == 2
    assert report.counts["confirmed_counter_changes"] > 10


BAD_NIGHTS: Mapping[str, tuple[Fault, ...]] = {
    "outage": (Hang(start_s=15.0, duration_s=20.0),),
    "crash": (Refused(start_s=15.0, duration_s=10.0), Crash(start_s=24.0, down_s=2.0)),
    "restart": (Restart(start_s=20.5), SecondInstance(start_s=40.0)),
    "power": (
        PowerCut(start_s=21.5, down_s=3.0),
        Flapping(start_s=18.0, duration_s=20.0, up_s=2.0, down_s=1.0),
    ),
    "to the end": (Hang(start_s=10.0),),
}


#: Over TCP only where sockets are the matter: requests that hang on them, a process that dies and leaves them open. In the other
#: three the bot differs from the one in memory by nothing that the story is about.
OVER_TCP = ("outage", "crash")


@pytest.mark.parametrize(
    ("bad", "where"),
    [(bad, where) for where in PLACES for bad in (OVER_TCP if where == "tcp" else BAD_NIGHTS)],
)
def test_a_second_process_in_a_bad_night(bad: str, where: str) -> None:
    """While the database is away neither fences the other; whichever ends first, the other is the bot."""
    report = simulate(mistaken(*BAD_NIGHTS[bad], fixed=("lobby", "arcade")), seed=2, **PLACES[where])
    assert report.violations == ()
    assert report.counts["incarnations"] >= 2


def take_epoch(world: World, holder: str) -> int:
    """Carry out `byte_bot_take_epoch` now, as if a request from earlier arrived; the epoch it took."""
    request = Request(
        "POST",
        "/rest/v1/rpc/byte_bot_take_epoch",
        "",
        {"apikey": world.supabase.secret_key, "content-type": "application/json"},
        json.dumps({"p_holder": holder, "p_seen": 0}).encode(),
    )
    response = world.supabase.execute(request)
    assert response.status == 200, response.body
    return int(response.body)
