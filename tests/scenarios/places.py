"""Where a story is told: in memory, over loopback TCP, and on EventSub with TwitchIO's own code; always in virtual time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from simulator.faults import Fault, TwitchPackets

#: The arguments of `play` and `simulate` that say so.
Place: TypeAlias = Mapping[str, Any]

PLACES: Mapping[str, Place] = {
    "memory": {"network": "memory"},
    "tcp": {"network": "tcp"},
    "eventsub": {"transport": "eventsub"},
}


def over_sockets(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """These faults without the one that needs a network in memory: over real sockets the kernel cuts the bytes as it likes."""
    return tuple(fault for fault in faults if not isinstance(fault, TwitchPackets))
