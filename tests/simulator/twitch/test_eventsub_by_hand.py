"""Who hears what is sent by hand, over a book of subscriptions without sockets."""

from __future__ import annotations

import re

import pytest

from simulator.twitch.eventsub_by_hand import addressees
from simulator.twitch.eventsub_subscriptions import Subscription
from tests.simulator.twitch.test_eventsub_subscriptions import Office

HOLD = "automod.message.hold"
REDEEMED = "channel.channel_points_custom_reward_redemption.add"


def hears(office: Office, name: str, channel: str = "", **options: object) -> tuple[Subscription, ...]:
    """Ask who hears."""
    return addressees(office.book, office.state, name, channel_login=channel, **options)  # type: ignore[arg-type]


def test_every_version_of_a_type_hears_of_a_channel_or_only_the_one_that_is_named() -> None:
    """A bot that knows both versions of a type can be sent either."""
    office = Office()
    condition = {**office.of(), "moderator_user_id": office.id_of("alice")}
    first, second = (office.add(HOLD, version, condition, office.token("alice")) for version in ("1", "2"))
    assert hears(office, HOLD, "alice") == (first, second)
    assert hears(office, HOLD, "alice", version="2") == (second,)
    assert hears(office, HOLD, "bob") == ()


def test_a_condition_reaches_those_whose_own_does_not_contradict_it() -> None:
    """Who wants one reward and who wants any; not who wants another one, or another channel."""
    office = Office()
    token = office.token("alice")
    every = office.add(REDEEMED, "1", office.of(), token)
    one = office.add(REDEEMED, "1", {**office.of(), "reward_id": "r1"}, token)
    office.add(REDEEMED, "1", {**office.of(), "reward_id": "r2"}, token)
    office.add(REDEEMED, "1", office.of("bob"), office.token("bob"))
    assert hears(office, REDEEMED, condition={**office.of(), "reward_id": "r1"}) == (every, one)


def test_a_type_about_no_channel_is_sent_by_its_condition() -> None:
    """An account's."""
    office = Office()
    mine = office.add("user.update", "1", {"user_id": office.id_of("bot")})
    office.add("user.update", "1", {"user_id": office.id_of("carol")})
    assert hears(office, "user.update", condition={"user_id": office.id_of("bot")}) == (mine,)
    with pytest.raises(ValueError, match=r"user\.update is about no channel: give its condition, user_id"):
        hears(office, "user.update", "alice")


def test_a_type_that_nobody_knows_is_taken_as_told_and_can_be_subscribed_to_from_then_on() -> None:
    """So can a version of tomorrow; until somebody tells of it, Helix refuses it as Twitch does."""
    office = Office()
    for name, version in (("channel.party.begin", "1"), (HOLD, "3")):
        assert hears(office, name, version=version, condition=office.of()) == ()
        mine = office.add(name, version, office.of())
        assert hears(office, name, version=version, condition=office.of()) == (mine,)
        assert hears(office, name, "alice", version=version) == (mine,)
        assert hears(office, name, version=version, condition=office.of("bob")) == ()


@pytest.mark.parametrize(
    ("name", "channel", "options", "words"),
    [
        ("channel.party", "alice", {}, "there is no EventSub type 'channel.party'; there are: channel.chat.message, "),
        ("channel.party", "alice", {}, "with a condition any other can be sent"),
        (HOLD, "alice", {"version": "7"}, "there is no version '7' of automod.message.hold; there are: 1, 2"),
        (HOLD, "", {}, "an event of automod.message.hold needs a channel, or a condition"),
        (HOLD, "", {"condition": {}}, "the condition of automod.message.hold must say what it is about"),
        ("channel.party", "", {"condition": {}}, "the condition of channel.party must say what it is about"),
        ("channel.follow", "", {"version": "1", "condition": {"user_id": "1"}}, "withdrawn version '1' of channel.follow; there are: 2"),
        (HOLD, "", {"condition": {"user_id": "1"}}, "has no 'user_id'; it has: broadcaster_user_id, moderator_user_id"),
        (HOLD, "", {"condition": {"moderator_user_id": "1"}}, "must say broadcaster_user_id"),
    ],
)  # fmt: skip
def test_what_says_nobody_is_refused_with_words(
    name: str, channel: str, options: dict[str, object], words: str
) -> None:
    """And declares nothing."""
    office = Office()
    with pytest.raises(ValueError, match=re.escape(words)):
        hears(office, name, channel, **options)
    assert office.stats["types_declared"] == 0
