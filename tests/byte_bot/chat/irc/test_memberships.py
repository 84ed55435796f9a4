"""Channels on their way in and out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.chat.irc.limits import SessionLimits
from byte_bot.chat.irc.memberships import Memberships, is_login, normalize_channel
from byte_bot.chat.limiter import SlidingWindow
from byte_bot.chat.message import ChannelJoined, ChannelParted, JoinFailed, Standing

LIMITS = SessionLimits(join_answer_s=10.0, join_attempts_max=3, join_retry_s=60.0)


def memberships(joins_max: int = 20) -> Memberships:
    """No channels yet, and a window of ``joins_max`` per 10 s."""
    return Memberships(SlidingWindow(joins_max, 10.0), LIMITS)


def test_channels_leave_in_batches_as_large_as_the_window() -> None:
    """45 channels: 20 at once, 20 after 10 s, 5 after 20 s, in the order wanted."""
    rooms = memberships()
    rooms.want(f"chan{n}" for n in range(45))
    asked: list[tuple[float, int]] = []
    order: list[str] = []
    for now in (0.0, 5.0, 10.0, 20.0):
        names = [name for command in rooms.next_joins(now) for name in command.split(",")]
        asked.append((now, len(names)))
        order += names
        for name in names:
            rooms.on_roomstate(name[1:], "1")
    assert asked == [(0.0, 20), (5.0, 0), (10.0, 20), (20.0, 5)]
    assert order == [f"#chan{n}" for n in range(45)]


def test_a_join_line_stays_within_its_bytes() -> None:
    """RFC 1459's 512 bytes hold about twenty of the longest logins."""
    rooms = Memberships(SlidingWindow(2_000, 10.0), LIMITS)
    rooms.want(f"{n:025d}" for n in range(100))
    commands = rooms.next_joins(0.0)
    assert len(commands) > 1
    assert all(len(f"JOIN {command}\r\n") <= LIMITS.join_line_bytes_max for command in commands)
    assert sum(command.count("#") for command in commands) == 100


def test_the_next_deadline_is_when_the_window_opens() -> None:
    """Nobody has to poll."""
    rooms = memberships(joins_max=1)
    assert rooms.next_deadline(0.0) is None
    rooms.want(["a", "b"])
    assert rooms.next_deadline(0.0) == 0.0
    rooms.next_joins(0.0)
    assert rooms.next_deadline(0.0) == 10.0


def test_an_unanswered_join_is_repeated_then_failed_once_then_tried_slowly() -> None:
    """Twitch drops the JOIN of an unknown channel in silence; a lost one is worth more attempts."""
    rooms = memberships()
    rooms.want(["ghost"])
    asked, failed = [], []
    now = 0.0
    while now < 300.0:
        if rooms.next_joins(now):
            asked.append(now)
        failed += [(now, event) for event in rooms.take_events()]
        deadline = rooms.next_deadline(now)
        assert deadline is not None
        assert deadline > now
        now = deadline
    assert asked == [0.0, 10.0, 20.0, 90.0, 160.0, 230.0]
    assert [(at, type(event)) for at, event in failed] == [(30.0, JoinFailed)]
    rooms.on_roomstate("ghost", "9")
    assert rooms.take_events() == [ChannelJoined("ghost", "9")]
    assert rooms.joined == ("ghost",)


def test_wanting_a_failed_channel_again_tries_at_once() -> None:
    """A human who just fixed the name need not wait for the slow retry."""
    rooms = memberships()
    rooms.want(["ghost"])
    for now in (0.0, 10.0, 20.0, 30.0):
        rooms.next_joins(now)
    rooms.want(["ghost"])
    assert rooms.next_joins(31.0) == ["#ghost"]


def test_a_refusal_answers_a_join_and_nothing_else() -> None:
    """msg_banned while joining is JoinFailed; later it is about a message."""
    rooms = memberships()
    rooms.want(["forsen", "other"])
    assert not rooms.on_refusal("forsen", "msg_banned", 0.0)
    rooms.next_joins(0.0)
    assert rooms.on_refusal("forsen", "msg_banned: no", 0.0)
    assert not rooms.on_refusal("forsen", "msg_banned: no", 0.0)
    assert rooms.take_events() == [JoinFailed("forsen", "msg_banned: no")]
    rooms.on_roomstate("other", "1")
    assert not rooms.on_refusal("other", "msg_banned: no", 0.0)


def test_parting_a_queued_channel_needs_no_part() -> None:
    """What was never asked for is forgotten, and its turn in the queue passes."""
    rooms = memberships(joins_max=1)
    rooms.want(["a", "b", "c"])
    assert rooms.next_joins(0.0) == ["#a"]
    assert rooms.unwant(["b"]) == []
    assert rooms.next_joins(10.0) == ["#c"]


def test_parting_a_joined_channel() -> None:
    """PART, and ChannelParted when Twitch says so."""
    rooms = memberships()
    rooms.want(["a"])
    rooms.next_joins(0.0)
    rooms.on_roomstate("a", "1")
    assert rooms.unwant(["#A"]) == ["a"]
    assert rooms.joined == ()
    rooms.take_events()
    rooms.on_part("a", 1.0)
    assert rooms.take_events() == [ChannelParted("a")]
    assert rooms.next_deadline(100.0) is None or not rooms.next_joins(100.0)


def test_an_answer_from_before_a_part_does_not_count() -> None:
    """JOIN, PART, wanted again: the late ROOMSTATE of the first JOIN must not pass for one of the second."""
    rooms = memberships(joins_max=1)
    rooms.want(["a"])
    rooms.next_joins(0.0)
    rooms.unwant(["a"])
    rooms.want(["a"])
    rooms.on_roomstate("a", "1")
    assert rooms.joined == ()
    rooms.on_part("a", 1.0)
    assert rooms.take_events() == [ChannelParted("a")]
    assert rooms.next_joins(10.0) == ["#a"]
    rooms.on_roomstate("a", "1")
    assert list(rooms.joined) == ["a"]


def test_put_out_by_twitch_means_asking_again_later() -> None:
    """A PART nobody asked for is reported, and the channel stays wanted."""
    rooms = memberships()
    rooms.want(["a"])
    rooms.next_joins(0.0)
    rooms.on_roomstate("a", "1")
    rooms.take_events()
    rooms.on_part("a", 5.0)
    assert rooms.take_events() == [ChannelParted("a", by_twitch=True)]
    assert rooms.joined == ()
    assert rooms.next_joins(64.0) == []
    assert rooms.next_joins(65.0) == ["#a"]


def test_the_part_of_a_stranger_channel_says_nothing() -> None:
    """An echo about a channel that is not wanted or not joined is ignored."""
    rooms = memberships()
    rooms.on_part("a", 0.0)
    rooms.on_userstate("a", True)
    assert rooms.take_events() == []


def test_standing_is_said_when_it_changes() -> None:
    """USERSTATE comes after every message; the news is rare."""
    rooms = memberships()
    rooms.want(["a"])
    for privileged in (False, False, True, True, False):
        rooms.on_userstate("a", privileged)
    assert rooms.take_events() == [Standing("a", False), Standing("a", True), Standing("a", False)]


@pytest.mark.parametrize("name", ["", "a,b", "a b", "a\r\nQUIT", "é", "x" * 26, "#", "a.b"])
def test_a_name_that_cannot_be_a_login_never_reaches_the_wire(name: str) -> None:
    """It fails by itself, without harm to the others."""
    rooms = memberships()
    rooms.want([name, "fine"])
    assert rooms.next_joins(0.0) == ["#fine"]
    failures = rooms.take_events()
    assert [type(event) for event in failures] == [JoinFailed]


def test_names_are_normalized() -> None:
    """``#Chan`` and ``chan`` are one channel."""
    assert normalize_channel(" #Chan ") == "chan"
    assert is_login("chan_1")
    rooms = memberships()
    rooms.want(["#Chan", "chan", "CHAN"])
    assert rooms.next_joins(0.0) == ["#chan"]


CHANNELS = st.sampled_from(["a", "b", "c"])


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("want"), CHANNELS),
            st.tuples(st.just("unwant"), CHANNELS),
            st.tuples(st.just("pass"), st.sampled_from(["1", "10", "70"])),
            st.tuples(st.just("answer"), st.just("")),
        ),
        max_size=60,
    ),
    st.lists(st.booleans(), min_size=1, max_size=20),
)
def test_against_a_server_that_loses_joins(steps: list[tuple[str, str]], luck: list[bool]) -> None:
    """For any history, once the server answers, exactly the wanted channels are joined, on both sides."""
    rooms = memberships(joins_max=2)
    now, tries = 0.0, 0
    wanted: set[str] = set()
    inside: set[str] = set()  # the server's view
    pending: list[tuple[str, str]] = []  # commands on their way, in order

    def serve() -> None:
        nonlocal tries
        while pending:
            command, channel = pending.pop(0)
            if command == "PART":
                if channel in inside:
                    inside.discard(channel)
                    rooms.on_part(channel, now)
            else:
                tries += 1
                if luck[tries % len(luck)]:
                    inside.add(channel)
                    rooms.on_roomstate(channel, "1")

    def ask() -> None:
        for command in rooms.next_joins(now):
            pending.extend(("JOIN", name[1:]) for name in command.split(","))

    for verb, argument in steps:
        if verb == "want":
            wanted.add(argument)
            rooms.want([argument])
        elif verb == "unwant":
            wanted.discard(argument)
            pending.extend(("PART", channel) for channel in rooms.unwant([argument]))
        elif verb == "pass":
            now += float(argument)
            ask()
        else:
            serve()

    luck[:] = [True]
    for _ in range(40):
        now += 10.0
        ask()
        serve()
    assert set(rooms.joined) == wanted
    assert inside == wanted


def test_a_standing_brings_the_login_that_is_kept_anyway() -> None:
    """Whoever remembers it for 100,000 channels keeps no second string of each, and the line it came in goes."""
    rooms = memberships()
    wanted, in_a_line, in_another = (b"anna".decode() for _ in range(3))
    assert wanted is not in_another
    rooms.want([wanted])
    rooms.next_joins(0.0)
    rooms.on_roomstate(in_a_line, "1")
    rooms.on_userstate(in_another, True)
    joined, standing = rooms.take_events()
    assert isinstance(joined, ChannelJoined)
    assert isinstance(standing, Standing)
    assert joined.channel is wanted
    assert standing.channel is wanted


def test_channels_stand_in_the_order_of_their_confirmation() -> None:
    """Also one that Twitch put out and let in again."""
    rooms = memberships()
    rooms.want("abc")
    rooms.next_joins(0.0)
    for channel in "cab":
        rooms.on_roomstate(channel, "1")
    assert rooms.joined == ("c", "a", "b")
    rooms.on_part("c", 1.0)
    rooms.next_joins(1.0 + LIMITS.join_retry_s)
    rooms.on_roomstate("c", "1")
    assert rooms.joined == ("a", "b", "c")


def test_a_failed_channel_wanted_again_and_parted_at_once_is_parted() -> None:
    """The answer to its first JOINs may only be late: without a PART the bot would stay in a channel nobody wants."""
    rooms = memberships()
    rooms.want(["a"])
    for now in (0.0, 10.0, 20.0, 30.0):
        rooms.next_joins(now)
    assert [type(event) for event in rooms.take_events()] == [JoinFailed]
    rooms.want(["a"])
    assert rooms.unwant(["a"]) == ["a"]
