"""What Twitch's faults do to the faces of the fake Twitch: chat, EventSub, Helix, tokens.

`apply` does everything that is due now and sets what lasts; whoever calls it (`fault_driver`) knows when. Each face has its faults as
attributes and verbs, so this file only says which fault is which; the protocols name what it needs of them.

A world with a bot on IRC has no EventSub and no Helix. A fault that could act on those alone is refused there (`NotSimulatedError`),
since leaving it out in silence would make the night easier than its name says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

from simulator.errors import NotSimulatedError
from simulator.faults import (
    ConsentEnded,
    EventsubClose,
    EventsubMute,
    EventsubRevoke,
    FacedFault,
    Fault,
    FaultBoard,
    Helix401,
    Helix429,
    Helix503,
    HelixSlow,
    TokenExpires,
    TokenFault,
    TokenRevoked,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchHalfOpen,
    TwitchJoinDropped,
    TwitchReconnect,
    TwitchRefusals,
    TwitchReordering,
)
from simulator.twitch.credentials import CredentialBook, Token
from simulator.twitch.irc import IrcServer
from simulator.twitch_faults import HELIX_FAULTS

FaultT = TypeVar("FaultT", bound=Fault)


class Shown(Protocol):
    """A subscription of EventSub."""

    def to_json(self) -> Mapping[str, Any]:
        """As Helix shows it, with `id`, `type` and `status`."""


class EventsUnderFault(Protocol):
    """EventSub, as far as faults can touch it."""

    duplicate_probability: float
    reorder_probability: float
    reorder_delay_s: float
    mute_keepalives: bool

    def session_reconnect(self, grace_s: float = 30.0) -> object:
        """Send session_reconnect to every connection; the old ones end after the grace."""

    def close_all(self, code: int) -> object:
        """Close every connection with a code."""

    def half_open_all(self) -> object:
        """Let every connection go dead without closing it."""

    def disconnect_all(self) -> object:
        """Drop every connection without a close frame."""

    def subscriptions(self, client_id: str, login: str = "") -> Iterable[Shown]:
        """The subscriptions of an app."""

    def revoke(self, subscription_id: str, status: str) -> object:
        """End one subscription, and say so to its connection."""


class WebUnderFault(Protocol):
    """Helix, as far as faults can touch it."""

    helix_429_probability: float
    helix_503_probability: float
    helix_401_probability: float
    helix_delay_s: float


class TwitchFaultHands:
    """See the module's docstring."""

    def __init__(
        self,
        board: FaultBoard,
        irc: IrcServer,
        *,
        eventsub: EventsUnderFault | None = None,
        web: WebUnderFault | None = None,
    ) -> None:
        self._board = board
        self._irc = irc
        self._eventsub = eventsub
        self._web = web

    def apply(self) -> None:
        """Set what lasts, and do what has become due, each once."""
        acting = self._board.twitch_now()
        self._refuse_what_cannot_act(acting)
        self._set_chat(acting)
        if self._eventsub is not None:
            self._set_events(self._eventsub, acting)
        if self._web is not None:
            self._set_web(self._web, acting)
        # Tokens first: a client that is thrown out at the same instant must meet the dead token when it comes back.
        self._end_tokens(self._irc.state.credentials)
        self._strike_connections()
        self._strike_events()

    def _refuse_what_cannot_act(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            on_events = isinstance(fault, EventsubMute | EventsubClose | EventsubRevoke) or (
                isinstance(fault, FacedFault) and not fault.strikes("irc")
            )
            on_web = isinstance(fault, HELIX_FAULTS)
            if (on_events and self._eventsub is None) or (on_web and self._web is None):
                missing = "EventSub" if on_events else "Helix"
                raise NotSimulatedError(
                    f"the fault {fault.kind} needs {missing}, which this world does not have"
                )

    # -- what lasts -----------------------------------------------------------------------------------------------------

    def _set_chat(self, acting: tuple[Fault, ...]) -> None:
        self._irc.duplicate_probability = _probability(acting, TwitchDuplicates, "irc")
        self._irc.reorder_probability = _probability(acting, TwitchReordering, "irc")
        self._irc.reorder_delay_s = _reorder_delay_s(acting, "irc", self._irc.reorder_delay_s)
        self._irc.drop_join_probability = _probability(acting, TwitchJoinDropped, "irc")
        rules, refusals = self._irc.rules, [fault for fault in acting if isinstance(fault, TwitchRefusals)]
        rules.refusal_probability = _probability(acting, TwitchRefusals, "")
        if refusals:
            rules.refusal_id = max(refusals, key=lambda fault: fault.probability).notice_id

    def _set_events(self, eventsub: EventsUnderFault, acting: tuple[Fault, ...]) -> None:
        eventsub.duplicate_probability = _probability(acting, TwitchDuplicates, "eventsub")
        eventsub.reorder_probability = _probability(acting, TwitchReordering, "eventsub")
        eventsub.reorder_delay_s = _reorder_delay_s(acting, "eventsub", eventsub.reorder_delay_s)
        eventsub.mute_keepalives = any(isinstance(fault, EventsubMute) for fault in acting)

    def _set_web(self, web: WebUnderFault, acting: tuple[Fault, ...]) -> None:
        web.helix_429_probability = _probability(acting, Helix429, "")
        web.helix_503_probability = _probability(acting, Helix503, "")
        web.helix_401_probability = _probability(acting, Helix401, "")
        web.helix_delay_s = (
            max((fault.ms for fault in acting if isinstance(fault, HelixSlow)), default=0.0) / 1000
        )

    # -- what happens once ----------------------------------------------------------------------------------------------

    def _strike_connections(self) -> None:
        irc, eventsub = self._irc, self._eventsub
        for gone in self._due(TwitchDisconnect):
            if gone.strikes("irc"):
                irc.disconnect_all()
            if eventsub is not None and gone.strikes("eventsub"):
                eventsub.disconnect_all()
        for dead in self._due(TwitchHalfOpen):
            if dead.strikes("irc"):
                irc.half_open_all()
            if eventsub is not None and dead.strikes("eventsub"):
                eventsub.half_open_all()
        for move in self._due(TwitchReconnect):
            if move.strikes("irc"):
                irc.send_reconnect(move.grace_s)
            if eventsub is not None and move.strikes("eventsub"):
                eventsub.session_reconnect(move.grace_s)

    def _due(self, kind: type[FaultT]) -> list[FaultT]:
        """What has become due, each once; refused where it cannot act."""
        due = self._board.take_due(kind)
        self._refuse_what_cannot_act(due)
        return due

    def _strike_events(self) -> None:
        closes, revokes, eventsub = self._due(EventsubClose), self._due(EventsubRevoke), self._eventsub
        if eventsub is None:
            return
        for close in closes:
            eventsub.close_all(close.code)
        for revoke in revokes:
            for client_id in tuple(self._irc.state.credentials.apps):
                for shown in [one.to_json() for one in eventsub.subscriptions(client_id)]:
                    if shown["status"] == "enabled" and revoke.type in ("", shown["type"]):
                        eventsub.revoke(shown["id"], revoke.status)

    def _end_tokens(self, credentials: CredentialBook) -> None:
        for expiry in self._board.take_due(TokenExpires):
            for token in _user_tokens(credentials, expiry):
                credentials.expire(token.access)
        for revocation in self._board.take_due(TokenRevoked):
            for token in _user_tokens(credentials, revocation):
                credentials.revoke(token.access)
        for end in self._board.take_due(ConsentEnded):
            pairs = dict.fromkeys((token.client_id, token.login) for token in _user_tokens(credentials, end))
            for client_id, login in pairs:
                credentials.disconnect(client_id, login)


def _user_tokens(credentials: CredentialBook, fault: TokenFault) -> list[Token]:
    return [
        token
        for token in credentials.tokens.values()
        if token.kind == "user" and fault.login.lower() in ("", token.login)
    ]


def _probability(acting: tuple[Fault, ...], kind: type[Fault], face: str) -> float:
    """The largest probability among the faults of this kind that strike the face, 0 without one."""
    return max(
        (fault.probability for fault in acting if isinstance(fault, kind) and _strikes(fault, face)),
        default=0.0,
    )


def _strikes(fault: Fault, face: str) -> bool:
    return fault.strikes(face) if isinstance(fault, TwitchDuplicates | TwitchReordering) else True


def _reorder_delay_s(acting: tuple[Fault, ...], face: str, before_s: float) -> float:
    delays_s = [
        fault.delay_s for fault in acting if isinstance(fault, TwitchReordering) and fault.strikes(face)
    ]
    return max(delays_s, default=before_s)
