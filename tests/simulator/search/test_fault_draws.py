"""Every kind of fault is drawn, or it is said why not; and what is drawn can act in a night."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from simulator.fault_driver import check_simulated
from simulator.faults import KINDS, Fault, HumanEdit
from simulator.invariants.human_values import MAPPINGS
from simulator.rng import SeedTree
from simulator.search.fault_draws import (
    BEFORE_HEAL_S,
    DRAWN,
    ENTRIES_FROM_S,
    ENTRIES_MAX,
    FAULTS_MAX,
    KINDS_MAX,
    NOT_DRAWN,
    TOKEN_DRAWN,
    TOKENS_MAX,
    Stage,
    draw_entries,
    draw_faults,
    draw_token_faults,
    family_of,
)

ROOT_README = Path(__file__).parents[3] / "README.md"
SIMULATOR_README = ROOT_README.with_name("simulator") / "README.md"
STAGE = Stage(("channel_1", "channel_2"), 40.0)
NIGHTS = 1_000


def night(number: int, **options: int | tuple[str, ...]) -> tuple[Fault, ...]:
    """The faults of one night of many."""
    return draw_faults(SeedTree(number).stream("faults"), STAGE, **options)  # type: ignore[arg-type]


def test_every_kind_is_drawn_or_it_is_said_why_not() -> None:
    """Whoever adds a kind of fault decides about it here."""
    assert sorted((*DRAWN, *TOKEN_DRAWN, *NOT_DRAWN)) == sorted(KINDS)
    assert all(NOT_DRAWN.values())


def test_the_readmes_say_which_kinds_are_not_drawn() -> None:
    """Each by its name, and how many are."""
    counted = f"faults of {len(DRAWN) + len(TOKEN_DRAWN)} of the {len(KINDS)}"
    section = SIMULATOR_README.read_text("utf-8").partition("\n## Search\n")[2].partition("\n## ")[0]
    assert counted in section and counted in ROOT_README.read_text("utf-8")
    assert not [kind for kind in NOT_DRAWN if f"`{kind}`" not in section]


@pytest.mark.parametrize("kind", [*DRAWN, *TOKEN_DRAWN])
def test_what_is_drawn_is_of_that_kind(kind: str) -> None:
    """Under its own name."""
    assert {**DRAWN, **TOKEN_DRAWN}[kind](SeedTree(1).stream("kind"), STAGE).kind == kind


def test_every_kind_comes_up() -> None:
    """In a thousand nights, and in some of them alone."""
    nights = [night(number) for number in range(NIGHTS)]
    counted = Counter(fault.kind for faults in nights for fault in faults)
    assert set(counted) == set(DRAWN)
    assert min(counted.values()) >= 10
    assert any(len({fault.kind for fault in faults}) == 1 and len(faults) > 2 for faults in nights)


def test_nights_differ_in_what_takes_part() -> None:
    """One family alone, several, all; few kinds of each, so that much of one thing meets."""
    nights = [night(number) for number in range(NIGHTS)]
    families = Counter(len({family_of(fault.kind) for fault in faults}) for faults in nights)
    assert {1, 2, 3, 4} <= set(families)
    assert families[1] > NIGHTS / 10
    for faults in nights:
        assert 1 <= len(faults) <= FAULTS_MAX
        kinds = {fault.kind for fault in faults}
        assert all(
            sum(family_of(kind) == family for kind in kinds) <= KINDS_MAX
            for family in {family_of(kind) for kind in kinds}
        )


def test_probabilities_differ_from_night_to_night() -> None:
    """Certain in some, rare in others."""
    lasting = [[fault for fault in night(number) if not fault.instant] for number in range(NIGHTS)]
    means = [
        sum(fault.probability for fault in faults) / len(faults) for faults in lasting if len(faults) > 2
    ]
    assert sum(mean == 1.0 for mean in means) > 50
    assert sum(mean < 0.3 for mean in means) > 50
    assert sum(0.3 <= mean < 1.0 for mean in means) > 50


def test_faults_begin_in_the_boot_last_to_the_heal_and_overlap() -> None:
    """All of it."""
    faults = [fault for number in range(200) for fault in night(number)]
    assert any(fault.start_s < 2.0 for fault in faults)
    lasting = [fault for fault in faults if not fault.instant]
    assert {math.isinf(fault.duration_s) for fault in lasting} == {True, False}


def test_every_fault_begins_early_enough_to_strike() -> None:
    """Also where what goes wrong is about the heal, which would end it in the instant in which it begins."""
    starts = [fault.start_s for number in range(NIGHTS) for fault in night(number)]
    assert max(starts) == STAGE.duration_s - BEFORE_HEAL_S
    assert starts.count(max(starts)) > 10, "or nothing was held back"


def test_a_human_edits_what_viewers_were_not_told() -> None:
    """Columns of the configuration, or a row that is saved as it was: the account follows everything else."""
    for number in range(100):
        edit = DRAWN[HumanEdit.kind](SeedTree(number).stream("edit"), STAGE)
        assert isinstance(edit, HumanEdit)
        assert edit.table == "channels_config" or edit.values == {"version": 1}


def test_a_human_enters_values_of_their_own() -> None:
    """In every sort of row that has names, never the same one twice in a night, early enough to strike."""
    nights = [draw_entries(SeedTree(number).stream("entries"), STAGE) for number in range(200)]
    assert {len(edits) for edits in nights} == set(range(1, ENTRIES_MAX + 1))
    rows = set()
    for edits in nights:
        assert all(isinstance(edit, HumanEdit) and edit.merge and not edit.values for edit in edits)
        assert all(ENTRIES_FROM_S <= edit.start_s <= STAGE.duration_s - BEFORE_HEAL_S for edit in edits)
        merges = [repr(edit.merge) for edit in edits if isinstance(edit, HumanEdit)]
        assert len(set(merges)) == len(merges)
        rows |= {(edit.table, edit.where.get("key", "")) for edit in edits if isinstance(edit, HumanEdit)}
    assert rows == set(MAPPINGS)


def test_tokens_end_and_the_bot_needs_them() -> None:
    """Once or more in a night; mostly it must log in again at that moment, or soon after."""
    nights = [draw_token_faults(SeedTree(number).stream("token"), STAGE) for number in range(200)]
    ends = [[fault for fault in faults if fault.kind in TOKEN_DRAWN] for faults in nights]
    assert {len(faults) for faults in ends} == set(range(1, TOKENS_MAX + 1))
    assert {fault.kind for faults in ends for fault in faults} == set(TOKEN_DRAWN)
    lost = Counter(fault.kind for faults in nights for fault in faults if fault.kind in DRAWN)
    assert len(lost) == 5 and sum(lost.values()) > sum(map(len, ends)) / 2
    assert all(fault.start_s <= STAGE.duration_s - BEFORE_HEAL_S for faults in nights for fault in faults)
    without = ("crash", "restart")
    peaceful = [
        draw_token_faults(SeedTree(number).stream("token"), STAGE, without=without) for number in range(50)
    ]
    assert not [fault for faults in peaceful for fault in faults if fault.kind in without]


def test_kinds_can_be_left_out() -> None:
    """And a night may be peaceful."""
    process = tuple(kind for kind in DRAWN if family_of(kind) == "process")
    assert all(fault.kind not in process for number in range(200) for fault in night(number, without=process))
    assert any(not night(number, at_least=0) for number in range(200))


def test_everything_drawn_can_act_in_memory() -> None:
    """None of it needs real sockets."""
    check_simulated([fault for number in range(200) for fault in night(number)], "memory")
