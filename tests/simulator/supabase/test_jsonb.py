"""JSON text with numbers that Python makes no int of; PostgreSQL's side of it is asked in the tests of the schema."""

from __future__ import annotations

import json
import sys

import pytest

from simulator.supabase import jsonb
from simulator.supabase.jsonb import PYTHON_DIGITS_MAX, Digits

LONG = "1" + "0" * 5_000


def test_a_long_number_is_read_and_printed_as_it_stands() -> None:
    """Between the others, without quotes, to the last digit; what else is in the text is as Python reads it."""
    text = f'{{"a":{LONG},"b":[-{LONG},1,2.5],"c":"{LONG}"}}'
    value = jsonb.loads(text)
    assert value == {"a": Digits(LONG), "b": [Digits("-" + LONG), 1, 2.5], "c": LONG}
    assert jsonb.dumps(value) == text
    assert jsonb.loads(text.encode()) == value


def test_the_limit_is_pythons() -> None:
    """A number that Python can print is an int, the next longer one is not."""
    assert sys.get_int_max_str_digits() == PYTHON_DIGITS_MAX
    fits = "9" * PYTHON_DIGITS_MAX
    read = jsonb.loads(f"[{fits},-{fits},{fits}9]")
    assert [type(number) for number in read] == [int, int, Digits]
    assert jsonb.dumps(read) == f"[{fits},-{fits},{fits}9]"


def test_an_exponent_is_written_out() -> None:
    """As numeric prints it."""
    assert Digits("1e5000").digits == LONG
    assert Digits("-12").digits == "-12"
    for text in ("1.5", "", "x", "NaN", "1e-3"):
        with pytest.raises((ValueError, ArithmeticError)):
            Digits(text)


@pytest.mark.parametrize("text", ["", "{", "[01]", "x" * 5_000, '{"a":' + LONG])
def test_what_is_no_json_is_none(text: str) -> None:
    """However long it is."""
    with pytest.raises(json.JSONDecodeError):
        jsonb.loads(text)


def test_infinity_is_no_json() -> None:
    """PostgreSQL takes no such number."""
    with pytest.raises(ValueError, match="JSON"):
        jsonb.dumps([float("inf")])
