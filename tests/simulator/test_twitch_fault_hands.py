"""Which fault does what to which face of the fake Twitch."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from simulator.errors import NotSimulatedError
from simulator.faults import (
    ConsentEnded,
    EventsubClose,
    EventsubMute,
    EventsubRevoke,
    Fault,
    FaultBoard,
    Helix401,
    Helix429,
    Helix503,
    HelixSlow,
    TokenExpires,
    TokenRevoked,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchHalfOpen,
    TwitchJoinDropped,
    TwitchReconnect,
    TwitchRefusals,
    TwitchReordering,
)
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.twitch.irc import IrcServer
from simulator.twitch_fault_hands import TwitchFaultHands
from tests.simulator.twitch.rig import Clock, small_twitch


class Chat(IrcServer):
    """A chat that notes what is done to its connections."""

    notes: list[str]

    def disconnect_all(self, *, login: str = "", abort: bool = False) -> int:
        """Note it."""
        self.notes.append("irc disconnect")
        return 0

    def half_open_all(self, *, login: str = "") -> int:
        """Note it."""
        self.notes.append("irc half open")
        return 0

    def send_reconnect(self, grace_s: float = 0.0, *, login: str = "") -> int:
        """Note it."""
        self.notes.append(f"irc reconnect {grace_s:g}")
        return 0


@dataclass
class Shown:
    """A subscription as Helix shows it."""

    id: str
    type: str
    status: str = "enabled"

    def to_json(self) -> dict[str, Any]:
        """Its three fields."""
        return {"id": self.id, "type": self.type, "status": self.status}


@dataclass
class Events:
    """An EventSub that notes what is done to it."""

    notes: list[str]
    book: list[Shown] = field(default_factory=list)
    duplicate_probability: float = 0.0
    reorder_probability: float = 0.0
    reorder_delay_s: float = 0.25
    mute_keepalives: bool = False

    def session_reconnect(self, grace_s: float = 30.0) -> None:
        """Note it."""
        self.notes.append(f"eventsub reconnect {grace_s:g}")

    def close_all(self, code: int) -> None:
        """Note it."""
        self.notes.append(f"eventsub close {code}")

    def half_open_all(self) -> None:
        """Note it."""
        self.notes.append("eventsub half open")

    def disconnect_all(self) -> None:
        """Note it."""
        self.notes.append("eventsub disconnect")

    def subscriptions(self, client_id: str, login: str = "") -> list[Shown]:
        """Those of the default app."""
        return self.book if client_id == DEFAULT_CLIENT_ID else []

    def revoke(self, subscription_id: str, status: str) -> None:
        """Note it."""
        self.notes.append(f"eventsub revoke {subscription_id} {status}")


@dataclass
class Web:
    """A Helix with nothing but its faults."""

    helix_429_probability: float = 0.0
    helix_503_probability: float = 0.0
    helix_401_probability: float = 0.0
    helix_delay_s: float = 0.0


class Scene:
    """The faces, a board, and hands that go from the one to the others; time in `clock`."""

    def __init__(self, *faults: Fault, events: bool = True) -> None:
        self.clock = Clock()
        self.notes: list[str] = []
        self.state = small_twitch(self.clock)
        self.irc = Chat(self.state, None, random.Random(1))
        self.irc.notes = self.notes
        self.events, self.web = Events(self.notes), Web()
        self.board = FaultBoard(self.clock, random.Random(2), faults)
        self.hands = TwitchFaultHands(
            self.board, self.irc, eventsub=self.events if events else None, web=self.web if events else None
        )

    def at(self, now_s: float) -> list[str]:
        """What is done at this moment."""
        self.clock.now_s = now_s
        before = len(self.notes)
        self.hands.apply()
        return self.notes[before:]


@pytest.mark.parametrize(
    ("fault", "done"),
    [
        (TwitchDisconnect(start_s=5), ["irc disconnect", "eventsub disconnect"]),
        (TwitchDisconnect(start_s=5, face="eventsub"), ["eventsub disconnect"]),
        (TwitchHalfOpen(start_s=5), ["irc half open", "eventsub half open"]),
        (TwitchHalfOpen(start_s=5, face="irc"), ["irc half open"]),
        (TwitchReconnect(7, start_s=5), ["irc reconnect 7", "eventsub reconnect 7"]),
        (TwitchReconnect(start_s=5, face="eventsub"), ["eventsub reconnect 15"]),
        (EventsubClose(start_s=5, code=4003), ["eventsub close 4003"]),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_what_happens_once_happens_at_its_instant_to_its_faces(fault: Fault, done: list[str]) -> None:
    """Not before, and not again."""
    scene = Scene(fault)
    assert [scene.at(4.9), scene.at(5.0), scene.at(6.0)] == [[], done, []]


def test_what_lasts_begins_and_ends_on_every_face() -> None:
    """Redelivery, reordering, silent keepalives, each kind of answer of Helix."""
    lasting: tuple[Fault, ...] = (
        TwitchDuplicates(start_s=5, duration_s=10, probability=0.5),
        TwitchReordering(2.0, start_s=5, duration_s=10, probability=0.25),
        EventsubMute(start_s=5, duration_s=10),
        Helix429(start_s=5, duration_s=10, probability=0.1),
        Helix503(start_s=5, duration_s=10, probability=0.2),
        Helix401(start_s=5, duration_s=10, probability=0.3),
        HelixSlow(1500, start_s=5, duration_s=10),
        TwitchJoinDropped(start_s=5, duration_s=10, probability=0.4),
        TwitchRefusals("msg_rejected", start_s=5, duration_s=10, probability=0.6),
    )
    scene = Scene(*lasting)

    def seen() -> list[object]:
        irc, events, web = scene.irc, scene.events, scene.web
        return [
            irc.duplicate_probability, irc.reorder_probability, events.duplicate_probability, events.reorder_probability,
            events.mute_keepalives, web.helix_429_probability, web.helix_503_probability, web.helix_401_probability,
            web.helix_delay_s, irc.drop_join_probability, irc.rules.refusal_probability,
        ]  # fmt: skip

    quiet: list[object] = [0.0, 0.0, 0.0, 0.0, False, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    scene.at(0.0)
    assert seen() == quiet
    scene.at(5.0)
    assert seen() == [0.5, 0.25, 0.5, 0.25, True, 0.1, 0.2, 0.3, 1.5, 0.4, 0.6]
    assert scene.irc.rules.refusal_id == "msg_rejected"
    assert (scene.irc.reorder_delay_s, scene.events.reorder_delay_s) == (2.0, 2.0)
    scene.at(15.0)
    assert seen() == quiet


def test_a_lasting_fault_of_one_face_leaves_the_other_alone() -> None:
    """Duplicates of events only, reordering of chat only."""
    scene = Scene(TwitchDuplicates(face="eventsub"), TwitchReordering(face="irc"))
    scene.at(0.0)
    assert (scene.irc.duplicate_probability, scene.events.duplicate_probability) == (0.0, 1.0)
    assert (scene.irc.reorder_probability, scene.events.reorder_probability) == (1.0, 0.0)


def test_subscriptions_are_revoked_all_or_of_one_type() -> None:
    """Those that are enabled, each once, with the status."""
    scene = Scene(
        EventsubRevoke(start_s=1, type="channel.follow"), EventsubRevoke(start_s=2, status="version_removed")
    )
    scene.events.book = [
        Shown("1", "channel.follow"),
        Shown("2", "channel.raid"),
        Shown("3", "channel.raid", "gone"),
    ]
    assert scene.at(1.0) == ["eventsub revoke 1 authorization_revoked"]
    assert scene.at(2.0) == ["eventsub revoke 1 version_removed", "eventsub revoke 2 version_removed"]


def test_a_tokens_life_ends_in_three_ways() -> None:
    """Run out: it refreshes. Revoked: it does not. Consent ended: observers hear of it. Only the account that is named."""
    ended: list[tuple[str, str]] = []
    for fault, refreshes, told in (
        (TokenExpires(login="bot"), True, []),
        (TokenRevoked(login="bot"), False, []),
        (ConsentEnded(login="bot"), False, [(DEFAULT_CLIENT_ID, "bot")]),
    ):
        scene = Scene(fault)
        credentials = scene.state.credentials
        refresh = credentials.tokens["bot-token"].refresh
        ended.clear()
        credentials.on_revoked(lambda client_id, login: ended.append((client_id, login)))
        scene.at(0.0)
        assert scene.state.user_of_token("bot-token") is None
        assert scene.state.user_of_token("carol-token") is not None
        assert (credentials.refresh(DEFAULT_CLIENT_ID, refresh) is not None) == refreshes
        assert ended == told


def test_nobody_named_means_everybody_and_apps_keep_theirs() -> None:
    """Every user token, no app's own."""
    scene = Scene(TokenExpires())
    app = scene.state.credentials.issue_app(DEFAULT_CLIENT_ID)
    scene.at(0.0)
    assert scene.state.user_of_token("carol-token") is None
    assert scene.state.credentials.valid(app.access) is not None


def test_a_token_dies_before_the_disconnect_of_the_same_instant() -> None:
    """So that whoever is thrown out meets the dead token."""
    scene = Scene(TwitchDisconnect(start_s=1), TokenExpires(start_s=1))
    alive_when_cut: list[bool] = []

    class Witness(list[str]):
        def append(self, note: str) -> None:
            alive_when_cut.append(scene.state.user_of_token("bot-token") is not None)

    scene.irc.notes = Witness()
    scene.at(1.0)
    assert alive_when_cut == [False]


def test_a_world_without_events_has_its_chat_struck_all_the_same() -> None:
    """A fault of all faces acts on the one that is there."""
    assert Scene(TwitchDisconnect(), events=False).at(0.0) == ["irc disconnect"]


@pytest.mark.parametrize(
    ("fault", "missing"),
    [
        (EventsubClose(), "EventSub"),
        (EventsubMute(), "EventSub"),
        (EventsubRevoke(), "EventSub"),
        (TwitchDisconnect(face="eventsub"), "EventSub"),
        (TwitchDuplicates(face="eventsub"), "EventSub"),
        (Helix429(), "Helix"),
        (Helix401(), "Helix"),
        (Helix503(), "Helix"),
        (HelixSlow(), "Helix"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_fault_of_a_face_that_is_not_there_is_refused(fault: Fault, missing: str) -> None:
    """Aloud: a night must not be easier than its name says."""
    with pytest.raises(NotSimulatedError, match=f"{fault.kind} needs {missing}"):
        Scene(fault, events=False).at(0.0)
