"""A client of Twitch's authorization server (id.twitch.tv): validate, refresh, revoke, the device code flow, app tokens.

How it works. Each method is one request with an outer deadline. What comes back is either a typed answer or an error of
:mod:`byte_bot.auth.errors`, split by what the caller can do; httpx's own exceptions end here. What a server says is quoted without
the secrets that were sent to it.

Facts (dev.twitch.tv/docs/authentication: validate-tokens, refresh-tokens, revoke-tokens, getting-tokens-oauth):

- ``GET /validate`` with ``Authorization: OAuth TOKEN``; 401 for a token that is not (or no longer) valid. ``expires_in`` is 0 for
  tokens of old applications that never expire; ``scopes`` may be null.
- ``POST /token`` with ``grant_type=refresh_token``: 400 ``Invalid refresh token`` or 401 when the refresh token is no good any more;
  the answer's refresh token replaces the one that was sent. A public client (no secret) sends no ``client_secret``, its refresh
  tokens work once and live for 30 days.
- ``POST /device`` takes ``scopes`` (not ``scope``), and so does the request that redeems the code. Until the human is done that one
  answers 400 ``authorization_pending``; a code that is used up or too old is an ``invalid device code``. The words of RFC 8628
  (``slow_down``, ``expired_token``, ``access_denied``) are understood too.

Left out: retries (the keeper's and the device flow's business), the other grants, OIDC.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import httpx
import msgspec

from byte_bot.auth.errors import ClientRefused, LoginFailed, OAuthUnavailable, TokenRefused
from byte_bot.logs import redactor

#: Chosen: Twitch answers in tenths of a second; a lost answer to a refresh costs a public client its refresh token, so patience pays.
TIMEOUT_S: Final = 10.0
_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_RETRY_STATUS: Final = frozenset({408, 429})
_WORDS_MAX: Final = 200  # of a server's text: enough for a sentence

_Answer = TypeVar("_Answer")


class Validation(msgspec.Struct, frozen=True):
    """Whose token it is, what it may do, and how many seconds it has left (0: it never expires)."""

    client_id: str
    login: str = ""
    user_id: str = ""
    scopes: tuple[str, ...] | None = None
    expires_in: float = 0


class Grant(msgspec.Struct, frozen=True):
    """A new pair of tokens; ``expires_in`` in seconds, 0 if it never expires."""

    access_token: str
    refresh_token: str = ""
    scope: tuple[str, ...] | None = None
    expires_in: float = 0

    def __repr__(self) -> str:
        return f"Grant(scope={self.scope!r}, expires_in={self.expires_in!r}, [redacted])"


class DeviceCode(msgspec.Struct, frozen=True):
    """What a human types (``user_code``) and where, and what this program redeems; times in seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: float
    interval: float = 5.0

    def __repr__(self) -> str:
        return f"DeviceCode({self.user_code!r} at {self.verification_uri!r}, [redacted])"


class Pending(enum.Enum):
    """Why a device code gives no token yet."""

    NOT_YET = "authorization_pending"
    TOO_FAST = "slow_down"


class _Refusal(msgspec.Struct, frozen=True):
    """Twitch's error, or RFC 6749's."""

    message: str = ""
    error: str = ""
    error_description: str = ""


class TwitchOAuth:
    """See the module's docstring.

    Args:
        http: made without redirects, owned by the caller.
        url: ``https://id.twitch.tv/oauth2`` in production.
        client_id: of the application; empty if only :meth:`validate` is used.
        client_secret: of the application; empty for a public client.
        timeout_s: for one request, from connecting to the end of its answer.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        client_id: str = "",
        client_secret: str = "",
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self.client_id = client_id
        self._secret = client_secret
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"TwitchOAuth({self._url!r}, client_id={self.client_id!r}, [redacted])"

    async def validate(self, access: str) -> Validation:
        """What Twitch knows about an access token.

        Raises:
            TokenRefused: it is not valid (any more).
            OAuthUnavailable: Twitch could not be asked.
        """
        response = await self._ask("GET", "validate", headers={"Authorization": f"OAuth {access}"})
        if response.status_code == 401:
            raise TokenRefused(f"Twitch says {self._words(response, access)!r}")
        return self._read(response, Validation, access)

    async def refresh(self, refresh: str) -> Grant:
        """Trade a refresh token for a new pair; the old one may be worthless from then on.

        Raises:
            TokenRefused: it is no good any more; the account has to consent anew.
            ClientRefused: the application's id or secret is wrong.
            OAuthUnavailable: Twitch could not be asked, or its answer was lost.
        """
        form = self._client_form() | {"grant_type": "refresh_token", "refresh_token": refresh}
        response = await self._ask("POST", "token", form=form)
        if 400 <= response.status_code < 500:
            words = self._words(response, refresh)
            if self._blames_client(response, words):
                raise _client_refused(words)
            if response.status_code in (400, 401):
                raise TokenRefused(f"Twitch says {words!r}")
        grant = self._read(response, Grant, refresh)
        # "Store the refresh token that comes back"; should none come, the old one is still the one.
        return grant if grant.refresh_token else msgspec.structs.replace(grant, refresh_token=refresh)

    async def device_code(self, scopes: Iterable[str]) -> DeviceCode:
        """Begin the device code flow for ``scopes``.

        Raises:
            ClientRefused: the application is unknown, or may not.
            OAuthUnavailable: Twitch could not be asked.
        """
        form = {"client_id": self.client_id, "scopes": " ".join(scopes)}
        response = await self._ask("POST", "device", form=form)
        if response.status_code in (400, 401, 403):
            raise _client_refused(self._words(response))
        return self._read(response, DeviceCode)

    async def redeem(self, code: DeviceCode, scopes: Iterable[str]) -> Grant | Pending:
        """The tokens for a device code, or why there are none yet.

        Raises:
            LoginFailed: denied, used up, or too late.
            ClientRefused: the application is unknown, or may not.
            OAuthUnavailable: Twitch could not be asked.
        """
        form = self._client_form() | {
            "scopes": " ".join(scopes),
            "device_code": code.device_code,
            "grant_type": _DEVICE_GRANT,
        }
        response = await self._ask("POST", "token", form=form)
        if response.status_code in (400, 401, 403):
            return self._why_none(response, code)
        return self._read(response, Grant, code.device_code)

    def _why_none(self, response: httpx.Response, code: DeviceCode) -> Pending:
        refusal = _refusal(response)
        said = {text.strip().lower().replace(" ", "_") for text in (refusal.message, refusal.error)}
        for pending in Pending:
            if pending.value in said:
                return pending
        words = self._words(response, code.device_code)
        if "access_denied" in said:
            raise LoginFailed("it was denied in the browser: start `byte-bot login` again to be asked anew")
        if said & {"expired_token", "invalid_device_code"}:
            raise LoginFailed("the code is used up or too old: start `byte-bot login` again for a new one")
        raise _client_refused(words)

    async def app_token(self) -> Grant:
        """A token of the application itself (client credentials); it belongs to no account and cannot be refreshed.

        Raises:
            ClientRefused: the application's id or secret is wrong.
            OAuthUnavailable: Twitch could not be asked.
        """
        response = await self._ask(
            "POST", "token", form=self._client_form() | {"grant_type": "client_credentials"}
        )
        if response.status_code in (400, 401, 403):
            raise _client_refused(self._words(response))
        return self._read(response, Grant)

    async def revoke(self, access: str) -> None:
        """End an access token, and the refresh token that belongs to it.

        Raises:
            TokenRefused: there is no such token of this application.
            OAuthUnavailable: Twitch could not be asked.
        """
        response = await self._ask("POST", "revoke", form={"client_id": self.client_id, "token": access})
        if not response.is_success:
            raise TokenRefused(f"Twitch says {self._words(response, access)!r}")

    def _client_form(self) -> dict[str, str]:
        secret = {"client_secret": self._secret} if self._secret else {}
        return {"client_id": self.client_id, **secret}

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request; what is returned is an answer, of whatever kind, that another try would get again."""
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._http.request(
                    method, f"{self._url}/{path}", data=dict(form or {}) or None, headers=headers
                )
        except TimeoutError:
            raise OAuthUnavailable(f"{self._url}: no answer within {self._timeout_s:g} s") from None
        except httpx.HTTPError as error:
            # "from None": the request, with its secrets, hangs on httpx's errors.
            words = str(error) or type(error).__name__
            raise OAuthUnavailable(
                f"{self._url}: {redactor((self._secret, *_sent(form, headers)))(words)}"
            ) from None
        status = response.status_code
        if status in _RETRY_STATUS or status >= 500:
            raise OAuthUnavailable(f"{self._url} answers {status}", _retry_after_s(response))
        if status < 200 or 300 <= status < 400 or status == 404:
            raise OAuthUnavailable(
                f"{self._url} answers {status}: it is not Twitch's, look at TWITCH_OAUTH_URL"
            )
        return response

    def _read(self, response: httpx.Response, kind: type[_Answer], *secrets: str) -> _Answer:
        if not response.is_success:
            words = self._words(response, *secrets)
            raise OAuthUnavailable(f"{self._url} answers {response.status_code}: {words!r}")
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.DecodeError:
            # Not quoted: it may hold a token.
            raise OAuthUnavailable(f"{self._url} answers, but not as Twitch does") from None

    def _words(self, response: httpx.Response, *secrets: str) -> str:
        refusal = _refusal(response)
        words = (
            refusal.message or refusal.error_description or refusal.error or f"status {response.status_code}"
        )
        return redactor((self._secret, *secrets))(words)[:_WORDS_MAX]

    def _blames_client(self, response: httpx.Response, words: str) -> bool:
        """True for ``invalid client``, ``invalid client secret``, ``missing client id``, RFC 6749's ``invalid_client``."""
        return "client" in words.lower() or "client" in _refusal(response).error.lower()


def _client_refused(words: str) -> ClientRefused:
    return ClientRefused(f"Twitch says {words!r}: correct TWITCH_CLIENT_ID and TWITCH_CLIENT_SECRET")


def _refusal(response: httpx.Response) -> _Refusal:
    try:
        return msgspec.json.decode(response.content, type=_Refusal)
    except msgspec.DecodeError:
        return _Refusal()


def _retry_after_s(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdecimal() else None


def _sent(form: Mapping[str, str] | None, headers: Mapping[str, str] | None) -> list[str]:
    secret = ("refresh_token", "device_code", "token")
    values = [value for name, value in (form or {}).items() if name in secret]
    return [*values, *(value.rpartition(" ")[2] for value in (headers or {}).values())]
