"""The roster: which channels are heard, asked for, and failed, as pure steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.eventsub.roster import Ask, Roster
from byte_bot.chat.message import ChannelJoined, ChannelParted, JoinFailed, Standing

LIMITS = EventSubLimits()
SMALL = replace(LIMITS, subscriptions_per_socket_max=10, sockets_max=2)


def known(roster: Roster, *logins: str, now: float = 0.0) -> None:
    """Want channels, and let Helix know them: an id is the login with "id-" before it."""
    roster.want(logins)
    while asked := roster.take_unknown(now):
        roster.on_ids(asked, {login: f"id-{login}" for login in asked}, now)


def take(roster: Roster, now: float = 0.0) -> Ask:
    """The next ask, which there must be."""
    ask = roster.take_ask(now)
    assert ask is not None
    return ask


def joined(roster: Roster, *logins: str) -> None:
    """Join channels on as many sessions as that takes."""
    known(roster, *logins)
    while True:
        ask = roster.take_ask(0.0)
        if ask is not None:
            assert roster.on_made(ask, [f"{ask.login}-{n}" for n in range(5)], 0.0) == []
        elif roster.wants_session:
            roster.open_session()
        else:
            break
    roster.take_events()


def test_a_channel_is_resolved_placed_and_joined() -> None:
    """One step after the other, and the event says the id."""
    roster = Roster(LIMITS, 5)
    roster.want(["#Lobby"])
    assert roster.take_unknown(0.0) == ["lobby"]
    assert not roster.wants_session, "a socket without a subscription would be closed"
    roster.on_ids(["lobby"], {"lobby": "7"}, 0.0)
    assert roster.take_ask(0.0) is None
    assert roster.wants_session
    session = roster.open_session()
    ask = take(roster)
    assert ask == Ask(1, "lobby", "7", session)
    assert roster.joined == ()
    roster.on_made(ask, ["s1", "s2"], 0.0)
    assert roster.joined == ("lobby",)
    assert roster.take_events() == [ChannelJoined("lobby", "7")]
    assert (roster.channel_id("lobby"), roster.wants_id("7"), roster.wants_id("8")) == ("7", True, False)


def test_ids_are_asked_for_a_hundred_at_a_time() -> None:
    """As many as one request takes."""
    roster = Roster(LIMITS, 5)
    roster.want(f"c{n}" for n in range(250))
    assert [len(roster.take_unknown(0.0)) for _ in range(4)] == [100, 100, 50, 0]


def test_a_channel_that_does_not_exist_fails_once_and_is_tried_again_slowly() -> None:
    """Helix leaves it out of its answer."""
    roster = Roster(LIMITS, 5)
    roster.want(["nobody", "Not A Login"])
    roster.on_ids(roster.take_unknown(0.0), {}, 0.0)
    events = roster.take_events()
    assert events == [
        JoinFailed("not a login", "not a Twitch login"),
        JoinFailed("nobody", "Twitch knows no such channel"),
    ]
    assert roster.next_deadline() == LIMITS.join_retry_s
    assert roster.take_unknown(59.0) == []
    assert roster.take_unknown(60.0) == ["nobody"]
    roster.on_ids(["nobody"], {}, 60.0)
    assert roster.take_events() == [], "it is said once"


def test_helix_away_is_said_after_three_attempts() -> None:
    """Two failures may pass, the third is one to join."""
    roster = Roster(LIMITS, 5)
    roster.want(["lobby"])
    for now in (0.0, 5.0):
        roster.on_no_ids(roster.take_unknown(now), "away", now)
        assert roster.take_events() == []
    roster.on_no_ids(roster.take_unknown(10.0), "away", 10.0)
    assert roster.take_events() == [JoinFailed("lobby", "away")]
    assert roster.next_deadline() == 10.0 + LIMITS.join_retry_s


def test_channels_are_spread_over_sessions() -> None:
    """300 subscriptions a socket, 3 sockets: 180 channels at five each."""
    roster = Roster(LIMITS, 5)
    joined(roster, *(f"c{n}" for n in range(180)))
    assert len(roster.joined) == roster.channels_max == 180


def test_a_channel_for_which_there_is_no_room_fails_and_says_why() -> None:
    """The way out is in the words."""
    roster = Roster(SMALL, 5)
    joined(roster, "a", "b", "c", "d")
    known(roster, "e")
    assert roster.take_ask(0.0) is None
    assert not roster.wants_session
    (event,) = roster.take_events()
    assert isinstance(event, JoinFailed)
    assert "no room: Twitch allows 2 x 10 EventSub subscriptions, which is 4 channels" in event.reason
    assert "TWITCH_CHAT_MODE=irc" in event.reason


def test_room_that_a_part_gives_back_is_used() -> None:
    """The channel that failed for want of it gets in when it is tried again."""
    roster = Roster(SMALL, 5)
    joined(roster, "a", "b", "c", "d")
    known(roster, "e")
    assert roster.take_ask(0.0) is None
    assert roster.unwant(["b"]) == [f"b-{n}" for n in range(5)]
    assert ChannelParted("b") in roster.take_events()
    known(roster, now=60.0)
    assert take(roster, 60.0).login == "e"


def test_a_session_that_is_lost_gives_its_channels_back() -> None:
    """They wait for the next one, in their order, and are asked for anew; those of other sessions stay."""
    roster = Roster(SMALL, 5)
    joined(roster, "a", "b", "c")
    roster.close_session(1)
    assert roster.joined == ("c",)
    roster.open_session()
    again = [take(roster), take(roster)]
    # Session 2 had room for one of them.
    assert [(ask.login, ask.session) for ask in again] == [("a", 2), ("b", 3)]
    roster.on_made(again[0], ["x"], 0.0)
    assert roster.take_events() == [ChannelJoined("a", "id-a")]


def test_what_was_made_for_a_channel_that_was_parted_meanwhile_is_deleted() -> None:
    """The ask is stale."""
    roster = Roster(LIMITS, 5)
    known(roster, "a")
    roster.open_session()
    ask = take(roster)
    assert roster.is_current(ask)
    roster.unwant(["a"])
    assert not roster.is_current(ask)
    assert roster.on_made(ask, ["s1"], 0.0) == ["s1"]
    assert roster.joined == ()


def test_an_answer_to_the_session_before_does_not_count() -> None:
    """The session was lost and the channel is asked for on another one."""
    roster = Roster(LIMITS, 5)
    known(roster, "a")
    roster.open_session()
    old = take(roster)
    roster.close_session(1)
    roster.open_session()
    new = take(roster)
    roster.on_refused(old, "too late", 0.0)
    assert roster.on_made(old, ["old"], 0.0) == ["old"]
    assert roster.on_made(new, ["new"], 0.0) == []
    assert roster.joined == ("a",)


def test_a_refusal_is_a_failure_to_join() -> None:
    """The room is given back, and the channel tried again after a minute."""
    roster = Roster(SMALL, 5)
    known(roster, "a")
    roster.open_session()
    for now in (0.0, 60.0, 120.0, 180.0):
        known(roster, now=now)
        roster.on_refused(take(roster, now), "Twitch says 'no'", now)
    assert roster.take_events() == [JoinFailed("a", "Twitch says 'no'")]


def test_a_revoked_subscription_puts_the_bot_out_of_the_channel() -> None:
    """What is left of it is deleted, and it is tried again slowly."""
    roster = Roster(LIMITS, 5)
    joined(roster, "a")
    assert roster.on_revoked("a-0", 10.0) == ["a-1", "a-2", "a-3", "a-4"]
    assert roster.on_revoked("a-1", 10.0) == [], "one of many is enough"
    assert roster.take_events() == [ChannelParted("a", by_twitch=True)]
    assert roster.next_deadline() == 70.0


def test_a_subscription_that_is_revoked_before_it_is_known_is_a_refusal() -> None:
    """Its channel would hear nothing and look joined: the room is given back, the rest deleted, and it is tried again slowly."""
    roster = Roster(SMALL, 5)
    known(roster, "a", "b")
    roster.open_session()
    dead, sound = take(roster), take(roster)
    assert roster.on_revoked("a-1", 0.0) == []
    assert roster.on_made(sound, ["b-0", "b-1"], 1.0) == []
    assert roster.on_made(dead, ["a-0", "a-1", "a-2"], 1.0) == ["a-0", "a-2"]
    assert roster.joined == ("b",)
    reason = "Twitch revoked a subscription while the others were being made"
    assert roster.take_events() == [ChannelJoined("b", "id-b"), JoinFailed("a", reason)]
    assert roster.next_deadline() == 1.0 + SMALL.join_retry_s
    known(roster, now=61.0)
    again = take(roster, 61.0)
    assert again.session == dead.session, "the room was given back"
    assert roster.on_made(again, ["a-3", "a-4", "a-5"], 61.0) == []
    assert roster.joined == ("b", "a")


def test_an_extra_subscription_that_is_revoked_before_it_is_known_does_not_count() -> None:
    """The channel goes on without it."""
    roster = Roster(LIMITS, 6)
    joined(roster, "a")
    ask = roster.ask_of("a")
    assert ask is not None
    assert roster.forget_subscription("follows") == ""
    assert not roster.on_extra(ask, "follows")
    assert roster.ask_of("a") == ask
    assert roster.on_extra(ask, "others")


def test_the_memory_of_revoked_subscriptions_is_bounded() -> None:
    """The oldest goes; those that were somebody's take no room."""
    roster = Roster(replace(LIMITS, revoked_max=2), 5)
    joined(roster, "a")
    ask = roster.ask_of("a")
    assert ask is not None
    for one in ("x", "y", "z"):
        roster.forget_subscription(one)
    roster.forget_subscription("a-4")
    assert [roster.on_extra(ask, one) for one in ("x", "y", "z")] == [True, False, False]


def test_a_subscription_that_a_channel_can_do_without_is_only_forgotten() -> None:
    """Follows go with the bot's being moderator, and come back with it."""
    roster = Roster(LIMITS, 6)
    joined(roster, "a")
    assert roster.forget_subscription("a-4") == "a"
    assert roster.forget_subscription("nobody's") == ""
    assert roster.joined == ("a",)
    ask = roster.ask_of("a")
    assert ask is not None
    assert roster.on_extra(ask, "again")
    assert roster.unwant(["a"]) == ["a-0", "a-1", "a-2", "a-3", "again"]
    assert not roster.on_extra(ask, "too late")
    assert roster.ask_of("a") is None


def test_extra_subscriptions_can_be_taken_back_while_the_channel_stays() -> None:
    """All of them at once, each once; those that are gone already are not among them."""
    roster = Roster(LIMITS, 6)
    joined(roster, "a", "b", "c")
    for login in "abc":
        ask = roster.ask_of(login)
        assert ask is not None and roster.on_extra(ask, f"{login}-extra")
    roster.forget_subscription("a-extra")
    assert roster.unwant(["b"])[-1] == "b-extra"
    assert roster.take_extras() == ["c-extra"]
    assert roster.take_extras() == []
    assert roster.joined == ("a", "c")
    assert roster.unwant(["c"]) == [f"c-{n}" for n in range(5)]


def test_channels_that_take_another_number_of_subscriptions_are_counted_anew() -> None:
    """A session that has become too full takes no more, until enough of it was given back."""
    roster = Roster(SMALL, 5)
    joined(roster, "a", "b")
    roster.resize(6)
    known(roster, "c")
    assert roster.channels_max == 2
    assert roster.take_ask(0.0) is None and roster.wants_session
    roster.unwant(["a"])
    assert roster.take_ask(0.0) is None and roster.wants_session, "four places are left beside b"
    roster.resize(5)
    assert take(roster).login == "c"


def test_what_helix_said_of_moderators_can_be_forgotten() -> None:
    """Who may not ask any more does not go by it in the channels that are joined later."""
    roster = Roster(LIMITS, 5)
    joined(roster, "a")
    roster.on_moderated({"id-a", "id-b"})
    roster.on_moderated(None)
    joined(roster, "b")
    assert roster.joined == ("a", "b") and not roster.is_privileged("b")
    assert roster.is_privileged("a"), "its own messages will tell"


def test_a_failed_channel_that_is_wanted_again_is_tried_at_once() -> None:
    """And its old pause does not count any more."""
    roster = Roster(LIMITS, 5)
    roster.want(["a"])
    roster.on_ids(roster.take_unknown(0.0), {}, 0.0)
    roster.want(["a"])
    assert roster.take_unknown(1.0) == ["a"]
    roster.on_ids(["a"], {}, 1.0)
    assert roster.take_unknown(60.0) == []
    assert roster.take_unknown(61.0) == ["a"]


def test_the_id_of_a_channel_that_is_wanted_again_is_asked_anew() -> None:
    """Who parts it before the answer has come is told nothing of it any more."""
    roster = Roster(LIMITS, 5)
    joined(roster, "lobby")
    roster.on_revoked("lobby-0", 0.0)
    roster.want(["lobby"])
    roster.unwant(["lobby"])
    assert not roster.wants_id("id-lobby")


def test_a_login_may_belong_to_another_id_by_now() -> None:
    """Two accounts were renamed while the channel was being tried again: what the old id says is of no use, or of another channel."""
    roster = Roster(LIMITS, 5)
    joined(roster, "lobby")
    roster.on_revoked("lobby-0", 0.0)
    roster.on_ids(roster.take_unknown(LIMITS.join_retry_s), {"lobby": "other"}, LIMITS.join_retry_s)
    assert (roster.wants_id("id-lobby"), roster.wants_id("other")) == (False, True)
    roster.want(["arcade"])
    roster.on_ids(roster.take_unknown(61.0), {"arcade": "other"}, 61.0)
    roster.unwant(["lobby"])
    assert roster.wants_id("other"), "it is the arcade's"


def test_an_extra_subscription_that_is_known_is_counted_once() -> None:
    """Asked for once more, Twitch says that it exists, and which it is."""
    roster = Roster(LIMITS, 5)
    joined(roster, "lobby")
    ask = roster.ask_of("lobby")
    assert ask is not None
    assert roster.on_extra(ask, "follows") and roster.on_extra(ask, "follows")
    assert roster.unwant(["lobby"]).count("follows") == 1


def test_other_channels_where_the_bot_is_no_moderator_are_counted() -> None:
    """Those it asks for too, since Twitch counts them from their first subscription on."""
    roster = Roster(LIMITS, 5)
    joined(roster, "lobby", "arcade", "cinema")
    roster.on_standing("cinema", True)
    known(roster, "kitchen", "garden")
    take(roster)
    assert [roster.unmoderated_besides(login) for login in ("lobby", "kitchen", "garden")] == [2, 2, 3]


def test_standing_is_known_at_the_join_if_helix_said_it() -> None:
    """Before the channel's own event, as on IRC."""
    roster = Roster(LIMITS, 5)
    roster.on_moderated({"id-a"})
    known(roster, "a", "b")
    roster.open_session()
    for _ in range(2):
        roster.on_made(take(roster), [], 0.0)
    assert roster.take_events() == [
        Standing("a", True),
        ChannelJoined("a", "id-a"),
        Standing("b", False),
        ChannelJoined("b", "id-b"),
    ]


def test_standing_is_not_guessed() -> None:
    """Without Helix's word nothing is said until a message of the bot's own shows its badges."""
    roster = Roster(LIMITS, 5)
    joined(roster, "a")
    assert not roster.is_privileged("a")
    roster.on_standing("a", True)
    roster.on_standing("a", True)
    assert roster.take_events() == [Standing("a", True)]
    assert roster.is_privileged("a")


def test_a_vip_stays_one_when_the_moderators_are_read_again() -> None:
    """Only who enters or leaves that list changes."""
    roster = Roster(LIMITS, 5)
    roster.on_moderated({"id-a"})
    joined(roster, "a", "vip")
    roster.on_standing("vip", True)
    roster.take_events()
    roster.on_moderated({"id-a"})
    assert roster.take_events() == []
    roster.on_moderated(set())
    assert roster.take_events() == [Standing("a", False)]


@given(st.lists(st.sampled_from("wuroclm"), max_size=80), st.data())
def test_rooms_are_never_overbooked(steps: list[str], data: st.DataObject) -> None:
    """Whatever happens in whatever order, a session never carries more than it may, and none is opened beyond the limit."""
    roster, asks, sessions, now = Roster(SMALL, 5), list[Ask](), list[int](), 0.0
    names = ["a", "b", "c", "d", "e", "f"]
    for step in steps:
        now += 1.0
        name = data.draw(st.sampled_from(names))
        if step == "w":
            known(roster, name, now=now)
        elif step == "u":
            roster.unwant([name])
        elif step == "o" and roster.wants_session:
            sessions.append(roster.open_session())
        elif step == "c" and sessions:
            roster.close_session(sessions.pop(0))
        elif step == "r" and asks:
            roster.on_refused(asks.pop(), "no", now)
        elif step == "l" and (ask := roster.take_ask(now)) is not None:
            asks.append(ask)
        elif step == "m" and asks:
            roster.on_made(asks[-1], [f"s{len(asks)}"], now)
            asks.pop()
        assert len(sessions) <= SMALL.sockets_max
        for session in sessions:
            on_it = [ask for ask in map(roster.ask_of, names) if ask is not None and ask.session == session]
            assert len(on_it) <= 2


@pytest.mark.parametrize("per_channel", [5, 6])
def test_the_most_channels_follow_from_the_limits(per_channel: int) -> None:
    """Whole channels on each session."""
    assert Roster(LIMITS, per_channel).channels_max == 3 * (300 // per_channel)
