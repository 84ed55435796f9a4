"""Every world is watched by every invariant, each with a memory of its own."""

from __future__ import annotations

from pathlib import Path

import simulator.invariants
from simulator.invariants.standard import night_invariants, standard_invariants


def test_every_invariant_is_in_the_set() -> None:
    """One file each, and none forgotten."""
    folder = Path(simulator.invariants.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "standard"}
    assert files == {invariant.name for invariant in night_invariants()}
    assert files - {invariant.name for invariant in standard_invariants()} == {"supervised"}


def test_no_two_worlds_share_one() -> None:
    """They remember what they saw."""
    for one, other in zip(standard_invariants(), standard_invariants(), strict=True):
        assert one is not other
