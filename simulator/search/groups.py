"""Failures of many nights, told apart by what failed and where: of each group the first seed, and how to play it again.

How it works. Outcomes are added in any order; a group is what (verdict, invariant, place) says, and its first outcome is that of the
smallest seed. Groups are told in the order of their verdicts, the worst first, then of their seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from simulator.search.outcome import Failure, Outcome, Verdict
from simulator.workers import NightLimitError

#: Seeds of one group that are named; of the others only how many.
SEEDS_SHOWN_MAX: Final = 8


@dataclass
class Group:
    """Nights that failed alike."""

    first: Outcome
    failure: Failure
    seeds: list[int] = field(default_factory=list)

    @property
    def _endless(self) -> bool:
        return self.failure.invariant == NightLimitError.name

    def to_json(self) -> dict[str, Any]:
        """The group as plain data."""
        return {
            "verdict": self.failure.verdict,
            "invariant": self.failure.invariant,
            "place": self.failure.place,
            "nights": len(self.seeds),
            "seeds": sorted(self.seeds),
            "words": self.failure.words,
            "replay": self.first.replay,
        }

    def to_text(self) -> str:
        """The group as lines for people."""
        failure, nights = self.failure, len(self.seeds)
        how_many = f"({nights} night{'s' if nights > 1 else ''})"
        shown = [
            f"{failure.verdict.upper()}  {failure.invariant}  {failure.place}  {how_many}",
            f"  night  seed {self.first.plan.seed}: {self.first.plan.summary()}",
        ]
        first, *more = failure.words.splitlines() or [""]
        shown += [f"  what   {first}", *(f"         {line}" for line in more)]
        others = [seed for seed in sorted(self.seeds) if seed != self.first.plan.seed]
        if others:
            named = ", ".join(map(str, others[:SEEDS_SHOWN_MAX]))
            rest = len(others) - SEEDS_SHOWN_MAX
            shown.append(f"  also   {named}{f' and {rest} more' if rest > 0 else ''}")
        # A night that never ends shows nothing by itself.
        until = "    (Ctrl-C shows how far it came, and where it is)" if self._endless else ""
        shown.append(f"  again  {self.first.replay}{until}")
        return "\n".join(shown)


class Groups:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Verdict, str, str], Group] = {}

    def add(self, outcome: Outcome) -> bool:
        """Take a failed night; True if none has failed like it so far."""
        failure = outcome.failure
        assert failure is not None, "a night in which nothing failed is in no group"
        key = (failure.verdict, failure.invariant, failure.place)
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = Group(outcome, failure, [outcome.plan.seed])
            return True
        group.seeds.append(outcome.plan.seed)
        if outcome.plan.seed < group.first.plan.seed:
            group.first, group.failure = outcome, failure
        return False

    def __iter__(self) -> Iterator[Group]:
        order = list(Verdict)
        return iter(
            sorted(
                self._groups.values(),
                key=lambda group: (order.index(group.failure.verdict), group.first.plan.seed),
            )
        )

    def __len__(self) -> int:
        return len(self._groups)

    def nights(self, verdict: Verdict) -> int:
        """How many nights failed in this class."""
        return sum(len(group.seeds) for group in self._groups.values() if group.failure.verdict is verdict)

    @property
    def worst(self) -> Verdict:
        """The class of the worst failure; `OK` if there is none."""
        return next((verdict for verdict in Verdict if self.nights(verdict)), Verdict.OK)
