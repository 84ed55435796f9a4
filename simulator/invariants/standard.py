"""The invariants of every world that names none of its own, and those of whole nights."""

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
from simulator.invariants.human_values import HumanValues
from simulator.invariants.keeps_silent import KeepsSilent
from simulator.invariants.newest_wins import NewestWins
from simulator.invariants.present import Present
from simulator.invariants.recovers import Recovers
from simulator.invariants.remembers import Remembers
from simulator.invariants.single_save import SingleSave
from simulator.invariants.single_writer import SingleWriter
from simulator.invariants.stays import Stays
from simulator.invariants.supervised import Supervised
from simulator.invariants.within_limits import WithinLimits


def standard_invariants() -> tuple[Invariant, ...]:
    """A fresh set: they remember what they saw, so each world needs its own."""
    return (
        NewestWins(),
        HumanEdits(),
        HumanValues(),
        SingleWriter(),
        Fenced(),
        SingleSave(),
        Bounded(),
        Answered(),
        AnsweredOnce(),
        Gated(),
        Degraded(),
        Remembers(),
        KeepsSilent(),
        Agreement(),
        WithinLimits(),
        Stays(),
        Present(),
        Recovers(),
    )


def night_invariants() -> tuple[Invariant, ...]:
    """A fresh set for a night with the built-in components: besides, no supervisor may have had to catch a defect.

    Stories have components that fail on purpose.
    """
    return (*standard_invariants(), Supervised())
