"""The face of id.twitch.tv: tokens are handed out, validated, refreshed and revoked, over the state's `credentials`.

Facts and their sources; words in quotes are Twitch's.

- token (dev.twitch.tv/docs/authentication/getting-tokens-oauth, …/refresh-tokens): parameters in the query or in a form; grants
  client_credentials, authorization_code, refresh_token, urn:ietf:params:oauth:grant-type:device_code. A user token comes with a refresh
  token, which is replaced each time it is used; "Invalid refresh token", "invalid device code", "authorization_pending" are documented;
  "missing device_code" (twitchdev/issues 893) and "Parameter redirect_uri does not match registered URI" are recorded. An app with a secret
  must send it, except in the device flow; an app without (a public client) refreshes without.
- device: see `device_flow`; the parameter is `scopes`, and `scope` works too (recorded). The address it shows is `/activate` here.
- authorize: sends the browser back with `code`, `scope` and the caller's `state` (or a token behind '#', the implicit flow). Who sits
  at the browser is `signed_in_login`, or a `login` parameter, or else a page asks. A code works once.
- validate (…/validate-tokens): `OAuth` and `Bearer`; "missing authorization token", "invalid access token"; a token that never expires
  says 0 (recorded by twitch_oauth2); an app's own has no user and null scopes.
- revoke (…/revoke-tokens): 200 without a body; "Invalid token", or 404 "client does not exist".
- userinfo (…/getting-tokens-oidc): needs the scope openid.
- `mock_authorize` is the shortcut of the official mock, twitch-cli: POST /auth/authorize with grant_type=user_token.

Chosen, because nothing tells: the words for a missing parameter other than those above ("missing client id" and the like), 10 minutes
for an authorization code. Left out: OIDC's id tokens and claims, PKCE, `force_verify`, limits on how often tokens may be asked for; a
token that is revoked here takes no EventSub subscription with it (an account that disconnects the app does: `credentials.disconnect`).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from simulator.twitch.credentials import NEVER_EXPIRES, USER_TOKEN_LIFETIME_S, App, Token
from simulator.twitch.device_flow import DeviceFlow, Poll, UnknownUserCode
from simulator.twitch.scopes import parse_scopes, shown_scopes, unknown_scope
from simulator.twitch.state import TwitchState, UnknownName
from simulator.twitch.web_exchange import Answer, Refused, WebRequest
from simulator.twitch.web_pages import account_page, activation_page, code_page, done_page

CODE_LIFETIME_S = 600.0  # chosen
CODES_MAX = 1_000  # chosen: codes nobody traded in; the oldest goes
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"

_CODE_CHARS = 30
_CLAIMS_ISSUER = "https://id.twitch.tv/oauth2"


@dataclass(frozen=True, slots=True)
class _Code:
    """An authorization code that was given out."""

    client_id: str
    login: str
    scopes: tuple[str, ...]
    redirect_uri: str
    expires_s: float


class OAuth:
    """id.twitch.tv for one fake Twitch; `stats` counts what was asked, by name.

    `user_token_lifetime_s` (seconds) is how long the user tokens live that it hands out; `signed_in_login` who sits at the browser.
    """

    def __init__(
        self, state: TwitchState, rng: random.Random, public_url: Callable[[], str], stats: Counter[str]
    ) -> None:
        self._state = state
        self._book = state.credentials
        self._public_url = public_url
        self._stats = stats
        self._codes: dict[str, _Code] = {}
        self._grants: dict[str, Callable[[WebRequest], Answer]] = {
            "client_credentials": self._client_credentials,
            "authorization_code": self._authorization_code,
            "refresh_token": self._refresh,
            DEVICE_GRANT: self._device_code,
        }
        self.devices = DeviceFlow(state.now_s, rng, self._book.draw)
        self.user_token_lifetime_s = USER_TOKEN_LIFETIME_S
        self.signed_in_login = ""

    # -- token ------------------------------------------------------------------------------------------------------------------

    def token(self, request: WebRequest) -> Answer:
        """POST /oauth2/token."""
        grant = _needed(request, "grant_type", "missing grant type")
        handler = self._grants.get(grant)
        if handler is None:
            raise Refused(400, "unsupported grant type")
        answer = handler(request)
        self._stats["tokens_given_" + grant.rpartition(":")[2]] += 1
        return answer

    def _client_credentials(self, request: WebRequest) -> Answer:
        app = self._app(request)
        if not app.secret:
            raise Refused(403, "invalid client secret")  # a public client has no token of its own
        self._check_secret(app, request)
        token = self._book.issue_app(app.client_id)
        body = {"access_token": token.access, "expires_in": self._left_s(token), "token_type": "bearer"}
        return Answer(body=body)

    def _authorization_code(self, request: WebRequest) -> Answer:
        app = self._app(request)
        self._check_secret(app, request)
        letters = _needed(request, "code", "missing code")
        redirect_uri = _needed(request, "redirect_uri", "missing redirect uri")
        code = self._codes.get(letters)
        if code is None or code.client_id != app.client_id or code.expires_s <= self._state.now_s():
            raise Refused(400, "Invalid authorization code")
        if code.redirect_uri != redirect_uri:
            raise Refused(400, "Parameter redirect_uri does not match registered URI")
        del self._codes[letters]
        return self._user_answer(self._issue(app.client_id, code.login, code.scopes))

    def _refresh(self, request: WebRequest) -> Answer:
        app = self._app(request)
        self._check_secret(app, request)
        letters = _needed(request, "refresh_token", "missing refresh token")
        token = self._book.refresh(app.client_id, letters, lifetime_s=self.user_token_lifetime_s)
        if token is None:
            raise Refused(400, "Invalid refresh token")
        return self._user_answer(token)

    def _device_code(self, request: WebRequest) -> Answer:
        app = self._app(request)
        letters = _needed(request, "device_code", "missing device_code")
        poll, grant = self.devices.poll(app.client_id, letters)
        if grant is None:
            self._stats["device_" + poll.name.lower()] += 1
            raise Refused(400, poll.value)
        assert poll is Poll.APPROVED
        return self._user_answer(self._issue(app.client_id, grant.login, grant.scopes))

    def _issue(self, client_id: str, login: str, scopes: tuple[str, ...]) -> Token:
        return self._book.issue_user(client_id, login, scopes, lifetime_s=self.user_token_lifetime_s)

    def _user_answer(self, token: Token) -> Answer:
        return Answer(
            body={
                "access_token": token.access,
                "expires_in": self._left_s(token),
                "refresh_token": token.refresh,
                "scope": shown_scopes(token.scopes),
                "token_type": "bearer",
            }
        )

    # -- device -----------------------------------------------------------------------------------------------------------------

    def device(self, request: WebRequest) -> Answer:
        """POST /oauth2/device."""
        app = self._app(request)
        scopes = _known(request.parameter("scopes") or request.parameter("scope"))
        grant = self.devices.begin(app.client_id, scopes)
        self._stats["device_begun"] += 1
        return Answer(
            body={
                "device_code": grant.device_code,
                "expires_in": int(grant.expires_s - self._state.now_s()),
                "interval": int(grant.interval_s),
                "user_code": grant.user_code,
                "verification_uri": f"{self._public_url()}/activate?public=true&device-code={grant.user_code}",
            }
        )

    def activate(self, request: WebRequest) -> Answer:
        """The page at the verification address: GET shows what is asked for, POST agrees."""
        user_code = request.parameter("user_code") or request.parameter("device-code")
        if not user_code:
            return Answer(html=code_page("Enter the code that your device shows."))
        try:
            grant = self.devices.find(user_code)
            if request.method != "POST":
                app = self._book.apps[grant.client_id]
                return Answer(html=activation_page(grant.user_code, app.name, grant.scopes, self._logins()))
            login = self._state.user(request.parameter("login")).login
            self.devices.approve(user_code, login)
        except (UnknownUserCode, UnknownName) as error:
            return Answer(404, html=code_page(str(error)))
        return Answer(html=done_page(login))

    # -- authorize --------------------------------------------------------------------------------------------------------------

    def authorize(self, request: WebRequest) -> Answer:
        """GET /oauth2/authorize: send the browser back with a code, or ask who sits there."""
        app = self._app(request)
        redirect_uri = _needed(request, "redirect_uri", "missing redirect uri")
        if redirect_uri not in app.redirect_uris:
            raise Refused(400, "Parameter redirect_uri does not match registered URI")
        kind = request.parameter("response_type")
        if kind not in ("code", "token"):
            raise Refused(400, "invalid response type" if kind else "missing response type")
        scopes = _known(request.parameter("scope"))
        login = request.parameter("login") or self.signed_in_login
        if login not in self._state.users:
            given = {name: request.parameter(name) for name in request.query if name != "login"}
            page = account_page("/oauth2/authorize", app.name, scopes, given, self._logins())
            return Answer(html=page)
        back = {"scope": " ".join(scopes), "state": request.parameter("state")}
        if kind == "token":
            access = self._issue(app.client_id, login, scopes).access
            return _redirect(redirect_uri, "#", {"access_token": access, **back, "token_type": "bearer"})
        return _redirect(
            redirect_uri, "?", {"code": self._new_code(app, login, scopes, redirect_uri), **back}
        )

    def _new_code(self, app: App, login: str, scopes: tuple[str, ...], redirect_uri: str) -> str:
        if len(self._codes) >= CODES_MAX:
            del self._codes[next(iter(self._codes))]
        letters = self._book.draw(_CODE_CHARS)
        expires_s = self._state.now_s() + CODE_LIFETIME_S
        self._codes[letters] = _Code(app.client_id, login, scopes, redirect_uri, expires_s)
        return letters

    def mock_authorize(self, request: WebRequest) -> Answer:
        """POST /auth/authorize of twitch-cli's mock: a user token for the asking, with the mock's own words."""
        if request.parameter("grant_type") != "user_token" or not request.parameter("user_id"):
            raise Refused(400, "missing required parameter")
        app = self._book.apps.get(request.parameter("client_id"))
        if app is None or app.secret != request.parameter("client_secret"):
            raise Refused(400, "Client ID/Secret invalid")
        scopes = parse_scopes(request.parameter("scope"))
        if unknown_scope(scopes):
            raise Refused(400, "Invalid scopes requested")
        user_id = request.parameter("user_id")
        user = next((one for one in self._state.users.values() if one.id == user_id), None)
        if user is None:
            raise Refused(400, "User ID invalid")
        return self._user_answer(self._issue(app.client_id, user.login, scopes))

    # -- what a token is --------------------------------------------------------------------------------------------------------

    def validate(self, request: WebRequest) -> Answer:
        """GET /oauth2/validate."""
        token = self._presented(request)
        self._stats["validated"] += 1
        body: dict[str, object] = {"client_id": token.client_id}
        if token.kind == "user":
            body |= {
                "login": token.login,
                "scopes": shown_scopes(token.scopes),
                "user_id": self._state.user(token.login).id,
            }
        else:
            body["scopes"] = None
        return Answer(body=body | {"expires_in": self._left_s(token)})

    def userinfo(self, request: WebRequest) -> Answer:
        """GET /oauth2/userinfo."""
        token = self._presented(request)
        if token.kind != "user" or not token.has_scope("openid"):
            raise Refused(401, "missing required scope: openid")
        user, now_s = self._state.user(token.login), self._state.now_ms() // 1_000
        return Answer(
            body={
                "aud": token.client_id,
                "exp": now_s + self._left_s(token),
                "iat": now_s,
                "iss": _CLAIMS_ISSUER,
                "sub": user.id,
                "preferred_username": user.display_name,
            }
        )

    def revoke(self, request: WebRequest) -> Answer:
        """POST /oauth2/revoke."""
        client_id = _needed(request, "client_id", "missing client id")
        if client_id not in self._book.apps:
            raise Refused(404, "client does not exist")
        token = self._book.valid(_needed(request, "token", "missing oauth token"))
        if token is None or token.client_id != client_id:
            raise Refused(400, "Invalid token")
        self._book.revoke(token.access)
        self._stats["revoked"] += 1
        return Answer()

    # -- parts ------------------------------------------------------------------------------------------------------------------

    def _app(self, request: WebRequest) -> App:
        app = self._book.apps.get(_needed(request, "client_id", "missing client id"))
        if app is None:
            raise Refused(400, "invalid client")
        return app

    def _check_secret(self, app: App, request: WebRequest) -> None:
        if app.secret and _needed(request, "client_secret", "missing client secret") != app.secret:
            raise Refused(403, "invalid client secret")

    def _presented(self, request: WebRequest) -> Token:
        scheme, _, letters = request.headers.get("authorization", "").partition(" ")
        if not letters or scheme.lower() not in ("oauth", "bearer"):
            raise Refused(401, "missing authorization token")
        token = self._book.valid(letters.strip())
        if token is None:
            raise Refused(401, "invalid access token")
        return token

    def _left_s(self, token: Token) -> int:
        if token.expires_s == NEVER_EXPIRES:
            return 0
        return math.ceil(token.expires_s - self._state.now_s())

    def _logins(self) -> list[str]:
        return sorted(self._state.users)


def _needed(request: WebRequest, name: str, words: str) -> str:
    value = request.parameter(name)
    if not value:
        raise Refused(400, words)
    return value


def _known(text: str) -> tuple[str, ...]:
    scopes = parse_scopes(text)
    wrong = unknown_scope(scopes)
    if wrong:
        raise Refused(400, f"invalid scope requested: '{wrong}'")
    return scopes


def _redirect(uri: str, mark: str, parameters: dict[str, str]) -> Answer:
    given = {name: value for name, value in parameters.items() if value}
    joint = "&" if mark in uri else mark
    return Answer(302, headers={"location": f"{uri}{joint}{urlencode(given)}"})
