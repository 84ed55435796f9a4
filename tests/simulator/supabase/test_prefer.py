"""The Prefer header."""

from __future__ import annotations

from simulator.supabase.prefer import Prefer, parse_prefer


def test_preferences() -> None:
    """What is understood is applied and listed, the rest is kept for handling=strict."""
    prefer = parse_prefer(["return=representation,count=exact", "resolution=merge-duplicates, tx=rollback"])
    assert prefer == Prefer(
        representation="representation",
        count="exact",
        resolution="merge-duplicates",
        applied=("return=representation", "count=exact", "resolution=merge-duplicates", "tx=rollback"),
    )
    prefer = parse_prefer(["handling=strict,missing=default,max-affected=3,return=everything,colour=red"])
    assert (prefer.strict, prefer.missing_default, prefer.max_affected) == (True, True, 3)
    assert prefer.unknown == ("return=everything", "colour=red")


def test_the_first_of_two_contradicting_preferences_counts() -> None:
    """As RFC 7240, section 2, says."""
    assert parse_prefer(["return=minimal", "return=representation"]).representation == "minimal"
    assert parse_prefer([]) == parse_prefer([""]) == Prefer()
