"""From the words of a message to the arguments of a handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.components.parameters import UsageError, fill, parameters_of
from byte_bot.errors import ComponentError


async def words(ctx: object, first: str, count: int = 1, *, rest: str = "") -> None:
    """A word, a number, the rest."""


async def numbers(ctx: object, *values: float) -> None:
    """Any number of numbers."""


async def choice(ctx: object, action: Literal["on", "off"] | None = None, user: Optional[str] = None) -> None:  # noqa: UP045  # both spellings
    """One of two."""


def usage(handler: Callable[..., Any]) -> str:
    """The usage line's second half."""
    return " ".join(parameter.usage for parameter in parameters_of(handler))


def test_usage_lines() -> None:
    """Required in angles, optional in brackets, rests with dots, choices spelt out."""
    assert usage(words) == "<first> [count] [rest...]"
    assert usage(numbers) == "[values...]"
    assert usage(choice) == "[on|off] [user]"


@pytest.mark.parametrize(
    ("handler", "line", "arguments"),
    [
        (words, "a 2 the  rest ", (["a", 2], {"rest": "the  rest"})),
        (words, "a", (["a", 1], {"rest": ""})),
        (words, "a\u30002\u3000b", (["a", 2], {"rest": "b"})),
        (words, "{ctx} -3", (["{ctx}", -3], {"rest": ""})),
        (numbers, "1 2.5 -3e2", ([1.0, 2.5, -300.0], {})),
        (numbers, "", ([], {})),
        (choice, "ON bob", (["on", "bob"], {})),
        (choice, "", ([None, None], {})),
        (choice, "off one two", (["off", "one"], {})),
    ],
)
def test_words_become_arguments(handler: Callable[..., Any], line: str, arguments: object) -> None:
    """Blanks of any kind separate; the rest of a line keeps its own; what is left over is passed over."""
    assert fill(parameters_of(handler), line) == arguments


@pytest.mark.parametrize(
    ("handler", "line"),
    [
        (words, ""),
        (words, "a b"),
        (words, "a 1.5"),
        (words, "a " + "9" * 5000),
        (numbers, "1 nan"),
        (numbers, "inf"),
        (numbers, "1e999"),
        (choice, "maybe"),
    ],
)
def test_words_that_do_not_fit_are_a_usage_error(handler: Callable[..., Any], line: str) -> None:
    """Missing, wrong, and numbers that JSON cannot hold."""
    with pytest.raises(UsageError):
        fill(parameters_of(handler), line)


@given(st.text(max_size=500))
def test_nothing_typed_breaks_the_parser(line: str) -> None:
    """Any text gives arguments or a usage error."""
    for handler in (words, numbers, choice):
        try:
            fill(parameters_of(handler), line)
        except UsageError as error:
            assert not str(error)  # noqa: PT017  # either way is right


async def bad_type(ctx: object, what: list[str]) -> None:
    """Chat has no lists."""


async def bad_case(ctx: object, what: Literal["On"]) -> None:
    """Choices are compared in lower case."""


async def bad_order(ctx: object, *words: str, rest: str = "") -> None:
    """Nothing is left for the rest."""


async def bad_options(ctx: object, **options: str) -> None:
    """Chat has no keywords."""


async def no_context() -> None:
    """Where would the context go."""


async def unknown_type(ctx: object, what: NotThere) -> None:  # type: ignore[name-defined]  # noqa: F821  # the mistake
    """A name that nothing defines."""


@pytest.mark.parametrize("handler", [bad_type, bad_case, bad_order, bad_options, no_context, unknown_type])
def test_a_signature_that_chat_cannot_fill_is_an_error_at_start(handler: Callable[..., Any]) -> None:
    """The error names the handler."""
    with pytest.raises(ComponentError, match=handler.__name__):
        parameters_of(handler)
