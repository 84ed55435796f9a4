"""When each fault of a night's plan begins and ends, as events of its timeline, with everything that the plan says of it.

How it works. The trace has the plan as one event for each fault at the very beginning, and nothing where it begins to act, since the fakes ask
what acts and are not told. So the events are made afterwards, of the same bands that the page draws (`timeline_picture.py`):
one that flaps begins and ends with each phase, an instant one *strikes*.

What it leaves out: faults that a story sets by hand, which are events of the trace; and what was planned for a time
after the heal or the end of the night.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from simulator.faults import Fault
from simulator.replay import FAULT_BEGINS, FAULT_ENDS, FAULT_STRIKES, Seen, decoded
from simulator.timeline_picture import planned_bands

_US_PER_S: Final = 1_000_000


def fault_events(lines: Sequence[str], faults: Sequence[Fault]) -> list[Seen]:
    """The events of these faults in the night with this trace, in order of time: each before what else happened at its moment."""
    return sorted(_told(lines, faults), key=lambda seen: (seen[1][0], seen[1][1] == FAULT_BEGINS))


def _told(lines: Sequence[str], faults: Sequence[Fault]) -> Iterator[Seen]:
    stood = len(faults)  # behind the plan, which is the beginning of the trace
    events = [decoded(line) for line in lines]
    over_s = events[-1][0] / _US_PER_S if events else 0.0
    healed = any(kind == "heal" for _, kind, _ in events)
    for band in planned_bands(lines, faults):
        told = {"family": band.family, "fault": band.kind, "words": band.words}
        if band.instant:
            yield stood, (round(band.start_s * _US_PER_S), FAULT_STRIKES, told)
        for start_s, end_s in band.phases:
            # One that still acts when an error or Ctrl-C ends the night never ends. A heal may be of the night's last instant.
            ends = healed or end_s < over_s
            until = {"until_s": round(end_s, 6)} if ends else {}
            yield stood, (round(start_s * _US_PER_S), FAULT_BEGINS, told | until)
            if ends:
                yield stood, (round(end_s * _US_PER_S), FAULT_ENDS, told)
