"""Wall time: where it comes from and how it is written for PostgreSQL."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.clock import AgeClock, SystemClock, iso_utc


def test_the_system_clock_is_the_operating_systems() -> None:
    """It lies between two readings of the machine's clock made around it."""
    before = time.time()
    now = SystemClock().unix()
    assert before <= now <= time.time()


@dataclass
class Hands:
    """A wall clock and the seconds gone by, each set by hand."""

    wall_s: float = 1_000.0
    gone_s: float = 50.0

    def unix(self) -> float:
        """What the wall clock shows."""
        return self.wall_s

    def elapsed(self) -> float:
        """What does not jump."""
        return self.gone_s


@pytest.mark.parametrize(
    ("jump_s", "earliest_s", "latest_s"),
    [(0.0, 1_100, 1_100), (86_400.0, 1_100, 87_500), (-900.0, 200, 1_100)],
)
def test_a_jump_of_the_wall_clock_makes_nothing_older(jump_s: float, earliest_s: int, latest_s: int) -> None:
    """What begins to age is dated by the later of two clocks, and its age told by the earlier."""
    hands = Hands()
    ages = AgeClock(hands, hands.elapsed)
    assert ages.earliest_s() == ages.latest_s() == 1_000
    hands.gone_s += 100
    hands.wall_s += 100 + jump_s
    assert (ages.earliest_s(), ages.latest_s()) == (earliest_s, latest_s)


@pytest.mark.parametrize(
    ("unix_s", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000+00:00"),
        # Worked out with `date -u -d @1767225600.25 +%FT%T.%6N` of GNU coreutils.
        (1_767_225_600.25, "2026-01-01T00:00:00.250000+00:00"),
        (951_782_400.0, "2000-02-29T00:00:00.000000+00:00"),
    ],
)
def test_iso_text_is_utc_with_microseconds(unix_s: float, text: str) -> None:
    """Always the same width, so that texts sort as instants do, and never the machine's time zone."""
    assert iso_utc(unix_s) == text


@given(st.integers(0, 4_000_000_000_000_000))
def test_iso_text_reads_back_as_the_same_microsecond(unix_us: int) -> None:
    """What goes into a timestamptz is the instant that was meant."""
    read = datetime.fromisoformat(iso_utc(unix_us / 1e6))
    assert abs(read.timestamp() * 1e6 - unix_us) < 1
