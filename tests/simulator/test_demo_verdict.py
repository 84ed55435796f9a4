"""The demo's verdict on records made by hand: what counts as confirmed, stored, lost, doubled, late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from simulator.demo_record import Exchange, Phase
from simulator.demo_verdict import KINDS, P99_SLACK_MS, Verdict, judge


def exchange(
    text: str, reply: str = "", *, ms: float = 2.0, phase: Phase = "before", channel: str = "lobby"
) -> Exchange:
    """A command and its answer ("" for none)."""
    return Exchange(channel, "mod_1", text, 1.0, phase, reply, 1.0 + ms / 1000 if reply else None)


def counts(values: int) -> list[Exchange]:
    """`!count deaths +1` so many times, each confirmed."""
    return [exchange("!count deaths +1", f"deaths: {value}") for value in range(1, values + 1)]


def counters(**values: int) -> dict[str, Any]:
    """A row with counters."""
    return {"values": values}


def verdict(exchanges: Sequence[Exchange], *rows: dict[str, Any], **options: Any) -> Verdict:
    """Judge the exchanges against the rows of the channel lobby."""
    return judge(exchanges, {"lobby": rows}, **{"drained": True, **options})


#: With these a demo has measured something in both phases that are compared.
PINGS = [exchange("!ping", "Pong!"), exchange("!ping", "Pong!", phase="during")]


def test_everything_kept_is_ok() -> None:
    """All answered, all stored once, all saved in time."""
    found = verdict([*PINGS, *counts(3)], counters(deaths=3))
    assert found.ok and found.broken == found.not_measured == ()
    assert (found.confirmed, found.stored, found.lost, found.doubled) == (3, 3, 0, 0)
    assert found.to_json()["counters"] == [{"channel": "lobby", "name": "deaths", "told": 3, "stored": 3}]


def test_a_counter_that_is_behind_is_lost() -> None:
    """Viewers were told 3 and the database says 1: two changes are lost, whether there is a row or not."""
    found = verdict(counts(3), counters(deaths=1))
    assert (found.confirmed, found.stored, found.lost) == (3, 1, 2)
    assert "2 changes that viewers were told of are not in the database" in found.broken
    assert verdict(counts(3)).lost == 3


def test_a_counter_that_went_back_in_chat_is_lost_too() -> None:
    """Three confirmations of which the last said 1: what was told before must be somewhere."""
    told = [exchange("!count deaths +1", f"deaths: {value}") for value in (1, 2, 1)]
    assert verdict(told, counters(deaths=1)).lost == 2


def test_a_counter_ahead_of_everything_asked_is_doubled() -> None:
    """More in the database than was ever asked for: something was applied twice."""
    found = verdict(counts(2), counters(deaths=5))
    assert (found.lost, found.doubled) == (0, 3)
    assert "3 changes are in the database more than once" in found.broken


def test_an_unanswered_change_may_be_stored_but_is_reported() -> None:
    """Nobody was told, so nothing is lost and nothing doubled; the silence itself is a broken promise."""
    asked = [*counts(2), exchange("!count deaths +1")]
    for stored in (2, 3):
        found = verdict(asked, counters(deaths=stored))
        assert (found.lost, found.doubled, found.unanswered) == (0, 0, 1)
        assert found.broken == ("1 commands were never answered",)


@pytest.mark.parametrize("reply", ["deaths stays as it is.", "wins: 1", "You cannot do that", "deaths: many"])
def test_an_answer_that_confirms_nothing(reply: str) -> None:
    """A refusal, or an answer about something else, is no confirmation."""
    found = verdict([*PINGS, exchange("!count deaths +1", reply)])
    assert (found.confirmed, found.lost, found.broken) == (0, 0, ())


def test_an_invisible_mark_does_not_hide_a_confirmation() -> None:
    """A bot marks a text that it said before."""
    assert verdict([exchange("!count deaths +1", "deaths: 1 \u034f")], counters(deaths=1)).confirmed == 1


TEXTS = [
    ("!note add buy bread", "Note 1 is kept.", {"notes": {"k": {"text": "buy bread"}}}),
    ("!quote add such is life", "Quote 7 is kept.", {"quotes": {"k": {"text": "such is life"}}}),
    (
        "!cmd add hug {user} hugs",
        "The command !hug is ready.",
        {"commands": {"hug": {"text": "{user} hugs"}}},
    ),
    ("!game Puzzle Quest", "Game: Puzzle Quest", {"current_game": "Puzzle Quest"}),
]


@pytest.mark.parametrize(("wish", "reply", "row"), TEXTS)
def test_a_text_is_found_in_the_rows_of_its_channel(wish: str, reply: str, row: dict[str, Any]) -> None:
    """Confirmed and there; confirmed and missing; missing because it is another channel's; not confirmed at all."""
    asked = [exchange(wish, reply)]
    assert (verdict(asked, row).confirmed, verdict(asked, row).lost) == (1, 0)
    assert verdict(asked).lost == 1
    assert verdict(asked).missing[0].startswith("lobby: ")
    assert judge(asked, {"arcade": [row]}, drained=True).lost == 1
    assert verdict([exchange(wish, "What?")]).confirmed == 0


def test_the_line_that_asked_does_not_count_as_stored() -> None:
    """The bot keeps recent chat lines too: "!note add x" among them is not the note."""
    row = {"chat_lines": [{"text": "!note add buy bread"}]}
    assert verdict([exchange("!note add buy bread", "Note 1 is kept.")], row).lost == 1


def test_only_the_last_game_must_be_there() -> None:
    """A game replaces the one before; a note does not."""
    games = [exchange(f"!game {name}", f"Game: {name}") for name in ("One", "Two")]
    assert verdict(games, {"current_game": "Two"}).stored == 2
    behind = verdict(games, {"current_game": "One"})
    assert (behind.missing, behind.stored, behind.lost) == (("lobby: Two",), 0, 1)
    notes = [exchange(f"!note add {name}", "Note 1 is kept.") for name in ("One", "Two")]
    assert verdict(notes, {"text": "Two"}).missing == ("lobby: One",)


def test_every_kind_is_counted() -> None:
    """The JSON says how many changes of each kind were confirmed."""
    asked = [exchange(wish, reply) for wish, reply, _ in TEXTS]
    by_kind = verdict([*asked, *counts(2)]).confirmed_by_kind
    assert by_kind == {"counter": 2, **{kind.name: 1 for kind in KINDS}}


def test_percentiles_are_those_of_each_phase() -> None:
    """The warm-up is left out; a phase without answers has none."""
    asked = [exchange("!ping", "Pong!", ms=number, phase="before") for number in range(1, 101)]
    asked.append(exchange("!ping", "Pong!", ms=900.0, phase="warm-up"))
    found = verdict(asked)
    assert found.p50_ms["before"] == pytest.approx(50.0)
    assert found.p99_ms["before"] == pytest.approx(99.0)
    assert found.p99_ms["during"] is None
    assert found.answers == {"before": 100, "during": 0, "after": 0}
    assert found.to_json()["p99_ms"] == {"before": 99.0, "during": None, "after": None}


def test_slower_without_the_database_breaks_a_promise() -> None:
    """The 99th percentile may be higher by the slack, and not by more."""
    for above_ms, kept in ((P99_SLACK_MS - 0.1, True), (P99_SLACK_MS + 0.1, False)):
        asked = [
            exchange("!ping", "Pong!", ms=2.0),
            exchange("!ping", "Pong!", ms=2.0 + above_ms, phase="during"),
            exchange("!ping", "Pong!", ms=2.0 + above_ms, phase="during"),
            *counts(1),
        ]
        assert verdict(asked, counters(deaths=1)).ok is kept
    assert (
        "p99 was 12.1 ms, more than 10 ms above the 2.0 ms before"
        in verdict(asked, counters(deaths=1)).broken[0]
    )


def test_a_bot_that_does_not_finish_breaks_a_promise() -> None:
    """Rows that still wait at the end, or an exit code other than 0; an unknown one (Windows) is not held against it."""
    assert "did not save everything in time" in verdict([], drained=False).broken[0]
    assert verdict([], exit_code=4).broken == ("the bot ended with exit code 4 instead of 0",)
    assert verdict([], exit_code=None).broken == ()


def test_further_facts_are_part_of_the_json() -> None:
    """What the caller knows besides stands in the same object."""
    assert verdict([], extra={"seed": 7}).to_json()["seed"] == 7


BEFORE, DURING = "before the database went down", "while the database was down"


@pytest.mark.parametrize(
    ("exchanges", "missing"),
    [
        ([], [BEFORE, DURING, "no change was confirmed"]),
        (counts(2), [DURING]),
        ([*PINGS[1:], exchange("!count deaths +1", "deaths: 2", phase="after")], [BEFORE]),
        (PINGS, ["no change was confirmed"]),
        ([*counts(2), exchange("!ping", phase="during")], [DURING]),
    ],
)
def test_a_demo_that_measured_nothing_is_not_ok(exchanges: list[Exchange], missing: list[str]) -> None:
    """Nothing was lost where nothing was said: that is no promise kept, and the verdict says what it did not see."""
    found = verdict(exchanges, counters(deaths=2))
    assert not found.ok and found.to_json()["ok"] is False
    assert len(found.not_measured) == len(missing)
    assert all(words in told for words, told in zip(missing, found.not_measured, strict=True))
    assert found.to_json()["not_measured"] == list(found.not_measured)


def test_stored_is_counted_in_the_rows() -> None:
    """Each confirmed change that the rows account for, and no other: not what is there besides, or twice."""
    asked = [*counts(3), *(exchange(wish, reply) for wish, reply, _ in TEXTS)]
    rows = [row for _, _, row in TEXTS]
    assert verdict(asked).stored == 0
    assert verdict(asked, *rows).stored == 4
    assert verdict(asked, *rows, counters(deaths=2)).stored == 6
    assert verdict(asked, *rows, counters(deaths=9)).stored == 7
    assert verdict([], *rows, counters(deaths=9)).stored == 0


def test_the_judges_own_delay_is_told() -> None:
    """How much was subtracted from how many replies, and the percentile without the subtraction."""
    held_up = [exchange("!ping", "Pong!", ms=30.0), exchange("!ping", "Pong!", ms=5.0), *PINGS]
    held_up[0].stalled_s, held_up[1].stalled_s = 0.025, 0.009
    found = verdict(held_up)
    assert (found.subtracted_ms, found.subtracted_replies) == (pytest.approx(30.0), 2)
    assert found.p99_ms["before"] == pytest.approx(5.0)
    written = found.to_json()
    assert written["raw_p99_ms"] == {"before": 30.0, "during": 2.0, "after": None}
    assert (written["subtracted_ms"], written["subtracted_replies"]) == (30.0, 2)


def test_a_single_slow_answer_is_shown_and_not_judged() -> None:
    """Among few answers the p99 is the slowest: one hiccup of the machine is no broken promise, two slow ones are."""
    asked = [
        exchange("!ping", "Pong!", ms=2.0),
        *(exchange("!ping", "Pong!", ms=2.0, phase="during") for _ in range(50)),
        exchange("!ping", "Pong!", ms=300.0, phase="during"),
        *counts(1),
    ]
    once = verdict(asked, counters(deaths=1))
    assert once.ok
    assert once.p99_ms["during"] == pytest.approx(300.0)
    asked.append(exchange("!ping", "Pong!", ms=300.0, phase="during"))
    assert not verdict(asked, counters(deaths=1)).ok
