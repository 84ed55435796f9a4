"""The rules of Twitch's IRC one by one, each named: what clients need of the server, what it enforces, where its limits are.

In the order of the facts: what breaks a real client when it is missing, traps, rules, limits. Sessions without sockets; what needs
time on a wire (PING, RECONNECT and what follows) is in `test_connection`, `test_irc` and the tests of the faces.
"""

from __future__ import annotations

import random

import pytest

from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.twitch.limits import TwitchLimits
from simulator.twitch.line import Line, parse
from simulator.twitch.notices import NOTICE_TEXTS
from simulator.twitch.session import IrcSession
from simulator.twitch.stream_life import StreamLife
from tests.simulator.twitch.rig import ALL_CAPS, Desk, RecordingWire

NOTICE_IDS = (
    "msg_banned", "msg_timedout", "msg_duplicate", "msg_ratelimit", "msg_slowmode", "msg_r9k", "msg_subsonly", "msg_emoteonly",
    "msg_followersonly", "msg_rejected", "msg_channel_suspended", "msg_channel_blocked", "msg_suspended", "msg_room_not_found",
    "msg_bad_characters", "msg_verified_email", "msg_requires_verified_phone_number",
)  # fmt: skip


def lines_of(wire: RecordingWire) -> list[Line]:
    """What came since the last look, parsed."""
    return [parse(text) for text in wire.take()]


def with_token(desk: Desk, *scopes: str, caps: bool = True) -> tuple[IrcSession, RecordingWire, str]:
    """A session that logs in as bot with a token of these scopes."""
    token = desk.state.credentials.issue_user(DEFAULT_CLIENT_ID, "bot", scopes)
    session, wire = desk.connect()
    if caps:
        session.receive(ALL_CAPS)
    session.receive(f"PASS oauth:{token.access}")
    session.receive("NICK bot")
    return session, wire, token.access


# -- what real clients need -------------------------------------------------------------------------------------------------------


def test_the_join_answer_has_everything_a_client_waits_for_in_order() -> None:
    """JOIN echo, 353, 366, USERSTATE before ROOMSTATE, and ROOMSTATE with `subs-only` and `slow` (twurple needs both)."""
    session, wire = Desk().log_in()
    session.receive("JOIN #alice")
    lines = lines_of(wire)
    assert [line.command for line in lines] == ["JOIN", "353", "366", "USERSTATE", "ROOMSTATE"]
    assert {"subs-only", "slow", "room-id"} <= lines[-1].tags.keys()
    assert {"color", "badges", "emote-sets"} <= lines[-2].tags.keys()


def test_a_userstate_confirms_each_message() -> None:
    """dank-twitch-irc's say() waits for it."""
    session, wire = Desk().log_in("bot", "alice")
    session.receive("PRIVMSG #alice :hi")
    assert [line.command for line in lines_of(wire)] == ["USERSTATE"]


def test_a_privmsg_has_the_tags_without_which_clients_lose_it() -> None:
    """twitchio 2 fails without subscriber, mod, display-name, color; each is there, empty or not."""
    desk = Desk()
    _, wire = desk.log_in("bot", "alice")
    desk.state.say("alice", "dave", "hi")
    (line,) = lines_of(wire)
    wanted = {
        "subscriber",
        "mod",
        "display-name",
        "color",
        "badges",
        "id",
        "room-id",
        "user-id",
        "tmi-sent-ts",
        "emotes",
    }
    assert wanted <= line.tags.keys()


# -- rules ------------------------------------------------------------------------------------------------------------------------


def test_a_token_without_chat_read_cannot_log_in() -> None:
    """`Login unsuccessful` (recorded: a token with chat:edit alone), then the connection ends."""
    _, wire, _ = with_token(Desk(), "chat:edit", caps=False)
    assert wire.take() == [":tmi.twitch.tv NOTICE * :Login unsuccessful"]
    assert wire.closed


def test_a_token_without_chat_edit_reads_and_cannot_speak() -> None:
    """It joins and hears; its PRIVMSG gets no_permission, and nobody hears it."""
    desk = Desk()
    session, wire, _ = with_token(desk, "chat:read")
    session.receive("JOIN #alice")
    wire.take()
    session.receive("PRIVMSG #alice :hello")
    (answer,) = lines_of(wire)
    assert (answer.command, answer.tags["msg-id"]) == ("NOTICE", "no_permission")
    assert desk.state.transcript == []
    desk.state.say("alice", "carol", "hi")
    assert [line.command for line in lines_of(wire)] == ["PRIVMSG"]


def test_chat_read_and_chat_edit_are_enough() -> None:
    """The two documented scopes: log in, speak."""
    desk = Desk()
    session, wire, _ = with_token(desk, "chat:read", "chat:edit")
    session.receive("PRIVMSG #alice :hello")
    assert not wire.closed
    assert [said.text for said in desk.state.transcript] == ["hello"]


def test_an_apps_own_token_cannot_log_in() -> None:
    """Chat belongs to users."""
    desk = Desk()
    token = desk.state.credentials.issue_app(DEFAULT_CLIENT_ID)
    session, wire = desk.connect()
    session.receive(f"PASS oauth:{token.access}")
    session.receive("NICK bot")
    assert wire.take() == [":tmi.twitch.tv NOTICE * :Login authentication failed"]


@pytest.mark.parametrize("end", ["expire", "revoke", "disconnect"])
def test_a_token_that_dies_in_mid_life_shows_at_the_next_login_only(end: str) -> None:
    """The connection that is there goes on, speaking included; a new one with the same token is refused."""
    desk = Desk()
    session, wire, access = with_token(desk, "chat:read", "chat:edit")
    credentials = desk.state.credentials
    {
        "expire": lambda: credentials.expire(access),
        "revoke": lambda: credentials.revoke(access),
        "disconnect": lambda: credentials.disconnect(DEFAULT_CLIENT_ID, "bot"),
    }[end]()
    session.receive("PRIVMSG #alice :still here")
    assert not wire.closed
    assert [said.text for said in desk.state.transcript] == ["still here"]
    again, second = desk.connect()
    again.receive(f"PASS oauth:{access}")
    again.receive("NICK bot")
    assert second.take() == [":tmi.twitch.tv NOTICE * :Login authentication failed"]


def test_pass_must_come_before_nick() -> None:
    """The other way round: `Improperly formatted auth`."""
    session, wire = Desk().connect()
    session.receive("NICK bot")
    assert wire.take() == [":tmi.twitch.tv NOTICE * :Improperly formatted auth"]


def test_a_join_of_a_channel_that_does_not_exist_is_dropped_silently() -> None:
    """No answer at all, ever; it is counted."""
    desk = Desk()
    session, wire = desk.log_in()
    session.receive("JOIN #nobody_is_here")
    assert wire.take() == []
    assert desk.server.stats["joins_unknown"] == 1


def test_me_is_the_only_slash_command() -> None:
    """`/me` becomes an ACTION; any other gets unrecognized_cmd and does nothing."""
    desk = Desk()
    desk.state.set_role("alice", "bot", "moderator")
    session, wire = desk.log_in("bot", "alice")
    _, viewer = desk.log_in("carol", "alice")
    session.receive("PRIVMSG #alice :/me waves")
    wire.take()
    for command in ("/ban carol", ".ban carol"):
        session.receive(f"PRIVMSG #alice :{command}")
        (answer,) = lines_of(wire)
        assert (answer.tags["msg-id"], answer.params[1]) == (
            "unrecognized_cmd",
            "Unrecognized command: /ban",
        )
    assert not desk.state.channel("alice").bans
    assert [line.params[1] for line in lines_of(viewer)] == ["\x01ACTION waves\x01"]


def test_the_same_message_id_may_come_twice() -> None:
    """At least once: the audience's duplicate has the id of the first."""
    desk = Desk()
    _, wire = desk.log_in("bot", "alice")
    first = desk.state.say("alice", "carol", "hi")
    desk.state.say("alice", "carol", "hi", message_id=first)
    assert [line.tags["id"] for line in lines_of(wire)] == [first, first]


@pytest.mark.parametrize("notice_id", NOTICE_IDS)
def test_every_notice_of_the_facts_reaches_the_client_with_its_id(notice_id: str) -> None:
    """Forced on the account, each is answered on the wire: the id in the tag, the words behind it, nothing said."""
    desk = Desk()
    desk.state.refuse_messages("alice", "bot", notice_id)
    session, wire = desk.log_in("bot", "alice")
    session.receive("PRIVMSG #alice :hello")
    (answer,) = lines_of(wire)
    assert (answer.command, answer.params[0], answer.tags["msg-id"]) == ("NOTICE", "#alice", notice_id)
    assert answer.params[1].startswith(NOTICE_TEXTS[notice_id].partition("{")[0])
    assert desk.state.transcript == []


# -- USERNOTICE -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "kinds", "params"),
    [
        (lambda state, life: state.subscribe("alice", "dave"), ["sub"], {"sub-plan": "1000", "cumulative-months": "1"}),
        (
            lambda state, life: state.subscribe("alice", "dave", months=14, plan="Prime", text="hi"),
            ["resub"],
            {"sub-plan": "Prime", "cumulative-months": "14"},
        ),
        (
            lambda state, life: life.gift("alice", "dave", ("erin",)),
            ["subgift"],
            {"recipient-user-name": "erin", "gift-months": "1"},
        ),
        (
            lambda state, life: life.gift("alice", "dave", ("erin", "frank"), tier="2000"),
            ["submysterygift", "subgift", "subgift"],
            {"mass-gift-count": "2", "sub-plan": "2000"},
        ),
        (lambda state, life: state.raid("alice", "dave", 42), ["raid"], {"viewerCount": "42", "login": "dave"}),
        (lambda state, life: state.announce("alice", "dave", "hear", color="BLUE"), ["announcement"], {"color": "BLUE"}),
    ],
    ids=["sub", "resub", "subgift", "submysterygift", "raid", "announcement"],
)  # fmt: skip
def test_each_usernotice_has_its_kind_and_parameters(
    verb: object, kinds: list[str], params: dict[str, str]
) -> None:
    """msg-id, msg-param-* and system-msg, to whoever asked for commands; to nobody else."""
    desk = Desk()
    _, wire = desk.log_in("bot", "alice")
    _, plain = desk.log_in("carol", "alice", caps=False)
    wire.take()
    verb(desk.state, StreamLife(desk.state, random.Random(5)))  # type: ignore[operator]  # a lambda of the table
    lines = lines_of(wire)
    assert [line.command for line in lines] == ["USERNOTICE"] * len(kinds)
    assert [line.tags["msg-id"] for line in lines] == kinds
    assert {f"msg-param-{name}": value for name, value in params.items()}.items() <= lines[0].tags.items()
    assert "system-msg" in lines[0].tags
    assert plain.take() == []


# -- limits -----------------------------------------------------------------------------------------------------------------------


def test_a_verified_account_logs_in_200_times_in_ten_seconds() -> None:
    """An ordinary one 20 times."""
    desk = Desk()
    desk.state.user("bot").verified = True
    outcomes = []
    for _ in range(201):
        session, wire = desk.connect()
        session.receive("PASS oauth:bot-token")
        session.receive("NICK bot")
        outcomes.append(bool(wire.closed))
    assert outcomes == [False] * 200 + [True]


def test_a_verified_account_joins_2000_channels_in_ten_seconds() -> None:
    """Moderator in them, so that the 100 channels do not end it first."""
    desk = Desk()
    for number in range(2_001):
        desk.state.add_channel(f"room{number}", moderators=("bot",))
    desk.state.user("bot").verified = True
    session, _ = desk.log_in()
    session.receive("JOIN " + ",".join(f"#room{number}" for number in range(2_001)))
    assert len(desk.server.joined("bot")) == 2_000
    assert desk.server.stats["joins_over_limit"] == 1


def test_an_ignored_account_still_speaks_where_it_is_privileged() -> None:
    """Over 20 in 30 s it is dropped without a word everywhere but in channels where it is moderator, VIP or broadcaster."""
    desk = Desk(TwitchLimits(message_interval_s=0.0))
    desk.state.set_role("bob", "bot", "vip")
    session, wire = desk.log_in("bot", "alice", "bob")
    for number in range(22):
        session.receive(f"PRIVMSG #alice :number {number}")
    wire.take()
    session.receive("PRIVMSG #alice :dropped")
    assert wire.take() == []
    session.receive("PRIVMSG #bob :heard")
    assert [line.command for line in lines_of(wire)] == ["USERSTATE"]
    assert [said.text for said in desk.state.transcript][-1] == "heard"
    assert len(desk.state.transcript) == 21


def test_a_text_is_cut_at_500_characters() -> None:
    """Characters, not bytes."""
    desk = Desk()
    session, _ = desk.log_in("bot", "alice")
    session.receive("PRIVMSG #alice :" + "é" * 501)
    assert [len(said.text) for said in desk.state.transcript] == [500]


def test_the_same_text_within_30_seconds_is_a_duplicate() -> None:
    """msg_duplicate at 29 s, accepted at 30 s."""
    desk = Desk()
    session, wire = desk.log_in("bot", "alice")
    for desk.clock.now_s in (0.0, 29.0):
        session.receive("PRIVMSG #alice :hi")
    assert [line.tags.get("msg-id", "") for line in lines_of(wire)] == ["", "msg_duplicate"]
    desk.clock.now_s = 30.0
    session.receive("PRIVMSG #alice :hi")
    assert [line.command for line in lines_of(wire)] == ["USERSTATE"]
    assert len(desk.state.transcript) == 2


def test_limits_count_per_account_and_not_per_connection() -> None:
    """Two connections of one account share the 20 messages."""
    desk = Desk(TwitchLimits(message_interval_s=0.0))
    one, _ = desk.log_in("bot", "alice")
    two, _ = desk.log_in("bot", "alice")
    for number in range(15):
        one.receive(f"PRIVMSG #alice :one {number}")
        two.receive(f"PRIVMSG #alice :two {number}")
    assert len(desk.state.transcript) == 20


# -- what the control address can do to a chat -----------------------------------------------------------------------------------


def test_any_line_reaches_those_in_the_channel() -> None:
    """Raw, tags or not, whatever capabilities were asked for."""
    desk = Desk()
    _, wire = desk.log_in("bot", "alice")
    _, elsewhere = desk.log_in("carol", "bob")
    assert desk.server.send_line("#alice", "@a=b :tmi.twitch.tv WHATEVER #alice :x") == 1
    assert wire.take() == ["@a=b :tmi.twitch.tv WHATEVER #alice :x"]
    assert elsewhere.take() == []


def test_a_channel_that_goes_is_parted_and_an_account_that_goes_is_disconnected() -> None:
    """What a snapshot without them does to connections, before the state forgets them."""
    desk = Desk()
    _, wire = desk.log_in("bot", "alice", "bob")
    desk.server.remove_channel("alice")
    assert wire.take() == [":bot!bot@bot.tmi.twitch.tv PART #alice"]
    assert desk.server.joined("bot") == ("bob",)
