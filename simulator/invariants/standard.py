"""The invariants of every world that names none of its own."""

from __future__ import annotations

from simulator.invariants import Invariant
from simulator.invariants.agreement import Agreement
from simulator.invariants.answered import Answered
from simulator.invariants.answered_once import AnsweredOnce
from simulator.invariants.bounded import Bounded
from simulator.invariants.degraded import Degraded
from simulator.invariants.fenced import Fenced
from simulator.invariants.gated import Gated
from simulator.invariants.human_edits import HumanEdits
from simulator.invariants.newest_wins import NewestWins
from simulator.invariants.present import Present
from simulator.invariants.recovers import Recovers
from simulator.invariants.single_save import SingleSave
from simulator.invariants.single_writer import SingleWriter


def standard_invariants() -> tuple[Invariant, ...]:
    """A fresh set: they remember what they saw, so each world needs its own."""
    return (
        NewestWins(),
        HumanEdits(),
        SingleWriter(),
        Fenced(),
        SingleSave(),
        Bounded(),
        Answered(),
        AnsweredOnce(),
        Gated(),
        Degraded(),
        Agreement(),
        Present(),
        Recovers(),
    )
