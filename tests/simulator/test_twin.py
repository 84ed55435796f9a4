"""Two transcripts are compared to the microsecond, and what differs is shown with the faults of that moment."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from byte_bot.persistence.ledger import BATCH_ROWS_MAX, Ledger
from simulator.audience import CommandStorm, Utterance
from simulator.faults import Fault, Flapping, Hang, Refused
from simulator.report import Line
from simulator.scenario import Scenario
from simulator.twin import Difference, Outcome, faults_then, first_difference, run_seed, run_twins
from simulator.twin_plan import Plan, draw_plan
from tests.safeguards.bot_variants import SavesFirst
from tests.safeguards.variants import application_with

ONE = Line(1_000_000, "lobby", "one")
TWO = Line(2_000_000, "lobby", "two")
THREE = Line(3_000_000, "arcade", "three")
OUTAGE = Hang(start_s=10.0, duration_s=10.0)
NIGHT = Scenario(
    "night",
    "an outage",
    duration_s=45.0,
    crowds=(CommandStorm("lobby", 1.0, ("!count deaths +1",), start_s=5.0, duration_s=20.0),),
    settings={"default_language": "en"},
)


#: One hang in the middle of a minute.
PLAN = Plan(3, NIGHT, (OUTAGE, Refused(start_s=35.0, duration_s=1.0)), "fifo")


def test_a_bot_that_waits_for_the_database_is_caught() -> None:
    """The first reply that comes later is shown beside the one of the perfect night, with the fault that held it back."""
    outcome = run_twins(PLAN, application_with(lambda application: application.bot, SavesFirst))
    found = outcome.difference
    assert not outcome.ok
    assert found is not None
    assert found.perfect is not None
    assert 10_000_000 <= found.perfect.at_us <= 15_000_000
    lines = [" ".join(line.split()) for line in outcome.to_text().splitlines()]
    assert any(
        line.startswith("►") and f"│ {found.perfect.at_us / 1e6:.6f} s #lobby {found.perfect.text}" in line
        for line in lines
    ), lines
    assert "ACTING hang from 10.000 s to 20.000 s" in lines
    assert "to come refused from 35.000 s to 36.000 s" in lines
    assert "again byte-sim twin --seed 3" in lines


def test_the_shipped_bot_says_the_same() -> None:
    """In the very night that catches the other."""
    outcome = run_twins(PLAN)
    assert outcome.ok, outcome.to_text()
    assert outcome.lines == 20
    assert outcome.to_json()["difference"] is None


@pytest.mark.parametrize(
    ("faulty", "perfect", "index"),
    [
        ((ONE, TWO), (ONE, TWO, THREE), 2),
        ((ONE, TWO, THREE), (ONE, TWO), 2),
        ((TWO, ONE), (ONE, TWO), 0),
        ((ONE, replace(TWO, at_us=2_000_001)), (ONE, TWO), 1),
        ((replace(ONE, text="uno"), TWO), (ONE, TWO), 0),
        ((replace(ONE, channel="arcade"), TWO), (ONE, TWO), 0),
    ],
    ids=["less", "more", "order", "microsecond", "text", "channel"],
)
def test_any_difference_is_found(faulty: tuple[Line, ...], perfect: tuple[Line, ...], index: int) -> None:
    """The first one."""
    found = first_difference(faulty, perfect)
    assert found is not None
    assert found.number == index + 1
    assert first_difference(faulty, faulty) is None


def test_what_every_fault_did_between_the_two_lines_is_said() -> None:
    """One that flaps may pause at the one instant and act at the other."""
    flapping = Flapping(start_s=10.0, duration_s=10.0, up_s=1.0, down_s=1.0, inner=Refused())
    faults: tuple[Fault, ...] = (Refused(start_s=30.0), flapping, Refused(duration_s=5.0), OUTAGE)
    plan = replace(PLAN, faults=faults)

    def states(faulty_us: int, perfect_us: int) -> list[tuple[Fault, str]]:
        lines = (replace(ONE, at_us=at_us) for at_us in (faulty_us, perfect_us))
        return faults_then(plan, Difference(1, *lines, ()))

    assert states(11_700_000, 11_500_000) == [
        (OUTAGE, "ACTING"),
        (flapping, "pausing"),
        (faults[2], "over"),
        (faults[0], "to come"),
    ]
    assert (flapping, "ACTING") in states(12_100_000, 11_500_000)


def test_a_broken_promise_is_reported_beside_the_comparison() -> None:
    """Equal transcripts are not enough: nothing may be lost either."""
    outcome = Outcome(PLAN, 3, broken=("with faults: agreement at 2.000000 s: lost",))
    assert not outcome.ok
    assert "BROKEN     with faults: agreement at 2.000000 s: lost" in outcome.to_text()
    assert outcome.to_json()["broken"] == list(outcome.broken)


class Unreadable(Ledger):
    """What the world asks it fails with an error of no particular kind, once the database has been away."""

    @property
    def in_flight(self) -> bool:
        """Whether a save is under way, as the world asks to see whether all is saved."""
        if self.batch_limit < BATCH_ROWS_MAX:
            raise KeyError("the row of a channel")
        return super().in_flight


def test_an_unexpected_error_ends_one_pair_and_is_told_with_the_way_to_it() -> None:
    """The error, its night and its seed, and the calls next to it."""
    never_healed = replace(PLAN, faults=(Hang(start_s=10.0),))
    outcome = run_twins(
        never_healed, application_with(lambda application: application.layer.ledger, Unreadable)
    )
    assert not outcome.ok
    assert outcome.lines == 20, "the perfect night was whole"
    text = outcome.to_text()
    assert text.startswith("seed 3  CRASHED  20 lines")
    assert "with faults: KeyError: 'the row of a channel'" in text
    assert 'in in_flight: raise KeyError("the row of a channel")' in text
    assert "again      byte-sim twin --seed 3" in text
    assert "KeyError" in outcome.to_json()["crashed"]


def test_an_unexpected_error_of_the_perfect_night_is_told_too() -> None:
    """With that night's name."""

    class Lost(CommandStorm):
        """Forgets what it wanted to say."""

        def draw(self, rng: random.Random) -> Iterator[Utterance]:
            """Fail before the first line."""
            raise KeyError("lobby")

    lost = replace(NIGHT, crowds=(Lost("lobby", 1.0),))
    outcome = run_twins(replace(PLAN, scenario=lost))
    assert not outcome.ok
    assert outcome.crashed.startswith("perfect: KeyError: 'lobby'")


def test_channels_must_be_in_ram_before_the_first_fault() -> None:
    """A plan that breaks this says nothing about the promise, and was not tried."""
    drawn = draw_plan(5)
    fixed = {**drawn.scenario.settings, "twitch_channel_logins": drawn.scenario.channels}
    outcome = run_twins(replace(drawn, scenario=replace(drawn.scenario, faults=(Hang(),), settings=fixed)))
    assert not outcome.ok
    assert "5 s after the start these channels are not in RAM" in outcome.not_tried


def test_a_seed_is_a_pair() -> None:
    """Its plan is the one that is drawn from it."""
    outcome = run_seed(11)
    assert outcome.ok, outcome.to_text()
    assert outcome.plan == draw_plan(11)


def test_a_plan_that_eventsub_cannot_carry_was_not_tried() -> None:
    """More channels than its sockets have room for."""
    drawn = draw_plan(5)
    channels = tuple(f"channel_{number}" for number in range(151))
    plan = replace(drawn, scenario=replace(drawn.scenario, channels=channels))
    outcome = run_twins(plan, transport="eventsub")
    assert outcome.not_tried == "EventSub carries 150 channels, the plan has 151"
    assert outcome.replay == "byte-sim twin --seed 5 --transport eventsub"


def test_a_plan_that_cannot_be_drawn_is_a_bad_seed() -> None:
    """It is told as a crash, with the seed, the error and the way to it; nothing was compared."""

    def draw(seed: int) -> Plan:
        raise ValueError(f"empty range for seed {seed}")

    outcome = run_seed(11, draw=draw)
    assert (outcome.ok, outcome.lines, outcome.plan.seed) == (False, 0, 11)
    text = outcome.to_text()
    assert text.startswith("seed 11  CRASHED  0 lines, no plan")
    assert "the plan: ValueError: empty range for seed 11" in text
    assert "in draw: raise ValueError" in text
    assert "again      byte-sim twin --seed 11" in text
    assert outcome.to_json()["crashed"].startswith("the plan: ValueError")
