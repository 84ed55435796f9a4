"""What nights are drawn from: everything there is to type and to break, described for people; and no draw of old seeds moves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from byte_bot.components import builtin
from byte_bot.components.api import Component
from byte_bot.components.router import Router
from simulator.faults import Fault, Flapping, Hang, TooLarge, TwitchDisconnect
from simulator.loop import run
from simulator.night_draws import COMMANDS, FUNCTIONS, TABLES, described, draw_rate_per_s, spread
from simulator.process_faults import Crash, Restart
from simulator.rng import SeedTree
from simulator.scenario import Scenario
from simulator.supabase.functions import FUNCTIONS as SQL_FUNCTIONS
from simulator.twin_plan import Plan, draw_plan
from simulator.world import World, play


class Collector:
    """Takes components as the bot does."""

    def __init__(self) -> None:
        self.router = Router()

    async def add_component(self, component: Component) -> None:
        """Register it."""
        self.router.add(component)


def test_the_audience_knows_every_built_in_command() -> None:
    """A new one has to be added to `COMMANDS`; `!status` is left out, since it reports the database's health."""
    collector = Collector()
    run(builtin.setup(collector))
    assert {command.name for command in collector.router.commands} - {"status"} == set(COMMANDS)
    for name, lines in COMMANDS.items():
        for line in lines:
            command = collector.router.find(line[1:].split()[0])
            assert command is not None
            assert command.name == name


def test_the_faults_know_every_table_and_function() -> None:
    """A new one has to be added to what can be missing."""

    async def story(world: World) -> tuple[list[str], list[str]]:
        return sorted(world.supabase.engine.schema.tables), sorted(SQL_FUNCTIONS)

    assert play(story, Scenario("schema", "its names")) == (sorted(TABLES), sorted(FUNCTIONS))


def test_the_pairs_of_twins_of_old_seeds_are_the_same_pairs() -> None:
    """A seed that somebody has noted means the same night today; who changes that on purpose changes the hash here."""
    plans = [draw_plan(seed) for seed in range(1, 51)]
    # A gateway that takes no large save came later than all else, in the world with faults, and moved nothing.
    # So did restarts, later still: a night that has one is another night.
    older = [
        replace(plan, faults=tuple(fault for fault in plan.faults if not isinstance(fault, TooLarge)))
        for plan in plans
        if not any(isinstance(fault, Restart | Crash) for fault in plan.scenario.faults)
    ]
    assert (len(older), _hash_of(older)) == (45, "bbf4baa457d40d00")
    assert _hash_of(plans) == "47ff312d0543f99d"


def _hash_of(plans: Sequence[Plan]) -> str:
    text = "\n".join(map(repr, plans))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def test_numbers_are_spread_over_orders_of_magnitude() -> None:
    """As many below the geometric middle as above it, and both ends occur."""
    rng = SeedTree(1).stream("spread")
    numbers = [spread(rng, 1, 100) for _ in range(1_000)]
    assert {1, 100} <= set(numbers)
    assert 400 < sum(number <= 10 for number in numbers) < 600
    rates = [draw_rate_per_s(rng) for _ in range(1_000)]
    assert min(rates) < 0.02 and max(rates) > 20


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Hang(start_s=5, duration_s=2), "hang from 5.000 s to 7.000 s"),
        (Hang(start_s=5, probability=0.25), "hang from 5.000 s to the heal with probability 0.25"),
        (Flapping(inner=Hang(), duration_s=1), "flapping of hang from 0.000 s to 1.000 s"),
        (TwitchDisconnect(start_s=1.5), "twitch_disconnect at 1.500 s"),
    ],
)
def test_faults_are_described(fault: Fault, words: str) -> None:
    """With their times, their chance, and what flaps."""
    assert described(fault) == words
