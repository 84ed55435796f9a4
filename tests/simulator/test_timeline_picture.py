"""From events and samples to what is drawn: latencies, bands, processes, states."""

from __future__ import annotations

import math

from simulator.faults import Flapping, Hang, HumanEdit, Latency, Refused, TwitchReconnect
from simulator.scenario import Scenario
from simulator.timeline_picture import Band, Broken, Life, Span, picture_of, words_of
from simulator.timeline_samples import Sample, nobody
from tests.simulator.timeline_rig import chat, seen, watched_night, written

END = (20.0, "heal", {})


def at(at_s: float, incarnation: int = 1, rows: int = 0, circuit: str = "closed") -> Sample:
    """A sample of a bot that is well."""
    return Sample(at_s, incarnation, rows, circuit, False, True)


def faulty(*faults: Hang | Flapping | TwitchReconnect) -> Scenario:
    """A scenario with these faults."""
    return Scenario("faulty", "", faults=faults)


def test_a_latency_is_that_of_the_first_reply() -> None:
    """A command that nobody replied to has none, small talk neither, and what the bot says is its own."""
    picture = picture_of(
        written(
            chat(1.0, "ana", "hello"),
            chat(2.0, "ana", "!ping"),
            chat(2.5, "byte_bot", "Pong \u034f", reply_to="2"),
            chat(2.7, "byte_bot", "Pong", reply_to="2"),
            chat(3.0, "ana", "!hug"),
        ),
        seen(),
    )
    found = [(message.who, message.latency_ms) for message in picture.messages]
    assert found == [("viewer", None), ("command", 500.0), ("bot", None), ("bot", None), ("command", None)]
    assert picture.messages[2].text == "Pong", "without the mark that nobody sees"


def test_lines_beyond_the_bound_are_counted() -> None:
    """The first ones are drawn."""
    picture = picture_of(written(*(chat(float(n), "ana", "hi") for n in range(5))), seen(), messages_max=2)
    assert [message.at_s for message in picture.messages] == [0.0, 1.0] and picture.messages_left_out == 3


def test_a_band_ends_with_the_fault_or_with_the_heal() -> None:
    """Whichever comes first; an instant is one."""
    scenario = faulty(Hang(start_s=2, duration_s=5), Hang(start_s=4), TwitchReconnect(start_s=6, grace_s=3))
    bands = picture_of(written(END), seen(scenario=scenario)).bands
    assert [(band.start_s, band.end_s, band.instant) for band in bands] == [
        (2, 7, False), (4, 20.0, False), (6, 6, True),
    ]  # fmt: skip
    assert bands[2] == Band("twitch", "twitch_reconnect", "twitch_reconnect grace_s=3", 6, 6, instant=True)


def test_what_flaps_acts_in_its_phases() -> None:
    """Down first; the last phase ends with the band."""
    fault = Flapping(up_s=2, down_s=3, inner=Refused(), start_s=1, duration_s=12)
    (band,) = picture_of(written(END), seen(scenario=faulty(fault))).bands
    assert band.phases == ((1, 4), (6, 9), (11, 13)) and band.words == "flapping up_s=2 down_s=3 of refused"


def test_a_fault_set_by_hand_lasts_until_it_is_replaced_or_healed() -> None:
    """The events say when; of another name, both act."""
    picture = picture_of(
        written(
            (1.0, "fault", {"name": "story", "fault": "hang"}),
            (2.0, "fault", {"name": "disk", "fault": "disk_full"}),
            (3.0, "fault", {"name": "story", "fault": "refused"}),
            (5.0, "heal", {}),
            (9.0, "bot_started", {"incarnation": 1}),
        ),
        seen(scenario=faulty()),
    )
    found = [(band.family, band.kind, band.start_s, band.end_s) for band in picture.bands]
    assert found == [
        ("database", "hang", 1, 3), ("disk", "disk_full", 2, 5), ("database", "refused", 3, 5),
    ]  # fmt: skip


def test_a_process_ends_when_it_was_killed_or_was_seen_no_more() -> None:
    """Or never, and then it lasts to the end of the night."""
    picture = picture_of(
        written(
            (0.0, "bot_started", {"incarnation": 1}),
            (5.0, "bot_crashed", {"incarnation": 1}),
            (6.0, "bot_started", {"incarnation": 2}),
            (9.0, "bot_started", {"incarnation": 3}),
            (12.0, "power_cut", {"incarnation": 3}),
            (13.0, "bot_started", {"incarnation": 4}),
            END,
        ),
        seen(at(0), nobody(5.2), at(6, 2), nobody(8.5), at(9, 3), at(13, 4)),
    )
    assert picture.lives == (
        Life(1, 0, 5, "killed"), Life(2, 6, 8.5, "ended"), Life(3, 9, 12, "power lost"), Life(4, 13, 20),
    )  # fmt: skip
    assert picture.circuits == (
        Span("closed", 0, 5), Span("closed", 6, 8.5), Span("closed", 9, 12), Span("closed", 13, 20),
    ), "from the instant of a death on nothing is known"  # fmt: skip


def test_a_second_instance_has_a_life_of_its_own() -> None:
    """In a row of its own; whichever of two ends, the other is the bot from then on, and it is what is killed."""
    picture = picture_of(
        written(
            (0.0, "bot_started", {"incarnation": 1}),
            (3.0, "rival_started", {"incarnation": 2}),
            (5.0, "rivalry_over", {"ended": 1}),
            (7.0, "rival_started", {"incarnation": 3}),
            (8.0, "rivalry_over", {"ended": 3}),
            (9.0, "rival_started", {"incarnation": 4}),
            # The number is that of the newest process; what dies is the one that ran first.
            (10.0, "bot_crashed", {"incarnation": 4}),
            (10.0, "rivalry_over", {"ended": 2}),
            (12.0, "power_cut", {"incarnation": 4}),
            (13.0, "bot_started", {"incarnation": 5}),
            END,
        ),
        # What runs has the newest number, whichever of two it is.
        seen(at(0), at(3, 2), at(7, 3), at(9, 4), nobody(12.0), at(13, 5), nobody(18.0)),
    )
    assert picture.lives == (
        Life(1, 0, 5, "ended"),
        Life(2, 3, 10, "killed", row=1),
        Life(3, 7, 8, "ended"),
        Life(4, 9, 12, "power lost"),
        Life(5, 13, 18, "ended"),
    )


def test_states_are_spans_of_one_value() -> None:
    """Whatever else changes meanwhile."""
    picture = picture_of(written(END), seen(at(1, rows=1), at(2, rows=5), at(4, circuit="open"), at(7)))
    assert picture.circuits == (Span("closed", 1, 4), Span("open", 4, 7), Span("closed", 7, 20))
    assert picture.connected == (Span("connected", 1, 20),) and picture.degraded == ()


def test_a_broken_promise_has_its_moment() -> None:
    """Its name and its words too."""
    event = (7.25, "violation", {"invariant": "gated", "words": "too early"})
    assert picture_of(written(event), seen()).violations == (Broken(7.25, "gated", "too early"),)


def test_a_fault_is_told_by_what_is_special_about_it() -> None:
    """Its kind, and the fields that are not as by default, without its times."""
    assert words_of(Hang(start_s=3, duration_s=math.inf, probability=0.25)) == "hang probability=0.25"
    assert words_of(Latency(ms=300.0)) == "latency ms=300"
    edit = HumanEdit(table="t", where={"a": 1}, values={"b": 2})
    assert words_of(edit) == "human_edit table=t where={'a': 1} values={'b': 2}"
    assert words_of(HumanEdit(table="t", merge={"b": 2})) == "human_edit table=t merge={'b': 2}"


def test_a_real_night_has_everything() -> None:
    """What a world records is what is read here."""
    picture = picture_of(*watched_night())
    assert [life.end for life in picture.lives] == ["killed", ""]
    assert [life.start_s for life in picture.lives] == [0.0, 10.5]
    assert [band.kind for band in picture.bands] == ["hang", "twitch_disconnect", "crash", "flapping"]
    assert picture.heals_s == (14.0,) and not picture.violations
    assert any(span.value == "open" for span in picture.circuits)
    latencies_ms = [message.latency_ms for message in picture.messages if message.latency_ms is not None]
    assert len(latencies_ms) > 5 and min(latencies_ms) == 20.0, "there and back, 10 ms each"
