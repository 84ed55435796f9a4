"""The sentences of components."""

from __future__ import annotations

import pytest

from byte_bot.components.texts import Texts
from byte_bot.errors import ComponentError


def test_the_channels_language_is_used_and_english_else() -> None:
    """``pt_br`` is ``pt-br`` in the channels' table; an unknown language falls back."""
    texts = Texts(en={"hi": "Hello {name}"}, pt_br={"hi": "Olá {name}"})
    assert texts.get("pt-br", "hi", name="Ana") == "Olá Ana"
    assert texts.get("en", "hi", name="Ana") == "Hello Ana"
    assert texts.get("fr", "hi", name="Ana") == "Hello Ana"


def test_a_value_is_put_in_once_and_never_read_as_a_template() -> None:
    """Braces in what a viewer typed stay braces."""
    texts = Texts(en={"hi": "Hello {name}"})
    assert texts.get("en", "hi", name="{name.__class__} {0} }{") == "Hello {name.__class__} {0} }{"


@pytest.mark.parametrize(
    "portuguese",
    [{}, {"hi": "Olá"}, {"hi": "Olá {nome}"}, {"hi": "Olá {name}", "more": "x"}],
)
def test_languages_that_differ_are_an_error_at_start(portuguese: dict[str, str]) -> None:
    """A missing text, and a field that only one language knows, are named."""
    with pytest.raises(ComponentError, match=r"texts in pt_br and en differ in: (hi|more)"):
        Texts(en={"hi": "Hello {name}"}, pt_br=portuguese)


def test_english_is_required() -> None:
    """It is what every other language falls back to."""
    with pytest.raises(ComponentError, match="at least en"):
        Texts(pt_br={"hi": "Olá"})
