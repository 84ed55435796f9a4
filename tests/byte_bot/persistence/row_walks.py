"""Random walks through the world of ``row_world.py``."""

from __future__ import annotations

import random
from typing import Any

from tests.byte_bot.persistence.row_world import Intent, World

#: The steps of a walk by their weights: chat and network often, crashes and humans now and then.
STEPS = {
    "change": 8,
    "sync": 2,
    "crash": 1,
    "take_epoch": 1,
    "load_at_once": 2,
    "send": 4,
    "connection_refused": 1,
    "execute": 4,
    "lose_answer": 2,
    "answer": 3,
    "ask": 2,
    "read": 2,
    "deliver": 2,
    "evict": 1,
    "human_edit": 1,
    "repeat": 1,
}


def take_step(world: World, step: str, argument: Any) -> None:
    """One step by its name; ``argument`` is an intent, a note or an index, as the step needs it."""
    if step in ("change", "execute", "read", "deliver", "human_edit", "repeat"):
        getattr(world, step)(argument)
    else:
        getattr(world, step)()


def random_walk(rng: random.Random, length: int) -> list[tuple[str, Any]]:
    """A walk of ``length`` steps."""
    walk: list[tuple[str, Any]] = []
    for step in rng.choices(list(STEPS), list(STEPS.values()), k=length):
        argument: Any = rng.randint(0, 3)
        if step == "change":
            argument = _random_intent(rng)
        elif step == "human_edit":
            argument = rng.choice("xyz")
        walk.append((step, argument))
    return walk


def _random_intent(rng: random.Random) -> Intent:
    key, number, word = rng.choice("ab"), rng.randint(-3, 5), rng.choice("xyz")
    return rng.choice(
        [
            ("add", "", number),
            ("count", key, number),
            ("assign", "", number),
            ("set", "", word),
            ("put", key, word),
            ("uncount", key, None),
            ("unname", key, None),
            ("clear", "", None),
            ("line", "", word),
        ]
    )
