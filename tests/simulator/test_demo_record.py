"""What the demo records of a chat."""

from __future__ import annotations

import pytest

from simulator.demo_record import LINES_MAX, Phase, Recorder, visible
from simulator.twitch.events import SentMessage


def message(
    number: int, at_s: float, text: str, *, reply_to: int | None = None, channel: str = "lobby"
) -> SentMessage:
    """A message of a viewer, or of the bot if it is a reply."""
    from_bot = reply_to is not None
    return SentMessage(
        at_s=at_s,
        channel=channel,
        login="bot" if from_bot else "viewer_1",
        text=text,
        reply_to=f"m{reply_to}" if from_bot else "",
        id=f"m{number}",
        from_client=from_bot,
    )


def test_a_command_meets_its_answer() -> None:
    """The latency is the time between the two, in the phase of the command; small talk is no command."""
    phase: list[Phase] = ["before"]
    recorder = Recorder(lambda: phase[0])
    recorder.heard(message(1, 1.0, "!ping"))
    recorder.heard(message(2, 1.1, "hello"))
    assert recorder.outstanding == 1
    phase[0] = "during"
    recorder.heard(message(3, 1.25, "Pong!", reply_to=1))
    assert recorder.outstanding == 0
    (exchange,) = recorder.exchanges
    assert (exchange.text, exchange.reply, exchange.phase) == ("!ping", "Pong!", "before")
    assert recorder.latencies_ms("before") == [pytest.approx(250.0)]
    assert recorder.latencies_ms("during") == []


def test_only_the_first_answer_counts() -> None:
    """A second reply to the same command changes nothing, nor does a reply to nobody."""
    recorder = Recorder(lambda: "before")
    recorder.heard(message(1, 1.0, "!ping"))
    recorder.heard(message(2, 1.1, "Pong!", reply_to=1))
    recorder.heard(message(3, 1.9, "Pong again!", reply_to=1))
    assert recorder.exchanges[0].reply == "Pong!"
    assert recorder.latencies_ms() == [pytest.approx(100.0)]
    assert recorder.replies_total == 2


def test_stalls_of_the_judge_are_subtracted() -> None:
    """What this process was held up within a measurement is not the bot's; it never makes a latency negative."""
    stalled_s = [10.0]
    recorder = Recorder(lambda: "before", lambda: stalled_s[0])
    recorder.heard(message(1, 1.0, "!ping"))
    stalled_s[0] = 10.03
    recorder.heard(message(2, 1.04, "Pong!", reply_to=1))
    recorder.heard(message(3, 2.0, "!ping"))
    stalled_s[0] = 10.13
    recorder.heard(message(4, 2.05, "Pong!", reply_to=3))
    assert recorder.latencies_ms() == [pytest.approx(10.0), 0.0]


def test_recent_latencies_are_asked_for_by_time() -> None:
    """Only what was said since then, oldest first."""
    recorder = Recorder(lambda: "before")
    for number in range(4):
        recorder.heard(message(2 * number, float(number), "!ping"))
        recorder.heard(message(2 * number + 1, number + 0.001 * (number + 1), "Pong!", reply_to=2 * number))
    assert recorder.latencies_ms(since_s=2.0) == [pytest.approx(3.0), pytest.approx(4.0)]


def test_the_screen_gets_the_newest_lines_of_each_channel() -> None:
    """Lines are kept per channel, bounded, without marks that nobody sees."""
    recorder = Recorder(lambda: "before")
    for number in range(LINES_MAX + 5):
        recorder.heard(message(number, 0.0, f"line {number}"))
    recorder.heard(message(100, 0.0, "!ping", channel="arcade"))
    recorder.heard(message(101, 0.5, "Pong! \u034f", reply_to=100, channel="arcade"))
    assert len(recorder.lines["lobby"]) == LINES_MAX
    assert recorder.lines["lobby"][0].text == "line 5"
    reply = recorder.lines["arcade"][-1]
    assert (reply.text, reply.from_bot, reply.latency_ms) == ("Pong!", True, pytest.approx(500.0))


def test_visible_text_keeps_everything_but_its_tail() -> None:
    """Marks at the end go; marks inside, which join emoji, stay."""
    assert visible("deaths: 3 \u034f\u034f") == "deaths: 3"
    assert visible("a\u034fb") == "a\u034fb"
