"""What counts as failed, what as a client's own fault, and what the table shows of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.clients.roster import CLIENTS, Client, Own
from tests.clients.verdicts import (
    Verdict,
    absent,
    as_json,
    exit_code,
    judge,
    last_line,
    remarks,
    skipped,
    table,
)

PLAIN = Client("plain", "plain", "1.0", "irc", "none", "by_hand.py")
MARKED = replace(
    PLAIN, name="marked", own={"once": Own("came 2 times", "hands a message on as often as it comes")}
)


def test_doing_well_passes_and_going_wrong_fails() -> None:
    """Where nothing is known against the client, its outcome decides."""
    assert judge(PLAIN, "sends", "", 1.0).mark == "passed"
    assert judge(PLAIN, "sends", "its message did not arrive", 1.0).mark == "failed"


def test_a_known_fault_with_its_sign_is_the_clients_own() -> None:
    """It shows the reason, and the whole does not fail for it."""
    verdict = judge(MARKED, "once", "came 2 times", 1.0)
    assert (verdict.mark, verdict.why) == ("own", "hands a message on as often as it comes")
    assert exit_code([verdict, judge(PLAIN, "once", "", 1.0)]) == 0


def test_a_known_fault_does_not_excuse_another_one() -> None:
    """A message that does not come at all is not the known duplicate: the fake may be what broke."""
    verdict = judge(MARKED, "once", "came 0 times", 1.0)
    assert verdict.mark == "failed"
    assert "came 0 times" in verdict.why
    assert exit_code([verdict]) == 1


def test_a_known_fault_in_one_act_does_not_excuse_another_act() -> None:
    """The mark is on the act."""
    assert judge(MARKED, "sends", "came 2 times", 1.0).mark == "failed"


def test_a_client_that_is_right_after_all_is_reported() -> None:
    """It passes, and whoever reads the table learns that the roster is out of date."""
    verdict = judge(MARKED, "once", "", 1.0)
    assert verdict.mark == "right after all"
    assert exit_code([verdict]) == 0
    assert "right this time" in remarks([verdict])
    assert "marked 1.0, once" in remarks([verdict])


def test_the_last_line_counts_what_passed_and_failed_and_was_skipped() -> None:
    """Own faults and acts of the other kind are neither."""
    verdicts = [
        judge(PLAIN, "sends", "", 1.0),
        judge(MARKED, "once", "", 1.0),
        judge(MARKED, "once", "came 2 times", 1.0),
        judge(PLAIN, "joins", "never joined", 1.0),
        absent(PLAIN, "401"),
    ]
    assert last_line(verdicts) == "2 passed, 1 failed"
    assert (
        last_line([*verdicts, skipped(PLAIN, "once", "Node is not installed")])
        == "2 passed, 1 failed, 1 skipped"
    )


@pytest.mark.parametrize(
    "verdicts", [[], [skipped(PLAIN, "sends", "no Node")]], ids=["nothing", "all skipped"]
)
def test_a_table_that_shows_nothing_is_no_success(verdicts: list[Verdict]) -> None:
    """Exit code 0 needs at least one thing that passed."""
    assert exit_code(verdicts) == 1


def test_the_table_has_a_row_for_each_client_and_a_column_for_each_act() -> None:
    """In the order in which they came."""
    shown = table(
        [
            judge(PLAIN, "sends", "", 1.0),
            judge(PLAIN, "once", "came 2 times", 1.0),
            judge(MARKED, "sends", "", 1.0),
            judge(MARKED, "once", "came 2 times", 1.0),
            absent(PLAIN, "401"),
            skipped(MARKED, "401", "because"),
        ]
    )
    assert [line.split() for line in shown.splitlines()] == [
        ["client", "sends", "once", "401"],
        ["plain", "1.0", "ok", "FAILED", "-"],
        ["marked", "1.0", "ok", "own", "skip"],
    ]


def test_the_reasons_stand_below_the_table_and_in_the_json() -> None:
    """Failures first; equal ones are said once."""
    verdicts = [
        judge(MARKED, "once", "came 2 times", 1.0),
        judge(PLAIN, "sends", "its message did not arrive", 2.04),
        skipped(PLAIN, "joins", "Node is not installed"),
        skipped(PLAIN, "sends", "Node is not installed"),
        absent(PLAIN, "401"),
    ]
    assert remarks(verdicts).splitlines() == [
        "Failed:",
        "  plain 1.0, sends: its message did not arrive",
        "The client's own, not the fake's:",
        "  marked 1.0, once: hands a message on as often as it comes",
        "Skipped:",
        "  plain 1.0: Node is not installed",
    ]
    found = as_json(verdicts)
    assert found["counts"] == {"own": 1, "failed": 1, "skipped": 2, "-": 1}
    assert found["verdicts"][1] == {
        "client": "plain",
        "version": "1.0",
        "act": "sends",
        "mark": "failed",
        "why": "its message did not arrive",
        "seconds": 2.0,
    }
    assert len(found["verdicts"]) == 4


def test_accounts_of_the_roster_are_good_logins() -> None:
    """Each once, and short enough for its two channels to be Twitch logins."""
    logins = [client.login for client in CLIENTS]
    assert len(set(logins)) == len(logins)
    assert all(len(channel) <= 25 for client in CLIENTS for channel in client.channels)
