"""The state behind the faces: ids, times, roles, and what observers see."""

from __future__ import annotations

import random

import pytest

from simulator.twitch.events import ChatSaid, Happening, SentMessage
from simulator.twitch.state import TwitchState, UnknownName
from tests.simulator.twitch.rig import UNIX_START, Clock, small_twitch


def test_the_same_seed_gives_the_same_ids() -> None:
    """User ids and message ids are drawn from the seed and nothing else."""

    def ids(seed: int) -> list[str]:
        state = small_twitch(Clock(), seed)
        return [user.id for user in state.users.values()] + [
            state.say("alice", "carol", "x") for _ in range(3)
        ]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)


def test_a_client_that_says_more_does_not_change_the_ids_of_the_audience() -> None:
    """Clients' messages draw from a stream of their own, so twin runs stay comparable."""
    quiet, busy = small_twitch(Clock()), small_twitch(Clock())
    busy.publish(busy.channel("alice"), busy.user("bot"), "one more")
    assert quiet.say("alice", "carol", "x") == busy.say("alice", "carol", "x")


def test_times_are_unix_milliseconds_of_the_injected_clock() -> None:
    """tmi-sent-ts is unix_start plus the loop's time."""
    clock = Clock()
    state = small_twitch(clock)
    seen: list[Happening] = []
    state.attach(seen.append)
    clock.now_s = 1.2345
    state.say("alice", "carol", "x")
    (said,) = seen
    assert isinstance(said, ChatSaid)
    assert said.sent_ms == 1_700_000_001_234 or said.sent_ms == 1_700_000_001_235
    assert said.message.at_s == 1.2345


def test_observers_see_every_message_and_the_transcript_only_those_of_clients() -> None:
    """`from_client` tells the two apart; an observer can stop."""
    state = small_twitch(Clock())
    seen: list[SentMessage] = []
    stop = state.on_message(seen.append)
    state.say("alice", "carol", "from the audience")
    state.publish(state.channel("alice"), state.user("bot"), "from a client")
    stop()
    state.say("alice", "carol", "unseen")
    assert [(entry.text, entry.from_client) for entry in seen] == [
        ("from the audience", False),
        ("from a client", True),
    ]
    assert state.transcript == [seen[1]]


def test_first_message_is_marked_once_per_channel() -> None:
    """first-msg is 1 for the first message of an account in a channel."""
    state = small_twitch(Clock())
    seen: list[Happening] = []
    state.attach(seen.append)
    for channel in ("alice", "alice", "bob"):
        state.say(channel, "carol", "x")
    assert [said.first for said in seen if isinstance(said, ChatSaid)] == [True, False, True]


def test_a_reply_to_an_unknown_or_foreign_message_is_an_ordinary_message() -> None:
    """Only a recent message of the same channel can be answered."""
    state = small_twitch(Clock())
    elsewhere = state.say("bob", "carol", "x")
    state.say("alice", "carol", "y", reply_to=elsewhere, message_id="m1")
    state.say("alice", "carol", "z", reply_to="m1", message_id="m2")
    assert state.mention(state.channel("alice"), elsewhere) == ""
    assert state.mention(state.channel("alice"), "m2") == "@carol "


def test_names_that_are_not_there_are_errors_with_a_way_out() -> None:
    """A typo in a scenario must not look like silence."""
    state = TwitchState(Clock(), random.Random(1), UNIX_START)
    with pytest.raises(UnknownName, match="add_channel first"):
        state.say("nowhere", "carol", "x")
    with pytest.raises(UnknownName, match="add_user first"):
        state.user("nobody")
    with pytest.raises(UnknownName, match="newest"):
        state.delete_message("nothing")


@pytest.mark.parametrize("char", ["\r", "\n", "\0"])
def test_a_text_that_no_viewer_can_send_is_refused(char: str) -> None:
    """CR, LF and NUL never get into chat, from a scenario neither."""
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        small_twitch(Clock()).say("alice", "carol", f"a{char}b")


def test_an_account_is_moderator_or_vip_but_not_both() -> None:
    """The later role replaces the earlier one; other roles do not exist."""
    state = small_twitch(Clock())
    state.set_role("alice", "carol", "moderator")
    state.set_role("alice", "carol", "vip")
    assert (list(state.channel("alice").moderators), list(state.channel("alice").vips)) == ([], ["carol"])
    state.set_role("alice", "carol", None)
    assert not state.channel("alice").privileged("carol")
    with pytest.raises(ValueError, match="neither"):
        state.set_role("alice", "carol", "admin")


def test_channels_are_added_with_their_roles() -> None:
    """One call sets up broadcaster, moderators, VIPs and subscribers, with the id a test wants."""
    state = TwitchState(Clock(), random.Random(1), UNIX_START)
    room = state.add_channel("Dana", channel_id="77", moderators=("m",), vips=("v",), subscribers={"s": 3})
    assert (room.id, room.login, state.user("dana").id) == ("77", "dana", "77")
    assert room.privileged("m")
    assert room.privileged("v")
    assert room.subscribers == {"s": 3}
    assert state.add_channel("dana") is room
