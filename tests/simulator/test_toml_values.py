"""Readers of values: what they take as it is, and what they say about the rest."""

from __future__ import annotations

import math

import pytest

from simulator import toml_values as read


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        (read.number, 5),
        (read.number, 5.0),
        (read.number, math.inf),
        (read.finite, 0),
        (read.above_zero, 0.1),
        (read.whole_number, -3),
        (read.text, ""),
        (read.flag, False),
        (read.choice("kept", "lost"), "lost"),
        (read.login, "a_b_1"),
        (read.table, {}),
    ],
)
def test_a_good_value_is_taken_as_it_is(reader: read.Reader, value: object) -> None:
    """Also in its kind: 5 stays a whole number where 5.0 would do."""
    found = reader(value)
    assert found == value and type(found) is type(value)


def test_arrays_become_tuples() -> None:
    """As a frozen scenario has them."""
    assert read.each(read.number)([1, 2.5]) == (1, 2.5)
    assert read.logins([]) == ()
    assert read.some_logins(["a", "b"]) == ("a", "b")
    assert read.tables([{"a": 1}]) == ({"a": 1},)


@pytest.mark.parametrize(
    ("reader", "value", "words", "parts"),
    [
        (read.number, True, "must be a number, got True", ()),
        (read.number, "5", "must be a number, got '5'", ()),
        (read.number, 10**400, "must be a number that a float can hold", ()),
        (read.finite, math.inf, "must be finite and not negative, got inf", ()),
        (read.finite, math.nan, "must be finite and not negative, got nan", ()),
        (read.finite, -1, "must be finite and not negative, got -1", ()),
        (read.above_zero, 0, "must be above 0", ()),
        (read.whole_number, 1.5, "must be a whole number, got 1.5", ()),
        (read.whole_number, True, "must be a whole number, got True", ()),
        (read.text, 3, "must be a text in quotes, got 3", ()),
        (read.flag, 1, "must be true or false, got 1", ()),
        (read.choice("kept", "lost"), "last", "must be kept or lost, got 'last'; did you mean 'lost'?", ()),
        (read.choice("kept", "lost"), 3, "must be kept or lost, got 3", ()),
        (
            read.login,
            "No Login",
            "must be a login in lower case (1 to 25 of a-z, 0-9 and _), got 'No Login'",
            (),
        ),
        (read.each(read.number), 3, "must be an array in brackets, got 3", ()),
        (read.each(read.number), [1, "x"], "must be a number, got 'x'", (1,)),
        (read.each(read.each(read.flag)), [[True], [True, 0]], "must be true or false, got 0", (1, 1)),
        (read.logins, ["a", "b", "a"], "has 'a' twice", (2,)),
        (read.some_logins, [], "must name at least one", ()),
        (read.table, 3, "must be a table, got 3", ()),
        (read.tables, {"kind": "hang"}, "must stand in double brackets, [[like this]], once for each", ()),
        (read.tables, [3], "must be a table, got 3", (0,)),
    ],
)
def test_a_wrong_value_is_named(
    reader: read.Reader, value: object, words: str, parts: tuple[int, ...]
) -> None:
    """What it must be, what it is, and in an array which one."""
    with pytest.raises(read.WrongValue) as refused:
        reader(value)
    assert (str(refused.value), refused.value.parts) == (words, parts)
