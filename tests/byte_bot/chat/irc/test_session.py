"""The session: bytes and times in, events and bytes out."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.chat.errors import IrcLineError, NotConnected
from byte_bot.chat.irc.limits import SessionLimits
from byte_bot.chat.irc.line import LINE_BYTES_MAX
from byte_bot.chat.irc.session import TRANSITIONS, End, EndKind, IrcSession, SessionCounts, State, Step
from byte_bot.chat.limiter import SlidingWindow
from byte_bot.chat.message import (
    ChannelJoined,
    ChannelParted,
    ChatEvent,
    ChatMessage,
    Connected,
    JoinFailed,
    MessageRefused,
    Standing,
)
from tests.byte_bot.chat.irc.wire import DATA, WELCOME, joined_lines, privmsg, wire_line

LIMITS = SessionLimits(welcome_within_s=10.0, ping_idle_s=30.0, pong_within_s=10.0)


def new_session(token: str = "s3cret") -> IrcSession:
    """A session of byte_bot, not started."""
    return IrcSession(login="Byte_Bot", token=token, joins=SlidingWindow(20, 10.0), limits=LIMITS)


def ready_session() -> IrcSession:
    """A session that is logged in since t = 0 s and has written everything."""
    session = new_session()
    session.start(0.0)
    receive(session, WELCOME)
    session.data_to_send()
    return session


def receive(session: IrcSession, *lines: str, now: float = 0.0) -> list[ChatEvent]:
    """The server sends lines."""
    return session.receive_data("".join(line + "\r\n" for line in lines).encode(), now)


def written(session: IrcSession) -> list[str]:
    """The lines the session wants to write."""
    return session.data_to_send().decode().split("\r\n")[:-1]


def test_login_asks_for_capabilities_then_pass_then_nick() -> None:
    """The order Twitch wants; the token gets its prefix once."""
    for token in ("s3cret", "oauth:s3cret"):
        session = new_session(token)
        session.start(0.0)
        assert written(session) == [
            "CAP REQ :twitch.tv/commands twitch.tv/membership twitch.tv/tags",
            "PASS oauth:s3cret",
            "NICK byte_bot",
        ]
        assert session.data_to_send() == b""
    assert not session.ready


def test_the_welcome_makes_it_ready_once() -> None:
    """A server that welcomes twice connects once."""
    session = new_session()
    session.start(0.0)
    assert receive(session, WELCOME, WELCOME) == [Connected()]
    assert session.ready


def test_joins_wait_for_the_welcome() -> None:
    """Wanted before, asked for right after, in the same call."""
    session = new_session()
    session.join(["a", "b"])
    session.start(0.0)
    written(session)
    session.tick(1.0)
    assert written(session) == []
    receive(session, WELCOME, now=2.0)
    assert written(session) == ["JOIN #a,#b"]


def test_no_welcome_in_time_ends_it() -> None:
    """A server that accepts and says nothing is not waited for."""
    session = new_session()
    session.start(5.0)
    assert session.next_deadline() == 15.0
    session.tick(14.9)
    assert session.closed is None
    session.tick(15.0)
    assert session.closed == End(EndKind.LOST, "no welcome within 10 s")
    assert session.next_deadline() is None


@pytest.mark.parametrize(
    "words", ["Login authentication failed", "Improperly formatted auth", "Login unsuccessful"]
)
def test_a_refused_login_ends_it_for_good(words: str) -> None:
    """Twitch says why in a NOTICE to nobody; the end says that trying again is useless."""
    session = new_session()
    session.start(0.0)
    assert receive(session, f":tmi.twitch.tv NOTICE * :{words}", WELCOME) == []
    assert session.closed == End(EndKind.LOGIN_REFUSED, words)
    session.receive_eof("Twitch closed the connection")
    assert session.closed == End(EndKind.LOGIN_REFUSED, words)


def test_the_captured_refusal_is_recognized() -> None:
    """The line as Twitch sent it."""
    session = new_session()
    session.start(0.0)
    receive(session, wire_line("Improperly formatted auth"))
    assert session.closed is not None
    assert session.closed.kind is EndKind.LOGIN_REFUSED


def test_refused_capabilities_end_it() -> None:
    """Without tags there are no ids and no roles."""
    session = new_session()
    session.start(0.0)
    receive(session, ":tmi.twitch.tv CAP * ACK :twitch.tv/commands")
    assert session.closed is None
    receive(session, ":tmi.twitch.tv CAP * NAK :twitch.tv/tags")
    assert session.closed is not None
    assert "twitch.tv/tags" in session.closed.words


def test_reconnect_as_twitch_sends_it() -> None:
    """The captured line has a source in front, which a search for a line *starting* with RECONNECT misses."""
    session = ready_session()
    receive(session, wire_line("RECONNECT"))
    assert session.closed == End(EndKind.RECONNECT, "Twitch asked to reconnect")
    assert not session.ready


@pytest.mark.parametrize(
    ("ping", "pong"),
    [
        ("PING :tmi.twitch.tv", "PONG :tmi.twitch.tv"),
        ("PING", "PONG"),
        (":tmi.twitch.tv PING :nonce", "PONG :nonce"),
        ("PING :two words", "PONG :two words"),
    ],
)
def test_every_ping_gets_its_text_back(ping: str, pong: str) -> None:
    """A bare PING a bare PONG."""
    session = ready_session()
    receive(session, ping)
    assert written(session) == [pong]


def test_silence_is_answered_with_a_ping_and_then_with_the_end() -> None:
    """A half-open socket shows nothing but silence."""
    session = ready_session()
    assert session.next_deadline() == 30.0
    session.tick(29.0)
    assert written(session) == []
    session.tick(30.0)
    assert written(session) == ["PING :byte-bot"]
    assert session.next_deadline() == 40.0
    session.tick(39.0)
    assert session.closed is None
    session.tick(40.0)
    assert session.closed is not None
    assert session.closed.kind is EndKind.LOST
    assert "40 s" in session.closed.words


def test_any_byte_is_a_sign_of_life() -> None:
    """Even half a line, even without the PONG."""
    session = ready_session()
    session.tick(30.0)
    session.receive_data(b":tmi.twi", 35.0)
    assert session.next_deadline() == 65.0
    session.tick(40.0)
    assert session.closed is None


def test_the_end_of_the_stream_drops_half_a_line() -> None:
    """What has no end was not said."""
    session = ready_session()
    session.receive_data(privmsg("a", "half").encode(), 1.0)
    session.receive_eof("Twitch closed the connection")
    assert session.closed == End(EndKind.LOST, "Twitch closed the connection")
    assert session.receive_data(b"\r\n", 1.0) == []


def test_joining_gives_standing_then_joined() -> None:
    """USERSTATE comes before ROOMSTATE, so whoever hears ChannelJoined already knows the standing."""
    session = ready_session()
    session.join(["Chan"])
    assert session.next_deadline() == 0.0
    session.tick(0.0)
    assert written(session) == ["JOIN #chan"]
    assert receive(session, *joined_lines("chan", "42", badges="vip/1")) == [
        Standing("chan", True),
        ChannelJoined("chan", "42"),
    ]
    assert session.joined == ("chan",)


def test_a_change_of_the_rooms_modes_is_not_a_join() -> None:
    """ROOMSTATE also tells about slow mode."""
    session = ready_session()
    session.join(["chan"])
    session.tick(0.0)
    receive(session, *joined_lines("chan", "42"))
    assert receive(session, "@room-id=42;slow=5 :tmi.twitch.tv ROOMSTATE #chan") == []


def test_the_bots_own_channel_is_privileged() -> None:
    """A broadcaster needs no badge to be one."""
    session = ready_session()
    session.join(["byte_bot"])
    session.tick(0.0)
    assert Standing("byte_bot", True) in receive(session, *joined_lines("byte_bot"))


def test_parting() -> None:
    """PART goes out, the echo comes back; the PART of somebody else is none of ours."""
    session = ready_session()
    session.join(["chan"])
    session.tick(0.0)
    receive(session, *joined_lines("chan"))
    assert receive(session, ":ana!ana@ana.tmi.twitch.tv PART #chan") == []
    written(session)
    session.part(["chan", "never"])
    assert written(session) == ["PART #chan"]
    assert receive(session, ":byte_bot!byte_bot@byte_bot.tmi.twitch.tv PART #chan") == [ChannelParted("chan")]


def test_a_suspended_channel_fails_to_join() -> None:
    """Here Twitch does answer."""
    session = ready_session()
    session.join(["gone"])
    session.tick(0.0)
    line = "@msg-id=msg_channel_suspended :tmi.twitch.tv NOTICE #gone :This channel has been suspended."
    assert receive(session, line) == [
        JoinFailed("gone", "msg_channel_suspended: This channel has been suspended.")
    ]


def test_a_bad_name_fails_with_the_next_tick() -> None:
    """The deadline says that there is news."""
    session = ready_session()
    session.join(["not a login"])
    assert session.next_deadline() == 0.0
    assert session.tick(0.0) == [JoinFailed("not a login", "not a Twitch login")]


def test_a_refused_message_is_reported() -> None:
    """The captured NOTICE of a ban, and not the NOTICE that slow mode is on."""
    session = ready_session()
    assert receive(session, wire_line("msg_banned")) == [
        MessageRefused("forsen", "msg_banned", "You are permanently banned from talking in forsen.")
    ]
    assert receive(session, "@msg-id=slow_on :tmi.twitch.tv NOTICE #forsen :slow mode") == []


def test_saying_something() -> None:
    """With and without a parent message; /me is an action on the wire."""
    session = ready_session()
    session.say("Chan", "hello world")
    session.say("chan", "a: reply", "id;1")
    session.say("chan", "/me dances")
    assert written(session) == [
        "PRIVMSG #chan :hello world",
        "@reply-parent-msg-id=id\\:1 PRIVMSG #chan :a: reply",
        "PRIVMSG #chan :\x01ACTION dances\x01",
    ]
    assert session.counts.messages_sent == 3


@given(st.text(st.characters()), st.text(st.characters(exclude_characters="\0")))
def test_nothing_said_can_become_a_second_command(text: str, reply_to: str) -> None:
    """For any text and any id: one line, and it is a PRIVMSG to that channel."""
    session = ready_session()
    session.say("chan", text, reply_to)
    data = session.data_to_send()
    assert data.endswith(b"\r\n")
    assert not set(data[:-2]) & set(b"\r\n\0")
    _, found, _ = data.partition(b"PRIVMSG #chan :")
    assert found


@pytest.mark.parametrize("channel", ["a b", "a,b", "a\r\nQUIT", "", "#a #b"])
def test_a_channel_cannot_smuggle_either(channel: str) -> None:
    """A target that is no login is refused and nothing is written."""
    session = ready_session()
    with pytest.raises(IrcLineError):
        session.say(channel, "hi")
    with pytest.raises(IrcLineError):
        session.say("chan", "hi", "nul\0")
    assert session.data_to_send() == b""


def test_saying_needs_a_login() -> None:
    """Before the welcome and after the end nothing is written."""
    session = new_session()
    session.start(0.0)
    written(session)
    with pytest.raises(NotConnected):
        session.say("chan", "too early")
    receive(session, WELCOME)
    session.receive_eof("Twitch closed the connection")
    with pytest.raises(NotConnected):
        session.say("chan", "too late")
    assert session.data_to_send() == b""


def test_bad_lines_are_counted_and_survived() -> None:
    """Unreadable, incomplete and overlong lines cost themselves, not the next message."""
    session = ready_session()
    before = session.counts.lines
    events = session.receive_data(
        b"@a=b :tmi.twitch.tv\r\n"  # no command
        b":x PRIVMSG #chan :no tags\r\n"
        b"NOTICE\r\n"
        b"\r\n\n" + b"x" * (LINE_BYTES_MAX + 1) + b"\r\n" + privmsg("chan", "still here").encode() + b"\r\n",
        1.0,
    )
    assert [event.text for event in events if isinstance(event, ChatMessage)] == ["still here"]
    assert len(events) == 1
    assert session.counts.lines_unreadable == 1
    assert session.counts.lines_incomplete == 2
    assert session.counts.lines_overlong == 1
    assert session.counts.lines == before + 4
    assert session.closed is None


def test_a_line_without_an_end_does_not_grow() -> None:
    """A megabyte without a line feed is one overlong line, held in bounded memory."""
    session = ready_session()
    for _ in range(64):
        session.receive_data(b"x" * 16_000, 1.0)
        assert len(session._in) <= LINE_BYTES_MAX
    assert receive(session, " end of it", privmsg("chan", "next")) != []
    assert session.counts.lines_overlong == 1


SCRIPT = "\r\n".join(
    [
        ":tmi.twitch.tv CAP * ACK :twitch.tv/commands twitch.tv/membership twitch.tv/tags",
        WELCOME,
        *joined_lines("pajlada", "11148817"),
        *(
            line
            for line in Path(DATA).read_text(encoding="utf-8").split("\n")
            if "RECONNECT" not in line and "formatted auth" not in line
        ),
        "x" * (LINE_BYTES_MAX + 5),
        privmsg("pajlada", "Łódź 👉🏽"),
        "PING :end",
        "",
    ]
).encode()


def play(pieces: list[bytes]) -> tuple[list[ChatEvent], bytes, SessionCounts]:
    """Everything a session says and does when the script comes in ``pieces``."""
    session = new_session()
    session.join(["pajlada"])
    session.start(0.0)
    events = list(itertools.chain.from_iterable(session.receive_data(piece, 1.0) for piece in pieces))
    return events, session.data_to_send(), session.counts


WHOLE = play([SCRIPT])


def test_the_whole_script_has_the_expected_events() -> None:
    """The baseline of the next property is not empty: all 97 captured lines but two went through it."""
    events, out, counts = WHOLE
    kinds = {type(event).__name__ for event in events}
    assert kinds == {
        "Connected", "Standing", "ChannelJoined", "ChatMessage", "ChatNotice", "ChatterBanned", "ChatCleared",
        "MessageDeleted", "MessageRefused", "Raid", "Subscription", "Gift",
    }  # fmt: skip
    assert out.endswith(b"PONG :end\r\n")
    assert (counts.lines_overlong, counts.lines_unreadable) == (1, 2)


@given(st.lists(st.integers(0, len(SCRIPT)), max_size=40))
def test_any_chunking_of_the_bytes_gives_the_same_events(cuts: list[int]) -> None:
    """Packets are cut anywhere, inside a character, an escape or a line ending."""
    edges = [0, *sorted(cuts), len(SCRIPT)]
    assert play([SCRIPT[a:b] for a, b in itertools.pairwise(edges)]) == WHOLE


def test_one_byte_at_a_time() -> None:
    """The finest chunking of all."""
    assert play([SCRIPT[n : n + 1] for n in range(len(SCRIPT))]) == WHOLE


@given(st.binary(max_size=500))
def test_no_bytes_of_a_server_raise(data: bytes) -> None:
    """Whatever comes, the session answers with events or an end."""
    session = ready_session()
    session.join(["chan"])
    session.receive_data(data, 1.0)
    session.tick(100.0)


def test_the_table_of_states_has_no_way_out_of_closed() -> None:
    """A session is one connection: once closed it stays closed."""
    assert {after for (before, _), after in TRANSITIONS.items() if before is State.CLOSED} == {State.CLOSED}
    assert all((state, Step.END) in TRANSITIONS for state in State)


def test_the_token_is_never_shown() -> None:
    """A session in a log or a traceback is harmless."""
    assert "s3cret" not in repr(new_session())


def test_counts_add_up() -> None:
    """The transport sums the sessions it had."""
    total = SessionCounts(lines=1, pings_sent=2)
    total.add(SessionCounts(lines=10, joins_sent=3))
    assert total == SessionCounts(lines=11, pings_sent=2, joins_sent=3)
