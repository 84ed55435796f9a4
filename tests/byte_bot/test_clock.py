"""Wall time: where it comes from and how it is written for PostgreSQL."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.clock import SystemClock, iso_utc


def test_the_system_clock_is_the_operating_systems() -> None:
    """It lies between two readings of the machine's clock made around it."""
    before = time.time()
    now = SystemClock().unix()
    assert before <= now <= time.time()


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
