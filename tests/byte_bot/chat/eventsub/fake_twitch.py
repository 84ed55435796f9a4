"""What the tests of the EventSub transport share: a fake Twitch on loopback, in virtual time, with the transport connected to it.

    async def story(place: Place) -> None:
        place.state.say("lobby", "ana", "hello")
        await place.seen(ChatMessage)

    tell(story)

TwitchIO's own code runs on the bot's side, over real sockets; time is virtual, so that half a minute costs nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
from msgspec.structs import replace

from byte_bot.auth.oauth import TwitchOAuth
from byte_bot.auth.token_source import Listener
from byte_bot.auth.user_token import UserToken
from byte_bot.chat.eventsub.client import EventSubTransport
from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.eventsub.tokens import BotTokens
from byte_bot.chat.message import ChannelJoined, ChatEvent
from simulator.loop import START_UNIX_S, current_loop, run
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.twitch.eventsub import EventSubServer
from simulator.twitch.limits import LimitBook, TwitchLimits
from simulator.twitch.listener import WebListener
from simulator.twitch.rules import ChatRules
from simulator.twitch.state import TwitchState
from simulator.twitch.stream_life import StreamLife
from simulator.twitch.web import WebFace, web_app

BOT = "byte_bot"
SCOPES = ("user:bot", "user:read:chat", "user:write:chat", "user:read:moderated_channels")
FOLLOWS = "moderator:read:followers"

EventT = TypeVar("EventT")


class LoopClock:
    """Wall time that follows the loop's."""

    def unix(self) -> float:
        """Seconds since 1970."""
        return START_UNIX_S + asyncio.get_running_loop().time()


class HeldToken:
    """A token source whose token the test changes by hand."""

    renewable = True
    waiting = False

    def __init__(self, token: UserToken) -> None:
        self._token: UserToken | None = token
        self._changed = asyncio.Event()
        self._listeners: list[Listener] = []
        self.complaints: list[str] = []
        #: What a complaint brings, as the keeper would: the next token; None: nothing.
        self.next_token: UserToken | None = None

    async def token(self) -> UserToken:
        """The token, once there is one."""
        while self._token is None:
            self._changed.clear()
            await self._changed.wait()
        return self._token

    async def rejected(self, access: str) -> None:
        """Remember the complaint, and give out the next token from now on if there is one."""
        self.complaints.append(access)
        if self.next_token is not None:
            self._token, self.next_token = self.next_token, None

    def on_change(self, callback: Listener) -> None:
        """Be told of what `give` and `withdraw` do."""
        self._listeners.append(callback)

    async def run(self) -> None:
        """Nothing to do."""

    def give(self, token: UserToken | None) -> None:
        """Have another token, or none, and say so."""
        self._token = token
        self._changed.set()
        for listener in self._listeners:
            listener(token)


class Place:
    """The fake Twitch, the transport, and what it has told."""

    def __init__(self, *, scopes: tuple[str, ...] = SCOPES, limits: EventSubLimits | None = None) -> None:
        loop = current_loop()
        self.loop = loop
        self.state = TwitchState(loop.time, random.Random(1), START_UNIX_S)
        self.state.add_user(BOT, display_name="ByteBot")
        for channel in ("lobby", "arcade"):
            self.state.add_channel(channel, moderators=("mod",))
        self.life = StreamLife(self.state, random.Random(2))
        self.eventsub = EventSubServer(
            self.state, random.Random(3), unix_start=START_UNIX_S, ws_url=lambda: ""
        )
        self.web = WebFace(
            self.state,
            ChatRules(self.state, LimitBook(TwitchLimits())),
            random.Random(4),
            eventsub=self.eventsub,
            conduits=self.eventsub.conduits,
            life=self.life,
            unix_start=START_UNIX_S,
            public_url=lambda: self.listener.url,
        )
        self.listener = WebListener(web_app(self.web), {"/ws": self.eventsub.handler}, host="127.0.0.1")
        self.events: list[ChatEvent] = []
        self.limits = limits if limits is not None else EventSubLimits()
        self.keeper = HeldToken(self.new_token(*scopes))

    def new_token(self, *scopes: str) -> UserToken:
        """A token of the bot's account with these scopes."""
        issued = self.state.credentials.issue_user(DEFAULT_CLIENT_ID, BOT, scopes)
        user_id = self.state.user(BOT).id
        return UserToken(issued.access, BOT, user_id, tuple(scopes), client_id=DEFAULT_CLIENT_ID)

    def transport(self, oauth: TwitchOAuth, send_as: str) -> EventSubTransport:
        """A transport that is connected to this place once it runs."""
        clock = LoopClock()
        return EventSubTransport(
            eventsub_url=f"{self.listener.ws_url}/ws",
            helix_url=f"{self.listener.url}/helix",
            login=BOT,
            keeper=self.keeper,
            tokens=BotTokens(self.keeper, oauth.app_token, clock, wait_s=self.limits.helix_timeout_s),
            send_as=send_as,
            handler=self.events.append,
            rng=random.Random(5),
            clock=clock,
            limits=self.limits,
        )

    @property
    def chat(self) -> EventSubTransport:
        """The transport of the story."""
        return self._chat

    @chat.setter
    def chat(self, chat: EventSubTransport) -> None:
        self._chat = chat

    def of(self, kind: type[EventT]) -> list[EventT]:
        """The events of a kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    async def seen(self, kind: type[EventT], count: int = 1, within_s: float = 60.0) -> list[EventT]:
        """Wait for so many events of a kind."""
        await self.until(lambda: len(self.of(kind)) >= count, within_s)
        return self.of(kind)

    async def until(self, condition: Callable[[], bool], within_s: float = 60.0) -> None:
        """Wait until something is so; fails after so many virtual seconds."""
        deadline_s = self.loop.time() + within_s
        while not condition():
            assert self.loop.time() < deadline_s, f"did not happen; events: {self.events[-10:]}"
            await asyncio.sleep(0.01)

    async def joined(self, *channels: str) -> None:
        """Join channels and wait until Twitch has confirmed it."""
        self.chat.join(channels)
        await self.until(lambda: all(channel in self.chat.joined for channel in channels))

    def subscriptions(self, kind: str = "") -> list[Any]:
        """The bot's subscriptions that are in force, of a type or of all."""
        return [
            one
            for one in self.eventsub.subscriptions(DEFAULT_CLIENT_ID, BOT)
            if one.status == "enabled" and kind in ("", one.kind.name)
        ]


Story = Callable[[Place], Awaitable[None]]


def tell(
    story: Story,
    *,
    scopes: tuple[str, ...] = SCOPES,
    limits: EventSubLimits | None = None,
    send_as: str = "user",
    join: tuple[str, ...] = ("lobby",),
    validated: bool = True,
) -> None:
    """Run a story with the transport connected, and in the channels of ``join``; of a token not ``validated`` only the text is known."""

    async def body() -> None:
        place = Place(scopes=scopes, limits=limits)
        if not validated:
            place.keeper.give(replace(await place.keeper.token(), user_id="", scopes=(), client_id=""))
        app = place.state.credentials.apps[DEFAULT_CLIENT_ID]
        async with place.listener, httpx.AsyncClient() as http:
            oauth = TwitchOAuth(http, f"{place.listener.url}/oauth2", app.client_id, app.secret)
            place.chat = place.transport(oauth, send_as)
            running = asyncio.get_running_loop().create_task(place.chat.run())
            try:
                if join:
                    await place.joined(*join)
                await story(place)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    run(body(), hybrid=True)


def joined_events(place: Place) -> list[str]:
    """In which channels the transport said it was, in order."""
    return [event.channel for event in place.of(ChannelJoined)]
