"""Live and offline, title, follows, cheers, gifts: what they change and whom they tell."""

from __future__ import annotations

import random

import pytest

from simulator.twitch.events import ChannelUpdated, ChatSaid, Followed, Happening, Noticed, StreamChanged
from simulator.twitch.state import TwitchState
from simulator.twitch.stream_life import StreamLife
from tests.simulator.twitch.rig import Clock, small_twitch


def scene() -> tuple[TwitchState, StreamLife, list[Happening]]:
    state = small_twitch(Clock())
    seen: list[Happening] = []
    state.attach(seen.append)
    return state, StreamLife(state, random.Random(1)), seen


def test_a_stream_begins_once_and_ends_once() -> None:
    """Going live twice is one stream; offline twice tells once."""
    state, life, seen = scene()
    stream = life.go_live("alice", viewer_count=7)
    assert life.go_live("alice") == stream
    assert state.channel("alice").stream == stream
    life.go_offline("alice")
    life.go_offline("alice")
    assert state.channel("alice").stream is None
    assert [(one.live, one.stream) for one in seen if isinstance(one, StreamChanged)] == [
        (True, stream),
        (False, stream),
    ]


def test_an_update_without_a_change_tells_nobody() -> None:
    """Only a changed title, category or language is news."""
    state, life, seen = scene()
    life.update("alice", title="a new title")
    life.update("alice", title="a new title")
    assert state.channel("alice").title == "a new title"
    assert [type(one) for one in seen] == [ChannelUpdated]


def test_following_twice_is_following_once() -> None:
    """The first follow is told, with the account."""
    state, life, seen = scene()
    life.follow("alice", "carol")
    life.follow("alice", "carol")
    assert [one.user.login for one in seen if isinstance(one, Followed)] == ["carol"]
    assert "carol" in state.channel("alice").followers


def test_a_cheer_is_a_message_with_bits() -> None:
    """The text has the cheermote, the happening the number."""
    _, life, seen = scene()
    life.cheer("alice", "carol", 100, "great")
    (said,) = seen
    assert isinstance(said, ChatSaid)
    assert (said.message.text, said.bits) == ("Cheer100 great", 100)
    with pytest.raises(ValueError, match="at least one bit"):
        life.cheer("alice", "carol", 0)


def test_a_gift_of_several_is_one_notice_more_than_its_receivers() -> None:
    """A mystery gift announces itself, then each receiver."""
    state, life, seen = scene()
    life.gift("alice", "carol", ("dave", "erin"))
    assert [one.kind for one in seen if isinstance(one, Noticed)] == ["submysterygift", "subgift", "subgift"]
    assert {"dave", "erin"} <= state.channel("alice").subscribers.keys()
    with pytest.raises(ValueError, match="at least one"):
        life.gift("alice", "carol", ())
