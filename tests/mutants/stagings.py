"""Nights that are staged from the first word to the last, for bugs that need one exact order of events.

How it works. Of the seed's night its channel, its order of ready tasks and the dice of everything remain; what people say and what goes wrong
is written here. A search meets such an order too seldom to be waited for, and what one process got wrong shows only when another one
reads what it left.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.audience import Spoken, Utterance
from simulator.faults import CommitThenDrop, Crash, DiskReadOnly, Fault, Latency, Refused
from simulator.search.plan import SearchPlan

#: A change of one row, by a moderator.
CHANGE = "!count deaths +1"
#: Everything is long over then.
DURATION_S = 40.0


def doubted_then_refused(plan: SearchPlan) -> SearchPlan:
    """A save is carried out, and its answer lost; the next try is surely not; then the row changes again, and the process dies.

    Who takes the second try for the fate of the first combines the two changes in the journal, under a stamp that the database does
    not have: the next process makes both of them, and the first one was made already. The save without an answer had two rows; the next
    is half as large, and slow, so that the counters are what the outage meets.
    """
    return _staged(
        plan,
        (8.0, 30.0),
        CommitThenDrop(start_s=9.5, duration_s=0.8),
        Latency(ms=800.0, start_s=10.3, duration_s=0.7),
        Refused(start_s=11.0, duration_s=23.0),
        Crash(start_s=32.0, down_s=1.0),
    )


def inherited_while_the_disk_fails(plan: SearchPlan) -> SearchPlan:
    """A process dies in an outage; the next one, whose disk takes nothing, finds the database well again, and dies as well.

    Who saves what the first one left, under stamps that no disk knows, leaves the change to be made once more by the third.
    """
    return _staged(
        plan,
        (8.0,),
        Refused(start_s=7.5, duration_s=6.5),
        Crash(start_s=10.0, down_s=1.0),
        DiskReadOnly(start_s=12.0, duration_s=10.0),
        Crash(start_s=20.0, down_s=3.0),
    )


def _staged(plan: SearchPlan, said_s: tuple[float, ...], *faults: Fault) -> SearchPlan:
    channel = plan.scenario.channels[0]
    lines = tuple(Utterance(at_s, channel, "mod", CHANGE, "moderator") for at_s in said_s)
    return replace(
        plan,
        scenario=replace(
            plan.scenario,
            duration_s=DURATION_S,
            channels=(channel,),
            listed=None,
            fixed=(channel,),
            crowds=(Spoken(lines),),
            faults=faults,
            settings={},
            disk_latency=None,
            renewable_token=False,
            script=None,
        ),
    )
