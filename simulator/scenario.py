"""What a simulated night is made of: channels, people, faults, and what the bot's settings are.

A :class:`Scenario` is data. :func:`simulator.world.simulate` turns it and a seed into a run: a *safety phase* in which
the crowds chat and the faults act, then everything is healed, then a *liveness phase* in which the bot must converge.
A ``script``, if there is one, is played beside the crowds, for stories that need a precise order of events.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator.audience import Crowd
from simulator.faults import Fault

if TYPE_CHECKING:
    from simulator.world import World

Script = Callable[["World"], Coroutine[Any, Any, None]]

#: The channels of a world that names none.
DEFAULT_CHANNELS = ("lobby",)


@dataclass(frozen=True)
class Scenario:
    """One kind of night.

    ``channels`` exist on Twitch; those of ``listed`` (default: all) stand enabled in ``channels_config``; those of
    ``fixed`` are the bot's ``TWITCH_CHANNEL_LOGINS`` (default: none). ``moderated`` says whether the bot is moderator
    in them. ``disk`` says what a crash leaves of the journal: ``kept`` or ``lost``. ``settings`` are the bot's, by
    field name. ``duration_s`` is the safety phase; ``latency_ms`` the way to Twitch and back, each.
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
    latency_ms: float = 10.0
    script: Script | None = None
