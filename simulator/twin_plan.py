"""What a pair of twin worlds does, drawn from a seed: channels, audience, faults of the database, order, disk.

How it works. :func:`draw_plan` draws one thing after the other from the seed's own streams and returns a :class:`Plan`, a
value. Its two scenarios differ in one thing: one has the faults of the database, the other none. What belongs to
both is in both: faults of Twitch, the disk's latency, the order of ready tasks.

* *Audience*: 1 to 30 channels, most of a night's messages in some of them. A channel's rate is anything from 0.01 to 30
  messages a second; how long it goes on follows from its share of the night's messages, which bounds what a pair
  costs. One message in five is small talk, the others are commands of every built-in component (:data:`~simulator.night_draws.COMMANDS`), by people of all roles.
* *Loud nights*: one in twenty has more than a thousand messages, in bursts of up to 1,000 a second over one channel to
  :data:`LOUD_CHANNELS`, one of the bursts over the look for idle channels and one into the first fault; of some, few rows of
  history are kept. These fill a save, a channel's outbox and the journal's queue.
* *Faults*: up to five of every kind of the database's family, whenever they like, over one another or not, certain or
  with a probability. They begin at :data:`READY_S` at the earliest: by then every channel is loaded.
* *A narrow gateway*: one night in :data:`NARROW_EVERY`, and every other loud one, has a ``too_large`` besides, from the beginning of another
  fault to some seconds after its end: a large save that catches up is refused as a whole then, and halved. Any single row is taken
  (:data:`NARROW_BYTES`): one that did not fit would be a dead letter.
* *A restart*: one ordinary night in :data:`RESTARTED_EVERY` is drawn apart, and the bot is started anew in between, in both worlds, in order
  or after a crash. In one of them the database goes away just before: there the bot starts from its journal, its snapshot and its last
  list of channels. Around it nobody speaks (:data:`RESTART_QUIET_BEFORE_S`, :data:`RESTART_QUIET_AFTER_S`): before it until all is saved, which the promise asks for,
  after it until both bots are in their channels, which takes the longer if the database is waited for.
* *Over EventSub* the same night has up to :data:`EVENTSUB_FAULTS_MAX` faults more, of EventSub, Helix and the token
  (:func:`over_eventsub`), in both worlds. They strike for certain or not at all: of two requests at one instant the kernel decides
  which comes first, so a probability would be drawn for another one in the other world.
* The last :data:`QUIET_S` seconds nobody speaks. So every reply has left, or was dropped for its age, before the heal.

Left out, as the promise leaves it out: a human's edit (and what looks like one, a table that is read as if emptied), dead letters, a second process, ``!status``
(it reports the database's health), faults before :data:`READY_S`.
Other faults of the process are left out too: while somebody speaks its twin would have to die at the same point of its program. So are
faults of the disk: how long the bot takes to find out that it works again depends on what it has to write, so on the database.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from simulator.audience import Chatter, CommandStorm, Crowd, Raid, Role, Spoken
from simulator.faults import (
    EventsubClose,
    EventsubMute,
    EventsubRevoke,
    Fault,
    Helix401,
    Helix429,
    Helix503,
    HelixSlow,
    SlowRecovery,
    TokenExpires,
    TooLarge,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchPackets,
    TwitchReconnect,
)
from simulator.loop import ReadyOrder
from simulator.night_draws import (
    CHANGES,
    PLAIN,
    described,
    draw_commands,
    draw_disk,
    draw_drip,
    draw_flapping,
    draw_latency,
    draw_missing_function,
    draw_missing_grant,
    draw_rate_per_s,
    draw_roles,
    draw_slow_recovery,
    draw_too_many_requests,
    microseconds,
    spiky_latency,
    spread,
    talk_and_commands,
)
from simulator.process_faults import Crash, Restart
from simulator.rng import SeedTree
from simulator.scenario import Scenario
from simulator.twitch_faults import CLOSE_CODES

#: When the audience begins to speak and the first fault may act, seconds: every channel is loaded, which the run checks.
READY_S = 5.0
#: For how long people speak; the longest passes a refresh of the configuration and a look for idle channels.
SPEAKING_S = (8.0, 12.0, 16.0, 20.0, 20.0, 25.0, 30.0, 70.0)
#: How long nobody speaks at the end: longer than the 15 s after which a reply that still waits is dropped.
QUIET_S = 17.0
CHANNELS_MAX = 30
#: Messages of a night, about: few enough for thousands of pairs, enough for full saves and Twitch's limits.
MESSAGES_MIN, MESSAGES_MAX = 20, 160
#: One night in twenty, which then costs as much as twenty others.
LOUD_SHARE = 0.05
#: As few as still fill a save, an outbox, a history and the queue of a journal somewhere in three hundred nights: half of what
#: `make test` spends on twins.
LOUD_MESSAGES_MIN, LOUD_MESSAGES_MAX = 1_000, 2_000
#: Messages a second in a burst, over all channels.
LOUD_RATES_PER_S = (200.0, 500.0, 1_000.0, 1_000.0)
#: How much of them each burst has; one is long enough to fill the queue of a journal whose disk stalls.
LOUD_SHARES = (0.6, 0.2, 0.2)
#: With the most a save can be full: every channel has two rows and more. Rarely, since such a night costs three times as much.
LOUD_CHANNELS = (1, 3, 30, 30, 30, 300)
LOUD_SPEAKING_S = (30.0, 70.0, 70.0)
#: When the bot first looks for idle channels, seconds.
SWEEP_S = 60.0
LOUD_HISTORY_ROWS_MAX = (10_000, 10_000, 300)
FAULTS_MAX = 5
#: One night in so many has a gateway that takes no large save, and one loud night: those have large saves.
NARROW_EVERY, LOUD_NARROW_EVERY = 6, 2
#: The most that a request may have, bytes, in an ordinary and in a loud night. Measured: alone the largest row of 300 seeds takes 4,531 in
#: an ordinary night, and in a loud one never more than 22,676, a channel's 200 quotes, which is as many as it may have.
NARROW_BYTES = (6_000, 7_000, 8_000)
LOUD_NARROW_BYTES = (40_000, 60_000)
#: How long it acts after the end of the fault that it began with, seconds.
NARROW_AFTER_MIN_S, NARROW_AFTER_MAX_S = 2.0, 20.0
EVENTSUB_FAULTS_MAX = 3
RESTARTED_EVERY = 12
#: How long nobody speaks before a restart and after it, seconds: two flushes and more; the longest stop (4 s for a last save) and start (2 s for
#: the database, then log-in and joins).
RESTART_QUIET_BEFORE_S, RESTART_QUIET_AFTER_S = 6.0, 9.0
#: How long before the restart the database goes away, seconds, and for how long at least: past the start.
AWAY_BEFORE_S, AWAY_MIN_S, AWAY_MAX_S = 0.5, 5.0, 40.0


@dataclass(frozen=True)
class Plan:
    """One pair of twins; ``scenario`` is that of the world whose database is perfect."""

    seed: int
    scenario: Scenario
    faults: tuple[Fault, ...]
    ready_order: ReadyOrder
    loud: bool = False

    @property
    def faulty(self) -> Scenario:
        """The same night with the faults of the database."""
        return replace(self.scenario, faults=(*self.scenario.faults, *self.faults))

    def summary(self) -> str:
        """One line for people."""
        scenario = self.scenario
        disk = scenario.disk_latency
        parts = (
            *(["loud"] if self.loud else []),
            f"{len(scenario.channels)} channel{'s' if len(scenario.channels) > 1 else ''}",
            f"{scenario.duration_s:.0f} s",
            f"ready tasks {self.ready_order}",
            "disk at once" if disk is None else f"disk {disk.median_ms:.1f} ms",
            str(scenario.settings["default_language"]),
            f"faults: {', '.join(described(fault) for fault in (*self.faults, *scenario.faults))}",
        )
        return ", ".join(parts)


def draw_plan(seed: int) -> Plan:
    """The plan of a seed; the same seed, the same plan."""
    seeds = SeedTree(seed).child("twin")
    rng = seeds.stream("world")
    speaking_s = rng.choice(SPEAKING_S)
    channels = tuple(f"channel_{number}" for number in range(1, spread(rng, 1, CHANNELS_MAX) + 1))
    until_s = READY_S + speaking_s
    scenario = Scenario(
        "twin",
        "one night, with and without faults of the database",
        duration_s=until_s + QUIET_S,
        channels=channels,
        moderated=rng.random() < 0.8,
        verified=rng.random() < 0.7,
        crowds=_draw_crowds(seeds.stream("audience"), channels, until_s),
        faults=_draw_twitch_faults(seeds.stream("twitch"), until_s),
        settings={
            "default_language": rng.choice(("en", "pt-br")),
            "config_refresh_s": rng.choice((20.0, 60.0)),
            "context_idle_s": rng.choice((10.0, 7_200.0)),
        },
        latency_ms=rng.choice((10.0, 35.0)),
        disk_latency=draw_disk(seeds.stream("disk")),
    )
    faults = _draw_faults(seeds.stream("faults"), scenario.duration_s)
    plan = Plan(seed, scenario, faults, rng.choice(("fifo", "random")))
    # Both from streams of their own: what another seed draws does not depend on them.
    if seeds.stream("loudness").random() < LOUD_SHARE:
        plan = _louder(plan, seeds.child("loud"))
    restart = seeds.stream("restart")
    if not plan.loud and not restart.randrange(RESTARTED_EVERY):
        plan = _restarted(plan, restart)
    narrow = seeds.stream("too_large")
    return (
        plan
        if narrow.randrange(LOUD_NARROW_EVERY if plan.loud else NARROW_EVERY)
        else _narrowed(plan, narrow)
    )


def over_eventsub(plan: Plan) -> Plan:
    """The same pair for a bot on EventSub: what the seed draws for IRC stays, and faults that only EventSub can have are added."""
    seeds = SeedTree(plan.seed).child("twin").child("eventsub")
    until_s = plan.scenario.duration_s - QUIET_S
    added = _draw_eventsub_faults(seeds.stream("twitch"), until_s)
    for again in plan.scenario.faults:
        if isinstance(again, Restart | Crash):
            # One that acts on a start hits one of the two, which do not start at the same time.
            added = tuple(fault for fault in added if not _near(fault, again.start_s))
    return replace(plan, scenario=replace(plan.scenario, faults=(*plan.scenario.faults, *added)))


def _louder(plan: Plan, seeds: SeedTree) -> Plan:
    """The same disk, faults of Twitch and order, but with so many people that every bound is near."""
    rng = seeds.stream("world")
    speaking_s = rng.choice(LOUD_SPEAKING_S)
    until_s = READY_S + speaking_s
    channels = tuple(f"channel_{number}" for number in range(1, rng.choice(LOUD_CHANNELS) + 1))
    faults = _draw_faults(seeds.stream("faults"), until_s + QUIET_S)
    first_fault_s = min(fault.start_s for fault in faults)
    scenario = replace(
        plan.scenario,
        duration_s=until_s + QUIET_S,
        channels=channels,
        # Others may join 20 channels in 10 s, and be in no more than 100 in which they are nobody.
        verified=plan.scenario.verified or len(channels) > CHANNELS_MAX,
        moderated=plan.scenario.moderated or len(channels) > CHANNELS_MAX,
        crowds=_draw_bursts(seeds.stream("audience"), channels, until_s, first_fault_s),
        settings={
            **plan.scenario.settings,
            "history_rows_max": rng.choice(LOUD_HISTORY_ROWS_MAX),
            "context_idle_s": 10.0,
        },
        disk_latency=draw_disk(seeds.stream("disk")),
    )
    return replace(plan, scenario=scenario, faults=faults, loud=True)


def _restarted(plan: Plan, rng: random.Random) -> Plan:
    """The same night in two parts, with a restart between them, and the database away in one world when it comes."""
    scenario, gap_s = plan.scenario, RESTART_QUIET_BEFORE_S + RESTART_QUIET_AFTER_S
    # While somebody speaks, so that something is said before it and after it.
    middle = rng.choice([crowd for crowd in scenario.crowds if isinstance(crowd, Chatter | CommandStorm)])
    split_s = microseconds(middle.start_s + rng.uniform(0.2, 0.8) * middle.duration_s)
    again_s = microseconds(split_s + RESTART_QUIET_BEFORE_S)
    duration_s, away_s = scenario.duration_s + gap_s, microseconds(again_s - AWAY_BEFORE_S)
    outage = replace(
        rng.choice(PLAIN)(), start_s=away_s, duration_s=microseconds(rng.uniform(AWAY_MIN_S, AWAY_MAX_S))
    )
    later = [
        replace(fault, start_s=microseconds(max(fault.start_s + gap_s, away_s)))
        for fault in plan.faults
        if fault.start_s + gap_s < duration_s - 1.0
    ]
    again = rng.choice((Restart, Crash))(start_s=again_s)
    return replace(
        plan,
        scenario=replace(
            scenario,
            duration_s=duration_s,
            # An account that Twitch does not know may join 20 channels in 10 s.
            verified=True,
            moderated=True,
            crowds=tuple(part for crowd in scenario.crowds for part in _parted(crowd, split_s, gap_s)),
            faults=(
                *(
                    replace(fault, start_s=fault.start_s + gap_s) if fault.start_s >= split_s else fault
                    for fault in scenario.faults
                ),
                again,
            ),
        ),
        faults=tuple(
            fault
            if math.isinf(fault.duration_s)
            else replace(fault, duration_s=min(fault.duration_s, duration_s - fault.start_s))
            for fault in (outage, *later)
        ),
    )


def _parted(crowd: Crowd, split_s: float, gap_s: float) -> tuple[Crowd, ...]:
    """The crowd without its lines from ``split_s`` on, and those so much later; a raid that has begun ends there."""
    assert not isinstance(crowd, Spoken), "no lines are drawn that are said at a given instant"
    if isinstance(crowd, Raid):
        if crowd.at_s >= split_s:
            return (replace(crowd, at_s=crowd.at_s + gap_s),)
        return (replace(crowd, duration_s=min(crowd.duration_s, split_s - crowd.at_s)),)
    until_s, parts = crowd.start_s + crowd.duration_s, []
    if crowd.start_s < split_s:
        parts.append(replace(crowd, duration_s=min(until_s, split_s) - crowd.start_s))
    if until_s > split_s:
        after_s = max(crowd.start_s, split_s)
        parts.append(replace(crowd, start_s=after_s + gap_s, duration_s=until_s - after_s))
    return tuple(parts)


def _near(fault: Fault, again_s: float) -> bool:
    """True if the fault acts while nobody speaks around the restart."""
    ends_s = fault.start_s + (0.0 if fault.instant else fault.duration_s)
    return fault.start_s < again_s + RESTART_QUIET_AFTER_S and ends_s > again_s - RESTART_QUIET_BEFORE_S


def _narrowed(plan: Plan, rng: random.Random) -> Plan:
    """The same night with one fault more: a gateway that takes no large save while the bot catches up."""
    outage = rng.choice(plan.faults)
    left_s = plan.scenario.duration_s - outage.start_s
    lasts_s = min(outage.duration_s + rng.uniform(NARROW_AFTER_MIN_S, NARROW_AFTER_MAX_S), left_s)
    narrow = TooLarge(
        bytes_max=rng.choice(LOUD_NARROW_BYTES if plan.loud else NARROW_BYTES),
        start_s=outage.start_s,
        duration_s=microseconds(lasts_s),
        probability=1.0 if rng.random() < 0.5 else rng.uniform(0.1, 1.0),
    )
    return replace(plan, faults=(*plan.faults, narrow))


# --- audience
# ---------------------------------------------------------------------------------------------------


def _draw_crowds(rng: random.Random, channels: tuple[str, ...], until_s: float) -> tuple[Crowd, ...]:
    messages = spread(rng, MESSAGES_MIN, MESSAGES_MAX)
    weights = [rng.expovariate(1.0) for _ in channels]
    crowds: list[Crowd] = []
    for channel, weight in zip(channels, weights, strict=True):
        share = messages * weight / sum(weights)
        rate_per_s = draw_rate_per_s(rng)
        duration_s = min(share / rate_per_s, until_s - READY_S)
        start_s = READY_S + rng.random() * (until_s - READY_S - duration_s)
        commands, roles = draw_commands(rng), draw_roles(rng)
        crowds += talk_and_commands(channel, rate_per_s, commands, roles, start_s, duration_s, people=2)
    if rng.random() < 0.1:
        at_s = READY_S + rng.random() * (until_s - READY_S - 5.0)
        crowds.append(Raid(rng.choice(channels), at_s, viewers=rng.randint(5, 40), duration_s=5.0))
    return tuple(crowds)


def _draw_bursts(
    rng: random.Random, channels: tuple[str, ...], until_s: float, first_fault_s: float
) -> tuple[Crowd, ...]:
    messages = spread(rng, LOUD_MESSAGES_MIN, LOUD_MESSAGES_MAX)
    middles_s = [first_fault_s, SWEEP_S, READY_S + rng.random() * (until_s - READY_S)]
    # In the last channels nobody speaks but at the beginning and at the end: they leave memory, and come back.
    quiet = channels[1:][-(len(channels) // 5) :]
    loud = channels[: len(channels) - len(quiet)]
    # In every other night all of them change something.
    changes = rng.random() < 0.5
    crowds: list[Crowd] = []
    for middle_s, share in zip(middles_s, rng.sample(LOUD_SHARES, len(LOUD_SHARES)), strict=True):
        rate_per_s = rng.choice(LOUD_RATES_PER_S)
        duration_s = messages * share / rate_per_s
        start_s = max(READY_S, min(middle_s - duration_s / 2, until_s - duration_s))
        for channel in loud:
            commands = CHANGES if changes else draw_commands(rng)
            roles: tuple[Role, ...] = ("moderator",) if changes else draw_roles(rng)
            crowds += talk_and_commands(
                channel, rate_per_s / len(loud), commands, roles, start_s, duration_s, people=4
            )
    for channel in quiet:
        for start_s in (READY_S, until_s - 5.0):
            crowds.append(CommandStorm(channel, 1.0, draw_commands(rng), ("moderator",), start_s, 2.0))
    return tuple(crowds)


# --- faults
# ------------------------------------------------------------------------------------------------------


def _draw_faults(rng: random.Random, duration_s: float) -> tuple[Fault, ...]:
    return tuple(_draw_fault(rng, duration_s) for _ in range(rng.randint(1, FAULTS_MAX)))


def _draw_fault(rng: random.Random, duration_s: float) -> Fault:
    start_s = rng.uniform(READY_S, duration_s - 5.0)
    lasts_s = min(rng.uniform(0.5, 30.0), duration_s - start_s)
    fault = _draw_kind(rng)
    if not isinstance(fault, SlowRecovery) and rng.random() < 0.1:
        lasts_s = math.inf
    probability = 1.0 if rng.random() < 0.5 else rng.uniform(0.1, 1.0)
    return replace(
        fault, start_s=microseconds(start_s), duration_s=microseconds(lasts_s), probability=probability
    )


def _draw_kind(rng: random.Random) -> Fault:
    # Two in three are of the kinds that say only that the database is gone, in so many ways; the others have more to draw.
    match rng.randrange(18):
        case 0:
            return draw_latency(rng)
        case 1:
            return spiky_latency()
        case 2:
            return draw_slow_recovery(rng)
        case 3:
            return draw_drip(rng)
        case 4:
            return draw_too_many_requests(rng)
        case 5:
            return draw_missing_grant(rng)
        case 6:
            return draw_missing_function(rng)
        case 7 | 8:
            return draw_flapping(rng)
        case _:
            return rng.choice(PLAIN)()


def _draw_twitch_faults(rng: random.Random, until_s: float) -> tuple[Fault, ...]:
    """None in four of five nights: whatever throws the bot out of chat leaves less to compare."""
    if rng.random() < 0.8:
        return ()
    start_s = microseconds(rng.uniform(READY_S, until_s))
    return (
        rng.choice(
            (
                TwitchDisconnect(start_s=start_s),
                TwitchReconnect(start_s=start_s, grace_s=3.0),
                TwitchDuplicates(start_s=start_s, duration_s=10.0, probability=0.3),
                TwitchPackets(start_s=start_s, duration_s=20.0, split_probability=0.5, merge_probability=0.3),
            )
        ),
    )


def _draw_eventsub_faults(rng: random.Random, until_s: float) -> tuple[Fault, ...]:
    return tuple(_draw_eventsub_fault(rng, until_s) for _ in range(rng.randint(1, EVENTSUB_FAULTS_MAX)))


def _draw_eventsub_fault(rng: random.Random, until_s: float) -> Fault:
    start_s, lasts_s = microseconds(rng.uniform(READY_S, until_s)), microseconds(rng.uniform(0.5, 6.0))
    # All are made, so that every fault draws as much as any other.
    kinds = (
        EventsubClose(code=rng.choice(CLOSE_CODES)),
        EventsubMute(duration_s=microseconds(rng.uniform(10.0, 25.0))),
        EventsubRevoke(type=rng.choice(("", "channel.chat.message"))),
        TokenExpires(),
        Helix429(duration_s=lasts_s),
        Helix503(duration_s=lasts_s),
        Helix401(duration_s=lasts_s),
        HelixSlow(ms=microseconds(rng.uniform(100.0, 4_000.0)), duration_s=lasts_s),
    )
    return replace(rng.choice(kinds), start_s=start_s)
