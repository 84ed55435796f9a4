"""A fake Twitch for one test of somebody's bot: chat, EventSub, Helix and OAuth on loopback ports, in virtual time.

    async def test_ping(fake_twitch):
        lobby = fake_twitch.add_channel("lobby")
        bot = MyBot(owner_id=lobby.id)                  # twitchio.ext.commands.Bot
        await fake_twitch.connect(bot)                  # started, logged in, subscribed
        assert await fake_twitch.ask("viewer", "!ping") == "pong"

`connect` points this one bot at the fake (`twitchio_bot.py`), registers the app, accounts and tokens that it names, starts it, and waits
until it hears its channels. It is a process of the loop: `crash` ends it as `kill -9` does, `disconnect` in order, and so does the end of the
test. Bots of other libraries are given the addresses and `token` instead.

In a test that also uses `sim_world` this is the world's Twitch: people, channels and what happens can be had here, addresses cannot.

The loop is hybrid: sockets of this process are real and take no virtual time. Left out: bots in other processes (`byte-sim serve`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from simulator.audience import Role, give_role
from simulator.conversation import StoryError, spoken
from simulator.fault_driver import FaultDriver
from simulator.loop import START_UNIX_S, Process
from simulator.seed_file import CHAT_BOT_SCOPES
from simulator.testing.errors import CannotConnect, NotHere, NotYet
from simulator.testing.ground import Check, Ground
from simulator.testing.twitchio_bot import Addresses, client_of, let_go, point
from simulator.trace import Trace
from simulator.twitch.credentials import APP_TOKEN_LIFETIME_S, DEFAULT_CLIENT_ID, App, Token
from simulator.twitch.events import Channel, SentMessage
from simulator.twitch.state import TwitchState
from simulator.twitch_service import TwitchService

if TYPE_CHECKING:
    from twitchio import Client

#: Who a connected bot is, if nothing names its account.
BOT_LOGIN: Final = "your_bot"
#: A moderator of every channel that is made here.
MODERATOR: Final = "mod"
#: From its start a bot must be ready within this, and must have ended within this when it is asked to (virtual seconds).
START_S: Final = 60.0
STOP_S: Final = 30.0
#: How closely something is waited for, virtual seconds (a start less closely, the longer it takes): a look at real sockets takes ten times
#: as long as one at memory.
LOOK_S: Final = 0.1
LOOK_S_MAX: Final = 3.0
_CHAT_MESSAGE: Final = "channel.chat.message"


class FakeTwitch:
    """The fixture `fake_twitch`; see the module's docstring."""

    order = 1
    sockets = True

    def __init__(self) -> None:
        self._ground: Ground | None = None
        self._service: TwitchService | None = None
        self._started: list[str] = []
        self._bots: dict[str, tuple[Client, Process]] = {}
        self._spoke = asyncio.Event()
        #: What the bots have said, oldest first: all of them, and each by its login.
        self.transcript: list[SentMessage] = []
        self.transcripts: dict[str, list[SentMessage]] = {}

    @asynccontextmanager
    async def standing(self, ground: Ground) -> AsyncIterator[None]:
        """Take connections while entered."""
        async with AsyncExitStack() as stack:
            if ground.twitch is None:
                await self._listen(ground, stack)
            self._ground = ground
            self.state.on_message(self._heard)
            try:
                yield
                for name, (client, process) in list(self._bots.items()):
                    await self._close(client, process)
                    del self._bots[name]
            finally:
                for name in list(self._bots):  # the test failed, and nobody has closed them
                    self._kill(name)
                self._ground = self._service = None

    async def _listen(self, ground: Ground, stack: AsyncExitStack) -> None:
        service = TwitchService(ground.loop.time, START_UNIX_S, ground.seeds)
        ground.listen(service.state)
        service.state.on_message(lambda message: _record(ground.trace, message))
        self._service = await stack.enter_async_context(service)
        driver = FaultDriver(
            ground.board, service.irc, None, None, eventsub=service.eventsub, web=service.web
        )
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(tasks.create_task(driver.run(), name="twitch-faults").cancel)

    async def judged(self) -> None:
        """Nothing."""

    # ── who and what is there ────────────────────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> TwitchState:
        """The state behind every face: `raid`, `subscribe`, `ban`, `set_modes`, `add_user` and all its other verbs."""
        twitch = self._here().twitch
        assert twitch is not None, "listens"
        return twitch

    @property
    def service(self) -> TwitchService:
        """The faces: `irc`, `eventsub`, `web`, and `life` for the broadcasts; raises `NotHere` in a world, which has its own."""
        self._here()
        if self._service is None:
            raise NotHere(
                "this test uses sim_world, whose Twitch has no addresses here; take fake_twitch without it"
            )
        return self._service

    def add_channel(
        self, login: str, *, channel_id: str = "", moderators: tuple[str, ...] = (MODERATOR,)
    ) -> Channel:
        """A channel with its broadcaster; its `id` is drawn unless given. The bot is made moderator of it when it connects."""
        return self.state.add_channel(login, channel_id=channel_id, moderators=moderators)

    def token(self, login: str, *, scopes: tuple[str, ...] = CHAT_BOT_SCOPES, client_id: str = "") -> str:
        """A new user token of this account (made when new) for an app (the ready-made one), without ``oauth:``."""
        user = self.state.add_user(login)
        issued = self.state.credentials.issue_user(
            client_id or DEFAULT_CLIENT_ID, user.login, scopes, lifetime_s=APP_TOKEN_LIFETIME_S
        )
        return issued.access

    @property
    def client_id(self) -> str:
        """The ready-made app's."""
        return self._app.client_id

    @property
    def client_secret(self) -> str:
        """The ready-made app's."""
        return self._app.secret

    @property
    def _app(self) -> App:
        return self.state.credentials.apps[DEFAULT_CLIENT_ID]

    # ── where it is ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def irc_address(self) -> tuple[str, int]:
        """Host and port of the chat, without TLS."""
        found = self.service.addresses()["irc"]
        return str(found["host"]), int(found["port"])

    @property
    def irc_websocket_url(self) -> str:
        """Chat over a WebSocket."""
        return str(self.service.addresses()["irc_ws"]["url"])

    @property
    def helix_url(self) -> str:
        """In place of https://api.twitch.tv/helix."""
        return str(self.service.addresses()["helix"]["url"])

    @property
    def oauth_url(self) -> str:
        """In place of https://id.twitch.tv/oauth2."""
        return str(self.service.addresses()["oauth"]["url"])

    @property
    def eventsub_url(self) -> str:
        """In place of wss://eventsub.wss.twitch.tv/ws."""
        return str(self.service.addresses()["eventsub"]["url"])

    # ── bots ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def connect(
        self,
        bot: object,
        *,
        login: str = BOT_LOGIN,
        scopes: tuple[str, ...] = CHAT_BOT_SCOPES,
        load_tokens: bool = False,
        hears_chat: bool = True,
    ) -> None:
        """Point a bot of TwitchIO 3 at this Twitch, start it, and wait until it is ready and (with `hears_chat`) hears a channel.

        The bot's app, its account (`login`, with the bot's ``bot_id``) and its owner's channel come into being if they are not there; it
        is made moderator of every channel, and given tokens of its account and of every channel, with these `scopes`. It reads and
        writes its token file only with `load_tokens`.

        Raises `CannotConnect` if the bot cannot be pointed, or is not ready within `START_S`; what the bot raised if it ended.
        """
        client = client_of(bot)
        ground = self._here()
        name = f"bot-{len(self._started) + 1}"
        me = self._introduce(client, login)
        tokens = [
            self._issue(client, account, scopes) for account in dict.fromkeys((me, *self.state.channels))
        ]
        self.bot_is(me)
        to = Addresses(
            helix=f"{self.helix_url}/",
            oauth=self.oauth_url.removesuffix("oauth2"),
            eventsub=self.eventsub_url,
        )
        point(client, to, ground.seeds.stream(f"{name}/reconnecting"))
        self._started.append(name)
        process = ground.loop.spawn(name, _live(client, tokens, load_tokens=load_tokens))
        self._bots[name] = (client, process)
        await self._until_ready(client, process, hears_chat=hears_chat)

    def _introduce(self, client: Client, login: str) -> str:
        """See to it that everybody exists whom the bot names; the login of its account."""
        state, http = self.state, client.http
        if http.client_id not in state.credentials.apps:
            secret = http.client_secret or ""
            state.credentials.add_app("a bot's", client_id=str(http.client_id), secret=secret)
        owner_id = str(getattr(client, "owner_id", None) or "")
        if owner_id and not self._login_of(owner_id):
            self.add_channel(f"owner_{owner_id}", channel_id=owner_id)
        bot_id = str(client._bot_id or "")
        me = self._login_of(bot_id)
        if not me:
            if login in state.users:
                raise CannotConnect(
                    f"the account {login!r} has the id {state.users[login].id}, and the bot has bot_id={bot_id!r}: give it that id, or "
                    "another login to connect"
                )
            me = state.add_user(login, user_id=bot_id).login
        for channel in state.channels:
            if channel != me:
                give_role(state, channel, me, "moderator")
        return me

    def _issue(self, client: Client, account: str, scopes: tuple[str, ...]) -> Token:
        app = str(client.http.client_id)
        return self.state.credentials.issue_user(app, account, scopes, lifetime_s=APP_TOKEN_LIFETIME_S)

    def _login_of(self, user_id: str) -> str:
        return next((user.login for user in self.state.users.values() if user.id == user_id), "")

    async def _until_ready(self, client: Client, process: Process, *, hears_chat: bool) -> None:
        loop = asyncio.get_running_loop()
        deadline_s, pause_s = loop.time() + START_S, LOOK_S
        while not (client._ready_event.is_set() and (self._hears(client) or not hears_chat)):
            if not process.running:
                await process.wait()  # raises what ended it
                raise CannotConnect("the bot has ended by itself before it was ready")
            if loop.time() >= deadline_s:
                raise CannotConnect(
                    f"{START_S:g} s after its start the bot is not ready, or has no subscription to {_CHAT_MESSAGE} of a channel that "
                    "there is: a bot makes one in setup_hook or event_ready (what TwitchIO says is in the log); for one that does not "
                    "listen to chat, connect(bot, hears_chat=False)"
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LOOK_S_MAX)

    def _hears(self, client: Client) -> bool:
        """Whether the bot's app has a subscription of its account, on a session or on a conduit."""
        return any(
            one.kind.name == _CHAT_MESSAGE
            and one.status == "enabled"
            and one.condition.get("user_id") == client._bot_id
            for one in self.service.eventsub.subscriptions(str(client.http.client_id))
        )

    def bot_is(self, login: str) -> None:
        """The account of a bot that connects by itself (over IRC, with another library): whose replies `ask` waits for.

        More than one may be named; each has a transcript of its own, and `ask` waits for the one named last.
        """
        me = self._here().bot_login = self.state.add_user(login).login
        self.transcripts.setdefault(me, [])

    def crash(self, bot: object) -> None:
        """``kill -9`` for a connected bot: nothing of it runs again, not even a ``finally``."""
        name, _, _ = self._connected(bot)
        self._kill(name)

    async def disconnect(self, bot: object) -> None:
        """Close a connected bot in order, and wait until it has ended."""
        name, client, process = self._connected(bot)
        del self._bots[name]
        await self._close(client, process)

    async def _close(self, client: Client, process: Process) -> None:
        try:
            async with asyncio.timeout(STOP_S):
                await client.close()
                await process.wait()
        except TimeoutError:
            raise StoryError(f"the bot did not end within {STOP_S:g} s of its close()") from None

    def _connected(self, bot: object) -> tuple[str, Client, Process]:
        for name, (client, process) in self._bots.items():
            if client is bot:
                return name, client, process
        raise StoryError("this bot is not connected: fake_twitch.connect(bot) first")

    def _kill(self, name: str) -> None:
        client, _ = self._bots.pop(name)
        self._here().loop.kill_process(name)
        let_go(client)

    # ── people ───────────────────────────────────────────────────────────────────────────────────────────────────

    def say(self, login: str, text: str, *, channel: str = "", role: Role = "viewer") -> str:
        """Somebody says something, made with this role if need be, in this channel or the first; the message's id."""
        room = channel or self._first_channel()
        give_role(self.state, room, login, role)
        return self.state.say(room, login, text)

    async def ask(
        self, login: str, text: str, *, channel: str = "", within_s: float = 5.0, bot: str = ""
    ) -> str:
        """Say something and wait for the bot's reply to it, or the next thing it says in the channel; its text.

        Of several bots it is the one connected last, or `bot`, the login of another. Raises `StoryError` without an answer within so many
        virtual seconds.
        """
        bot = bot or self._here().bot_login
        if not bot:
            raise StoryError("nobody can answer: fake_twitch.connect(bot) first")
        if bot != self._here().bot_login and bot not in self.transcripts:
            there_are = ", ".join(self.transcripts) or "none"
            raise StoryError(f"{bot!r} is no bot's login here; there are: {there_are}")
        said_by_it = self.transcripts.setdefault(bot, [])
        before = len(said_by_it)
        asked = self.say(login, text, channel=channel)
        room = channel or self._first_channel()
        try:
            # Woken by what is said: to look every so often would cost a thousand looks at real sockets for a slow answer.
            async with asyncio.timeout(within_s):
                while True:
                    for said in said_by_it[before:]:
                        if said.channel == room and said.reply_to in (asked, ""):
                            return spoken(said.text)
                    self._spoke.clear()
                    await self._spoke.wait()
        except TimeoutError:
            raise StoryError(f"did not happen within {within_s:g} s: an answer to {text!r}") from None

    def _heard(self, message: SentMessage) -> None:
        if message.login in self.transcripts or message.login == self._here().bot_login:
            self.transcript.append(message)
            self.transcripts.setdefault(message.login, []).append(message)
            self._spoke.set()

    def _first_channel(self) -> str:
        first = next(iter(self.state.channels), "")
        if not first:
            raise StoryError("there is no channel yet: fake_twitch.add_channel(login) first")
        return first

    async def until(self, condition: Callable[[], bool], within_s: float = 30.0, what: str = "") -> None:
        """Wait until this is true, looking every tenth of a second; raises `StoryError` after so many virtual seconds."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + within_s
        while not condition():
            if loop.time() >= deadline_s:
                raise StoryError(f"did not happen within {within_s:g} s: {what or condition}")
            await asyncio.sleep(LOOK_S)

    # ── watching ─────────────────────────────────────────────────────────────────────────────────────────────────

    def watch(self, check: Check) -> None:
        """From now on this function, which gets this object and asserts, must hold at every virtual second and at the end."""
        self._here().watch(check, self)

    def record(self, kind: str, **fields: Any) -> None:
        """Add an event of your own to the trace: two runs of one seed are then compared by it too."""
        self._here().trace.record(kind, **fields)

    def _here(self) -> Ground:
        if self._ground is None:
            raise NotYet("fake_twitch can be used while the test runs, and by its asynchronous fixtures")
        return self._ground


def _record(trace: Trace, message: SentMessage) -> None:
    trace.record("chat", channel=message.channel, login=message.login, text=message.text, id=message.id)


async def _live(client: Client, tokens: list[Token], *, load_tokens: bool) -> None:
    """The life of a connected bot, as its process."""
    for token in tokens:
        # Of the client within the bot: the bot's own add_token may be the author's, who keeps tokens in a database.
        await client.http.add_token(token.access, token.refresh)
    await client.start(with_adapter=False, load_tokens=load_tokens, save_tokens=load_tokens)
