"""One authenticated call to Helix: its token, its parameters, and the checks that many endpoints share.

The order of the checks is the token's kind, its scope, the required parameters, whom they name, and whether the token's user may.

Words in Twitch's own form, recorded unless marked: 'Missing required parameter "x"', 'The parameter "id" was malformed: …',
"Missing User OAUTH Token", "Missing scope: x", "The ID in broadcaster_id must match the user ID found in the request's OAuth token."
The reference (dev.twitch.tv/docs/api/reference) gives the reason of each refusal but seldom its words; where it says only the reason, the
reason is the message here (marked "reference").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.twitch.consent import app_may_chat
from simulator.twitch.credentials import Token
from simulator.twitch.events import Channel, User
from simulator.twitch.pagination import PageRequest, page_request
from simulator.twitch.state import TwitchState
from simulator.twitch.web_exchange import Answer, Refused, WebRequest

IDS_MAX = 100  # documented, for every parameter that may come several times

_NUMBER = re.compile(r"[0-9]+")
_MISMATCH = "The ID in {name} must match the user ID found in the request's OAuth token."
_MALFORMED = 'The parameter "{name}" was malformed: value must be a numeric'
_TOO_MANY = 'The parameter "{name}" was malformed: the value must be less than or equal to {largest}'

Endpoint = Callable[["HelixCall"], Answer]
Endpoints = Mapping[tuple[str, str], Endpoint]  # by method and path


class Directory:
    """Finds accounts and channels by their ids, which is how Helix names them; the state is kept by login."""

    def __init__(self, state: TwitchState) -> None:
        self._state = state
        self._logins: dict[str, str] = {}

    def user(self, user_id: str) -> User | None:
        """Return the account with this id."""
        found = self._state.users.get(self._logins.get(user_id, ""))
        if found is None or found.id != user_id:
            # Rare: somebody new since the last look, or a state that was set back.
            self._logins = {user.id: login for login, user in self._state.users.items()}
            found = self._state.users.get(self._logins.get(user_id, ""))
        return found

    def channel(self, broadcaster_id: str) -> Channel | None:
        """Return the channel of the broadcaster with this id."""
        user = self.user(broadcaster_id)
        return self._state.channels.get(user.login) if user is not None else None


class HelixCall:
    """The call; `me` is the token's user, None for an app's token."""

    def __init__(self, request: WebRequest, token: Token, state: TwitchState, directory: Directory) -> None:
        self.request = request
        self.token = token
        self.state = state
        self.directory = directory
        self.me: User | None = state.users.get(token.login) if token.kind == "user" else None

    # -- the token --------------------------------------------------------------------------------------------------------------

    def user_with(self, *scopes: str) -> User:
        """Return the token's user, who must have granted one of the scopes (none named: any token of a user)."""
        if self.me is None:
            raise Refused(401, "Missing User OAUTH Token")
        if scopes and not self.token.has_scope(*scopes):
            raise Refused(401, "Missing scope: " + " or ".join(scopes))
        return self.me

    def app_may(self, user: User, channel: Channel, scope: str) -> bool:
        """Say whether the app may act as the user in the channel with a token of its own (reference, Send Chat Message)."""
        return app_may_chat(self.state, self.token.client_id, user, channel, scope)

    def as_app(self) -> str:
        """Return the client id of an app's own token; a user's is refused with the reference's reason."""
        if self.me is not None:
            raise Refused(401, "Authorization header required with an app access token.")
        return self.token.client_id

    # -- parameters -------------------------------------------------------------------------------------------------------------

    def either(self, name: str) -> Any:
        """Return a parameter of the body, or else of the query, None when there is none: clients differ in where they put it."""
        return self.request.json.get(name, self.request.query.get(name, (None,))[0])

    def text(self, name: str) -> str:
        """Return a parameter of the query, "" when there is none."""
        return self.request.query.get(name, ("",))[0]

    def required(self, name: str) -> str:
        """Return a parameter of the query that has to be there."""
        value = self.text(name)
        if not value:
            raise Refused(400, f'Missing required parameter "{name}"')
        return value

    def many(self, name: str, largest: int = IDS_MAX) -> tuple[str, ...]:
        """Return every value of a parameter that may come several times."""
        values = tuple(value for value in self.request.query.get(name, ()) if value)
        if len(values) > largest:
            raise Refused(400, _TOO_MANY.format(name=name, largest=largest))
        return values

    def page(self, default: int = 20, largest: int = 100) -> PageRequest:
        """Return which page is wanted."""
        first, after, before = self.text("first"), self.text("after"), self.text("before")
        return page_request(first, after, before, default=default, largest=largest)

    # -- whom they name ---------------------------------------------------------------------------------------------------------

    def channel(self, broadcaster_id: str, name: str = "broadcaster_id") -> Channel:
        """Return the channel with this id; `name` is the parameter it came in."""
        found = self.directory.channel(broadcaster_id)
        if found is None:
            raise Refused(400, self._unknown(name, broadcaster_id))
        return found

    def user(self, user_id: str, name: str = "user_id") -> User:
        """Return the account with this id; `name` is the parameter it came in."""
        found = self.directory.user(user_id)
        if found is None:
            raise Refused(400, self._unknown(name, user_id))
        return found

    def _unknown(self, name: str, value: str) -> str:
        if not _NUMBER.fullmatch(value):
            return _MALFORMED.format(name=name)
        return f"The ID in {name} is not valid."  # reference

    # -- whether the token's user may ---------------------------------------------------------------------------------------------

    def as_broadcaster(self, *scopes: str) -> Channel:
        """Return the channel in broadcaster_id, which must be the token's own."""
        me = self.user_with(*scopes)
        broadcaster_id = self.required("broadcaster_id")
        if broadcaster_id != me.id:
            raise Refused(401, _MISMATCH.format(name="broadcaster_id"))
        return self.channel(broadcaster_id)

    def as_moderator(self, *scopes: str, words: str = "") -> tuple[Channel, User]:
        """Return the channel and the moderator (or broadcaster) in the query, who must be the token's user."""
        me = self.user_with(*scopes)
        broadcaster_id, moderator_id = self.required("broadcaster_id"), self.required("moderator_id")
        if moderator_id != me.id:
            raise Refused(401, _MISMATCH.format(name="moderator_id"))
        channel = self.channel(broadcaster_id)
        if not may_moderate(channel, me):
            raise Refused(
                403, words or "The user in moderator_id is not one of the broadcaster's moderators."
            )
        return channel, me


def may_moderate(channel: Channel, user: User) -> bool:
    """Say whether the account moderates the channel: its broadcaster does as well."""
    return user.login == channel.login or user.login in channel.moderators


def rfc3339(unix_ms: int) -> str:
    """Write a moment as Helix does, in whole seconds of UTC: 2021-03-10T15:04:21Z."""
    return datetime.fromtimestamp(unix_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def user_fields(user: User, prefix: str = "user") -> dict[str, Any]:
    """Name an account as lists do: user_id, user_login, user_name."""
    return {
        f"{prefix}_id": user.id,
        f"{prefix}_login": user.login,
        f"{prefix}_name": user.display_name,
    }
