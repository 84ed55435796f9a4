"""What the commands of ``byte-sim`` share: exit codes and the values of common options."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum, StrEnum
from typing import Annotated

import typer

from simulator.scenario_file import NightFile


class Exit(IntEnum):
    """What ``byte-sim`` returns to the shell."""

    OK = 0
    BROKEN = 1
    NOT_TRIED = 2
    #: Runs that must be equal are not.
    DIFFERENT = 3
    #: Something that must happen did not.
    LIVENESS = 4
    #: A night ended by an error that nobody expected.
    CRASHED = 5
    INTERRUPTED = 130


NightName = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO", help="A name from `byte-sim list`, a file.toml, or a seed of `byte-sim search`."
    ),
]
NightLimit = Annotated[
    float,
    typer.Option(
        "--night-limit",
        metavar="SECONDS",
        min=0,
        help="Give a night up as a crash after so much real time; 0: never.",
    ),
]


class NetworkKind(StrEnum):
    """What lies between the bot and the fakes."""

    MEMORY = "memory"
    TCP = "tcp"


class TransportKind(StrEnum):
    """By which of Twitch's ways the bot chats."""

    IRC = "irc"
    EVENTSUB = "eventsub"


class Order(StrEnum):
    """Which of the tasks that are ready at one instant goes first."""

    FIFO = "fifo"
    RANDOM = "random"


def night_as_asked(
    night: NightFile, seed: int | None, transport: TransportKind | None, order: Order | None
) -> NightFile:
    """The night with what the options say; what they leave out, it says itself."""
    return replace(
        night,
        seed=night.seed if seed is None else seed,
        transport=night.transport if transport is None else transport.value,
        ready_order=night.ready_order if order is None else order.value,
    )
