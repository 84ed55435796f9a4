"""The night that a seed of the search is: channels, audience, settings, disk, faults, the order of ready tasks.

How it works. :func:`draw_night` draws one thing after the other, each from a stream of its own below the node ``search`` of the
seed's tree, and returns a :class:`SearchPlan`, a value; `judge` plays it. What people type, how faults look and the disk come from
`night_draws.py`, which the twins share; which faults take part, and how probable they are, from `fault_draws.py`; what is staged from
`staged_draws.py`.

* *Small nights*: a few channels, 15 to 90 messages, half a minute. They cost a quarter of a second, so that ten thousand can be
  played; most bugs need few things, close to one another. One night in :data:`BIG_EVERY` has up to :data:`BIG_CHANNELS_MAX` channels
  and passes the bot's look for idle channels; one in :data:`FLOOD_EVERY` has more changes in two seconds than the journal queues,
  while its disk stalls.
* *Staged nights*: one in :data:`NARROW_EVERY` has a gateway that takes no single row for a while, so that rows become dead letters, and
  people who change each of them again after it; in one in :data:`TYPO_EVERY` a human types a version that no program knows yet into the
  counters, corrects it later, and starts the bot anew; in one in :data:`COLD_EVERY` the process ends in the midst of an outage, and people
  ask the next one for what was counted, and saved, before it; in one in :data:`CUT_SHORT_EVERY` the bot is told to stop while the database is
  slow or away, and killed before it has; and one in :data:`STAGED_EVERY` has one of the orders of events of
  :data:`~simulator.search.staged_draws.STAGED`: a save in doubt, a heritage that no disk knows, large saves halved up to the heal.
* *Loud nights*: in one in :data:`LOUD_EVERY` a channel is louder than a bot without rights can answer; in a big one in which idle channels leave
  memory people talk at that moment.
* *Entries*: in one night in :data:`ENTERED_EVERY`, but for those with a narrow gateway, a typo or a cold start, a human enters values in rows of
  state that nobody in chat touches; in half of these each row is changed all the time by people.
* *Tokens*: in one night in :data:`TOKEN_EVERY` the bot's token lies in a file, and ends once or more; in the others it is a bare one.
* *Faults* may begin while the bot starts, overlap, and last until the heal.
* *Channels* come from the table, from the bot's settings, or from both.

Boundaries, which the invariants know (DESIGN section 1): what a power cut takes with ``DURABILITY=process``, what left while the
journal was degraded, and a bot that was not there. Two things are not drawn, since nothing is promised about them: ``DURABILITY=off``
together with an end of the process (what was not saved is gone), and a disk that is lost with it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any, Final

from simulator.audience import CommandStorm, Crowd, Raid
from simulator.faults import SecondInstance, TooLarge
from simulator.loop import ReadyOrder
from simulator.night_draws import (
    described,
    draw_commands,
    draw_disk,
    draw_rate_per_s,
    draw_roles,
    microseconds,
    spread,
    talk_and_commands,
)
from simulator.rng import SeedTree
from simulator.scenario import DiskLatency, Scenario
from simulator.scripts import log_in_anew
from simulator.search.fault_draws import (
    DRAWN,
    Stage,
    draw_entries,
    draw_faults,
    draw_token_faults,
    family_of,
)
from simulator.search.staged_draws import (
    FLOOD_CHANNELS,
    STAGED,
    STAGED_CHANNELS_MAX,
    STAGED_CHANNELS_MIN,
    Hours,
    changes,
    draw_cold_start,
    draw_cut_short,
    draw_flood,
    draw_loud,
    draw_talk_at_the_look,
    draw_typo,
)

CHANNELS_MAX: Final = 6
MESSAGES_MIN, MESSAGES_MAX = 15, 90
#: Seconds for which people speak, and then keep silent before the heal.
SPEAKING_S: Final = (6.0, 10.0, 15.0, 20.0, 30.0)
SILENT_MIN_S, SILENT_MAX_S = 0.5, 17.0
#: When people begin to speak: while the bot starts, or later.
BEGIN_S: Final = (0.5, 2.0, 5.0, 5.0)
BIG_EVERY: Final = 40
BIG_CHANNELS_MIN, BIG_CHANNELS_MAX = 8, 40
BIG_MESSAGES_MIN, BIG_MESSAGES_MAX = 100, 400
#: Past the first look for idle channels, which is at 60 s.
BIG_SPEAKING_S: Final = (40.0, 80.0, 140.0)
FLOOD_EVERY: Final = 150
NARROW_EVERY: Final = 60
#: Less than any row, and for how long, seconds.
NARROW_BYTES, NARROW_LASTS_S = 250, 5.0
TYPO_EVERY: Final = 60
COLD_EVERY: Final = 60
CUT_SHORT_EVERY: Final = 40
#: In one night in so many one of :data:`~simulator.search.staged_draws.STAGED` is staged, each as often as the others.
STAGED_EVERY: Final = 14
#: In one night in so many somebody is louder than a bot without rights can answer.
LOUD_EVERY: Final = 60
#: The bot looks for idle channels a minute after its start, and each minute after that.
LOOK_S: Final = 60.0
#: In how many nights a human enters something in state, and in which part of them every row is changed all the time.
ENTERED_EVERY, BUSY_SHARE = 12, 0.5
#: In one night in so many the bot's token can be renewed, and ends; in some of them somebody logs it in anew before the heal does.
TOKEN_EVERY, CARED_FOR_SHARE = 10, 0.7
#: People speak for so long in a staged night that each row is changed before what is staged, meanwhile, and after it; seconds.
STAGED_SPEAKING_S: Final = 20.0


@dataclass(frozen=True)
class SearchPlan:
    """One night of the search; over IRC, in memory."""

    seed: int
    scenario: Scenario
    ready_order: ReadyOrder

    def summary(self) -> str:
        """One line for people."""
        scenario = self.scenario
        disk = scenario.disk_latency
        channels = len(scenario.channels)
        settings = [f"{name}={value}" for name, value in scenario.settings.items()]
        parts = (
            f"{channels} channel{'s' if channels > 1 else ''}",
            f"{scenario.duration_s:.0f} s",
            f"ready tasks {self.ready_order}",
            "disk at once" if disk is None else f"disk {disk.median_ms:.1f} ms",
            *settings,
            *(["token renewed"] if scenario.renewable_token else []),
            f"faults: {', '.join(described(fault) for fault in scenario.faults) or 'none'}",
        )
        return ", ".join(parts)


def draw_night(seed: int) -> SearchPlan:
    """The night of a seed; the same seed, the same night."""
    seeds = SeedTree(seed).child("search")
    rng = seeds.stream("world")
    sizes = seeds.stream("size")
    big, flood, narrow, typo = (
        sizes.randrange(every) == 0 for every in (BIG_EVERY, FLOOD_EVERY, NARROW_EVERY, TYPO_EVERY)
    )
    cold = seeds.stream("coldness").randrange(COLD_EVERY) == 0
    cut_short, stagings = seeds.stream("cut_short"), seeds.stream("stagings")
    alone = flood or narrow or typo or cold
    cut = cut_short.randrange(CUT_SHORT_EVERY) == 0 and not alone
    staged = stagings.randrange(STAGED_EVERY) == 0 and not (alone or cut or big)
    staging = stagings.choice(list(STAGED)) if staged else ""
    low, high = (BIG_CHANNELS_MIN, BIG_CHANNELS_MAX) if big else (1, CHANNELS_MAX)
    wide = flood and not narrow and sizes.random() < 0.5
    count = FLOOD_CHANNELS if wide else 1 if narrow else spread(rng, low, high)
    if staged:
        count = stagings.randint(STAGED_CHANNELS_MIN, STAGED_CHANNELS_MAX)
    channels = tuple(f"channel_{number}" for number in range(1, count + 1))
    begin_s = rng.choice(BEGIN_S)
    until_s = begin_s + rng.choice(BIG_SPEAKING_S if big else SPEAKING_S)
    if narrow or typo or cold or staged:
        until_s = max(until_s, begin_s + STAGED_SPEAKING_S)
    duration_s = microseconds(until_s + rng.uniform(SILENT_MIN_S, SILENT_MAX_S))
    settings = _draw_settings(rng)
    if staged and settings.get("durability") == "off":
        del settings["durability"]  # something must be promised of what is staged
    disk_latency = draw_disk(seeds.stream("disk"))
    impossible = _impossible(settings, narrow=narrow)
    faults = draw_faults(seeds.stream("faults"), Stage(channels, duration_s), without=impossible, at_least=0)
    crowds = _draw_crowds(seeds.stream("audience"), channels, begin_s, until_s, big=big)
    if flood:
        storm, stall = draw_flood(seeds.stream("flood"), channels if wide else channels[:1], begin_s)
        crowds, faults, disk_latency = (*crowds, *storm), (*faults, stall), DiskLatency(median_ms=2.0)
    if narrow:
        crowds = changes(channels[0], begin_s, until_s)
        start_s = begin_s + 2.0
        faults = (*faults, TooLarge(bytes_max=NARROW_BYTES, start_s=start_s, duration_s=NARROW_LASTS_S))
    if typo and not narrow and settings.get("durability") != "off":
        crowds = (*crowds, *changes(channels[0], begin_s, until_s))
        # A second process may have read the typo, and would not be the one that is started anew: it reads the row once a minute.
        faults = tuple(fault for fault in faults if not isinstance(fault, SecondInstance))
        faults = (*faults, *draw_typo(seeds.stream("typo"), begin_s, until_s))
    if cold and not narrow and settings.get("durability") != "off":
        counting, ends = draw_cold_start(seeds.stream("cold"), channels[0], begin_s)
        # Nothing else may go wrong: what was counted must be in the database, and nowhere else, when the process ends.
        crowds, faults = (*crowds, *counting), ends
    if staged:
        added = STAGED[staging](stagings, channels, Hours(begin_s, until_s, duration_s))
        if added.alone:
            crowds, faults = (), ()
        crowds, faults = (*crowds, *added.crowds), (*faults, *added.faults)
        settings = {**settings, **added.settings}
    if cut and settings.get("durability") != "off":
        crowds = (*crowds, *changes(channels[0], begin_s, until_s))
        faults = (*faults, *draw_cut_short(cut_short, begin_s, until_s, duration_s))
    entries = seeds.stream("entries")
    # These need all else as it is.
    if entries.randrange(ENTERED_EVERY) == 0 and not (narrow or typo or cold):
        faults = (*faults, *draw_entries(entries, Stage(channels, duration_s)))
        if entries.random() < BUSY_SHARE:
            crowds = (*crowds, *changes(channels[0], begin_s, until_s))
    looks = seeds.stream("looks")
    if big and until_s > LOOK_S and settings["context_idle_s"] < LOOK_S:
        for number in range(1, int(until_s // LOOK_S) + 1):
            crowds = (*crowds, draw_talk_at_the_look(looks, channels, LOOK_S * number))
    louds = seeds.stream("loud")
    loud = louds.randrange(LOUD_EVERY) == 0 and not (big or alone or staged)
    if loud:
        crowds = (*crowds, draw_loud(louds, channels[0], begin_s))
    # Somebody who may say nothing faster than once a second cannot be in hundreds of channels either.
    ordinary = not big and not wide and (rng.random() < 0.2 or loud)
    listed, fixed = _draw_lists(rng, channels)
    plan = SearchPlan(
        seed,
        Scenario(
            str(seed),
            "one night of the search",
            duration_s=duration_s,
            channels=channels,
            listed=listed,
            fixed=fixed,
            moderated=not ordinary,
            verified=not ordinary,
            crowds=crowds,
            faults=tuple(sorted(faults, key=lambda fault: fault.start_s)),
            settings=settings,
            latency_ms=rng.choice((10.0, 35.0)),
            disk_latency=disk_latency,
        ),
        rng.choice(("fifo", "random")),
    )
    token = seeds.stream("log_in_anew")
    # What is staged leaves no room for a bot that is away until a human comes.
    if token.randrange(TOKEN_EVERY) or narrow or cold:
        return plan
    return _with_token(plan, token, without=impossible)


def _draw_settings(rng: random.Random) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "default_language": rng.choice(("en", "pt-br")),
        "config_refresh_s": rng.choice((5.0, 20.0, 60.0)),
        "context_idle_s": rng.choice((10.0, 7_200.0)),
    }
    # The others as shipped, most of the time.
    durability = rng.choice(("process",) * 5 + ("power",) * 3 + ("off",))
    if durability != "process":
        settings["durability"] = durability
    if rng.random() < 0.3:
        settings["flush_interval_s"] = rng.choice((0.2, 0.5, 1.0, 4.0))
    if rng.random() < 0.2:
        settings["database_timeout_s"] = rng.choice((1.0, 2.0))
    if rng.random() < 0.15:
        settings["history_rows_max"] = rng.choice((0, 5, 50))
    return settings


def _impossible(settings: dict[str, Any], *, narrow: bool) -> tuple[str, ...]:
    """The kinds of faults of which a bot in such a night promises nothing."""
    families = ["process"] if settings.get("durability") == "off" else []
    if narrow:
        # Who is not heard after the gateway is wide again changes no row, and a dead letter waits for a human.
        families += ["process", "twitch", "human"]
    return tuple(kind for kind in DRAWN if family_of(kind) in families)


def _with_token(plan: SearchPlan, rng: random.Random, *, without: tuple[str, ...]) -> SearchPlan:
    """The same night for a bot whose token can be renewed, and ends."""
    scenario = plan.scenario
    ends = draw_token_faults(rng, Stage(scenario.channels, scenario.duration_s), without=without)
    faults = tuple(sorted((*scenario.faults, *ends), key=lambda fault: fault.start_s))
    script = log_in_anew if rng.random() < CARED_FOR_SHARE else None
    return replace(plan, scenario=replace(scenario, faults=faults, renewable_token=True, script=script))


def _draw_lists(
    rng: random.Random, channels: tuple[str, ...]
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Which channels the table names (None: all), and which the bot's settings."""
    match rng.randrange(5):
        case 0:
            return None, channels
        case 1:
            cut = rng.randint(0, len(channels))
            return channels[:cut], channels[cut:]
        case _:
            return None, ()


def _draw_crowds(
    rng: random.Random, channels: tuple[str, ...], begin_s: float, until_s: float, *, big: bool
) -> tuple[Crowd, ...]:
    low, high = (BIG_MESSAGES_MIN, BIG_MESSAGES_MAX) if big else (MESSAGES_MIN, MESSAGES_MAX)
    messages = spread(rng, low, high)
    weights = [rng.expovariate(1.0) for _ in channels]
    crowds: list[Crowd] = []
    for channel, weight in zip(channels, weights, strict=True):
        share = messages * weight / sum(weights)
        # Half of the channels talk all the time; in the others something happens, then nothing does.
        rate_per_s = draw_rate_per_s(rng) if rng.random() < 0.5 else share / (until_s - begin_s)
        lasts_s = min(share / rate_per_s, until_s - begin_s)
        start_s = begin_s + rng.random() * (until_s - begin_s - lasts_s)
        commands, roles = draw_commands(rng), draw_roles(rng)
        crowds += talk_and_commands(channel, rate_per_s, commands, roles, start_s, lasts_s, people=2)
        if big and rng.random() < 0.5:
            # Spoken to again after it has left memory.
            crowds.append(CommandStorm(channel, 1.0, commands, ("moderator",), until_s - 4.0, 3.0))
    if rng.random() < 0.1:
        at_s = rng.uniform(begin_s, until_s - 4.0)
        crowds.append(Raid(rng.choice(channels), at_s, viewers=rng.randint(5, 30), duration_s=4.0))
    return tuple(crowds)
