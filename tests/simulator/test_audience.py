"""Crowds: the same for the same seed, independent of each other, in the order of time, at the rates they name."""

from __future__ import annotations

import asyncio
import itertools
import math
import random

import pytest

from simulator.audience import (
    Chatter,
    CommandStorm,
    Crowd,
    Raid,
    Spoken,
    Utterance,
    give_role,
    perform,
    speaker,
    utterances,
)
from simulator.loop import run
from simulator.rng import SeedTree
from simulator.twitch.state import TwitchState, UnknownName

CROWDS: tuple[Crowd, ...] = (
    Chatter("lobby", 5.0),
    Raid("arcade", at_s=10.0, viewers=200, duration_s=5.0),
    CommandStorm("lobby", 3.0, start_s=2.0, duration_s=20.0),
)

DIALOGUE = (
    Utterance(1.0, "lobby", "mod_1", "!death lava", "moderator"),
    Utterance(2.5, "arcade", "arcade", "!ping", "broadcaster"),
)


def said(*crowds: Crowd, seed: int = 1, until_s: float = 30.0) -> list[Utterance]:
    """Everything the crowds say."""
    return list(utterances(crowds, SeedTree(seed).child("audience"), until_s))


def twitch() -> TwitchState:
    """A Twitch with the channel lobby."""
    state = TwitchState(lambda: 0.0, random.Random(1), 0.0)
    state.add_channel("lobby")
    return state


def test_the_same_seed_says_the_same() -> None:
    """A seed decides every moment, login and text; another seed decides otherwise."""
    assert said(*CROWDS) == said(*CROWDS)
    assert said(*CROWDS) != said(*CROWDS, seed=2)


def test_crowds_do_not_hear_each_other() -> None:
    """What a crowd says does not depend on the crowds beside it."""
    alone = said(CROWDS[2])
    beside = [line for line in said(*CROWDS) if line.text.startswith("!")]
    assert alone == beside


def test_two_equal_crowds_say_different_things() -> None:
    """A second crowd of the same kind in the same channel draws from a stream of its own."""
    both = said(CROWDS[0], CROWDS[0])
    assert len(dict.fromkeys(line.at_s for line in both)) == len(both)


def test_lines_come_in_the_order_of_time_and_end_in_time() -> None:
    """The streams are merged by time, and nothing is said at or after the end."""
    moments = [line.at_s for line in said(*CROWDS)]
    assert moments == sorted(moments)
    assert moments[0] >= 0 and moments[-1] < 30.0


def test_endless_crowds_are_drawn_lazily() -> None:
    """Without an end the stream goes on for ever, and costs only what is taken from it."""
    endless = utterances(CROWDS, SeedTree(1))
    assert len(list(itertools.islice(endless, 5_000))) == 5_000


def test_small_talk_is_a_poisson_process() -> None:
    """Mean and variance of the counts per second are both the rate, within four standard errors."""
    counts = [0] * 2_000
    for line in said(Chatter("lobby", 3.0, chatters=5), until_s=2_000.0):
        counts[int(line.at_s)] += 1
        assert line.login.removeprefix("viewer_") in {"1", "2", "3", "4", "5"}
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    assert mean == pytest.approx(3.0, abs=4 * math.sqrt(3 / 2_000))
    assert variance == pytest.approx(3.0, rel=0.2)


def test_a_raid_is_many_different_people_most_of_them_early() -> None:
    """Everybody speaks once within the raid, half of them in its first quarter or so."""
    lines = said(Raid("arcade", at_s=10.0, viewers=400, duration_s=8.0))
    assert len({line.login for line in lines}) == len(lines) == 400
    assert all(10.0 <= line.at_s < 18.0 for line in lines)
    assert 150 < sum(line.at_s < 12.0 for line in lines) < 250


def test_a_storm_keeps_its_rate_in_every_window() -> None:
    """In any 30 seconds a storm of 3 a second has at most 92 commands: below Twitch's 100 without luck."""
    moments = [line.at_s for line in said(CommandStorm("lobby", 3.0), until_s=600.0)]
    assert len(moments) == 1_800
    for first, later in zip(moments, moments[92:], strict=False):
        assert later - first > 30.0


def test_a_storm_names_who_speaks_and_numbers_its_texts() -> None:
    """Roles decide the logins, and {n} makes every text different."""
    lines = said(
        CommandStorm("lobby", 5.0, commands=("!note item {n}",), roles=("moderator", "broadcaster"), people=2)
    )
    assert {(line.role, line.login) for line in lines} == {
        ("moderator", "mod_1"),
        ("moderator", "mod_2"),
        ("broadcaster", "lobby"),
    }
    assert [line.text for line in lines[:2]] == ["!note item 1", "!note item 2"]
    assert len({line.text for line in lines}) == len(lines)


def test_spoken_lines_are_said_as_they_stand_whatever_the_seed() -> None:
    """Exactly these lines at these moments, in any channel, cut at the end of the night; nothing is no crowd's harm."""
    assert said(Spoken(DIALOGUE)) == said(Spoken(DIALOGUE), seed=2) == list(DIALOGUE)
    assert said(Spoken(DIALOGUE), until_s=2.0) == list(DIALOGUE[:1])
    assert said(Spoken(())) == []


def test_what_crowds_said_can_be_written_down_and_said_again() -> None:
    """The stream of a night, as one crowd, is the same stream."""
    assert said(Spoken(tuple(said(*CROWDS)))) == said(*CROWDS)


def test_a_crowd_begins_and_ends_when_it_says() -> None:
    """start_s and duration_s bound what is said; a rate of zero says nothing."""
    lines = said(Chatter("lobby", 50.0, start_s=5.0, duration_s=2.0))
    assert lines and all(5.0 <= line.at_s < 7.0 for line in lines)
    assert said(Chatter("lobby", 0.0), CommandStorm("lobby", 0.0)) == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Chatter("Lobby", 1.0), "lower case"),
        (lambda: Chatter("lobby", -1.0), "rate_per_s must be finite"),
        (lambda: Chatter("lobby", 1.0, chatters=0), "chatters must be at least 1"),
        (lambda: Raid("lobby", 0.0, viewers=0), "viewers must be at least 1"),
        (lambda: Raid("lobby", 0.0, viewers=1, duration_s=math.inf), "positive and finite"),
        (lambda: CommandStorm("lobby", math.inf), "rate_per_s must be finite"),
        (lambda: CommandStorm("lobby", 1.0, commands=()), "commands must be at least 1"),
        (lambda: Spoken((Utterance(math.nan, "lobby", "ann", "hi"),)), "line 1: at_s must be finite"),
        (lambda: Spoken((Utterance(1.0, "Lobby", "ann", "hi"),)), "channel must be a login in lower case"),
        (lambda: Spoken((Utterance(1.0, "lobby", "Ann", "hi"),)), "login must be a login in lower case"),
        (lambda: Spoken((Utterance(1.0, "lobby", "ann", "hi", "broadcaster"),)), "is lobby, not ann"),
        (lambda: Spoken((Utterance(1.0, "lobby", "ann", "a\nb"),)), "cannot have CR, LF"),
        (lambda: Spoken((Utterance(1.0, "lobby", "ann", ""),)), "must not be empty"),
        (lambda: Spoken((DIALOGUE[1], DIALOGUE[0])), "in the order of time: line 2 is at 1.0 s"),
    ],
)
def test_an_impossible_crowd_says_what_is_wrong(make: object, words: str) -> None:
    """A value out of range is named at once."""
    assert callable(make)
    with pytest.raises(ValueError, match=words):
        make()


def test_a_performance_keeps_to_the_clock() -> None:
    """Each line is said at its moment, counted from the start of the performance."""
    heard: list[tuple[float, Utterance]] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(100.0)
        await perform(said(*CROWDS), lambda line: heard.append((loop.time() - 100.0, line)))

    run(story())
    assert [line for _, line in heard] == said(*CROWDS)
    assert all(moment == pytest.approx(line.at_s, abs=1e-5) for moment, line in heard)


def test_a_late_performance_lets_others_run() -> None:
    """Lines whose moment has passed follow each other at once, and other tasks get a turn between them."""
    order: list[str] = []

    async def story() -> None:
        lines = [Utterance(0.0, "lobby", "viewer_1", str(number)) for number in range(3)]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(perform(lines, lambda line: order.append(line.text)))
            tasks.create_task(other())

    async def other() -> None:
        for _ in range(3):
            order.append("other")
            await asyncio.sleep(0)

    run(story())
    assert order.index("other") < order.index("2")


def test_a_speaker_makes_people_and_gives_them_their_role() -> None:
    """The first line of a moderator makes the account and its badge; a viewer's line takes none away."""
    state = twitch()
    say = speaker(state)
    first = say(Utterance(0.0, "lobby", "mod_1", "hi", "moderator"))
    say(Utterance(0.0, "lobby", "mod_1", "hi again", "viewer"))
    say(Utterance(0.0, "lobby", "vip_1", "hi", "vip"))
    say(Utterance(0.0, "lobby", "sub_1", "hi", "subscriber"))
    say(Utterance(0.0, "lobby", "lobby", "hi", "broadcaster"))
    room = state.channel("lobby")
    assert first and list(room.moderators) == ["mod_1"]
    assert list(room.vips) == ["vip_1"] and list(room.subscribers) == ["sub_1"]


def test_roles_that_cannot_be_are_refused() -> None:
    """A channel has one broadcaster, and an unknown channel has none at all."""
    with pytest.raises(ValueError, match="the broadcaster of lobby is lobby"):
        give_role(twitch(), "lobby", "mod_1", "broadcaster")
    with pytest.raises(UnknownName):
        give_role(twitch(), "nowhere", "mod_1", "moderator")
