"""The fakes on loopback ports, for any program that wants a Twitch and a Supabase project which are not real.

`Stage` is one fake Twitch with all its faces (`twitch_service.py`), one fake Supabase project and the control address (`control.py`),
listening in the running loop between `async with` and its end: the demo, the tests and `byte-sim serve` stand on it. It works in real
time and in a hybrid virtual loop, since nothing in it polls. `serve` keeps a stage up until it is cancelled, and says where everything
is in one line of JSON.

Twitch has a few channels and one verified account for the bot, moderator everywhere; moderators called mod_1, mod_2, … exist from the
start. The bot, the moderators, the broadcasters and whoever a seed file names have user tokens with refresh tokens for one ready-made
app. All names, letters and keys are made up and fixed; ids are drawn from the seed. Everybody else comes into being when they first
speak. Faults on the stage's board act on all fakes.

Left out: the faults of the bot's process and of its disk (the stage has none), and Twitch's packets cut at arbitrary places, which
need the in-memory network of the simulated worlds.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.audience import Role, Utterance, speaker
from simulator.certificates import ThrowAwayAuthority
from simulator.control import control_app
from simulator.fault_driver import FaultDriver
from simulator.faults import Fault, FaultBoard, TwitchPackets
from simulator.listening import Listening
from simulator.rng import SeedTree
from simulator.seed_file import CHAT_BOT_SCOPES, Seed, refresh_letters, token_letters
from simulator.supabase.server import FakeSupabase
from simulator.supabase.sockets import SupabaseServer
from simulator.twitch.credentials import APP_TOKEN_LIFETIME_S, DEFAULT_CLIENT_ID
from simulator.twitch.events import SentMessage
from simulator.twitch.listener import WebListener
from simulator.twitch.snapshot_parts import Snapshot
from simulator.twitch_service import HOST, ServeError, TwitchPorts, TwitchService, port_in_words

__all__ = [
    "BOT_LOGIN",
    "BOT_TOKEN",
    "DEFAULT_CHANNELS",
    "HOST",
    "MODERATORS",
    "Ports",
    "ServeError",
    "Stage",
    "serve",
]

DEFAULT_CHANNELS = ("lobby", "arcade", "cinema")
BOT_LOGIN = "byte_test_bot"
BOT_TOKEN = "fake0token0of0the0test0bot0000"  # 30 letters and digits, as real ones have
MODERATORS = 3
MODERATOR_TOKEN = "fake0token0of0moderator0{:06d}"
# Longer than a real one's four hours: a bot that is given the token alone, as IRC bots are, must not lose it over lunch.
TOKEN_LIFETIME_S = APP_TOKEN_LIFETIME_S
CA_FILE_NAME = "byte-sim-ca.pem"
RECENT_MAX = 1_000  # messages that the control address can show; older ones are gone


@dataclass(frozen=True)
class Ports:
    """Where to listen; 0 takes any free port."""

    irc: int = 0
    supabase: int = 0
    control: int = 0
    web: int = 0
    irc_tls: int = 0
    web_tls: int = 0


@dataclass(frozen=True)
class Said:
    """One message of the chat and its number, counted from 1 over all channels."""

    number: int
    message: SentMessage


class Stage(Listening):
    """The fakes, listening while the context is entered.

    `schema_dir` holds the *.sql files of the project's tables (None: a project without any); `unix_start_s` is the wall time
    (seconds since 1970) of the moment it is entered, from which on `time_s` counts; `seed` decides ids and draws. `channels` are those
    that exist (None: the seed file's, or the default ones). With `tls` everything of Twitch is served under a throw-away authority too,
    whose root stands in `ca_file` (None: in a temporary folder, while the stage is up). Entering raises `ServeError` when a port is taken.
    """

    def __init__(
        self,
        schema_dir: Path | None,
        *,
        unix_start_s: float,
        seed: int = 0,
        channels: tuple[str, ...] | None = None,
        ports: Ports | None = None,
        seed_file: Seed | None = None,
        tls: bool = False,
        ca_file: Path | None = None,
    ) -> None:
        super().__init__()
        loop = asyncio.get_running_loop()
        self._start_s = loop.time()
        self._loop = loop
        self._ports = ports if ports is not None else Ports()
        self._numbered = 0
        self._authority = ThrowAwayAuthority() if tls else None
        self._ca_file = ca_file
        seeds = SeedTree(seed)
        self.seed = seed
        self.bot_login = BOT_LOGIN
        self.bot_token = BOT_TOKEN
        self.faults = FaultBoard(self.time_s, seeds.stream("faults"))
        self._service = TwitchService(
            self.time_s,
            unix_start_s,
            seeds,
            ports=TwitchPorts(self._ports.irc, self._ports.web, self._ports.irc_tls, self._ports.web_tls),
            authority=self._authority,
        )
        self.twitch, self.life = self._service.state, self._service.life
        self.irc, self.eventsub, self.web = self._service.irc, self._service.eventsub, self._service.web
        self.supabase = FakeSupabase(
            schema_dir,
            time_source=self.time_s,
            unix_start=unix_start_s,
            rng=seeds.stream("supabase"),
            faults=self.faults,
        )
        self.recent: deque[Said] = deque(maxlen=RECENT_MAX)
        self._speak = speaker(self.twitch)
        self._populate(channels, seed_file)
        self._beginning = self._service.snapshot()

    def _populate(self, channels: tuple[str, ...] | None, seed_file: Seed | None) -> None:
        seeded = () if seed_file is None else tuple(part.login for part in seed_file.snapshot.channels)
        existing = (seeded or DEFAULT_CHANNELS) if channels is None else (*channels, *seeded)
        moderators = tuple(f"mod_{number}" for number in range(1, MODERATORS + 1))
        self.twitch.add_user(BOT_LOGIN, display_name="ByteTestBot", verified=True)
        self._give_token(BOT_LOGIN, BOT_TOKEN)
        for number, login in enumerate(moderators, 1):
            self.twitch.add_user(login)
            self._give_token(login, MODERATOR_TOKEN.format(number))
        for channel in existing:
            self.twitch.add_channel(channel)
            self._give_token(channel, token_letters(channel))
        if seed_file is not None:
            self._service.apply(seed_file.snapshot)
        # A channel that says in the seed file who moderates it has no others.
        own = () if seed_file is None else [login for login in seeded if login not in seed_file.unmoderated]
        for channel in existing:
            if channel not in own:
                self.twitch.add_channel(channel, moderators=(*moderators, BOT_LOGIN))
        self.twitch.on_message(self._remember)

    def _give_token(self, login: str, access: str) -> None:
        self.twitch.credentials.issue_user(
            DEFAULT_CLIENT_ID,
            login,
            CHAT_BOT_SCOPES,
            lifetime_s=TOKEN_LIFETIME_S,
            access=access,
            refresh=refresh_letters(login),
        )

    def _remember(self, message: SentMessage) -> None:
        self._numbered += 1
        self.recent.append(Said(self._numbered, message))

    # -- life -----------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        enter = self._resources.enter_async_context
        self._resources.callback(self.supabase.close)
        self._write_root()
        await enter(self._service)
        with port_in_words("supabase", self._ports.supabase):
            server = SupabaseServer(self.supabase, host=HOST, port=self._ports.supabase)
            self.supabase_url = (await enter(server)).url
        with port_in_words("control", self._ports.control):
            listener = WebListener(control_app(self), {}, host=HOST, port=self._ports.control)
            self.control_url = (await enter(listener)).url
        driver = FaultDriver(
            self.faults, self.irc, None, None, eventsub=self.eventsub, web=self.web, start_s=self._start_s
        )
        group = await enter(asyncio.TaskGroup())
        keeper = group.create_task(driver.run(), name="twitch-faults")
        self._resources.callback(keeper.cancel)

    def _write_root(self) -> None:
        if self._authority is None:
            return
        if self._ca_file is None:
            folder = self._resources.enter_context(tempfile.TemporaryDirectory(prefix="byte-sim-"))
            self._ca_file = Path(folder) / CA_FILE_NAME
        try:
            self._authority.write(self._ca_file)
        except OSError as error:
            raise ServeError(
                f"cannot write {str(self._ca_file)!r}: {error.strerror or error}. Choose another --ca-file."
            ) from error

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
        return HOST, self._service.irc_port

    @property
    def last_number(self) -> int:
        """The number of the newest message, 0 before the first."""
        return self._numbered

    def say(self, channel: str, login: str, text: str, role: Role = "viewer") -> str:
        """Let somebody speak, who is made with this role if need be; return the message's id.

        Raises `UnknownName` for a channel that there is not, `ValueError` for a text that chat cannot carry.
        """
        return self._speak(Utterance(self.time_s(), channel, login, text, role))

    def snapshot(self) -> Snapshot:
        """The fake Twitch as it is now."""
        return self._service.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Make the fake Twitch equal to a snapshot; see `TwitchService.restore`."""
        self._service.restore(snapshot)

    def reset(self) -> None:
        """Put the fake Twitch back to its start, what was said included; faults and the database stay."""
        self._service.reset(self._beginning)
        self.recent.clear()

    def refusal_of(self, fault: Fault) -> str:
        """Why this fault cannot act here, "" if it can."""
        if fault.family == "process":
            return f"{fault.kind}: the bot's process is not ours; stop and start it yourself"
        if fault.family == "disk":
            return f"{fault.kind}: the disk of your bot is not ours; only in simulated worlds (byte-sim run)"
        if fault.family == "clock":
            return f"{fault.kind}: the clock of your bot's machine is not ours; only in simulated worlds (byte-sim run)"
        if isinstance(fault, TwitchPackets):
            return f"{fault.kind}: only in simulated worlds (byte-sim run), not on sockets"
        return ""

    def addresses(self) -> dict[str, Any]:
        """Where everything is, as `byte-sim serve` prints it."""
        app = self.twitch.credentials.apps[DEFAULT_CLIENT_ID]
        found = {
            **self._service.addresses(),
            "supabase": {
                "url": self.supabase_url,
                "secret_key": self.supabase.secret_key,
                "publishable_key": self.supabase.publishable_key,
            },
            "control": {"url": self.control_url},
            "app": {"client_id": app.client_id, "client_secret": app.secret},
            "users": self._users(),
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
        if self._ca_file is not None and self._authority is not None:
            found["ca_file"] = str(self._ca_file.absolute())
        return found

    def _users(self) -> dict[str, Any]:
        """Whoever has a user token, with the newest of it."""
        return {
            token.login: {
                "id": self.twitch.users[token.login].id,
                "token": token.access,
                "refresh_token": token.refresh,
                "scopes": list(token.scopes),
            }
            for token in self.twitch.credentials.tokens.values()
            if token.kind == "user"
        }


async def serve(stage: Stage, announce: Callable[[str], None]) -> None:
    """Keep a stage up until cancelled; `announce` gets one line of JSON, `Stage.addresses`, when everything listens."""
    async with stage:
        announce(json.dumps(stage.addresses()))
        await asyncio.get_running_loop().create_future()
