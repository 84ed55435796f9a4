"""One session line by line: login, capabilities, joining, speaking, without sockets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.twitch.limits import TwitchLimits
from simulator.twitch.line import Line, parse
from simulator.twitch.session import counts_against_limit
from tests.simulator.twitch.rig import ALL_CAPS, Desk, RecordingWire


def commands(lines: list[str]) -> list[str]:
    return [parse(text).command for text in lines]


WELCOME = ["001", "002", "003", "004", "375", "372", "376"]


# -- capabilities


def test_cap_ls_lists_the_three_capabilities() -> None:
    """twurple sends CAP LS 302 and waits for the answer."""
    session, wire = Desk().connect()
    session.receive("CAP LS 302")
    assert wire.take() == [":tmi.twitch.tv CAP * LS :twitch.tv/commands twitch.tv/membership twitch.tv/tags"]


def test_an_unknown_capability_refuses_the_whole_request() -> None:
    """NAK repeats what was asked, and nothing of it is enabled."""
    session, wire = Desk().connect()
    session.receive("CAP REQ :twitch.tv/tags foo")
    assert wire.take() == [":tmi.twitch.tv CAP * NAK :twitch.tv/tags foo"]
    session.receive("CAP LIST")
    assert wire.take() == [":tmi.twitch.tv CAP * LIST :"]


def test_capabilities_can_be_asked_for_one_by_one_and_given_back() -> None:
    """twitchio 2 sends three requests; a leading minus takes one back."""
    session, wire = Desk().connect()
    for name in ("tags", "commands", "membership"):
        session.receive(f"CAP REQ :twitch.tv/{name}")
    session.receive("CAP REQ :-twitch.tv/membership")
    session.receive("CAP LIST")
    assert wire.take()[-1] == ":tmi.twitch.tv CAP * LIST :twitch.tv/tags twitch.tv/commands"


# -- login


@pytest.mark.parametrize(
    "order",
    [
        ["CAP LS 302", ALL_CAPS, "CAP END", "PASS oauth:bot-token", "NICK bot", "USER bot 8 * :bot"],
        ["PASS oauth:bot-token", "NICK bot", ALL_CAPS],
        ["PASS oauth:bot-token", ALL_CAPS, "NICK bot", "CAP END"],
        [ALL_CAPS, "PASS :oauth:bot-token", "NICK :bot"],
    ],
)
def test_every_client_s_order_of_cap_and_login_works(order: list[str]) -> None:
    """twurple, twitchio 2, dank-twitch-irc and tmi.js each have their own order; all get the seven lines and GLOBALUSERSTATE."""
    session, wire = Desk().connect()
    for text in order:
        session.receive(text)
    got = [command for command in commands(wire.take()) if command != "CAP"]
    assert got == [*WELCOME, "GLOBALUSERSTATE"]


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (["PASS oauth:wrong", "NICK bot"], "Login authentication failed"),
        (["PASS bot-token", "NICK bot"], "Improperly formatted auth"),
        (["NICK bot", "PASS oauth:bot-token"], "Improperly formatted auth"),
        (["PASS oauth:bot-token", "NICK"], "Improperly formatted auth"),
    ],
)
def test_a_bad_login_is_answered_and_closed(lines: list[str], answer: str) -> None:
    """The words are Twitch's, the NOTICE has no channel, and the connection ends."""
    desk = Desk()
    session, wire = desk.connect()
    for text in lines:
        session.receive(text)
    assert wire.take()[0] == f":tmi.twitch.tv NOTICE * :{answer}"
    assert wire.closed == answer
    assert not session.registered


def test_the_token_decides_who_logs_in() -> None:
    """Another NICK is ignored: 001 carries the token's login."""
    session, wire = Desk().connect()
    session.receive("PASS oauth:bot-token")
    session.receive("NICK SomebodyElse")
    assert wire.take()[0] == ":tmi.twitch.tv 001 bot :Welcome, GLHF!"


def test_a_revoked_token_no_longer_logs_in() -> None:
    """Expiry shows at the next login."""
    desk = Desk()
    desk.state.revoke_token("oauth:bot-token")
    session, wire = desk.connect()
    session.receive("PASS oauth:bot-token")
    session.receive("NICK bot")
    assert wire.closed == "Login authentication failed"


def test_the_21st_login_in_ten_seconds_is_turned_away() -> None:
    """20 logins in 10 s per account; then it works again."""
    desk = Desk()

    def attempt() -> RecordingWire:
        session, wire = desk.connect()
        session.receive("PASS oauth:bot-token")
        session.receive("NICK bot")
        return wire

    assert [bool(attempt().closed) for _ in range(21)] == [False] * 20 + [True]
    desk.clock.now_s = 10.0
    assert not attempt().closed


def test_attempts_with_a_wrong_token_count_for_the_account_that_nick_names() -> None:
    """20 authentication attempts in 10 s per account, not 20 good ones; a name that nobody has, and justinfan, are nobody's."""
    desk = Desk()

    def attempt(token: str, nick: str) -> str:
        session, wire = desk.connect()
        session.receive(f"PASS oauth:{token}")
        session.receive(f"NICK {nick}")
        return wire.closed

    assert [attempt("wrong", "bot") for _ in range(20)] == ["Login authentication failed"] * 20
    assert attempt("wrong", "bot") == attempt("bot-token", "bot") == "too many logins"
    assert {attempt("wrong", "no_such_account") for _ in range(21)} == {"Login authentication failed"}
    assert {attempt("", "justinfan123") for _ in range(21)} == {""}
    desk.clock.now_s = 10.0
    assert not attempt("bot-token", "bot")


def test_an_anonymous_session_reads_and_says_nothing() -> None:
    """justinfan needs no token, gets no USERSTATE, and its messages go nowhere."""
    desk = Desk()
    session, wire = desk.connect()
    for text in (ALL_CAPS, "NICK justinfan123", "JOIN #alice", "PRIVMSG #alice :hello"):
        session.receive(text)
    assert commands(wire.take()) == ["CAP", *WELCOME, "JOIN", "353", "366", "ROOMSTATE"]
    assert desk.state.transcript == []
    desk.state.say("alice", "carol", "hi")
    assert commands(wire.take()) == ["PRIVMSG"]


def test_nick_after_the_login_disconnects() -> None:
    """Recorded behaviour of the real server."""
    session, wire = Desk().log_in()
    session.receive("NICK other")
    assert wire.closed


# -- ping, unknown


@pytest.mark.parametrize(
    ("ping", "pong"),
    [
        ("PING", "PONG"),
        ("PING x", ":tmi.twitch.tv PONG tmi.twitch.tv :x"),
        ("PING :a b", ":tmi.twitch.tv PONG tmi.twitch.tv :a b"),
        ("PING a b", ":tmi.twitch.tv PONG tmi.twitch.tv :a"),
    ],
)
def test_a_ping_gets_its_own_text_back(ping: str, pong: str) -> None:
    """tmi.js sends a bare PING, twurple wants its text."""
    session, wire = Desk().connect()
    session.receive(ping)
    assert wire.take() == [pong]


@pytest.mark.parametrize("pong", ["PONG", "PONG x", "PONG :tmi.twitch.tv", ":bot PONG x"])
def test_every_form_of_pong_counts(pong: str) -> None:
    """With or without text, with or without a prefix."""
    session, wire = Desk().connect()
    session.receive(pong)
    assert wire.pongs == 1


def test_names_is_no_command_its_list_comes_with_the_join() -> None:
    """Not among the commands that the real server takes (pajbot/tmi-rate-limits): 421, with a channel or without."""
    session, wire = Desk().log_in()
    session.receive("JOIN #alice")
    assert [line.split(" ")[1] for line in wire.take()].count("353") == 1
    session.receive("NAMES #alice")
    session.receive("NAMES")
    assert wire.take() == [":tmi.twitch.tv 421 bot NAMES :Unknown command"] * 2


def test_unknown_commands_get_421_and_some_are_ignored() -> None:
    """Before the login nothing is answered; MODE, PASS and USER after it neither."""
    session, wire = Desk().connect()
    for text in ("WHO #alice", "JOIN #alice", ":only-a-prefix", "@only=tags"):
        session.receive(text)
    assert wire.take() == []
    session, wire = Desk().log_in()
    for text in ("MODE #alice", "USER x", "PASS y", "WHO #alice"):
        session.receive(text)
    assert wire.take() == [":tmi.twitch.tv 421 bot WHO :Unknown command"]


def test_quit_closes() -> None:
    """QUIT is the polite end."""
    session, wire = Desk().log_in()
    session.receive("QUIT :bye")
    assert wire.closed == "QUIT"


# -- join and part


def test_a_join_is_answered_in_the_recorded_order() -> None:
    """JOIN echo, names, USERSTATE, then ROOMSTATE."""
    session, wire = Desk().log_in()
    session.receive("JOIN #Alice")
    lines = wire.take()
    assert commands(lines) == ["JOIN", "353", "366", "USERSTATE", "ROOMSTATE"]
    assert lines[0] == ":bot!bot@bot.tmi.twitch.tv JOIN #alice"


def test_without_capabilities_a_join_has_only_the_rfc_s_answers() -> None:
    """USERSTATE and ROOMSTATE need twitch.tv/commands."""
    session, wire = Desk().log_in(caps=False)
    session.receive("JOIN #alice")
    assert commands(wire.take()) == ["JOIN", "353", "366"]


def test_several_channels_in_one_join_and_part() -> None:
    """Comma-separated lists, unknown channels dropped without a word, a second JOIN without an effect."""
    desk = Desk()
    session, wire = desk.log_in()
    session.receive("JOIN #alice,#nowhere,#bob,not-a-channel")
    assert commands(wire.take()).count("JOIN") == 2
    session.receive("JOIN #bob")
    assert wire.take() == []
    assert desk.server.joined("bot") == ("alice", "bob")
    session.receive("PART #alice,#bob,#nowhere")
    assert wire.take() == [f":bot!bot@bot.tmi.twitch.tv PART #{name}" for name in ("alice", "bob")]
    assert desk.server.joined("bot") == ()
    desk.state.say("alice", "carol", "anyone?")
    assert wire.take() == []


def test_a_suspended_channel_refuses_the_join() -> None:
    """NOTICE msg_channel_suspended instead of the JOIN echo."""
    desk = Desk()
    desk.state.suspend_channel("alice")
    session, wire = desk.log_in()
    session.receive("JOIN #alice")
    assert wire.take() == [
        "@msg-id=msg_channel_suspended :tmi.twitch.tv NOTICE #alice :This channel does not exist or has been suspended."
    ]


def test_joins_over_20_in_ten_seconds_are_dropped() -> None:
    """Per account, over two connections together; later they work."""
    desk = Desk()
    for number in range(30):
        desk.state.add_channel(f"room{number}")
    first, _ = desk.log_in()
    second, _ = desk.log_in()
    first.receive("JOIN " + ",".join(f"#room{n}" for n in range(15)))
    second.receive("JOIN " + ",".join(f"#room{n}" for n in range(15, 30)))
    assert len(desk.server.joined("bot")) == 20
    desk.clock.now_s = 10.0
    second.receive("JOIN #room29")
    assert len(desk.server.joined("bot")) == 21
    assert desk.server.stats["joins_over_limit"] == 10


def test_an_account_is_in_100_channels_at_most() -> None:
    """Moderated channels and those that granted channel:bot do not count."""
    desk = Desk(TwitchLimits(joins_max=1_000))
    for number in range(103):
        desk.state.add_channel(f"room{number}")
    desk.state.set_role("room0", "bot", "moderator")
    desk.state.grant_channel_bot("room1", "bot")
    session, _ = desk.log_in()
    session.receive("JOIN " + ",".join(f"#room{n}" for n in range(103)))
    assert len(desk.server.joined("bot")) == 102
    session.receive("PART #room50")
    session.receive("JOIN #room102")
    assert "room102" in desk.server.joined("bot")
    assert not counts_against_limit(desk.state.channel("alice"), desk.state.user("alice"))


def test_others_come_and_go_with_the_membership_capability() -> None:
    """JOIN and PART once per account, however many connections it has, and its name in 353."""
    desk = Desk()
    _, watcher = desk.log_in("carol", "alice")
    first, _ = desk.log_in("bot", "alice")
    second, wire = desk.log_in()
    second.receive("JOIN #alice")
    assert [parse(text).params[-1] for text in wire.take() if " 353 " in text] == ["carol", "bot"]
    first.receive("PART #alice")
    second.receive("PART #alice")
    assert watcher.take() == [f":bot!bot@bot.tmi.twitch.tv {verb} #alice" for verb in ("JOIN", "PART")]
    _, plain = desk.log_in("bot", "alice", caps=False)
    desk.state.viewer_joins("alice", "dave")
    desk.state.viewer_leaves("alice", "dave")
    assert plain.take() == []
    assert watcher.take()[1:] == [f":dave!dave@dave.tmi.twitch.tv {verb} #alice" for verb in ("JOIN", "PART")]


def test_a_room_of_more_than_1000_no_longer_tells_who_comes() -> None:
    """Above 1,000 users JOIN and PART of others stop, and names shrink to the moderators."""
    desk = Desk()
    for number in range(1_000):
        desk.state.viewer_joins("alice", f"viewer{number}")
    desk.state.set_role("alice", "viewer7", "moderator")
    _, watcher = desk.log_in("carol", "alice")
    session, wire = desk.log_in()
    session.receive("JOIN #alice")
    assert watcher.take() == []
    assert [parse(text).params[-1] for text in wire.take() if " 353 " in text] == ["viewer7", "bot"]


# -- speaking


def test_a_message_reaches_everybody_but_the_connection_it_came_from() -> None:
    """The account's other connection gets it, the sender a USERSTATE with the message's id."""
    desk = Desk()
    session, wire = desk.log_in("bot", "alice")
    _, other = desk.log_in("bot", "alice")
    _, viewer = desk.log_in("carol", "alice")
    session.receive("@client-nonce=abc PRIVMSG #alice :hello")
    (own,) = [parse(text) for text in wire.take() if " JOIN " not in text]
    (copy,) = [parse(text) for text in other.take() if " JOIN " not in text]
    (seen,) = [parse(text) for text in viewer.take()]
    assert (own.command, own.tags["client-nonce"]) == ("USERSTATE", "abc")
    assert seen.tags == copy.tags
    assert (seen.params, seen.prefix) == (("#alice", "hello"), "bot!bot@bot.tmi.twitch.tv")
    assert seen.tags["id"] == own.tags["id"] == desk.state.transcript[0].id
    assert seen.tags["client-nonce"] == "abc"


def test_a_message_needs_no_join_and_its_prefix_is_ignored() -> None:
    """dank-twitch-irc sends on a connection that never joins; some clients prefix their lines."""
    desk = Desk()
    session, wire = desk.log_in()
    session.receive(":bot!bot@bot PRIVMSG #alice :hello")
    assert desk.state.transcript[0].text == "hello"
    assert commands(wire.take()) == ["USERSTATE"]


def test_a_reply_is_delivered_with_its_parent_and_the_mention() -> None:
    """reply-parent-msg-id becomes reply-* tags; the transcript keeps what the bot wrote."""
    desk = Desk()
    session, _ = desk.log_in("bot", "alice")
    _, viewer = desk.log_in("carol", "alice")
    asked = desk.state.say("alice", "carol", "!ping")
    viewer.take()
    session.receive(f"@reply-parent-msg-id={asked} PRIVMSG #alice :pong")
    line: Line = parse(viewer.take()[0])
    assert line.params == ("#alice", "@carol pong")
    assert line.tags["reply-parent-msg-id"] == line.tags["reply-thread-parent-msg-id"] == asked
    assert (desk.state.transcript[0].text, desk.state.transcript[0].reply_to) == ("pong", asked)


def test_a_refused_message_gets_its_notice_and_reaches_nobody() -> None:
    """The same text again within 30 s: NOTICE msg_duplicate, no USERSTATE, no delivery."""
    desk = Desk()
    session, wire = desk.log_in("bot", "alice")
    _, viewer = desk.log_in("carol", "alice")
    session.receive("PRIVMSG #alice :hello")
    desk.clock.now_s = 29.0
    wire.take()
    viewer.take()
    session.receive("PRIVMSG #alice :hello")
    assert [parse(text).tags["msg-id"] for text in wire.take()] == ["msg_duplicate"]
    assert viewer.take() == []
    assert desk.server.stats["refused_msg_duplicate"] == 1


def test_a_message_to_no_channel_is_refused_or_lost() -> None:
    """An unknown channel has the notice that says so; no text or no author is nothing."""
    session, wire = Desk().log_in()
    for text in ("PRIVMSG #nowhere :hello", "PRIVMSG #alice", "PRIVMSG a,b :hello", "PRIVMSG"):
        session.receive(text)
    assert [parse(text).tags["msg-id"] for text in wire.take()] == ["msg_channel_suspended"]


def test_messages_over_the_limit_get_no_answer_at_all() -> None:
    """The 21st in 30 s vanishes without NOTICE or USERSTATE, and so do the next."""
    desk = Desk(TwitchLimits(message_interval_s=0.0))
    session, wire = desk.log_in()
    for number in range(23):
        session.receive(f"PRIVMSG #alice :number {number}")
    assert commands(wire.take()) == ["USERSTATE"] * 20
    assert (desk.server.stats["refused_over_limit"], desk.server.stats["refused_ignored"]) == (1, 2)


def test_two_messages_within_a_second_get_msg_ratelimit() -> None:
    """The slow mode that every channel has, for accounts without privilege."""
    session, wire = Desk().log_in()
    session.receive("PRIVMSG #alice :one")
    session.receive("PRIVMSG #alice :two")
    assert commands(wire.take()) == ["USERSTATE", "NOTICE"]


COMMANDS = [
    "CAP",
    "PASS",
    "NICK",
    "USER",
    "PING",
    "PONG",
    "QUIT",
    "JOIN",
    "PART",
    "PRIVMSG",
    "MODE",
    "WHO",
    "",
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "@a=b;reply-parent-msg-id=\\ ", ":x!y@z "]),
            st.sampled_from(COMMANDS),
            st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)), max_size=20),
        )
    ),
    st.booleans(),
)
def test_no_line_breaks_a_session(lines: list[tuple[str, str, str]], logged_in: bool) -> None:
    """Whatever a client sends, the session answers with whole lines or not at all, and goes on."""
    desk = Desk()
    session, wire = desk.log_in("bot", "alice") if logged_in else desk.connect()
    for start, command, rest in lines:
        session.receive(f"{start}{command} {rest}")
        session.receive(f"{start}{command} #alice :{rest}")
    for text in wire.take():
        assert parse(text).command
    session.ended()
    assert desk.server.joined("bot") == ()
