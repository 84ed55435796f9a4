"""Two transcripts side by side: every character is there, the columns are straight, and the fault stands below."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from simulator.faults import Hang
from simulator.report import Line
from simulator.twin_text import MARK, WIDE, side_by_side, what_differs

PONG = Line(1_000_000, "lobby", "Pong!")
DEATHS = Line(2_000_001, "lobby", "deaths: 1")
LATER = Line(2_250_001, "lobby", "deaths: 1")
WINS = Line(3_000_000, "arcade", "wins: 1")
FAULTS = ((Hang(start_s=1.0, duration_s=3.0), "ACTING"),)


def test_the_worlds_stand_side_by_side_with_time_text_order_and_fault() -> None:
    """What both said, the line that differs, what each said next, and what the fault did."""
    shown = side_by_side([(1, PONG, PONG)], (2, LATER, DEATHS), [(3, None, WINS)], FAULTS, WIDE)
    bar = shown[1].index("│")
    assert [line[:bar].rstrip() for line in shown[1:5]] == [
        "            with faults",
        "          1 1.000000 s  #lobby  Pong!",
        f"    {MARK}     2 2.250001 s  #lobby  deaths: 1",
        "          3 (said nothing more)",
    ]
    assert [line[bar:] for line in shown[1:5]] == [
        "│ perfect",
        "│ 1.000000 s  #lobby  Pong!",
        "│ 2.000001 s  #lobby  deaths: 1",
        "│ 3.000000 s  #arcade  wins: 1",
    ]
    assert shown[0] == "  line 2 of what the bot said differs: virtual microsecond"
    assert shown[5:] == ["  faults then:", "    ACTING       hang from 1.000 s to 4.000 s"]


def test_a_narrow_terminal_gets_them_above_one_another() -> None:
    """What both said once, what differs twice."""
    shown = side_by_side([(1, PONG, PONG)], (2, LATER, DEATHS), [], FAULTS, WIDE - 1)
    assert shown[1:4] == [
        "        1 both         1.000000 s  #lobby  Pong!",
        f"  {MARK}     2 with faults  2.250001 s  #lobby  deaths: 1",
        f"  {MARK}     2 perfect      2.000001 s  #lobby  deaths: 1",
    ]


def test_it_is_said_in_what_two_lines_differ() -> None:
    """A line that is said later, after another one, differs in its order too."""
    threaded = dataclasses.replace(PONG, reply_to="another message")
    assert what_differs(PONG, threaded, ()) == "message it answers"
    assert what_differs(None, PONG, ()) == "only the world perfect says more"
    assert what_differs(PONG, None, ()) == "only the world with faults says more"
    assert what_differs(WINS, PONG, ()) == "virtual microsecond, channel, text"
    assert what_differs(DEATHS, PONG, ((3, PONG, DEATHS),)).endswith("text, order")
    assert what_differs(DEATHS, PONG, ((3, WINS, None),)).endswith("text")


@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=("C", "M", "Z"), exclude_characters="│"), max_size=200
    ),
    st.text(st.sampled_from("aé漢🎮"), max_size=200),
    st.integers(WIDE, 200),
)
def test_nothing_is_cut_off_and_the_bar_is_straight(ours: str, theirs: str, width: int) -> None:
    """Whatever is said, wide characters among it, in a terminal of any width."""
    faulty, perfect = Line(1, "lobby", ours), Line(1, "lobby", theirs)
    rows = side_by_side([], (1, faulty, perfect), [], (), width)[1:-1]
    assert len({cell_len(row.partition("│")[0]) for row in rows}) == 1
    assert all(cell_len(row) <= width for row in rows)
    left = "".join(row.partition(" │")[0][12:].rstrip() for row in rows[1:])
    right = "".join(row.partition("│ ")[2] for row in rows[1:])
    assert ours in left
    assert theirs in right
