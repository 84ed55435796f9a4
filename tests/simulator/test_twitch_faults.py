"""The faults of Twitch by themselves; what they do to its faces is in `test_twitch_fault_hands`."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from simulator.fault_base import Fault, FaultError
from simulator.twitch_faults import (
    TWITCH_KINDS,
    EventsubClose,
    EventsubRevoke,
    FacedFault,
    HelixSlow,
    TwitchDisconnect,
    TwitchReordering,
)


def test_every_kind_is_of_twitchs_family() -> None:
    """So the board hands it to whoever asks for Twitch's."""
    assert all(kind.family == "twitch" for kind in TWITCH_KINDS)


def test_a_fault_strikes_every_face_or_the_one_it_names() -> None:
    """All by default."""
    assert [TwitchDisconnect().strikes(face) for face in ("irc", "eventsub")] == [True, True]
    only: FacedFault = TwitchDisconnect(face="irc")
    assert [only.strikes(face) for face in ("irc", "eventsub")] == [True, False]


@pytest.mark.parametrize("code", range(4000, 4008))
def test_each_close_code_of_eventsub_can_be_asked_for(code: int) -> None:
    """4000 to 4007 are documented."""
    assert EventsubClose(code=code).code == code


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TwitchDisconnect(face="helix"), "face must be all, irc, eventsub, got 'helix'"),
        (lambda: EventsubClose(code=4008), "code must be 4000 to 4007, got 4008"),
        (lambda: EventsubRevoke(status="gone"), "status must be authorization_revoked, .*, got 'gone'"),
        (lambda: TwitchReordering(delay_s=0.0), "delay_s must be above 0 and finite"),
        (lambda: TwitchReordering(delay_s=math.inf), "delay_s must be above 0 and finite"),
        (lambda: HelixSlow(ms=math.inf), "ms must be finite"),
    ],
)
def test_what_twitch_does_not_have_is_refused(make: Callable[[], Fault], words: str) -> None:
    """At once, where the scenario is written, with what is allowed."""
    with pytest.raises(FaultError, match=words):
        make()
