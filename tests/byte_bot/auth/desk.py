"""The simulator's authorization server in front of a test: accounts, an application, approvals, and the bot's HTTP client to it.

Everything is the simulator's own (:mod:`simulator.twitch.oauth` over the one state that its chat uses), reached through its ASGI
application: no sockets, virtual time.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import httpx

from byte_bot.app import Application, Surroundings
from byte_bot.auth.oauth import DeviceCode
from byte_bot.auth.scopes import wanted_scopes
from byte_bot.auth.token_file import TokenFile
from byte_bot.auth.user_token import UserToken
from byte_bot.login import login
from byte_bot.settings import Settings
from simulator.loop import START_UNIX_S, current_loop
from simulator.twitch.credentials import App, Token
from simulator.twitch.limits import LimitBook
from simulator.twitch.rules import ChatRules
from simulator.twitch.state import TwitchState
from simulator.twitch.stream_life import StreamLife
from simulator.twitch.web import WebFace, web_app

PUBLIC_URL = "http://id.localhost"
OAUTH_URL = f"{PUBLIC_URL}/oauth2"
#: A public application, as the README tells people to register.
CLIENT_ID = "publicclient00of0the0tests0000"


class LoopClock:
    """Wall time that moves with the virtual loop."""

    def unix(self) -> float:
        """Unix seconds."""
        return current_loop().unix_time()


class Desk:
    """id.twitch.tv over a state.

    Args:
        state: the one that chat uses.
        secret: of the application; empty: a public one.
    """

    def __init__(self, state: TwitchState, secret: str = "") -> None:
        self.state = state
        self.app: App = state.credentials.add_app("the bot", client_id=CLIENT_ID, secret=secret)
        self.face = WebFace(
            state,
            ChatRules(state, LimitBook(None)),
            random.Random(3),
            eventsub=None,
            life=StreamLife(state, random.Random(4)),
            unix_start=START_UNIX_S,
            public_url=lambda: PUBLIC_URL,
        )
        self.asgi = web_app(self.face)

    def client(self) -> httpx.AsyncClient:
        """A client that reaches this server and no other."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=self.asgi))

    def issue(self, login: str, *, lifetime_s: float = 14_400.0) -> Token:
        """A token that the account gave the application."""
        return self.state.credentials.issue_user(CLIENT_ID, login, wanted_scopes(), lifetime_s=lifetime_s)

    def tokens_of(self, login: str) -> list[Token]:
        """Those of the account that are valid now."""
        book = self.state.credentials
        return [token for token in book.tokens.values() if token.login == login and book.valid(token.access)]

    def stored(self, token: Token) -> UserToken:
        """As the bot's file has it."""
        loop = current_loop()
        return UserToken(
            access=token.access,
            login=token.login,
            user_id=self.state.user(token.login).id,
            scopes=token.scopes,
            expires_at=loop.unix_time() + token.expires_s - loop.time(),
            client_id=CLIENT_ID,
            refresh=token.refresh,
            obtained_at=loop.unix_time(),
        )

    async def log_in(self, settings: Settings, file: TokenFile, approved_by: str = "") -> UserToken:
        """`byte-bot login`, and a human who allows it at once."""
        async with self.client() as http:
            return await login(
                settings,
                http=http,
                file=file,
                clock=LoopClock(),
                screen=Approving(self, approved_by or settings.twitch_login),
            )


class Approving:
    """A screen whose reader goes and allows it, as an account."""

    def __init__(self, desk: Desk, login: str) -> None:
        self._desk = desk
        self._login = login

    def show(self, code: DeviceCode) -> None:
        """Type the code, allow it."""
        self._desk.face.approve_device(code.user_code, self._login)

    def waiting(self, left_s: float, trouble: str) -> None:
        """No patience needed."""


class InlineTokenFile(TokenFile):
    """The real file, read and written where the loop stands: a world has no threads."""

    async def load(self) -> UserToken | None:
        """Now."""
        return self.read()

    async def save(self, token: UserToken) -> None:
        """Now."""
        self.write(token)


class Desks:
    """Puts applications together whose token comes from a file and a desk; the desk is made with the first of them.

    Args:
        path: the token's file.
        secret: of the application; empty: a public one.
    """

    def __init__(self, path: Path, secret: str = "") -> None:
        self.file = InlineTokenFile(path)
        self._secret = secret
        self._desk: Desk | None = None

    def at(self, state: TwitchState) -> Desk:
        """The desk of this state."""
        if self._desk is None or self._desk.state is not state:
            self._desk = Desk(state, self._secret)
        return self._desk

    def build(self, settings: Settings, surroundings: Surroundings) -> Application:
        """The shipped application with a token that is kept."""
        assert self._desk is not None, "the story asks for the desk first"
        return Application(
            settings, replace(surroundings, twitch_http=self._desk.client(), token_store=self.file)
        )
