"""Crowds: who says what when in the chat of a simulated Twitch.

A crowd is a small frozen value: `Chatter` (small talk, a Poisson process), `Raid` (many different people at once),
`CommandStorm` (commands at a bounded rate), `Spoken` (exactly these lines, drawing nothing). `utterances` turns crowds
and a seed into one stream in the order of time, lazily, so that a crowd without an end costs nothing until it is
listened to; `perform` plays the stream on the running loop's clock; `speaker` says an utterance in a `TwitchState`.

Every crowd draws from a stream of its own, named after its kind, its channel and how many of that kind came before it
in the channel: another crowd more, or in another channel, changes nothing that this one says.

Times are seconds from the start of the performance, in whole microseconds as in the trace. Logins and texts are made
up. Left out: the raid's USERNOTICE (`TwitchState.raid`), people who answer each other, people who leave.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from simulator.rng import SeedTree
from simulator.twitch.state import TwitchState

Role: TypeAlias = Literal["viewer", "subscriber", "vip", "moderator", "broadcaster"]

ROLES: tuple[Role, ...] = ("viewer", "subscriber", "vip", "moderator", "broadcaster")

# How the people of a role are called; a broadcaster's login is the channel's.
LOGIN_STEMS: Mapping[Role, str] = {
    "viewer": "viewer",
    "subscriber": "sub",
    "vip": "vip",
    "moderator": "mod",
}
SUBSCRIBED_MONTHS = 6  # what a subscriber of ours has behind them: any of Twitch's badge steps

SMALL_TALK = (
    "hello from the back row",
    "that jump was clean",
    "what a comeback",
    "is this the last boss?",
    "first time here, nice stream",
    "the music fits so well",
    "take your time",
    "good luck on this one",
    "lol",
    "one more try",
    "how long until the next break?",
    "that hat suits you",
    "oi gente, boa noite",
    "que jogada linda",
    "cheguei agora, o que eu perdi?",
    "essa fase é muito difícil",
    "kkkkk não acredito",
    "mais uma, vai dar certo",
    "saudades desse jogo",
    "bom dia de Lisboa",
    "a trilha sonora é ótima",
    "respira e tenta de novo",
)
RAID_TALK = (
    "raid!",
    "we are here!",
    "hello from the other side",
    "good evening everybody",
    "chegamos!",
    "boa noite, viemos da raid",
    "invasão amiga",
    "olha nós aqui",
)
DEFAULT_COMMANDS = ("!count deaths +1", "!count wins +1")


@dataclass(frozen=True)
class Utterance:
    """One line of chat: at `at_s` seconds after the start, `login`, who has this role in the channel, says `text`."""

    at_s: float
    channel: str
    login: str
    text: str
    role: Role = "viewer"


@dataclass(frozen=True)
class Chatter:
    """Small talk: a Poisson process of `rate_per_s` messages a second, by `chatters` different viewers."""

    channel: str
    rate_per_s: float
    start_s: float = 0.0
    duration_s: float = math.inf
    chatters: int = 20

    def __post_init__(self) -> None:
        _check(self, rate_per_s=self.rate_per_s, start_s=self.start_s, duration_s=self.duration_s)
        _at_least_one(self, chatters=self.chatters)

    def draw(self, rng: random.Random) -> Iterator[Utterance]:
        """Yield what the crowd says, in the order of time."""
        if not self.rate_per_s:
            return
        at_s = self.start_s
        while True:
            at_s += rng.expovariate(self.rate_per_s)
            if at_s >= self.start_s + self.duration_s:
                return
            login = f"{LOGIN_STEMS['viewer']}_{rng.randint(1, self.chatters)}"
            yield Utterance(_microseconds(at_s), self.channel, login, rng.choice(SMALL_TALK))


@dataclass(frozen=True)
class Raid:
    """A raid: `viewers` people nobody has seen before, each with one line, most of them early within `duration_s`."""

    channel: str
    at_s: float
    viewers: int
    duration_s: float = 10.0

    def __post_init__(self) -> None:
        _check(self, at_s=self.at_s)
        _at_least_one(self, viewers=self.viewers)
        if not 0 < self.duration_s < math.inf:
            raise ValueError(f"Raid in {self.channel}: duration_s must be positive and finite")

    def draw(self, rng: random.Random) -> Iterator[Utterance]:
        """Yield what the crowd says, in the order of time."""
        # Squared: half of the people speak in the first quarter of the time, as raids do.
        moments = sorted(rng.random() ** 2 for _ in range(self.viewers))
        for number, moment in enumerate(moments, 1):
            at_s = _microseconds(self.at_s + moment * self.duration_s)
            yield Utterance(at_s, self.channel, f"raider_{number}", rng.choice(RAID_TALK))


@dataclass(frozen=True)
class CommandStorm:
    """Commands, drawn from `commands`, each by one of `people` people of a role drawn from `roles`.

    One command falls at a random moment into each interval of 1 / `rate_per_s` seconds. So every t seconds hold at most
    t · rate + 2 commands: a storm below Twitch's limits never runs into them by bad luck, as a Poisson process would.
    `{n}` in a command becomes its running number in the storm, for texts that must differ.
    """

    channel: str
    rate_per_s: float
    commands: tuple[str, ...] = DEFAULT_COMMANDS
    roles: tuple[Role, ...] = ("moderator",)
    start_s: float = 0.0
    duration_s: float = math.inf
    people: int = 3

    def __post_init__(self) -> None:
        _check(self, rate_per_s=self.rate_per_s, start_s=self.start_s, duration_s=self.duration_s)
        _at_least_one(self, people=self.people, commands=len(self.commands), roles=len(self.roles))

    def draw(self, rng: random.Random) -> Iterator[Utterance]:
        """Yield what the crowd says, in the order of time."""
        if not self.rate_per_s:
            return
        for number in itertools.count(1):
            at_s = self.start_s + (number - 1 + rng.random()) / self.rate_per_s
            if at_s >= self.start_s + self.duration_s:
                return
            text = rng.choice(self.commands).replace("{n}", str(number))
            role = rng.choice(self.roles)
            someone = rng.randint(1, self.people)
            login = self.channel if role == "broadcaster" else f"{LOGIN_STEMS[role]}_{someone}"
            yield Utterance(_microseconds(at_s), self.channel, login, text, role)


@dataclass(frozen=True)
class Spoken:
    """Exactly these `lines`, in the order of time: a dialogue, or what other crowds said in a night, written down."""

    lines: tuple[Utterance, ...]

    def __post_init__(self) -> None:
        for number, line in enumerate(self.lines, 1):
            _check_line(f"Spoken: line {number}", line)
        for number, (line, after) in enumerate(itertools.pairwise(self.lines), 1):
            if after.at_s < line.at_s:
                raise ValueError(
                    f"Spoken: the lines must be in the order of time: line {number + 1} is at {after.at_s} s, "
                    f"line {number} before it at {line.at_s} s"
                )

    @property
    def channel(self) -> str:
        """The channel of the first line, "" if nothing is said; the others may be in any channel."""
        return self.lines[0].channel if self.lines else ""

    def draw(self, rng: random.Random) -> Iterator[Utterance]:
        """Yield the lines; nothing is drawn."""
        yield from self.lines


Crowd: TypeAlias = Chatter | Raid | CommandStorm | Spoken


def utterances(crowds: Iterable[Crowd], seeds: SeedTree, until_s: float = math.inf) -> Iterator[Utterance]:
    """Yield everything the crowds say before `until_s`, in the order of time; at one instant in the crowds' order.

    `seeds` is the audience's node of the seed tree: the same node gives the same utterances.
    """
    seen: Counter[str] = Counter()
    streams = []
    for crowd in crowds:
        name = f"{type(crowd).__name__}/{crowd.channel}"
        rng = seeds.stream(f"{name}/{seen[name]}")
        seen[name] += 1
        streams.append(itertools.takewhile(lambda line: line.at_s < until_s, crowd.draw(rng)))
    return heapq.merge(*streams, key=lambda line: line.at_s)


async def perform(lines: Iterable[Utterance], say: Callable[[Utterance], object]) -> None:
    """Call `say` with each utterance when its moment has come, counted from now on the running loop's clock.

    When the loop is late the lines follow each other at once, and other tasks still get their turn in between.
    """
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    for line in lines:
        await asyncio.sleep(max(0.0, start_s + line.at_s - loop.time()))
        say(line)


def speaker(state: TwitchState) -> Callable[[Utterance], str]:
    """Return the function that says an utterance in `state` and gives the message's id.

    Whoever speaks for the first time is made, with the role of the utterance; raises `UnknownName` for a channel that
    there is not.
    """

    def say(line: Utterance) -> str:
        if line.role != "viewer":
            give_role(state, line.channel, line.login, line.role)
        return state.say(line.channel, line.login, line.text)

    return say


def give_role(state: TwitchState, channel: str, login: str, role: Role) -> None:
    """See to it that the account has at least this role in the channel; "viewer" leaves the one it has."""
    room = state.channel(channel)
    login = login.lower()
    if role == "moderator" and login not in room.moderators:
        state.set_role(channel, login, "moderator")
    elif role == "vip" and login not in room.vips:
        state.set_role(channel, login, "vip")
    elif role == "subscriber" and login not in room.subscribers:
        room.subscribers[state.add_user(login).login] = SUBSCRIBED_MONTHS
    elif role == "broadcaster" and login != room.login:
        raise ValueError(f"the broadcaster of {room.login} is {room.login}, not {login}")


def _check(crowd: Crowd, **numbers: float) -> None:
    if not crowd.channel or crowd.channel != crowd.channel.lower():
        raise ValueError(
            f"{type(crowd).__name__}: channel must be a login in lower case, got {crowd.channel!r}"
        )
    for name, value in numbers.items():
        infinite = math.isinf(value) and name != "duration_s"
        if math.isnan(value) or value < 0 or infinite:
            raise ValueError(
                f"{type(crowd).__name__} in {crowd.channel}: {name} must be finite and not negative, got {value}"
            )


def _check_line(what: str, line: Utterance) -> None:
    if not math.isfinite(line.at_s) or line.at_s < 0:
        raise ValueError(f"{what}: at_s must be finite and not negative, got {line.at_s}")
    for name, login in (("channel", line.channel), ("login", line.login)):
        if not login or login != login.lower():
            raise ValueError(f"{what}: {name} must be a login in lower case, got {login!r}")
    if line.role not in ROLES:
        raise ValueError(f"{what}: role must be one of {', '.join(ROLES)}, got {line.role!r}")
    if line.role == "broadcaster" and line.login != line.channel:
        raise ValueError(f"{what}: the broadcaster of {line.channel} is {line.channel}, not {line.login}")
    if not line.text or any(char in line.text for char in "\r\n\0"):
        raise ValueError(f"{what}: text must not be empty and cannot have CR, LF or NUL, got {line.text!r}")


def _at_least_one(crowd: Crowd, **numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(
                f"{type(crowd).__name__} in {crowd.channel}: {name} must be at least 1, got {value}"
            )


def _microseconds(at_s: float) -> float:
    return round(at_s, 6)
