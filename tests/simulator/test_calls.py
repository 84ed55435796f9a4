"""Errors in words: the place is our own function, not a library's, and what was wrapped is told by itself."""

from __future__ import annotations

import json

import pytest

from simulator.calls import CALLS_SHOWN, alone, in_words, place_of, with_calls

HERE = "tests/simulator/test_calls.py"


def deep(calls: int) -> None:
    """Fail after so many calls."""
    if not calls:
        json.loads("{")
    deep(calls - 1)


def caught(calls: int) -> ValueError:
    """The error of `deep`."""
    with pytest.raises(json.JSONDecodeError) as raised:
        deep(calls)
    return raised.value


def test_the_place_is_the_innermost_function_of_ours() -> None:
    """An error that comes up in the standard library is told where we called it."""
    assert place_of(caught(2)) == f"{HERE}:deep"


def test_an_error_without_calls_has_no_place() -> None:
    """It was never raised."""
    assert place_of(ValueError("never raised")) == ""


def test_of_a_group_the_first_error_counts() -> None:
    """However deep it lies."""
    error = KeyError("x")
    group = BaseExceptionGroup("outer", [BaseExceptionGroup("inner", [error]), ValueError("y")])
    assert alone(group) is error
    assert alone(error) is error


def test_notes_are_part_of_the_words() -> None:
    """They say what the raiser knew besides."""
    error = ValueError("no")
    error.add_note("at night")
    assert in_words(error) == "ValueError: no; at night"


def test_the_last_calls_are_shown() -> None:
    """And no more of them than help."""
    first, *calls = with_calls(BaseExceptionGroup("one", [caught(20)])).splitlines()
    assert first.startswith("JSONDecodeError: Expecting property name")
    assert len(calls) == CALLS_SHOWN
