"""A small authorization server in memory, a store of one token in memory, and a keeper between the two, for tests of ``byte_bot.auth``.

The server is an httpx transport: the bot's own HTTP client speaks to it. Its words are those of Twitch's documentation. It knows
tokens, whose they are and when they end (the virtual loop's clock), rotates refresh tokens, and can be away, slow or wrong. It does
not know scopes' rules, consent by page, or rates; the simulator's Twitch does, and the tests against it are elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import httpx

from byte_bot.auth.errors import TokenFileRefused
from byte_bot.auth.keeper import TokenKeeper
from byte_bot.auth.oauth import TwitchOAuth
from byte_bot.auth.timing import KeeperTiming
from byte_bot.auth.token_file import Stamp, TokenStore
from byte_bot.auth.user_token import UserToken
from byte_bot.clock import Clock
from simulator.loop import current_loop

URL = "https://id.twitch.test/oauth2"
CLIENT_ID = "smallclientidsmallclientid0000"
LOGIN = "my_bot"
CHAT_SCOPES = ("chat:edit", "chat:read")
LIFETIME_S = 14_400.0
#: For tests in which hours pass and nobody waits for a look at the file: thousands of looks take seconds of real time.
SELDOM = KeeperTiming(look_s=15.0)


class LoopClock:
    """Wall time that moves with the virtual loop."""

    def unix(self) -> float:
        """Unix seconds."""
        return current_loop().unix_time()


@dataclass(frozen=True)
class Issued:
    """A pair that the server has given out."""

    access: str
    refresh: str
    login: str
    scopes: tuple[str, ...]
    ends_at: float


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    at: float
    path: str
    form: dict[str, str]


class SmallTwitch(httpx.AsyncBaseTransport):
    """The server. Times are the loop's, in seconds."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.issued: dict[str, Issued] = {}
        self.secret = ""
        self.lifetime_s = LIFETIME_S
        #: Raised instead of an answer.
        self.broken: Exception | None = None
        #: Given instead of an answer.
        self.answer: httpx.Response | None = None
        self.delay_s = 0.0
        #: What the device code's redemption says; empty: a token of :attr:`approved_by`.
        self.device_words = "authorization_pending"
        self.approved_by = LOGIN
        self._number = 0

    def issue(self, login: str = LOGIN, scopes: tuple[str, ...] = CHAT_SCOPES) -> Issued:
        """Give out a pair."""
        self._number += 1
        pair = Issued(
            f"access{self._number:024d}",
            f"refresh{self._number:043d}",
            login,
            scopes,
            current_loop().time() + self.lifetime_s,
        )
        self.issued[pair.access] = pair
        return pair

    def withdraw(self) -> None:
        """The account disconnects the application: every token ends."""
        self.issued.clear()

    def expire(self, access: str) -> None:
        """This access token ends now; its refresh token does not."""
        self.issued[access] = replace(self.issued[access], ends_at=current_loop().time())

    def count(self, path: str, grant: str = "") -> int:
        """How often ``path`` was asked for (with that grant type)."""
        return len(
            [one for one in self.asked if one.path == path and one.form.get("grant_type", "") == grant]
        )

    @property
    def refreshes(self) -> int:
        """How often a refresh was asked for."""
        return self.count("token", "refresh_token")

    def client(self) -> httpx.AsyncClient:
        """An HTTP client that reaches this server and no other."""
        return httpx.AsyncClient(transport=self)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request."""
        form = dict(parse_qsl((await request.aread()).decode()))
        path = request.url.path.removeprefix("/oauth2/")
        self.asked.append(Asked(current_loop().time(), path, form))
        if self.broken is not None:
            raise self.broken
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.answer is not None:
            return httpx.Response(
                self.answer.status_code, headers=self.answer.headers, content=self.answer.content
            )
        if path == "validate":
            return self._validate(request.headers["authorization"].removeprefix("OAuth "))
        if form.get("client_id") != CLIENT_ID:
            return refusal(400, "invalid client")
        if path == "device":
            return httpx.Response(
                200,
                json={
                    "device_code": "d" * 40,
                    "user_code": "ABCDEFGH",
                    "verification_uri": "https://www.twitch.test/activate?device-code=ABCDEFGH",
                    "expires_in": 1800,
                    "interval": 5,
                },
            )
        if path == "revoke":
            known = self.issued.pop(form["token"], None)
            return httpx.Response(200) if known else refusal(400, "Invalid token")
        return self._token(form)

    def _validate(self, access: str) -> httpx.Response:
        pair = self.issued.get(access)
        if pair is None or pair.ends_at <= current_loop().time():
            return refusal(401, "invalid access token")
        left_s = int(pair.ends_at - current_loop().time())
        about = {"client_id": CLIENT_ID, "login": pair.login, "user_id": "1234", "scopes": list(pair.scopes)}
        return httpx.Response(200, json={**about, "expires_in": left_s})

    def _token(self, form: dict[str, str]) -> httpx.Response:
        if self.secret and form.get("client_secret") != self.secret:
            return refusal(403, "invalid client secret")
        if form["grant_type"] == "client_credentials":
            return self._given(Issued("app" * 10, "", "", (), 0.0))
        if form["grant_type"] != "refresh_token":
            if self.device_words:
                return refusal(400, self.device_words)
            return self._given(self.issue(self.approved_by, tuple(form["scopes"].split())))
        found = [pair for pair in self.issued.values() if pair.refresh == form["refresh_token"]]
        if not found:
            return refusal(400, "Invalid refresh token")
        (old,) = found
        # One-time, as a public client's: the access token that came with it lives on, its refresh token does not.
        self.issued[old.access] = replace(old, refresh="")
        return self._given(self.issue(old.login, old.scopes))

    def _given(self, pair: Issued) -> httpx.Response:
        return httpx.Response(
            200,
            json={
                "access_token": pair.access,
                "refresh_token": pair.refresh,
                "scope": list(pair.scopes),
                "expires_in": int(self.lifetime_s),
                "token_type": "bearer",
            },
        )


def refusal(status: int, message: str) -> httpx.Response:
    """Twitch's error."""
    return httpx.Response(status, json={"status": status, "message": message})


class MemoryTokenStore:
    """A store that keeps a token as long as the test."""

    place = "the test's memory"

    def __init__(self, token: UserToken | None = None) -> None:
        self.token = token
        self.broken = ""
        self.saved: list[UserToken] = []
        self._changes = 1 if token is not None else 0
        self._lock = asyncio.Lock()

    def stamp(self) -> Stamp | None:
        """A number that counts changes."""
        return (self._changes,) if self._changes else None

    def put(self, token: UserToken) -> None:
        """What `byte-bot login` does, from another process."""
        self.token = token
        self._changes += 1

    async def load(self) -> UserToken | None:
        """The token."""
        if self.broken:
            raise TokenFileRefused(self.broken)
        return self.token

    async def save(self, token: UserToken) -> None:
        """Keep it."""
        await asyncio.sleep(0.01)
        if self.broken:
            raise TokenFileRefused(self.broken)
        self.saved.append(token)
        self.put(token)

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """One at a time."""
        async with self._lock:
            yield


def stored(pair: Issued, **changes: Any) -> UserToken:
    """The pair as a store has it, just given out."""
    loop = current_loop()
    token = UserToken(
        access=pair.access,
        login=pair.login,
        user_id="1234",
        scopes=pair.scopes,
        expires_at=loop.unix_time() + pair.ends_at - loop.time(),
        client_id=CLIENT_ID,
        refresh=pair.refresh,
        obtained_at=loop.unix_time(),
    )
    return UserToken(**{name: changes.get(name, getattr(token, name)) for name in token.__struct_fields__})


class Keeping:
    """A running keeper, the server and the store behind it, and what listeners heard."""

    def __init__(self, twitch: SmallTwitch, store: TokenStore | None, keeper: TokenKeeper) -> None:
        self.twitch = twitch
        self.store = store
        self.keeper = keeper
        self.heard: list[UserToken | None] = []
        keeper.on_change(self.heard.append)

    async def access(self, within_s: float = 1.0) -> str:
        """The token that a transport gets, which must not take longer."""
        async with asyncio.timeout(within_s):
            return (await self.keeper.token()).access

    async def waits(self) -> bool:
        """True if a transport gets none now."""
        try:
            await self.access(0.5)
        except TimeoutError:
            return True
        return False


@contextlib.asynccontextmanager
async def keeping(
    twitch: SmallTwitch,
    store: TokenStore | None,
    *,
    given: str = "",
    secret: str = "",
    chat_mode: str = "irc",
    timing: KeeperTiming | None = None,
    start: bool = True,
    clock: Clock | None = None,
) -> AsyncIterator[Keeping]:
    """A keeper that runs inside the block, by the loop's time if it has no ``clock`` of its own."""
    async with twitch.client() as http:
        keeper = TokenKeeper(
            login=LOGIN,
            chat_mode=chat_mode,
            oauth=TwitchOAuth(http, URL, CLIENT_ID, secret),
            store=store,
            given=given,
            clock=clock if clock is not None else LoopClock(),
            rng=random.Random(1),
            timing=timing,
        )
        place = Keeping(twitch, store, keeper)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(keeper.run())
            if start:
                await asyncio.sleep(0.001)
            yield place
            running.cancel()
