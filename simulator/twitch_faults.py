"""The kinds of faults of Twitch: of its chat (IRC), of EventSub, of Helix and of tokens.

A fault with a ``face`` strikes every face, or only "irc" or only "eventsub". Faults of Helix act on each request with their
``probability``; those of tokens and subscriptions happen once, at ``start_s``, to one account or to all.

Sources: dev.twitch.tv/docs/eventsub/handling-websocket-events (close codes, reconnect, revocation), dev.twitch.tv/docs/api/guide
(429, 503), dev.twitch.tv/docs/authentication (expiry, revocation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from simulator.fault_base import Family, Fault, FaultError

FACES = ("all", "irc", "eventsub")
CLOSE_CODES = tuple(range(4000, 4008))  # documented: internal error … invalid reconnect
REVOCATIONS = (
    "authorization_revoked", "user_removed", "version_removed", "moderator_removed", "chat_user_banned",
)  # fmt: skip

#: dev.twitch.tv/docs/irc/msg-id: what a message is refused with for reasons that its sender cannot help.
REFUSALS = ("msg_rejected", "msg_rejected_mandatory", "msg_channel_blocked", "msg_suspended")


@dataclass(frozen=True)
class FacedFault(Fault):
    """What the faults of chat and events share: on which face they act."""

    family: ClassVar[Family] = "twitch"
    face: str = field(default="all", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.face not in FACES:
            raise FaultError(f"{self.kind}: face must be {', '.join(FACES)}, got {self.face!r}")

    def strikes(self, face: str) -> bool:
        """Say whether it acts on this face."""
        return self.face in ("all", face)


# --- chat and events
# -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwitchDisconnect(FacedFault):
    """Twitch closes every connection at ``start_s``."""

    kind: ClassVar[str] = "twitch_disconnect"
    instant: ClassVar[bool] = True


@dataclass(frozen=True)
class TwitchHalfOpen(FacedFault):
    """At ``start_s`` every connection goes dead without being closed: bytes vanish both ways."""

    kind: ClassVar[str] = "twitch_half_open"
    instant: ClassVar[bool] = True


@dataclass(frozen=True)
class TwitchReconnect(FacedFault):
    """At ``start_s`` Twitch sends RECONNECT on IRC, session_reconnect on EventSub, and closes ``grace_s`` later."""

    kind: ClassVar[str] = "twitch_reconnect"
    instant: ClassVar[bool] = True
    grace_s: float = 15.0


@dataclass(frozen=True)
class TwitchPackets(Fault):
    """Chat bytes arrive cut at arbitrary places, or several lines at once, with these probabilities per write."""

    kind: ClassVar[str] = "twitch_packets"
    family: ClassVar[Family] = "twitch"
    split_probability: float = 0.5
    merge_probability: float = 0.0


@dataclass(frozen=True)
class TwitchDuplicates(FacedFault):
    """A chat message or an event is delivered twice, with ``probability``: an event keeps its message_id."""

    kind: ClassVar[str] = "twitch_duplicates"


@dataclass(frozen=True)
class TwitchReordering(FacedFault):
    """A chat message or an event comes ``delay_s`` late, overtaken by others, with ``probability``."""

    kind: ClassVar[str] = "twitch_reordering"
    delay_s: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.delay_s < math.inf:
            raise FaultError(f"{self.kind}: delay_s must be above 0 and finite, got {self.delay_s}")


@dataclass(frozen=True)
class TwitchRefusals(Fault):
    """What a client says is refused, with ``probability``: a NOTICE ``notice_id`` on IRC, a drop reason from Send Chat Message.

    The kinds that the sender cannot help: the channel's filters (``msg_rejected``, ``msg_rejected_mandatory``) and its standing.
    """

    kind: ClassVar[str] = "twitch_refusals"
    family: ClassVar[Family] = "twitch"
    notice_id: str = "msg_rejected_mandatory"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.notice_id not in REFUSALS:
            raise FaultError(f"{self.kind}: notice_id must be {', '.join(REFUSALS)}, got {self.notice_id!r}")


@dataclass(frozen=True)
class TwitchJoinDropped(Fault):
    """A JOIN is never answered and puts nobody into the channel, with ``probability``; IRC only."""

    kind: ClassVar[str] = "twitch_join_dropped"
    family: ClassVar[Family] = "twitch"


# --- EventSub alone
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EventsubMute(Fault):
    """EventSub's keepalives stop while the connection stays open: a client must notice the silence by itself."""

    kind: ClassVar[str] = "eventsub_mute"
    family: ClassVar[Family] = "twitch"


@dataclass(frozen=True)
class EventsubClose(Fault):
    """At ``start_s`` EventSub closes every connection with ``code``, 4000 to 4007."""

    kind: ClassVar[str] = "eventsub_close"
    family: ClassVar[Family] = "twitch"
    instant: ClassVar[bool] = True
    code: int = 4000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.code not in CLOSE_CODES:
            raise FaultError(
                f"{self.kind}: code must be {CLOSE_CODES[0]} to {CLOSE_CODES[-1]}, got {self.code}"
            )


@dataclass(frozen=True)
class EventsubRevoke(Fault):
    """At ``start_s`` EventSub revokes the subscriptions of a ``type`` ("" for all) with a ``status``, once each."""

    kind: ClassVar[str] = "eventsub_revoke"
    family: ClassVar[Family] = "twitch"
    instant: ClassVar[bool] = True
    status: str = "authorization_revoked"
    type: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status not in REVOCATIONS:
            raise FaultError(f"{self.kind}: status must be {', '.join(REVOCATIONS)}, got {self.status!r}")


# --- Helix
# -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Helix429(Fault):
    """Helix answers 429 as if the bucket were empty, with ``probability``."""

    kind: ClassVar[str] = "helix_429"
    family: ClassVar[Family] = "twitch"


@dataclass(frozen=True)
class Helix503(Fault):
    """Helix answers 503, with ``probability``; documented: a client retries once."""

    kind: ClassVar[str] = "helix_503"
    family: ClassVar[Family] = "twitch"


@dataclass(frozen=True)
class Helix401(Fault):
    """Helix answers 401 to a token that is good, with ``probability``; a client refreshes it."""

    kind: ClassVar[str] = "helix_401"
    family: ClassVar[Family] = "twitch"


@dataclass(frozen=True)
class HelixSlow(Fault):
    """Every answer of Helix takes ``ms`` longer."""

    kind: ClassVar[str] = "helix_slow"
    family: ClassVar[Family] = "twitch"
    ms: float = 2000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if math.isinf(self.ms):
            raise FaultError("helix_slow: ms must be finite")


HELIX_FAULTS = (Helix429, Helix503, Helix401, HelixSlow)


# --- tokens
# ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TokenFault(Fault):
    """What the faults of tokens share: whose tokens, "" for everybody's."""

    family: ClassVar[Family] = "twitch"
    instant: ClassVar[bool] = True
    login: str = ""


@dataclass(frozen=True)
class TokenExpires(TokenFault):
    """At ``start_s`` the user tokens of ``login`` run out; their refresh tokens go on working."""

    kind: ClassVar[str] = "token_expires"


@dataclass(frozen=True)
class TokenRevoked(TokenFault):
    """At ``start_s`` the user tokens of ``login`` are revoked, their refresh tokens with them."""

    kind: ClassVar[str] = "token_revoked"


@dataclass(frozen=True)
class ConsentEnded(TokenFault):
    """At ``start_s`` ``login`` disconnects every app or changes the password: all tokens die, subscriptions are revoked."""

    kind: ClassVar[str] = "consent_ended"


TWITCH_KINDS = (
    TwitchDisconnect, TwitchHalfOpen, TwitchReconnect, TwitchPackets, TwitchDuplicates, TwitchReordering, TwitchRefusals,
    TwitchJoinDropped, EventsubMute, EventsubClose, EventsubRevoke, Helix429, Helix503, Helix401, HelixSlow, TokenExpires,
    TokenRevoked, ConsentEnded,
)  # fmt: skip
