"""Verbs by name: each does what its method does, and every mistake is told before anything happens."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from simulator.twitch.events import Happening
from simulator.twitch.state import TwitchState
from simulator.twitch.stream_life import StreamLife
from simulator.twitch.verbs import VERBS, VerbError, describe, fields_of, perform
from tests.simulator.twitch.rig import Clock, small_twitch

Done = Callable[[TwitchState], bool]


def scene() -> tuple[TwitchState, StreamLife, list[Happening]]:
    """A small Twitch, and what its faces hear."""
    state = small_twitch(Clock())
    heard: list[Happening] = []
    state.attach(heard.append)
    return state, StreamLife(state, random.Random(1)), heard


EXAMPLES: dict[str, tuple[dict[str, Any], Done]] = {
    "say": ({"login": "carol", "text": "hi"}, lambda state: "carol" in state.channel("alice").chatted),
    "raid": ({"login": "dave", "viewers": 5}, lambda state: "dave" in state.users),
    "sub": ({"login": "dave", "months": 3, "plan": "Prime"}, lambda state: state.channel("alice").subscribers["dave"] == 3),
    "announce": ({"login": "dave", "text": "hear", "color": "BLUE"}, lambda state: "dave" in state.users),
    "ban": ({"login": "dave", "moderator": "bot", "reason": "spam"}, lambda state: "dave" in state.channel("alice").bans),
    "timeout": ({"login": "dave", "duration_s": 60}, lambda state: state.channel("alice").bans["dave"] == 60),
    "unban": ({"login": "dave"}, lambda state: "dave" not in state.channel("alice").bans),
    "clear": ({}, lambda state: True),
    "modes": ({"slow_s": 30, "subs_only": True}, lambda state: state.channel("alice").modes.slow_s == 30),
    "role": ({"login": "dave", "role": "vip"}, lambda state: "dave" in state.channel("alice").vips),
    "join": ({"login": "dave"}, lambda state: "dave" in state.channel("alice").viewers),
    "part": ({"login": "carol"}, lambda state: "carol" not in state.channel("alice").viewers),
    "suspend": ({"suspended": True}, lambda state: state.channel("alice").suspended),
    "refuse": ({"login": "dave", "notice_id": "msg_rejected"}, lambda state: "dave" in state.channel("alice").refusals),
    "grant_bot": ({"login": "bot"}, lambda state: "bot" in state.channel("alice").granted_bots),
    "follow": ({"login": "dave"}, lambda state: "dave" in state.channel("alice").followers),
    "cheer": ({"login": "dave", "bits": 100, "text": "yes"}, lambda state: "dave" in state.channel("alice").chatted),
    "gift": ({"login": "dave", "recipients": ["Erin", "frank"]}, lambda state: "erin" in state.channel("alice").subscribers),
    "live": ({"viewer_count": 12}, lambda state: state.channel("alice").stream is not None),
    "offline": ({}, lambda state: state.channel("alice").stream is None),
    "update": ({"title": "new", "game_name": "chess"}, lambda state: state.channel("alice").title == "new"),
}  # fmt: skip


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "delete"])
def test_each_verb_does_what_it_says(verb: str) -> None:
    """With an example of each, which is all that JSON can carry."""
    state, life, _ = scene()
    fields, done = EXAMPLES[verb]
    perform(state, life, {"verb": verb, "channel": "alice", **fields})
    assert done(state)


def test_a_message_is_said_deleted_and_gone() -> None:
    """The id that one verb gives is what the other takes; twice is once too often."""
    state, life, heard = scene()
    said = perform(state, life, {"verb": "say", "channel": "#Alice", "login": "carol", "text": "hi"})
    assert perform(state, life, {"verb": "delete", "message_id": said["id"]}) == {}
    assert len(heard) == 2
    with pytest.raises(VerbError, match="delete: no message"):
        perform(state, life, {"verb": "delete", "message_id": said["id"]})


def test_the_description_names_every_field() -> None:
    """What may be left out stands in brackets."""
    assert describe()["raid"] == "channel, login, viewers"
    assert describe()["modes"] == "channel, [emote_only], [followers_only], [r9k], [slow_s], [subs_only]"
    assert all(fields_of(verb) for verb in VERBS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verb": "explode"}, "there is no verb 'explode'; allowed: say, raid, sub"),
        ({"verb": None}, "there is no verb None"),
        ({"viewer": 5}, "raid: there is no field 'viewer'; allowed: channel, login, viewers"),
        ({"viewers": "5"}, "raid: viewers must be a whole number, got '5'"),
        ({"viewers": True}, "raid: viewers must be a whole number, got True"),
        ({"viewers": -1}, "raid: viewers must be 0 to 10000000, got -1"),
        ({"channel": "nowhere"}, "raid: there is no channel 'nowhere'; there are: alice, bob"),
        ({"login": "no spaces"}, "raid: login: 'no spaces' is no Twitch login"),
        ({"verb": "sub", "plan": "gold"}, "sub: there is no field 'viewers'"),
    ],
)
def test_a_mistake_is_told_and_nothing_happens(change: dict[str, Any], words: str) -> None:
    """Which verb, which field, what is allowed."""
    state, life, heard = scene()
    body = {"verb": "raid", "channel": "alice", "login": "dave", "viewers": 5, **change}
    with pytest.raises(VerbError) as refused:
        perform(state, life, body)
    assert words in str(refused.value)
    assert heard == [] and "dave" not in state.users


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"verb": "raid", "channel": "alice", "login": "dave"}, "raid: viewers is missing; it takes channel, login, viewers"),
        ({"verb": "sub", "channel": "alice", "login": "dave", "plan": "gold"}, "plan must be one of 1000, 2000, 3000, Prime"),
        ({"verb": "role", "channel": "alice", "login": "dave", "role": "king"}, "role must be one of moderator, vip, null"),
        ({"verb": "gift", "channel": "alice", "login": "dave", "recipients": []}, "gift: a gift needs at least one recipient"),
        ({"verb": "gift", "channel": "alice", "login": "dave", "recipients": ["a b"]}, "recipients: 'a b' is no Twitch login"),
        ({"verb": "say", "channel": "alice", "login": "dave", "text": "a\nb"}, "a text cannot have CR, LF or NUL"),
        ({"verb": "modes", "channel": "alice", "slow_s": 500}, "slow_s must be 0 to 120, got 500"),
    ],
)  # fmt: skip
def test_bounds_and_choices_are_twitchs(body: dict[str, Any], words: str) -> None:
    """What Twitch would not take is not taken here."""
    state, life, _ = scene()
    with pytest.raises(VerbError) as refused:
        perform(state, life, body)
    assert words in str(refused.value)
