"""The fakes of a benchmark: Twitch in this process, Supabase in another, both on loopback ports.

`TwitchStage` is the fake Twitch chat over TCP in the running loop, where the load is made and latency is measured, so that the
moment a reply is accepted is read without a hop between processes. Its limits are loosened (`LOOSE`): 1,000 replies a second are
far beyond what Twitch grants anybody, and a benchmark that stayed below would measure Twitch's limits, not the bot. Everything
else is enforced as always.

`SupabaseProcess` is the fake Supabase in a process of its own with its control address: executing a save must not hold up the
clock that measures chat. A fake chat comes with it and stays unused.

Left out: TLS on either, which costs every bot the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from simulator.bench.child import BenchError, Child
from simulator.bench.probe import Cores
from simulator.loop import START_UNIX_S
from simulator.rng import SeedTree
from simulator.serve import BOT_LOGIN, BOT_TOKEN, HOST
from simulator.twitch.events import SentMessage
from simulator.twitch.irc import IrcServer
from simulator.twitch.limits import TwitchLimits
from simulator.twitch.state import TwitchState

MODERATOR = "mod_1"  # who gives the commands
CONTROL_TIMEOUT_S = 10.0
FAULT_NAME = "bench"
UNLIMITED = 1_000_000_000
LOOSE = TwitchLimits(
    joins_verified_max=UNLIMITED,
    messages_max=UNLIMITED,
    messages_privileged_max=UNLIMITED,
    messages_verified_max=UNLIMITED,
)


@dataclass(frozen=True)
class Addresses:
    """Where a bot finds the fakes, and as whom; the url and the key are empty without a database."""

    irc_host: str
    irc_port: int
    login: str
    token: str  # with "oauth:"
    channels: tuple[str, ...]
    supabase_url: str = ""
    supabase_key: str = ""
    folder: str = ""  # the bot's own, for what it keeps on disk; "": its working directory


class TwitchStage:
    """The fake Twitch of one bot, listening while the context is entered; `heard` gets channel, text, reply_to of what it says."""

    def __init__(
        self, channels: int, heard: Callable[[str, str, str], object], *, unix_start_s: float, seed: int
    ) -> None:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        seeds = SeedTree(seed)
        self._heard = heard
        self.channels = tuple(f"channel_{number}" for number in range(1, channels + 1))
        self.state = TwitchState(lambda: loop.time() - start_s, seeds.stream("twitch"), unix_start_s)
        self.irc = IrcServer(self.state, LOOSE, seeds.stream("irc"))
        self.state.add_user(BOT_LOGIN, display_name="ByteTestBot", verified=True)
        self.state.grant_token(BOT_TOKEN, BOT_LOGIN)
        for channel in self.channels:
            self.state.add_channel(channel, moderators=(MODERATOR, BOT_LOGIN))
        self._stop_observing = self.state.on_message(self._observe)
        self._port = 0

    def _observe(self, message: SentMessage) -> None:
        if message.from_client:
            self._heard(message.channel, message.text, message.reply_to)

    async def __aenter__(self) -> TwitchStage:
        self._server = await asyncio.start_server(self.irc.handle, HOST, 0)
        self._port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_observing()
        self._server.close()
        self.irc.disconnect_all(abort=True)
        await self.irc.wait_closed()
        await self._server.wait_closed()

    def addresses(self, supabase: SupabaseProcess | None, folder: str = "") -> Addresses:
        """What a bot has to know."""
        url, key = ("", "") if supabase is None else (supabase.url, supabase.secret_key)
        return Addresses(HOST, self._port, BOT_LOGIN, f"oauth:{BOT_TOKEN}", self.channels, url, key, folder)

    def all_joined(self) -> bool:
        """Whether the bot is in every channel, on a sound connection."""
        return all(self.irc.attending(BOT_LOGIN, channel) for channel in self.channels)

    def say(self, channel: str, text: str) -> str:
        """Let the moderator say something; returns the message's id."""
        return self.state.say(channel, MODERATOR, text)

    def channel_logins(self) -> Mapping[str, str]:
        """The login of each channel by its id, as tables name channels."""
        return {self.state.channels[login].id: login for login in self.channels}


class SupabaseProcess:
    """A fake Supabase as a child while the context is entered.

    `schema_dir` None: `byte-sim serve` with Byte Bot's tables; otherwise `supabase_server`, which starts in a third of the time.
    `unix_start_s` is the wall time that it starts at (`byte-sim serve` reads the clock).

    `cores` keeps it off the bot's core. It runs in the background: a save that is being executed waits for the load
    generator, not the reverse.

    Entering raises `BenchError` when it does not listen in time; the verbs when it does not answer.
    """

    def __init__(
        self,
        schema_dir: Path | None,
        *,
        seed: int,
        unix_start_s: float = START_UNIX_S,
        cores: Cores | None = None,
    ) -> None:
        arguments: Sequence[str] = ("-m", "simulator", "serve", "--seed", str(seed))
        if schema_dir is not None:
            slim = ("-m", "simulator.bench.supabase_server")
            arguments = (*slim, str(schema_dir), str(seed), str(unix_start_s))
        self._child = Child("the fake Supabase", arguments, cores=cores, background=True)
        self._resources = contextlib.AsyncExitStack()
        self.url = ""
        self.secret_key = ""

    async def __aenter__(self) -> SupabaseProcess:
        try:
            await self._resources.enter_async_context(self._child)
            address = self._child.hello
            client = httpx.AsyncClient(base_url=address["control"]["url"], timeout=CONTROL_TIMEOUT_S)
            self._control = await self._resources.enter_async_context(client)
        except BaseException:
            await self._resources.aclose()
            raise
        self.url, self.secret_key = address["supabase"]["url"], address["supabase"]["secret_key"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    async def set_fault(self, fault: Mapping[str, Any] | None) -> None:
        """Set the one fault of the benchmark, or clear it."""
        await self._call("PUT", "/faults", json={FAULT_NAME: None if fault is None else dict(fault)})

    async def attempts(self) -> int:
        """How many requests have reached it so far, those that a fault kept from the database included."""
        state = await self._call("GET", "/state", params={"tail": 0})
        return int(state["requests"]["attempts"])

    async def rows(self, table: str) -> Sequence[Mapping[str, Any]]:
        """All rows of a table."""
        state = await self._call("GET", "/state", params={"tail": 0, "table": table})
        rows: Sequence[Mapping[str, Any]] = state["rows"]
        return rows

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = await self._control.request(method, path, **options)
        except httpx.HTTPError as error:
            raise BenchError(f"the fake Supabase's control address does not answer: {error!r}") from error
        if response.is_error:
            raise BenchError(f"{method} {path} of the fake Supabase: {response.text}")
        return response.json()
