"""The applications and tokens of one fake Twitch: who may act as whom, with which scopes, until when.

An `App` is what Twitch's developer console registers. A `Token` is a user's (kind "user": an account gave the app its consent to some
scopes) or the app's own (kind "app": client credentials). Every face asks `valid` with what the client sent, so an expired or revoked
token is refused by IRC, Helix and EventSub alike. `oauth` is the face that hands tokens out; tests and the stage use the verbs here.

Facts (dev.twitch.tv/docs/authentication, …/refresh-tokens, …/revoke-tokens): a user token lives about four hours, an app token about 60
days; an app token cannot be refreshed; refreshing gives a new access token and a refresh token that replaces the one sent, and at
most 50 valid access tokens belong to one refresh token, so an older access token stays valid; a user who changes their password or
disconnects the app ends every token of that pair at once. A refresh token of a public client (no secret) can be used once.

A *consent* is the connection between a user and an app, with the scopes of every token that came of it; it is what EventSub, conduits and app
tokens stand on (…/docs/eventsub/manage-subscriptions; Get Authorization By User shows it). It outlives tokens: revoking one, at
/oauth2/revoke, ends that token ("if your app no longer needs an access token", …/revoke-tokens), expiring ends less, and subscriptions go on
in both cases, since the token has to be valid only when they are made (Chatterino/chatterino2#5929). It ends when the user disconnects the
app or changes the password; then all tokens and subscriptions of the pair end with it (twitchdev/issues#903 has both ends at once).

Observers of `on_revoked` hear of each pair (client, user) whose consent ended, which is what EventSub's revocations follow.
Randomness (the letters of tokens) and time are injected. Left out: OIDC's id tokens, the 50-token bound.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

USER_TOKEN_LIFETIME_S = 14_400.0  # documented example: about four hours
APP_TOKEN_LIFETIME_S = 5_184_000.0  # documented example: about 60 days
NEVER_EXPIRES = float("inf")
DEFAULT_CLIENT_ID = "fakeclientid00of0the0default00"  # 30 letters and digits, as real ones have
ALL_SCOPES = "*"  # a token of a test that is not about scopes

_ALPHABET = string.ascii_lowercase + string.digits
_ACCESS_CHARS = 30
_REFRESH_CHARS = 50

TokenKind = Literal["user", "app"]


@dataclass(frozen=True, slots=True)
class App:
    """A registered application; without a `secret` it is a public client."""

    client_id: str
    secret: str
    name: str
    redirect_uris: tuple[str, ...] = ("http://localhost:3000",)


@dataclass(frozen=True, slots=True)
class Token:
    """One access token (without "oauth:"). `login` and `refresh` are empty for the app's own."""

    access: str
    kind: TokenKind
    client_id: str
    login: str
    scopes: tuple[str, ...]
    expires_s: float  # second of the loop's clock
    refresh: str = ""

    def has_scope(self, *names: str) -> bool:
        """Say whether at least one of these scopes was granted."""
        return ALL_SCOPES in self.scopes or any(name in self.scopes for name in names)


class CredentialBook:
    """Every app and token of one fake Twitch; not safe for threads, used from one loop."""

    def __init__(self, time_source: Callable[[], float], rng: random.Random) -> None:
        """`time_source` gives seconds of the loop's clock; `rng` draws the letters of tokens and ids."""
        self._time_source = time_source
        self._rng = rng
        self._observers: list[Callable[[str, str], None]] = []
        self.apps: dict[str, App] = {
            DEFAULT_CLIENT_ID: App(DEFAULT_CLIENT_ID, "fake0secret0of0the0default0app", "default")
        }
        self.tokens: dict[str, Token] = {}
        self._by_refresh: dict[str, Token] = {}
        self.consents: dict[tuple[str, str], dict[str, None]] = {}  # client id and login -> scopes, in order

    # -- apps -------------------------------------------------------------------------------------------------------------------

    def add_app(
        self,
        name: str,
        *,
        client_id: str = "",
        secret: str | None = None,
        redirect_uris: tuple[str, ...] = ("http://localhost:3000",),
    ) -> App:
        """Register an app; id and secret are drawn unless given, and a secret of "" makes a public client."""
        app = App(
            client_id or self.draw(_ACCESS_CHARS),
            self.draw(_ACCESS_CHARS) if secret is None else secret,
            name,
            redirect_uris,
        )
        self.apps[app.client_id] = app
        return app

    # -- tokens -----------------------------------------------------------------------------------------------------------------

    def issue_user(
        self,
        client_id: str,
        login: str,
        scopes: Iterable[str],
        *,
        lifetime_s: float = USER_TOKEN_LIFETIME_S,
        access: str = "",
        refresh: str = "",
    ) -> Token:
        """Give an account's token to an app (both must exist); the letters are drawn unless given."""
        token = Token(
            access or self.draw(_ACCESS_CHARS),
            "user",
            client_id,
            login,
            tuple(dict.fromkeys(scopes)),
            self._time_source() + lifetime_s,
            refresh or self.draw(_REFRESH_CHARS),
        )
        self.tokens[token.access] = token
        self._by_refresh[token.refresh] = token
        self.consent(client_id, login, token.scopes)
        return token

    def consent(self, client_id: str, login: str, scopes: Iterable[str]) -> None:
        """Let an account grant an app scopes, beside those that it has granted before."""
        self.consents.setdefault((client_id, login), {}).update(dict.fromkeys(scopes))

    def issue_app(self, client_id: str, *, lifetime_s: float = APP_TOKEN_LIFETIME_S) -> Token:
        """Give an app a token of its own."""
        token = Token(self.draw(_ACCESS_CHARS), "app", client_id, "", (), self._time_source() + lifetime_s)
        self.tokens[token.access] = token
        return token

    def valid(self, access: str) -> Token | None:
        """Return the token behind these letters (without "oauth:"), or None when unknown, revoked or expired."""
        token = self.tokens.get(access)
        return token if token is not None and token.expires_s > self._time_source() else None

    def refresh(
        self, client_id: str, refresh_token: str, *, lifetime_s: float = USER_TOKEN_LIFETIME_S
    ) -> Token | None:
        """Trade a refresh token for a new pair, rotating it; None when it is unknown, used up or of another app."""
        token = self._by_refresh.get(refresh_token)
        if token is None or token.client_id != client_id:
            return None
        del self._by_refresh[refresh_token]
        return self.issue_user(client_id, token.login, token.scopes, lifetime_s=lifetime_s)

    def revoke(self, access: str) -> bool:
        """End one access token and the refresh token that came with it, not the consent; say whether there was one."""
        token = self.tokens.pop(access, None)
        if token is None:
            return False
        if token.refresh:
            self._by_refresh.pop(token.refresh, None)
        return True

    def disconnect(self, client_id: str, login: str) -> int:
        """End the account's consent to the app: every token of the pair dies; return how many, and tell the observers."""
        mine = [
            one.access for one in self.tokens.values() if (one.client_id, one.login) == (client_id, login)
        ]
        for access in mine:
            self.revoke(access)
        self._by_refresh = {
            letters: one
            for letters, one in self._by_refresh.items()
            if (one.client_id, one.login) != (client_id, login)
        }
        self.consents.pop((client_id, login), None)
        for observer in tuple(self._observers):
            observer(client_id, login)
        return len(mine)

    def expire(self, access: str) -> None:
        """Let a token run out now; its refresh token goes on working, as in real life. Raises `KeyError`."""
        expired = replace(self.tokens[access], expires_s=self._time_source())
        self.tokens[access] = expired
        if expired.refresh in self._by_refresh:
            self._by_refresh[expired.refresh] = expired

    def granted(self, client_id: str, login: str, *scopes: str) -> bool:
        """Say whether the account has consented to one of these scopes (to any, where none is named) for the app."""
        held = self.consents.get((client_id, login), {})
        return bool(held) if not scopes else ALL_SCOPES in held or any(scope in held for scope in scopes)

    def can_refresh(self, token: Token) -> bool:
        """Say whether the token's refresh token has not been used up or revoked."""
        return token.refresh in self._by_refresh

    def load(self, apps: Iterable[App], tokens: Iterable[Token]) -> None:
        """Put these in place of everything there is, without telling the observers: a snapshot comes back."""
        self.apps = {app.client_id: app for app in apps}
        self.tokens = {token.access: token for token in tokens}
        self._by_refresh = {token.refresh: token for token in self.tokens.values() if token.refresh}
        for token in self.tokens.values():
            if token.kind == "user":
                self.consent(token.client_id, token.login, token.scopes)

    def clear(self) -> None:
        """Forget every app, token and consent, without telling the observers."""
        self.consents.clear()
        self.load((), ())

    def on_revoked(self, observer: Callable[[str, str], None]) -> Callable[[], None]:
        """Call `observer` with client id and login of each consent that ends; returns a function that stops it."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def draw(self, chars: int) -> str:
        """Draw letters and digits, as tokens, codes and ids are made of."""
        return "".join(self._rng.choices(_ALPHABET, k=chars))
