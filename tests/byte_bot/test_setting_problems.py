"""The words about wrong settings; which settings are wrong stands in test_settings.py."""

from __future__ import annotations

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from byte_bot.setting_problems import misspelt, problem_lines

FIELDS = {
    "log_level": FieldInfo(
        annotation=str, default="info", description="how much is logged", examples=["info"]
    ),
    "supabase_key": FieldInfo(annotation=str, default="", description="the key"),
}


def line_about(field: str, **details: object) -> str:
    """The line about an error of pydantic's."""
    error: ErrorDetails = {
        "type": "literal_error",
        "loc": (field,),
        "msg": "Input should be 'x'",
        "input": "loud",
    }
    (line,) = problem_lines({**error, **details}, FIELDS, {"supabase_key"}, {})  # type: ignore[typeddict-item]
    return line


def test_a_wrong_value_is_shown_with_the_way_out() -> None:
    """The variable, what is written there, what is wrong with it, what it is for, and an example."""
    assert line_about("log_level") == (
        "LOG_LEVEL is 'loud', which is wrong: input should be 'x' (how much is logged; leave it out for info). "
        "Example: LOG_LEVEL=info"
    )


def test_a_secret_s_value_is_not_shown() -> None:
    """Whatever is written there."""
    assert "loud" not in line_about("supabase_key")


def test_a_validator_s_sentence_goes_on_from_the_name() -> None:
    """With a colon in between if it begins with the culprit."""
    assert (
        line_about("log_level", type="value_error", ctx={"error": ValueError("is empty")})
        == "LOG_LEVEL is empty."
    )
    assert (
        line_about("log_level", type="value_error", ctx={"error": ValueError("'a' fails")})
        == "LOG_LEVEL: 'a' fails."
    )


def test_only_names_that_resemble_ours_are_misspelt() -> None:
    """Of the families of our variables, and close; other programs' known ones are left alone."""
    names = ("LOG_LEVELS", "LOG_FILE", "PATH", "SUPABASE_REGION")
    assert misspelt(names, FIELDS) == {"LOG_LEVELS": "LOG_LEVEL"}
