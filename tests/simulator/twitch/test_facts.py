"""The index from Twitch's rules to tests, held against the tests: a row without one, or with one that is gone, is an empty promise."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from simulator.twitch.eventsub_session import CLOSE_REASONS
from simulator.twitch.limits import TwitchLimits
from simulator.twitch.notices import NOTICE_TEXTS

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
README = HERE / "README.md"

# Numbers of TwitchLimits that are no rule of their own: how long a rule's window is, or who is spared.
_PARTS = ("auth_window_s", "join_window_s", "message_window_s", "duplicate_spares_privileged", "ignored_s")
# Ids that say more exactly what another one says, or answer what a rule of another row is about.
_MORE_EXACT = ("msg_followersonly_zero", "msg_rejected_mandatory")


def rows(text: str) -> list[tuple[str, str]]:
    """Return rule and tests of every row of every table."""
    cut = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [(cells[0], cells[-1] if len(cells) > 1 else "") for cells in cut if cells[0] != "rule"]


def named(cell: str) -> list[str]:
    """Return the tests that a cell names."""
    return re.findall(r"`([^`]+)`", cell)


def missing(test: str) -> str:
    """Return what is wrong with a test's name: nothing, or words."""
    file, _, function = test.partition("::")
    path = (TESTS if "/" in file else HERE) / file
    if not path.is_file():
        return f"{test}: there is no file {path.relative_to(TESTS)}"
    known = {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return "" if function.startswith("test_") and function in known else f"{test}: there is no such test"


@pytest.fixture(scope="module")
def index() -> list[tuple[str, str]]:
    """The table as it stands."""
    return rows(README.read_text(encoding="utf-8"))


def test_every_rule_names_a_test(index: list[tuple[str, str]]) -> None:
    """And no rule stands there twice."""
    assert [rule for rule, cell in index if not named(cell)] == []
    rules = [rule for rule, _ in index]
    assert len(rules) == len(set(rules))
    assert len(rules) >= 90


def test_every_test_that_is_named_exists(index: list[tuple[str, str]]) -> None:
    """In the file that is named, under that very name."""
    assert [words for _, cell in index for test in named(cell) if (words := missing(test))] == []


def test_a_row_without_a_test_and_a_test_that_is_gone_are_found() -> None:
    """The check itself: it is of no use if it finds nothing."""
    (bare, gone) = rows("| rule | test |\n|---|---|\n| a | none |\n| b | `test_facts.py::test_gone` |")
    assert (named(bare[1]), named(gone[1])) == ([], ["test_facts.py::test_gone"])
    assert missing("test_facts.py::test_gone") == "test_facts.py::test_gone: there is no such test"
    assert missing("test_facts.py::rows") != ""
    assert (
        missing("nowhere/test_x.py::test_y")
        == "nowhere/test_x.py::test_y: there is no file nowhere/test_x.py"
    )


def test_every_limit_close_code_and_notice_of_the_fake_is_a_rule(index: list[tuple[str, str]]) -> None:
    """What the code enforces has its row: by its number, its code or its id."""
    words = " ".join(rule for rule, _ in index)
    limits = {
        one.name: getattr(TwitchLimits(), one.name) for one in fields(TwitchLimits) if one.name not in _PARTS
    }
    numbers = {name: f"{value:,.0f}" for name, value in limits.items() if name != "message_interval_s"}
    assert [
        name for name, number in numbers.items() if not re.search(rf"(?<![\d,]){number}(?![\d,])", words)
    ] == []
    assert "one message a second" in words
    assert [code for code in CLOSE_REASONS if str(code) not in words] == []
    chat = [one for one in NOTICE_TEXTS if one.startswith("msg_") and one not in _MORE_EXACT]
    assert [one for one in chat if f"`{one}`" not in words] == []
