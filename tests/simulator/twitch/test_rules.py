"""Whether a client's message may be posted, and what Twitch answers when it may not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulator.twitch.limits import TwitchLimits
from simulator.twitch.rules import Ruling
from simulator.twitch.state import TwitchState
from tests.simulator.twitch.rig import Desk


def judge(desk: Desk, text: str, channel: str = "alice") -> Ruling:
    return desk.server.rules.judge(desk.state.user("bot"), desk.state.channel(channel), text)


def refused(ruling: Ruling) -> str:
    return ruling.refusal.reason if ruling.refusal is not None else ""


@pytest.mark.parametrize(
    ("prepare", "notice_id"),
    [
        (lambda state: state.ban("alice", "bot"), "msg_banned"),
        (lambda state: state.timeout("alice", "bot", 90), "msg_timedout"),
        (lambda state: state.suspend_channel("alice"), "msg_channel_suspended"),
        (lambda state: state.set_modes("alice", subs_only=True), "msg_subsonly"),
        (lambda state: state.set_modes("alice", followers_only=10), "msg_followersonly"),
        (lambda state: state.set_modes("alice", followers_only=0), "msg_followersonly_zero"),
        (lambda state: state.set_modes("alice", emote_only=True), "msg_emoteonly"),
        (lambda state: state.refuse_messages("alice", "bot", "msg_verified_email"), "msg_verified_email"),
        (lambda state: (state.set_modes("alice", r9k=True), state.say("alice", "carol", "hi")), "msg_r9k"),
    ],
)
def test_each_obstacle_has_its_notice_and_no_effect_elsewhere(
    prepare: Callable[[TwitchState], object], notice_id: str
) -> None:
    """The message is refused in that channel with the right id, and accepted in another."""
    desk = Desk()
    prepare(desk.state)
    assert refused(judge(desk, "hi")) == notice_id
    assert judge(desk, "hi", "bob").refusal is None


def test_a_fault_refuses_what_nothing_else_stands_against() -> None:
    """With its probability and under its id; who is watching hears of that and of every other refusal, with what was answered."""
    desk = Desk()
    heard: list[tuple[str, str, str]] = []
    rules = desk.server.rules
    stop = rules.on_refusal(lambda one: heard.append((one.channel, one.reply_to, one.reason)))
    rules.refusal_probability, rules.refusal_id = 1.0, "msg_rejected"
    ruling = rules.judge(desk.state.user("bot"), desk.state.channel("alice"), "hi", "an-id")
    assert ruling.refusal is not None
    assert ruling.refusal.text == "Hey! Your message is being checked by mods and has not been sent."
    desk.state.ban("alice", "bot")
    assert refused(judge(desk, "hi")) == "msg_banned"
    rules.refusal_probability = 0.5
    desk.state.unban("alice", "bot")
    verdicts = []
    for number in range(40):
        desk.clock.now_s += 2.0
        verdicts.append(refused(judge(desk, f"line {number}")))
    assert 10 < verdicts.count("msg_rejected") < 30
    assert verdicts.count("") == 40 - verdicts.count("msg_rejected")
    assert heard[:2] == [("alice", "an-id", "msg_rejected"), ("alice", "", "msg_banned")]
    stop()
    rules.refusal_probability = 1.0
    before = len(heard)
    desk.clock.now_s += 2.0
    judge(desk, "unheard")
    assert len(heard) == before


def test_a_timeout_counts_down_and_ends() -> None:
    """The seconds left are in the text; afterwards the account may speak; unban ends it sooner."""
    desk = Desk()
    desk.state.timeout("alice", "bot", 90)
    desk.clock.now_s = 30.5
    ruling = judge(desk, "hi")
    assert ruling.refusal is not None
    assert ruling.refusal.text == "You are banned from talking in alice for 60 more seconds."
    desk.clock.now_s = 90.0
    assert judge(desk, "hi").refusal is None
    desk.state.ban("alice", "bot")
    desk.state.unban("alice", "bot")
    desk.clock.now_s = 92.0
    assert judge(desk, "again").refusal is None


def test_slow_mode_names_the_seconds_left() -> None:
    """With slow mode of 5 s, 2.5 s after the last message, 3 are left."""
    desk = Desk()
    desk.state.set_modes("alice", slow_s=5)
    assert judge(desk, "one").refusal is None
    desk.clock.now_s = 2.5
    ruling = judge(desk, "two")
    assert ruling.refusal is not None
    assert ruling.refusal.text.endswith("You will be able to talk again in 3 seconds.")


def test_moderators_pass_modes_and_duplicates() -> None:
    """Modes, the interval and the duplicate rule do not hold for privileged accounts."""
    desk = Desk()
    desk.state.set_role("alice", "bot", "moderator")
    desk.state.set_modes("alice", subs_only=True, slow_s=60, emote_only=True)
    assert [refused(judge(desk, "same")) for _ in range(3)] == ["", "", ""]


def test_over_the_limit_nothing_is_said_not_even_a_notice() -> None:
    """The 21st message vanishes, and so does everything for the next half hour."""
    desk = Desk(TwitchLimits(message_interval_s=0.0))
    rulings = [judge(desk, f"number {n}") for n in range(22)]
    assert [refused(ruling) for ruling in rulings[19:]] == ["", "over_limit", "ignored"]
    assert all(ruling.refusal is None or ruling.refusal.notice_id == "" for ruling in rulings)
    desk.clock.now_s = 1_799.0
    assert refused(judge(desk, "later")) == "ignored"
    desk.clock.now_s = 1_800.0
    assert refused(judge(desk, "much later")) == ""


def test_over_the_limit_a_banned_account_is_not_even_told_that_it_is_banned() -> None:
    """It is ignored; once it is heard again, it hears of the ban again."""
    desk = Desk()
    desk.state.ban("alice", "bot")
    rulings = [judge(desk, "hi") for _ in range(22)]
    assert [refused(ruling) for ruling in rulings[19:]] == ["msg_banned", "over_limit", "ignored"]
    assert [ruling.refusal.notice_id for ruling in rulings[20:] if ruling.refusal] == ["", ""]
    desk.clock.now_s = 1_800.0
    assert refused(judge(desk, "hi")) == "msg_banned"


def test_refused_messages_use_up_the_limit() -> None:
    """20 messages to a channel that banned the account leave none for another."""
    desk = Desk()
    desk.state.ban("alice", "bot")
    assert {refused(judge(desk, "hi")) for _ in range(20)} == {"msg_banned"}
    assert refused(judge(desk, "hi", "bob")) == "over_limit"


@pytest.mark.parametrize(
    ("text", "shown", "is_action"),
    [
        ("/me waves", "waves", True),
        (".me waves", "waves", True),
        ("\x01ACTION waves\x01", "waves", True),
        ("  a   b ", "a b", False),
        ("x" * 501, "x" * 500, False),
        ("/ slash", "/ slash", False),
        ("... well", "... well", False),
        (".5 is a half", ".5 is a half", False),
    ],
)
def test_texts_are_posted_as_twitch_shows_them(text: str, shown: str, is_action: bool) -> None:
    """Actions are unwrapped, spaces merged, 500 characters kept."""
    ruling = judge(Desk(), text)
    assert (ruling.text, ruling.is_action, ruling.refusal) == (shown, is_action, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/ban carol", "Unrecognized command: /ban"),
        (".ban carol", "Unrecognized command: /ban"),
        (".clear", "Unrecognized command: /clear"),
        ("/timeout carol 10", "Unrecognized command: /timeout"),
        ("/mods", "Unrecognized command: /mods"),
    ],
)
def test_chat_commands_are_gone_since_2023_with_a_slash_or_a_dot(text: str, words: str) -> None:
    """Recorded in TwitchLib#1114 and #1128: a NOTICE, and the message is not posted."""
    ruling = judge(Desk(), text)
    assert ruling.refusal is not None
    assert (ruling.refusal.notice_id, ruling.refusal.text) == ("unrecognized_cmd", words)


def test_empty_texts_vanish() -> None:
    """A text of spaces is nothing."""
    desk = Desk()
    ruling = judge(desk, "   ")
    assert ruling.refusal is not None
    assert (ruling.refusal.reason, ruling.refusal.notice_id) == ("empty", "")


def test_the_same_answer_to_two_people_is_not_a_duplicate() -> None:
    """Twitch compares texts with the mention that it puts before a reply."""
    desk = Desk(TwitchLimits(message_interval_s=0.0))
    bot, room = desk.state.user("bot"), desk.state.channel("alice")
    ids = [desk.state.say("alice", name, "!ping") for name in ("carol", "dave")]
    verdicts = [refused(desk.server.rules.judge(bot, room, "pong", parent)) for parent in (*ids, ids[1])]
    assert verdicts == ["", "", "msg_duplicate"]
