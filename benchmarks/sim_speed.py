"""How fast the simulator plays the bot as shipped: an idle world, a busy one, and many.

* *idle*: one channel in which nobody speaks; simulated seconds a second.
* *busy*: 100 messages a second in ten channels, one in five a command; simulated seconds a second, so times real time.
* *worlds*: three channels, 600 simulated seconds, 10 messages a second, an outage of a minute in the middle; worlds a second on two
  cores, each in a process of its own that has been started before.

All with everything that a night of the search has: invariants, trace, accounts, the journal's SQLite. A figure is the median over
rounds. The machine's other programs take time that is not the simulator's, so beside the wall clock stands what the same work took
on the CPU: a target that is missed on the one and met on the other was not measured.

Left out: real loopback sockets (the hybrid loop), where the kernel has its part.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from byte_bot.logs import configure_logging
from simulator.audience import Chatter, CommandStorm
from simulator.bench.child import BenchError
from simulator.bench.result_file import check_writable
from simulator.faults import Hang
from simulator.scenario import Scenario
from simulator.world import simulate

CORES: Final = 2
COMMANDS: Final = ("!count deaths +1", "!count wins +1", "!ping", "!count deaths")
#: One message in five is a command.
COMMAND_SHARE: Final = 0.2
#: By name: what is promised, and in what.
TARGETS: Final[Mapping[str, tuple[float, str]]] = {
    "idle": (10_000.0, "simulated s/s"),
    "busy": (60.0, "x real time"),
    "worlds": (3.0, "worlds/s"),
}


@dataclass(frozen=True)
class Size:
    """How much of each is played in one round."""

    idle_s: float = 40_000.0
    busy_s: float = 60.0
    worlds: int = 8
    world_s: float = 600.0
    rounds: int = 3


QUICK: Final = Size(idle_s=10_000.0, busy_s=30.0, worlds=4, rounds=1)


@dataclass(frozen=True)
class Speed:
    """One figure: on the wall clock, and as it would be if the machine had nothing else to do."""

    name: str
    value: float
    on_cpu: float

    @property
    def target(self) -> float:
        """At least this much."""
        return TARGETS[self.name][0]

    @property
    def met(self) -> bool | None:
        """None if only the machine's other programs stand between the figure and its target."""
        if self.value >= self.target:
            return True
        return None if self.on_cpu >= self.target else False


class Players(Protocol):
    """Whoever plays worlds beside one another: a pool of processes."""

    def starmap(
        self, func: Callable[..., float], iterable: Iterable[tuple[Any, ...]], chunksize: int | None = None
    ) -> list[float]:
        """Call the function with each of these arguments; what it returned, in their order."""
        ...


class NightFailed(BenchError):
    """A night broke a promise: its speed says nothing."""


def talk(channels: Sequence[str], rate_per_s: float, duration_s: float) -> tuple[Chatter | CommandStorm, ...]:
    """Small talk and commands at a rate over all channels, from the fifth second on."""
    share = rate_per_s / len(channels)
    crowds: list[Chatter | CommandStorm] = []
    for channel in channels:
        crowds.append(Chatter(channel, share * (1 - COMMAND_SHARE), 5.0, duration_s - 5.0))
        crowds.append(
            CommandStorm(channel, share * COMMAND_SHARE, COMMANDS, start_s=5.0, duration_s=duration_s - 5.0)
        )
    return tuple(crowds)


def idle(duration_s: float) -> Scenario:
    """Nobody speaks."""
    return Scenario("idle", "one channel, nobody speaks", duration_s=duration_s)


def busy(duration_s: float) -> Scenario:
    """A hundred messages a second."""
    channels = tuple(f"channel_{number}" for number in range(1, 11))
    return Scenario(
        "busy",
        "ten channels, 100 messages a second",
        duration_s=duration_s,
        channels=channels,
        crowds=talk(channels, 100.0, duration_s),
    )


def world(duration_s: float) -> Scenario:
    """One of many worlds."""
    channels = ("lobby", "arcade", "cinema")
    return Scenario(
        "world",
        "three channels, 10 messages a second, an outage of a minute",
        duration_s=duration_s,
        channels=channels,
        crowds=talk(channels, 10.0, duration_s),
        faults=(Hang(start_s=duration_s * 0.4, duration_s=duration_s * 0.1),),
    )


def play(scenario: Scenario, seed: int) -> float:
    """Play one night; the CPU time of it, in seconds."""
    began_s = time.process_time()
    report = simulate(scenario, seed)
    if not report.ok:
        raise NightFailed(
            f"the night {scenario.name} with seed {seed} broke a promise: {report.violations[0]}"
        )
    return time.process_time() - began_s


def play_world(seed: int, duration_s: float) -> float:
    """One of many worlds, in a process that has many to play."""
    return play(world(duration_s), seed)


@contextmanager
def players() -> Iterator[Players]:
    """Two processes, each of which has played a short world before."""
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(CORES, initializer=configure_logging, initargs=("critical",)) as pool:
        pool.starmap(play_world, [(seed, 10.0) for seed in range(2 * CORES)], chunksize=1)
        yield pool


def measure(size: Size, pool: Players, clock: Callable[[], float]) -> list[Speed]:
    """Every figure, as medians over rounds."""
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in TARGETS}

    def note(name: str, done: float, began_s: float, cpu_s: float) -> None:
        rounds[name].append((done / (clock() - began_s), done / cpu_s))

    for number in range(1, size.rounds + 1):
        for name, scenario, seconds in (
            ("idle", idle(size.idle_s), size.idle_s),
            ("busy", busy(size.busy_s), size.busy_s),
        ):
            began_s = clock()
            note(name, seconds, began_s, play(scenario, number))
        began_s = clock()
        seeds = range(number * size.worlds, (number + 1) * size.worlds)
        cpu_s = sum(pool.starmap(play_world, [(seed, size.world_s) for seed in seeds], chunksize=1))
        note("worlds", size.worlds, began_s, cpu_s / CORES)
    return [
        Speed(
            name,
            statistics.median(value for value, _ in found),
            statistics.median(on_cpu for _, on_cpu in found),
        )
        for name, found in rounds.items()
    ]


def verdict(speeds: Sequence[Speed]) -> int:
    """0 when every target is met, 1 when one is missed, 2 when one was not measured on this machine."""
    met = [one.met for one in speeds]
    return 1 if False in met else 2 if None in met or not met else 0


def table(speeds: Sequence[Speed]) -> str:
    """The figures, for people."""
    lines = [f"{'':<8}{'measured':>12}{'on the CPU':>12}{'target':>12}"]
    for one in speeds:
        unit = TARGETS[one.name][1]
        lines.append(
            f"{one.name:<8}{shown(one.value):>12}{shown(one.on_cpu):>12}{shown(one.target):>12}  {unit}"
        )
    return "\n".join(lines)


def shown(value: float) -> str:
    """A figure with as many digits as it can bear."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def main(arguments: Sequence[str]) -> int:
    """The command line; returns 0 kept, 1 broken, 2 not measured, 130 Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks sim_speed", description=__doc__, add_help=True
    )
    parser.add_argument("--quick", action="store_true", help="one round of less")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures")
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else Size()
    if options.rounds is not None:
        size = Size(**{**asdict(size), "rounds": max(1, options.rounds)})
    try:
        check_writable(options.json)
        configure_logging("critical")
        with players() as pool:
            speeds = measure(size, pool, time.perf_counter)
    except BenchError as error:
        sys.stderr.write(f"sim_speed: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(f"{table(speeds)}\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in speeds], indent=1), encoding="utf-8")
    code = verdict(speeds)
    words = {0: "kept", 1: "BROKEN", 2: "not measured (the machine was busy: met by the CPU's clock only)"}[
        code
    ]
    sys.stdout.write(f"speed of the simulator: {words}\n")
    return code
