"""What a simulated night is made of: channels, people, faults, and what the bot's settings are.

A :class:`Scenario` is data. :func:`simulator.world.simulate` turns it and a seed into a run: a *safety phase* in which
the crowds chat and the faults act, then everything is healed, then a *liveness phase* in which the bot must converge.
A ``script``, if there is one, is played beside the crowds, for stories that need a precise order of events.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from math import exp, isfinite
from typing import TYPE_CHECKING, Any

from simulator.audience import Crowd
from simulator.faults import Fault

if TYPE_CHECKING:
    import random

    from simulator.world import World

Script = Callable[["World"], Coroutine[Any, Any, None]]

#: The channels of a world that names none.
DEFAULT_CHANNELS = ("lobby",)


@dataclass(frozen=True)
class DiskLatency:
    """How long the journal's disk takes for one record: log-normal, and with a probability as long as a stall.

    ``median_ms`` and ``spread`` (the standard deviation of the logarithm) make it; ``stall_ms`` replaces it with
    ``stall_probability``.
    """

    median_ms: float
    spread: float = 0.5
    stall_probability: float = 0.0
    stall_ms: float = 0.0

    def __post_init__(self) -> None:
        values = (self.median_ms, self.spread, self.stall_probability, self.stall_ms)
        if not all(isfinite(value) and value >= 0 for value in values) or self.stall_probability > 1:
            raise ValueError(f"a disk's latency must be finite and not negative, got {self}")

    def draw_s(self, rng: random.Random) -> float:
        """The latency of one record, in seconds."""
        if rng.random() < self.stall_probability:
            return self.stall_ms / 1000
        return self.median_ms * exp(rng.gauss(0.0, self.spread)) / 1000


@dataclass(frozen=True)
class Scenario:
    """One kind of night.

    ``channels`` exist on Twitch; those of ``listed`` (default: all) stand enabled in ``channels_config``; those of
    ``fixed`` are the bot's ``TWITCH_CHANNEL_LOGINS`` (default: none). ``moderated`` says whether the bot is moderator
    in them. ``disk`` says what a crash leaves of the journal: ``kept`` or ``lost``; ``disk_latency`` how long a commit to
    it takes (default: no time). ``settings`` are the bot's, by field name. ``duration_s`` is the safety phase; ``latency_ms`` the way to Twitch and back, each.
    With ``renewable_token`` the bot's token lies in a file and is renewed, as after ``byte-bot login``, also over IRC, where it otherwise is a
    bare ``TWITCH_TOKEN`` (over EventSub it always is).
    """

    name: str
    summary: str
    duration_s: float = 60.0
    channels: tuple[str, ...] = DEFAULT_CHANNELS
    listed: tuple[str, ...] | None = None
    fixed: tuple[str, ...] = ()
    moderated: bool = True
    verified: bool = True
    crowds: tuple[Crowd, ...] = ()
    faults: tuple[Fault, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    disk: str = "kept"
    disk_latency: DiskLatency | None = None
    latency_ms: float = 10.0
    script: Script | None = None
    renewable_token: bool = False
