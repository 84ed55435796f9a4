"""A user's token, as the bot carries it and as its file keeps it: no text of it shows a secret."""

from __future__ import annotations

import msgspec

NEVER = float("inf")


class UserToken(msgspec.Struct, frozen=True):
    """An account's consent to what an application may do in its name; times are Unix seconds of the bot's clock.

    ``login``, ``user_id`` and ``scopes`` are what Twitch said last; empty while it was not asked. ``refresh`` is empty for a
    token that was copied by hand.
    """

    access: str
    login: str
    user_id: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: float = NEVER
    client_id: str = ""
    refresh: str = ""
    obtained_at: float = 0.0

    def __repr__(self) -> str:
        return (
            f"UserToken({self.login!r}, scopes={self.scopes!r}, expires_at={self.expires_at!r}, [redacted])"
        )

    @property
    def lifetime_s(self) -> float:
        """Seconds from when it was given to its end."""
        return self.expires_at - self.obtained_at
