"""The chart: where bands, dots and flags stand, and that nothing stands over another."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from simulator.audience import Utterance
from simulator.faults import Hang, TwitchDisconnect
from simulator.scenario import Scenario
from simulator.timeline_lanes import CHAT_ROWS_MAX, FAULT_ROWS_MAX, LEFT_PX, PLOT_PX, Drawing, draw, moments
from simulator.timeline_picture import Broken, picture_of
from tests.simulator.timeline_rig import chat, seen, watched_night, written

END = (20.0, "heal", {})


def elements(drawing: Drawing, kind: str) -> list[ElementTree.Element]:
    """The elements of the chart that have this class."""
    tree = ElementTree.fromstring(drawing.svg)
    return [node for node in tree.iter() if kind in node.get("class", "").split()]


def test_bands_stand_where_their_faults_act() -> None:
    """In seconds, inside the group that is stretched to the width of the chart."""
    picture = picture_of(*watched_night())
    drawing = draw(picture)
    found = [
        (node.get("data-fault"), float(node.get("x", "")), float(node.get("width", "")))
        for node in elements(drawing, "band")
    ]
    assert found == [("hang", 3.0, 5.0), ("flapping", 11.0, 3.0)]
    phases = [(float(node.get("x", "")), float(node.get("width", ""))) for node in elements(drawing, "phase")]
    assert phases == [(3.0, 5.0), (11.0, 0.5), (12.0, 0.5), (13.0, 0.5)]
    instants = [(node.get("data-fault"), node.get("data-start")) for node in elements(drawing, "instant")]
    assert instants == [("twitch_disconnect", "6.000000"), ("crash", "9.000000")]
    timed = next(node for node in ElementTree.fromstring(drawing.svg).iter() if node.get("id") == "timed")
    assert timed.get("transform") == f"translate({LEFT_PX} 0) scale({PLOT_PX / picture.end_s:.6f} 1)"


def test_processes_and_their_ends_are_drawn() -> None:
    """A box for each, a cross where one was killed."""
    drawing = draw(picture_of(*watched_night()))
    lives = [(node.get("data-start"), node.get("data-end")) for node in elements(drawing, "life")]
    assert lives[0] == ("0.000000", "9.000000") and lives[1][0] == "10.500000"
    assert [node.get("data-t") for node in elements(drawing, "death")] == ["9.000000"]


def test_two_processes_at_the_same_time_stand_below_one_another() -> None:
    """In the one lane, which is as high as they need; the lane of a night without a second one has one row."""
    started = (0.0, "bot_started", {"incarnation": 1})
    both = (started, (5.0, "rival_started", {"incarnation": 2}), END)
    above, below = elements(draw(picture_of(written(*both), seen())), "life")
    (alone,) = elements(draw(picture_of(written(started, END), seen())), "life")
    height_px = float(above.get("height", "0"))
    assert float(below.get("y", "0")) == float(above.get("y", "0")) + height_px
    assert (alone.get("y"), below.get("data-start")) == (above.get("y"), "5.000000")


def test_every_broken_promise_has_a_line_and_a_flag() -> None:
    """At its moment, with its number."""
    picture = replace(
        picture_of(written(END), seen()), violations=(Broken(5.0, "gated", "a"), Broken(7.5, "present", "b"))
    )
    drawing = draw(picture)
    lines = [(node.get("data-t"), node.get("data-invariant")) for node in elements(drawing, "violation")]
    assert lines == [("5.000000", "gated"), ("7.500000", "present")]
    assert [node.text for node in elements(drawing, "flag-word")] == ["1", "2"]


def test_each_line_of_chat_is_a_dot() -> None:
    """Of its kind; replies and what got none stand in the lane of latencies."""
    drawing = draw(
        picture_of(
            written(
                chat(1.0, "ana", "hello"),
                chat(2.0, "ana", "!ping"),
                chat(2.5, "byte_bot", "Pong", reply_to="2"),
                chat(3.0, "ana", "!hug"),
            ),
            seen(),
        )
    )
    count = {
        kind: elements(drawing, kind)[0].get("d", "").count("M")
        for kind in ("viewer", "command", "bot", "reply", "missed")
    }
    assert count == {"viewer": 1, "command": 2, "bot": 1, "reply": 1, "missed": 1}
    assert f"M2.000000 {drawing.latency.y_of(500.0):.1f}h0" in elements(drawing, "reply")[0].get("d", "")
    assert drawing.latency.y_of(500.0) < drawing.latency.y_of(20.0), "slower is higher"


def test_many_channels_share_a_row() -> None:
    """The loudest have their own."""
    names = tuple(f"c{number}" for number in range(40))
    scenario = Scenario("many", "", channels=names)
    said = [chat(1.0 + n, "ana", "hi", channel=f"c{n % 13}") for n in range(60)]
    rows = draw(picture_of(written(*said), seen(scenario=scenario))).row_y_of
    assert set(rows) == set(names) and len(set(rows.values())) == CHAT_ROWS_MAX
    assert len({rows[f"c{n}"] for n in range(8)}) == 8 and rows["c20"] == rows["c39"]


def test_faults_and_their_words_do_not_meet() -> None:
    """Those that overlap have rows of their own; of very many, the last row has the rest."""
    two = Scenario(
        "two", "", faults=(Hang(start_s=2), TwitchDisconnect(start_s=3), TwitchDisconnect(start_s=19.9))
    )
    drawing = draw(picture_of(written(END), seen(scenario=two)))
    assert len({node.get("data-y") for node in elements(drawing, "fault-word")}) == 2
    hundred = Scenario("hundred", "", faults=tuple(Hang(start_s=1 + n / 100) for n in range(100)))
    drawing = draw(picture_of(written(END), seen(scenario=hundred)))
    assert len({node.get("y") for node in elements(drawing, "band")}) == FAULT_ROWS_MAX


def test_the_axis_has_round_moments() -> None:
    """About ten, whatever the length."""
    assert list(moments(60.0)) == [0, 10, 20, 30, 40, 50, 60]
    assert list(moments(0.9)) == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert len(list(moments(3600.0))) == 8


def test_an_empty_night_can_be_drawn() -> None:
    """Without a word, a process or a fault."""
    drawing = draw(picture_of(written(), seen(scenario=Scenario("empty", ""))))
    assert elements(drawing, "lane-name") and not elements(drawing, "dots")


def test_hostile_names_are_only_names() -> None:
    """Markup in a channel's name is text."""
    line = Utterance(1.0, "<b>&\"'", "ana", "hi")
    drawing = draw(picture_of(written(chat(line.at_s, line.login, line.text, channel=line.channel)), seen()))
    assert f"#{line.channel}" in [node.text for node in elements(drawing, "lane-name")]
