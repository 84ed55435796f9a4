"""The error tree: what a caller can catch, what the messages name, what a shell sees."""

from __future__ import annotations

import inspect

import pytest

import byte_bot.chat.errors
import byte_bot.errors
from byte_bot.errors import (
    ByteBotError,
    DatabaseError,
    DatabasePaused,
    DatabaseUnavailable,
    ExitCode,
    Fenced,
    JournalError,
    RequestRefused,
)


def declared_errors() -> list[type[BaseException]]:
    """Every exception class written in the two modules of errors."""
    return [
        found
        for module in (byte_bot.errors, byte_bot.chat.errors)
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, BaseException) and found.__module__ == module.__name__
    ]


def test_every_error_raised_on_purpose_has_one_root() -> None:
    """A supervisor tells our errors from defects by one class."""
    errors = declared_errors()
    assert len(errors) > 10
    assert [error.__name__ for error in errors if not issubclass(error, ByteBotError)] == []


def test_the_module_lists_its_whole_tree() -> None:
    """The tree drawn in the docstring names every error of the module: it is what a reader looks things up in."""
    tree = byte_bot.errors.__doc__ or ""
    own = [error.__name__ for error in declared_errors() if error.__module__ == byte_bot.errors.__name__]
    assert [name for name in own if name not in tree] == []


def test_database_errors_are_one_family_and_fencing_is_none_of_it() -> None:
    """Loops that try again catch DatabaseError; being fenced off must pass through them and end the process."""
    for error in (DatabaseUnavailable, DatabasePaused, RequestRefused):
        assert issubclass(error, DatabaseError)
    for error in (Fenced, JournalError):
        assert not issubclass(error, DatabaseError)


def test_an_unavailable_database_may_have_executed_the_request_unless_said_otherwise() -> None:
    """The cautious reading is the default: what was sent must be sent again unchanged."""
    error = DatabaseUnavailable("timed out")
    assert (str(error), error.retry_after_s, error.surely_not_executed) == ("timed out", None, False)


def test_a_pause_says_what_to_do_before_what_the_server_said() -> None:
    """The log line of a pause begins with the advice and keeps code and words for whoever wants to know."""
    error = DatabasePaused("42P01", 'relation "x" does not exist', "paste the schema")
    assert str(error) == 'paste the schema [42P01: relation "x" does not exist]'
    assert (error.code, error.words, error.advice) == (
        "42P01",
        'relation "x" does not exist',
        "paste the schema",
    )


def test_a_refused_request_keeps_the_servers_code_and_words_apart() -> None:
    """A dead letter stores the two in columns of their own."""
    error = RequestRefused("22P05", "unsupported Unicode escape sequence")
    assert (error.code, error.words) == ("22P05", "unsupported Unicode escape sequence")
    assert str(error) == "22P05: unsupported Unicode escape sequence"


def test_a_fenced_process_names_both_epochs_and_the_way_out() -> None:
    """Whoever reads it learns who won and that two bots on one project is what to end."""
    error = Fenced(3, 4)
    assert (error.ours, error.current) == (3, 4)
    assert "epoch 4, ours 3" in str(error)
    assert "one bot per Supabase project" in str(error)


@pytest.mark.parametrize(
    ("code", "number"),
    [
        (ExitCode.OK, 0),
        (ExitCode.FAILED, 1),
        (ExitCode.SETTINGS, 2),
        (ExitCode.LOGIN_REFUSED, 3),
        (ExitCode.FENCED, 4),
        (ExitCode.JOURNAL_LOCKED, 5),
        (ExitCode.JOURNAL_REFUSED, 6),
    ],
)
def test_exit_codes_never_change(code: ExitCode, number: int) -> None:
    """Service files tell "restart me" from "fix me" by these numbers."""
    assert int(code) == number
    assert len(ExitCode) == 7
