"""What people see of a demo, drawn on consoles of several sizes."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console, RenderableType

from simulator.demo_record import ChatLine, Exchange
from simulator.demo_screen import (
    BotStatus,
    LiveView,
    LogView,
    Picture,
    Plan,
    introduction,
    progress_line,
    screen,
    trend,
    verdict_panel,
)
from simulator.demo_verdict import judge

CHANNELS = ("lobby", "arcade", "cinema")
PICTURE = Picture(
    plan=Plan(45.0),
    elapsed_s=12.3,
    down=True,
    stage="the database hangs",
    chats={
        channel: [
            *(ChatLine("viewer_1", f"line {number}", from_bot=False) for number in range(40)),
            ChatLine("bot", "deaths: 3", from_bot=True, latency_ms=1.25),
        ]
        for channel in CHANNELS
    },
    recent_ms=[1.0, 2.0, 9.0],
    trend_ms=[0.0] * 30 + [1.0, 20.0],
    phase_ms={"before": [1.0, 2.0], "during": [3.0], "after": []},
    status=BotStatus("open", rows_waiting=12, oldest_unsaved_s=3.25),
    changes_waiting=17,
    unanswered=1,
    has_keys=True,
)


COUNTED = Exchange("lobby", "mod_1", "!count deaths +1", 1.0, "before", "deaths: 1", 1.012, stalled_s=0.01)
PINGED = Exchange("lobby", "mod_1", "!ping", 2.0, "during", "Pong!", 2.002)


def drawn(what: RenderableType, *, width: int = 120, height: int = 36) -> list[str]:
    """The lines of a console of this size."""
    console = Console(
        width=width, height=height, file=io.StringIO(), force_terminal=False, legacy_windows=False
    )
    with console.capture() as capture:
        console.print(what, end="")
    return capture.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36), (200, 60)])
def test_the_screen_shows_everything_at_any_size(width: int, height: int) -> None:
    """Chat with latencies, the plan, the database, the bot's words and the keys; no line is wider than the terminal."""
    lines = drawn(screen(PICTURE), width=width, height=height)
    text = "\n".join(lines)
    assert len(lines) == height and max(map(len, lines)) <= width
    for words in (
        "10 s database hangs · 30 s it is back · 45 s verdict",
        "12 s  the database hangs",
        " b  break    h  heal    q  quit",
        "↳ deaths: 3 1.2 ms",
        "now 2.0 ms, slowest 9.0 ms",
        "● hangs",
        "not yet saved: 17",
        "while down",
        "after",
        "rows waiting",
        "3.2 s",
    ):
        assert words in text, words
    for channel in CHANNELS:
        assert f" #{channel} " in text


def test_the_newest_chat_lines_are_shown() -> None:
    """What does not fit is what was said first."""
    text = "\n".join(drawn(screen(PICTURE), width=100, height=24))
    assert "line 39" in text and "line 1\n" not in text and "line 20" not in text


def test_a_healthy_moment_without_keys() -> None:
    """Before anything happened, and where no keys can be read, the screen says so."""
    calm = dataclasses.replace(
        PICTURE, down=False, has_keys=False, recent_ms=[], phase_ms={}, chats={"lobby": []}
    )
    text = "\n".join(drawn(screen(calm)))
    assert "● answers" in text and "Ctrl-C ends the demo" in text and "now -, slowest -" in text


def test_the_introduction_says_what_will_happen_and_what_keys_do() -> None:
    """The three moments of the plan, in seconds, and the keys where there are any; within 80 columns."""
    text = introduction(Plan(9.0), CHANNELS, has_keys=True)
    for words in (
        "at  2 s     the database hangs",
        "at  6 s     the database is back",
        "at  9 s",
        "b breaks",
    ):
        assert words in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "Ctrl-C" in introduction(Plan(9.0), CHANNELS, has_keys=False)


def test_the_introduction_says_when_the_bot_is_not_set_as_shipped() -> None:
    """A short outage needs a bot that gives up sooner; one of 15 s and more does not."""
    assert "up after 1 s and saves every 0.5 s" in introduction(Plan(15.0), CHANNELS, has_keys=False)
    assert "up after 0.44 s and saves every 0.22 s" in introduction(Plan(3.0), CHANNELS, has_keys=False)
    for seconds in (34.0, 45.0):
        assert Plan(seconds).pace is None
        assert "saves every" not in introduction(Plan(seconds), CHANNELS, has_keys=False)


def test_the_trend_is_a_row_of_bars() -> None:
    """A second without answers is blank; the scale grows with the largest value."""
    assert trend([0.0, 1.0, 20.0]) == " ▁█"
    assert trend([0.0, 20.0, 200.0]) == " ▂█"
    assert trend([]) == ""


def test_progress_without_a_terminal_is_one_line() -> None:
    """Time, phase, latency and the bot's words."""
    line = progress_line(PICTURE)
    assert line.startswith(" 12.3 s  the database hangs ")
    assert "reply 2.0 ms, slowest 9.0 ms" in line and "changes not yet saved 17" in line


def test_the_log_has_a_line_every_few_seconds_and_at_every_change() -> None:
    """Pictures in between are not written."""
    lines: list[str] = []
    view = LogView(lines.append, every_s=5.0)
    for elapsed_s, stage in ((0.0, "a"), (1.0, "a"), (1.5, "b"), (4.0, "b"), (6.5, "b"), (7.0, "b")):
        view.show(dataclasses.replace(PICTURE, elapsed_s=elapsed_s, stage=stage))
    assert [line.split(" s")[0].strip() for line in lines] == ["0.0", "1.5", "6.5"]


def test_the_live_view_draws_on_the_console_and_leaves_it() -> None:
    """The screen is taken and given back, and what is shown is on it."""
    file = io.StringIO()
    console = Console(width=100, height=30, file=file, force_terminal=True, legacy_windows=False)
    with LiveView(console) as view:
        view.show(PICTURE)
    assert "\x1b[?1049h" in file.getvalue() and "\x1b[?1049l" in file.getvalue()
    assert "Byte Bot demo" in file.getvalue()


def test_a_good_verdict_says_so() -> None:
    """Figures of the phases, changes, how long it took to catch up."""
    verdict = judge(
        [COUNTED, PINGED],
        {"lobby": [{"deaths": 1}]},
        drained=True,
        extra={"recovered_after_s": 3.96, "saves_failed": 4},
    )
    text = "\n".join(drawn(verdict_panel(verdict)))
    assert "Every promise was kept." in text and "caught up 4.0 s after" in text and "lost 0" in text
    assert "10.0 ms of the judge's own delay subtracted from 1 of 2 replies" in text
    assert "saves that failed, as the bot counts them: 4" in text and "not measured" not in text


def test_a_demo_that_was_cut_short_has_no_good_verdict() -> None:
    """Who quits before the outage reads what was not measured, and not that all is well."""
    text = "\n".join(drawn(verdict_panel(judge([COUNTED], {"lobby": [{"deaths": 1}]}, drained=True))))
    assert "not measured: no command was answered while the database was down" in text
    assert "Every promise" not in text and "BROKEN" not in text


def test_a_bad_verdict_names_every_broken_promise() -> None:
    """Nobody has to read the JSON to know what went wrong."""
    text = "\n".join(drawn(verdict_panel(judge([], {}, drained=False, exit_code=4))))
    assert "BROKEN: the bot did not save everything" in text
    assert "BROKEN: the bot ended with exit code 4" in text
    assert "Every promise" not in text
