"""OAuth's device flow: codes that a device asks for, a person approves elsewhere, and the device trades for a token.

Facts (dev.twitch.tv/docs/authentication/getting-tokens-oauth, device code grant flow): the codes live 1,800 s, the device asks every
5 s, a code gives one token; until it is approved the answer is "authorization_pending", afterwards, and for a code that does not exist,
"invalid device code". An expired one answers the same.

Twitch documents no answer for asking too often, and a real client that asks each second (twitchAPI's CodeFlow) gets its token there. So
`slow_down` is a switch, off at first: when on, asking early is answered with RFC 8628's "slow_down" and the interval grows by 5 s, as
section 3.5 of the RFC says; the interval counts from the last answer. Nor does Twitch document what a device hears when the person says no:
the RFC's "access_denied", once.
"""

from __future__ import annotations

import enum
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

LIFETIME_S = 1_800.0  # documented
INTERVAL_S = 5.0  # documented
SLOW_DOWN_S = 5.0  # RFC 8628, section 3.5
EARLY_S = 0.5  # chosen: a request that overtook its predecessor's delay by this much is not early
GRANTS_MAX = 1_000  # chosen: open requests; the oldest goes

_USER_CODE_CHARS = 8  # as in Twitch's example, ABCDEFGH
_DEVICE_CODE_CHARS = 40


class UnknownUserCode(LookupError):
    """A user code is approved that was never given out, or is no longer valid."""


class Poll(enum.Enum):
    """What the device hears when it asks."""

    APPROVED = "approved"
    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    DENIED = "access_denied"
    INVALID = "invalid device code"


@dataclass(slots=True)
class DeviceGrant:
    """One request of a device; `login` is who approved it, "" until then."""

    device_code: str
    user_code: str
    client_id: str
    scopes: tuple[str, ...]
    expires_s: float
    login: str = ""
    denied: bool = False
    interval_s: float = INTERVAL_S
    asked_s: float = float("-inf")


class DeviceFlow:
    """The open requests of one fake Twitch."""

    def __init__(
        self, time_source: Callable[[], float], rng: random.Random, draw: Callable[[int], str]
    ) -> None:
        """`time_source` gives seconds of the loop's clock; `rng` draws user codes, `draw` letters of device codes."""
        self._time_source = time_source
        self._rng = rng
        self._draw = draw
        self._grants: dict[str, DeviceGrant] = {}  # by device code
        self.slow_down = False

    def begin(self, client_id: str, scopes: tuple[str, ...]) -> DeviceGrant:
        """Open a request."""
        now_s = self._time_source()
        self._grants = {code: one for code, one in self._grants.items() if one.expires_s > now_s}
        if len(self._grants) >= GRANTS_MAX:
            del self._grants[next(iter(self._grants))]
        user_code = "".join(self._rng.choices(string.ascii_uppercase, k=_USER_CODE_CHARS))
        grant = DeviceGrant(self._draw(_DEVICE_CODE_CHARS), user_code, client_id, scopes, now_s + LIFETIME_S)
        self._grants[grant.device_code] = grant
        return grant

    def find(self, user_code: str) -> DeviceGrant:
        """Return the open request with this user code, however it is typed; raises `UnknownUserCode`."""
        wanted = user_code.replace("-", "").strip().upper()
        now_s = self._time_source()
        for grant in self._grants.values():
            if grant.user_code == wanted and grant.expires_s > now_s:
                return grant
        raise UnknownUserCode(
            f"no device waits with the code {user_code!r}: it was never given out, or has expired"
        )

    def approve(self, user_code: str, login: str) -> DeviceGrant:
        """Let the account agree; the device gets its token when it next asks. Raises `UnknownUserCode`."""
        grant = self.find(user_code)
        grant.login = login
        return grant

    def deny(self, user_code: str) -> None:
        """Let the person say no. Raises `UnknownUserCode`."""
        self.find(user_code).denied = True

    def poll(self, client_id: str, device_code: str) -> tuple[Poll, DeviceGrant | None]:
        """Answer a device that asks; an approved request is used up by the answer."""
        grant, now_s = self._grants.get(device_code), self._time_source()
        if grant is None or grant.client_id != client_id or grant.expires_s <= now_s:
            return Poll.INVALID, None
        if grant.denied:
            del self._grants[device_code]
            return Poll.DENIED, None
        early = now_s - grant.asked_s < grant.interval_s - EARLY_S
        grant.asked_s = now_s
        if self.slow_down and early:
            grant.interval_s += SLOW_DOWN_S
            return Poll.SLOW_DOWN, None
        if not grant.login:
            return Poll.PENDING, None
        del self._grants[device_code]
        return Poll.APPROVED, grant
