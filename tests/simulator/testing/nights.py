"""A night for a test of its parts: what the plugin does with a marked test, without pytest."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from simulator.testing.night import Night, Part


def play(
    test: Callable[..., Coroutine[Any, Any, Any]], *parts: Part, seed: int = 1, sockets: bool | None = None
) -> Night:
    """Run the test, which takes no arguments, with these parts; the night, to look at."""
    night = Night(seed, sockets=sockets)
    for part in parts:
        night.add(part)
    night.play(test, {})
    return night
