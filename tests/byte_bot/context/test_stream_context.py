"""What is known about a stream: sessions taken from silence, the newest lines, the configuration row."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.context.stream_context import (
    CHAT_LINES_MAX,
    SESSION_GAP_S,
    ChannelConfig,
    ChatLine,
    LastEvent,
    Note,
    StreamContext,
)
from byte_bot.persistence.operations import FieldRule, Kind, Merge, RowKey
from byte_bot.persistence.row import CONFIG_TABLE, Row
from byte_bot.persistence.state import StateSpec

NOON = 1_767_268_800.0


def heard(*offsets_s: float) -> StreamContext:
    """A context that heard one line at each of these seconds after noon."""
    stream = StreamContext()
    for number, offset_s in enumerate(offsets_s):
        stream.heard(ChatLine("ana", f"line {number}", NOON + offset_s))
    return stream


def test_the_first_line_begins_a_session() -> None:
    """Before it there is no session and no uptime."""
    assert StreamContext().uptime_s(NOON) == 0.0
    assert heard(0).live_since == NOON


def test_a_session_lasts_through_short_silences() -> None:
    """Uptime is counted from the session's first line, whatever came since."""
    stream = heard(0, 600, 600 + SESSION_GAP_S)
    assert stream.live_since == NOON
    assert stream.uptime_s(NOON + 5000) == 5000


def test_a_line_after_more_than_the_gap_begins_a_new_session() -> None:
    """One second more than the gap is another stream."""
    last_s = SESSION_GAP_S + 1
    stream = heard(0, last_s)
    assert stream.live_since == NOON + last_s
    assert stream.uptime_s(NOON + last_s + 60) == 60


def test_uptime_is_never_negative() -> None:
    """A wall clock that was set back says 0, not minus an hour."""
    assert heard(0).uptime_s(NOON - 3600) == 0.0


def test_a_clock_that_is_set_back_begins_the_session_anew() -> None:
    """It had begun in the future: else it would seem to last no time at all, for as long as the clock was wrong."""
    stream = heard(0, 30 * 86_400, 600)
    assert stream.live_since == NOON + 600
    assert stream.uptime_s(NOON + 660) == 60
    assert heard(100, 50, 200).live_since == NOON + 50


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=20))
def test_the_session_began_at_the_last_long_silence(gaps_s: list[int]) -> None:
    """For any silences, the session's start is the line after the newest one that was longer than the gap."""
    times = [NOON]
    for gap_s in gaps_s:
        times.append(times[-1] + gap_s)
    stream = heard(*[at - NOON for at in times])
    starts = [0] + [number + 1 for number, gap_s in enumerate(gaps_s) if gap_s > SESSION_GAP_S]
    assert stream.live_since == times[starts[-1]]


def test_only_the_newest_lines_are_kept() -> None:
    """At the commit the list is cut to its cap, and what was cut is gone from what a save sends."""
    row, spec = Row(RowKey("channel_state", "1001")), StateSpec(StreamContext)
    stream = row.typed(spec, StreamContext)
    for number in range(CHAT_LINES_MAX + 7):
        stream.heard(ChatLine("ana", f"line {number}", NOON + number))
    operations = row.commit(1, "m1", 0)
    assert len(stream.chat_lines) == CHAT_LINES_MAX
    assert stream.chat_lines[0].text == "line 7"
    lines = [operation for operation in operations if operation.field == "chat_lines"]
    assert [(operation.kind, operation.cap) for operation in lines] == [(Kind.APPEND, CHAT_LINES_MAX)]
    assert len(lines[0].value) == CHAT_LINES_MAX


def test_its_row_is_the_channels_own() -> None:
    """StreamContext is one row a channel in channel_state; notes merge key by key, lines by appending."""
    spec = StateSpec(StreamContext)
    assert (spec.table, spec.key, spec.version) == ("channel_state", "", 1)
    assert spec.rules["notes"] == FieldRule(Merge.MAPPING)
    assert spec.rules["observability"] == FieldRule(Merge.MAPPING)
    assert spec.rules["chat_lines"] == FieldRule(Merge.RECENT, CHAT_LINES_MAX)
    assert spec.rules["current_game"] == FieldRule(Merge.NEWEST)


def test_it_survives_the_way_through_json() -> None:
    """What a save sends reads back as an equal value, nested structs included."""
    stream = heard(0, 1)
    stream.notes["k1"] = Note("remember", "mod", NOON)
    stream.observability["movie"] = "Alien"
    stream.last_event = LastEvent("raid", "a raid of 7", NOON)
    stream.last_reply = "Olá 👋"
    assert msgspec.json.decode(msgspec.json.encode(stream), type=StreamContext) == stream


def test_two_contexts_share_nothing() -> None:
    """Mutable defaults are made anew: a line of one channel never shows in another."""
    first, second = heard(0), StreamContext()
    first.notes["k1"] = Note("mine")
    assert second.chat_lines == []
    assert second.notes == {}


def test_a_remembered_line_cannot_be_changed() -> None:
    """The difference between before and after is taken from the list: its items must not move."""
    line = ChatLine("ana", "hi")
    with pytest.raises(AttributeError):
        line.text = "bye"  # type: ignore[misc]


def test_a_channel_without_a_configuration_row_is_enabled_and_not_paused() -> None:
    """Language and prefix are empty: the settings' defaults apply then."""
    spec = StateSpec(ChannelConfig)
    assert spec.table == CONFIG_TABLE
    assert spec.defaults == {
        "channel_id": "",
        "enabled": True,
        "paused": False,
        "language": "",
        "prefix": "",
    }
