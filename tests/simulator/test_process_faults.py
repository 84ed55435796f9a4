"""The faults of the process by themselves; who carries them out has its own tests."""

from __future__ import annotations

from simulator.process_faults import PROCESS_KINDS


def test_all_happen_once_to_the_process() -> None:
    """None lasts: what it leads to does."""
    assert {(kind.family, kind.instant) for kind in PROCESS_KINDS} == {("process", True)}
