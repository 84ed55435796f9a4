"""The fakes on loopback ports, for any program that wants a Twitch chat and a Supabase project which are not real.

`Stage` is one fake Twitch chat (IRC), one fake Supabase project and the control address (`control.py`), listening in the
running loop between `async with` and its end: the demo, the tests and `byte-sim serve` stand on it. It works in real time
and in a hybrid virtual loop, since nothing in it polls. `serve` keeps a stage up until it is cancelled, and says where
everything is in one line of JSON.

The chat has a few channels and one verified account for the bot, moderator everywhere, with a token; moderators called
mod_1, mod_2, … exist from the start, with tokens too, so that a chat client can log in as one of them; everybody else comes
into being when they first speak. All names and keys are made up and fixed. Faults on the stage's board act on both fakes.

Left out: TLS, the faults of the bot's process and of its disk (the stage has none), and Twitch's packets cut at arbitrary places, which
need the in-memory network of the simulated worlds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from simulator.audience import Role, Utterance, speaker
from simulator.control import control_app
from simulator.errors import SimulatorError
from simulator.faults import (
    Fault,
    FaultBoard,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchHalfOpen,
    TwitchPackets,
    TwitchReconnect,
)
from simulator.rng import SeedTree
from simulator.supabase.server import FakeSupabase
from simulator.supabase.sockets import SupabaseServer
from simulator.twitch.events import SentMessage
from simulator.twitch.irc import IrcServer
from simulator.twitch.listener import WebListener
from simulator.twitch.state import TwitchState

HOST = "127.0.0.1"
DEFAULT_CHANNELS = ("lobby", "arcade", "cinema")
BOT_LOGIN = "byte_test_bot"
BOT_TOKEN = "fake0token0of0the0test0bot0000"  # 30 letters and digits, as real ones have
MODERATORS = 3
MODERATOR_TOKEN = "fake0token0of0moderator0{:06d}"
RECENT_MAX = 1_000  # messages that the control address can show; older ones are gone


class ServeError(SimulatorError):
    """The fakes cannot be served as asked; the message says what to change."""


@dataclass(frozen=True)
class Ports:
    """Where to listen; 0 takes any free port."""

    irc: int = 0
    supabase: int = 0
    control: int = 0


@dataclass(frozen=True)
class Said:
    """One message of the chat and its number, counted from 1 over all channels."""

    number: int
    message: SentMessage


class Stage:
    """The fakes, listening while the context is entered.

    `schema_dir` holds the *.sql files of the project's tables (None: a project without any); `unix_start_s` is the wall time
    (seconds since 1970) of the moment it is entered, from which on `time_s` counts; `seed` decides ids and draws. Entering
    raises `ServeError` when a port is taken.
    """

    def __init__(
        self,
        schema_dir: Path | None,
        *,
        unix_start_s: float,
        seed: int = 0,
        channels: tuple[str, ...] = DEFAULT_CHANNELS,
        ports: Ports | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._start_s = loop.time()
        self._loop = loop
        self._ports = ports if ports is not None else Ports()
        self._resources = contextlib.AsyncExitStack()
        self._changed = asyncio.Event()
        self._numbered = 0
        seeds = SeedTree(seed)
        self.seed = seed
        self.bot_login = BOT_LOGIN
        self.bot_token = BOT_TOKEN
        self.faults = FaultBoard(self.time_s, seeds.stream("faults"))
        self.twitch = TwitchState(self.time_s, seeds.stream("twitch"), unix_start_s)
        self.irc = IrcServer(self.twitch, None, seeds.stream("irc"))
        self.supabase = FakeSupabase(
            schema_dir,
            time_source=self.time_s,
            unix_start=unix_start_s,
            rng=seeds.stream("supabase"),
            faults=self.faults,
        )
        self.recent: deque[Said] = deque(maxlen=RECENT_MAX)
        self._speak = speaker(self.twitch)
        self._populate(channels)

    def _populate(self, channels: tuple[str, ...]) -> None:
        moderators = tuple(f"mod_{number}" for number in range(1, MODERATORS + 1))
        self.twitch.add_user(BOT_LOGIN, display_name="ByteTestBot", verified=True)
        self.twitch.grant_token(BOT_TOKEN, BOT_LOGIN)
        for number, login in enumerate(moderators, 1):
            self.twitch.grant_token(MODERATOR_TOKEN.format(number), login)
        for channel in channels:
            self.twitch.add_channel(channel, moderators=(*moderators, BOT_LOGIN))
        self.twitch.on_message(self._remember)

    def _remember(self, message: SentMessage) -> None:
        self._numbered += 1
        self.recent.append(Said(self._numbered, message))

    # -- life -----------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Stage:
        try:
            await self._listen()
        except BaseException:
            await self._resources.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    async def _listen(self) -> None:
        enter = self._resources.enter_async_context
        self._resources.callback(self.supabase.close)
        with _port("irc", self._ports.irc):
            self._irc_port = await enter(self._irc_listener())
        with _port("supabase", self._ports.supabase):
            server = SupabaseServer(self.supabase, host=HOST, port=self._ports.supabase)
            self.supabase_url = (await enter(server)).url
        with _port("control", self._ports.control):
            listener = WebListener(control_app(self), {}, host=HOST, port=self._ports.control)
            self.control_url = (await enter(listener)).url
        group = await enter(asyncio.TaskGroup())
        keeper = group.create_task(self._carry_out_faults(), name="twitch-faults")
        self._resources.callback(keeper.cancel)
        self._resources.callback(self.faults.subscribe(self._changed.set))

    @contextlib.asynccontextmanager
    async def _irc_listener(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self.irc.handle, HOST, self._ports.irc)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            self.irc.disconnect_all(abort=True)
            await self.irc.wait_closed()
            await server.wait_closed()

    async def _carry_out_faults(self) -> None:
        while True:
            self._changed.clear()
            acting = self.faults.twitch_now()
            duplicates = [fault.probability for fault in acting if isinstance(fault, TwitchDuplicates)]
            self.irc.duplicate_probability = max(duplicates, default=0.0)
            for _ in self.faults.take_due(TwitchDisconnect):
                self.irc.disconnect_all()
            for _ in self.faults.take_due(TwitchHalfOpen):
                self.irc.half_open_all()
            for reconnect in self.faults.take_due(TwitchReconnect):
                self.irc.send_reconnect(reconnect.grace_s)
            change_s = self.faults.next_change_s()
            deadline_s = None if change_s is None else self._start_s + change_s
            try:
                async with asyncio.timeout_at(deadline_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    # -- looking and acting ---------------------------------------------------------------------------------------------

    def time_s(self) -> float:
        """Seconds since the stage was made."""
        return self._loop.time() - self._start_s

    @property
    def channels(self) -> tuple[str, ...]:
        """The logins of all channels."""
        return tuple(self.twitch.channels)

    @property
    def irc_address(self) -> tuple[str, int]:
        """Host and port of the chat."""
        return HOST, self._irc_port

    @property
    def last_number(self) -> int:
        """The number of the newest message, 0 before the first."""
        return self._numbered

    def say(self, channel: str, login: str, text: str, role: Role = "viewer") -> str:
        """Let somebody speak, who is made with this role if need be; return the message's id.

        Raises `UnknownName` for a channel that there is not, `ValueError` for a text that chat cannot carry.
        """
        return self._speak(Utterance(self.time_s(), channel, login, text, role))

    def refusal_of(self, fault: Fault) -> str:
        """Why this fault cannot act here, "" if it can."""
        if fault.family == "process":
            return f"{fault.kind}: the bot's process is not ours; stop and start it yourself"
        if fault.family == "disk":
            return f"{fault.kind}: the disk of your bot is not ours; only in simulated worlds (byte-sim run)"
        if isinstance(fault, TwitchPackets):
            return f"{fault.kind}: only in simulated worlds (byte-sim run), not on sockets"
        return ""

    def addresses(self) -> dict[str, Any]:
        """Where everything is, as `byte-sim serve` prints it."""
        return {
            "irc": {"host": HOST, "port": self._irc_port},
            "supabase": {
                "url": self.supabase_url,
                "secret_key": self.supabase.secret_key,
                "publishable_key": self.supabase.publishable_key,
            },
            "control": {"url": self.control_url},
            "twitch": {
                "login": self.bot_login,
                "token": f"oauth:{self.bot_token}",
                "channels": list(self.channels),
                "moderators": {
                    f"mod_{number}": f"oauth:{MODERATOR_TOKEN.format(number)}"
                    for number in range(1, MODERATORS + 1)
                },
            },
            "seed": self.seed,
        }


async def serve(stage: Stage, announce: Callable[[str], None]) -> None:
    """Keep a stage up until cancelled; `announce` gets one line of JSON, `Stage.addresses`, when everything listens."""
    async with stage:
        announce(json.dumps(stage.addresses()))
        await asyncio.get_running_loop().create_future()


@contextlib.contextmanager
def _port(name: str, port: int) -> Iterator[None]:
    """Turn the operating system's refusal of a port into words."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServeError(
            f"cannot listen on {HOST}:{port} for {name}: {reason}. Choose another --{name}-port, or leave it out for a free one."
        ) from error
