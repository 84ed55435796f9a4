"""The index from Twitch's rules to tests, held against the tests: a row without one, or with one that is gone, is an empty promise."""

from __future__ import annotations

import ast
import re
import string
from dataclasses import fields
from pathlib import Path

import pytest

from simulator.twitch import conduits, eventsub, eventsub_subscriptions, ratelimit
from simulator.twitch.eventsub_session import CLOSE_REASONS, EventSubTiming
from simulator.twitch.helix_chat import TEXT_CHARS_MAX
from simulator.twitch.helix_eventsub import PAGE_MAX
from simulator.twitch.irc import MEMBERSHIP_MAX
from simulator.twitch.limits import TwitchLimits
from simulator.twitch.notices import NOTICE_TEXTS

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
README = HERE / "README.md"

# The rules that have a number, with the names of the numbers in the code (`numbers`).
NUMBERED = (
    "JOIN and PART of others, not in a room of more than {MEMBERSHIP_MAX}",
    "{auth_max} authentication attempts in {auth_window_s} s per account",
    "{auth_verified_max} attempts for a verified bot",
    "{joins_max} JOINs in {join_window_s} s",
    "{joins_verified_max} JOINs for a verified bot",
    "{messages_max} messages in {message_window_s} s, over it dropped without a word, and the account ignored",
    "{messages_privileged_max} messages where moderator, broadcaster or VIP; they count in the {messages_max} as well",
    "{messages_verified_max} messages in {message_window_s} s for a verified bot",
    "{channels_max} channels at once; moderated ones and those that granted `channel:bot` do not count",
    "{text_chars_max} characters a message",
    "the same text within {duplicate_window_s} s: `msg_duplicate`",
    "{subscribe_s} s to subscribe, else 4003",
    "`keepalive_timeout_seconds` from {keepalive_min_s} to {keepalive_max_s}, invalid values clamped",
    "{SESSIONS_MAX} sockets with enabled subscriptions per client and user",
    "{PER_SESSION_MAX} subscriptions a socket",
    "{SAME_MAX} of the same type, version and condition, over all sockets of a client and user",
    "chat of {CHAT_CHANNELS_MAX} channels; moderated ones and those that granted `channel:bot` do not count",
    "a total cost of {MAX_TOTAL_COST}; 0 where the user in the condition has consented",
    "{RECONNECT_GRACE_S} s of grace, then 4004",
    "{POINTS_MAX} points a minute, one a call, in the app's bucket and in each user's",
    "422 for a message of more than {TEXT_CHARS_MAX} characters",
    "Get EventSub Subscriptions: pages of {PAGE_MAX}, one filter",
    "{CONDUITS_MAX} for each client",
    'up to {SHARDS_MAX} shards, ids from "0"',
    "a total cost of {APP_MAX_TOTAL_COST} for each client",
    "all shards down for {DOWN_MAX_H} h: deleted",
)
# Numbers without a row that shows them: said in words there, a default; how long a list shows something, or chosen, since Twitch names none.
_IN_WORDS = (
    "message_interval_s",
    "POINTS_WINDOW_S",
    "duplicate_spares_privileged",
    "ignored_s",
    "keepalive_s",
)
_CHOSEN = ("ping_interval_s", "pong_timeout_s", "queue_max", "DISABLED_S", "DISABLED_MAX", "DECLARED_MAX")
# Ids that say more exactly what another one says, or answer what a rule of another row is about.
_MORE_EXACT = ("msg_followersonly_zero", "msg_rejected_mandatory")


def rows(text: str) -> list[tuple[str, str]]:
    """Return rule and tests of every row of every table."""
    cut = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [(cells[0], cells[-1] if len(cells) > 1 else "") for cells in cut if cells[0] != "rule"]


def named(cell: str) -> list[str]:
    """Return the tests that a cell names."""
    return re.findall(r"`([^`]+)`", cell)


def numbers() -> dict[str, float]:
    """Return what the fake enforces, by the name of the field or the constant; of Helix only what clients were found to need."""
    found: dict[str, float] = {
        "MEMBERSHIP_MAX": MEMBERSHIP_MAX,
        "PAGE_MAX": PAGE_MAX,
        "TEXT_CHARS_MAX": TEXT_CHARS_MAX,
    }
    for settings in (TwitchLimits(), EventSubTiming()):
        found |= {one.name: getattr(settings, one.name) for one in fields(settings)}
    for module in (conduits, eventsub, eventsub_subscriptions, ratelimit):
        constants = {
            name: value for name, value in vars(module).items() if re.fullmatch("[A-Z][A-Z_]*", name)
        }
        found |= {name: value for name, value in constants.items() if isinstance(value, int | float)}
    found["DOWN_MAX_H"] = found.pop("DOWN_MAX_S") / 3_600
    return found


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


def test_every_number_that_the_fake_enforces_is_in_the_row_of_its_rule(index: list[tuple[str, str]]) -> None:
    """Found are a number that has no row, and one that was changed in the code alone or in the row alone."""
    shown = {name: f"{value:,.0f}" for name, value in numbers().items()}
    rules = [rule for rule, _ in index]
    assert [rule for rule in NUMBERED if rule.format(**shown) not in rules] == []
    named_here = [name for rule in NUMBERED for _, name, _, _ in string.Formatter().parse(rule) if name]
    assert set(shown) == {*named_here, *_IN_WORDS, *_CHOSEN}
    assert "one message a second and channel where unprivileged" in rules


def test_every_close_code_and_notice_of_the_fake_is_a_rule(index: list[tuple[str, str]]) -> None:
    """What the code says has its row: by its code or its id."""
    words = " ".join(rule for rule, _ in index)
    assert [code for code in CLOSE_REASONS if str(code) not in words] == []
    chat = [one for one in NOTICE_TEXTS if one.startswith("msg_") and one not in _MORE_EXACT]
    assert [one for one in chat if f"`{one}`" not in words] == []
