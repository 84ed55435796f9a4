"""The stage of the table: one ``byte-sim serve`` for all clients, its control address, and what a driver is told of it.

Every client has an account of its own and two channels that nobody else plays in, from a seed file: the account is neither moderator
nor VIP there, because those are spared most of Twitch's limits. Faults are the service's, so they strike all clients at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sysconfig
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from tests.clients.child import Child, running
from tests.clients.roster import Client

SERVE_S: Final = 30.0
CONTROL_TIMEOUT_S: Final = 20.0
POLL_S: Final = 0.1
#: What a chat bot asks for: IRC, chat events, Send Chat Message with its own token and with the app's.
SCOPES: Final = ("chat:read", "chat:edit", "user:read:chat", "user:write:chat", "user:bot")
MODERATOR: Final = "mod_1"
#: Four hours, as a real one's.
TOKEN_LIFETIME_S: Final = 14_400.0


class StageError(Exception):
    """The fakes could not be started; the message has what they printed."""


class Stage:
    """The running fakes, seen from outside."""

    def __init__(
        self, addresses: Mapping[str, Any], control: httpx.AsyncClient, ids: Mapping[str, str]
    ) -> None:
        self.addresses = addresses
        self._control = control
        self._ids = ids

    def secure(self, client: Client) -> bool:
        """Whether this client plays under TLS."""
        return client.tls and "ca_file" in self.addresses

    def scene(self, client: Client) -> Mapping[str, Any]:
        """What a driver is told."""
        user, secure = self.addresses["users"][client.login], self.secure(client)
        url = "tls_url" if secure else "url"
        return {
            "client_id": self.addresses["app"]["client_id"],
            "client_secret": self.addresses["app"]["client_secret"],
            "login": client.login,
            "user_id": user["id"],
            "token": user["token"].removeprefix("oauth:"),
            "refresh_token": user["refresh_token"],
            "scopes": user["scopes"],
            "irc": self.addresses["irc_tls" if secure else "irc"],
            "irc_ws": self.addresses["irc_ws"][url],
            "eventsub": self.addresses["eventsub"][url],
            "helix": self.addresses["helix"][url],
            "oauth": self.addresses["oauth"][url],
            "tls": secure,
            "channels": [{"login": channel, "id": self._ids[channel]} for channel in client.channels],
        }

    def variables(self, client: Client) -> dict[str, str]:
        """The variables that point a client's runtime at the stage by themselves, beside the scene."""
        found = {"SCENE": json.dumps(self.scene(client))}
        if client.runtime == "node":
            found["TWURPLE_MOCK_API_PORT"] = str(urlsplit(self.addresses["helix"]["url"]).port)
        if self.secure(client):
            name = "NODE_EXTRA_CA_CERTS" if client.runtime == "node" else "SSL_CERT_FILE"
            found[name] = self.addresses["ca_file"]
        return found

    async def say(self, channel: str, login: str, text: str) -> str:
        """Let somebody say something; the message's id."""
        answer = await self._control.post("/say", json={"channel": channel, "login": login, "text": text})
        return str(answer.raise_for_status().json()["id"])

    async def said(self, channel: str, login: str, text: str, within_s: float) -> Mapping[str, Any] | None:
        """The message of that author and text in the transcript, once it is there; None if it does not come."""
        deadline_s = asyncio.get_running_loop().time() + within_s
        while True:
            answer = await self._control.get("/transcript")
            for message in reversed(answer.raise_for_status().json()["messages"]):
                if (message["channel"], message["login"], message["text"]) == (channel, login, text):
                    found: Mapping[str, Any] = message
                    return found
            if asyncio.get_running_loop().time() > deadline_s:
                return None
            await asyncio.sleep(POLL_S)

    async def texts(self, login: str, after: int = 0) -> list[str]:
        """What the account has said since the message of this number, oldest first."""
        answer = await self._control.get("/transcript", params={"after": str(after)})
        messages = answer.raise_for_status().json()["messages"]
        return [message["text"] for message in messages if message["login"] == login]

    async def last(self) -> int:
        """The number of the last message that anybody said."""
        answer = await self._control.get("/transcript", params={"limit": "1"})
        return int(answer.raise_for_status().json()["last"])

    async def connections(self, login: str) -> int:
        """How many chat connections of the account are logged in."""
        state = await self._control.get("/state", params={"tail": "0"})
        return int(state.raise_for_status().json()["connected"].count(login))

    async def fault(self, name: str, fault: Mapping[str, Any] | None) -> None:
        """Set a fault of Twitch, or (None) end it."""
        (await self._control.put("/faults", json={name: fault})).raise_for_status()

    async def event(self, **verb: Any) -> None:
        """Let something happen on Twitch: a verb of the control address and its arguments."""
        (await self._control.post("/events", json=verb)).raise_for_status()

    async def expire_token(self, login: str) -> None:
        """Let the account's access token run out now; its refresh token goes on working."""
        (await self._control.post("/tokens", json={"do": "expire", "login": login})).raise_for_status()


def seed(clients: Sequence[Client]) -> Mapping[str, Any]:
    """The seed file: an account with a token for each client, and two channels whose broadcasters let bots in."""
    channels = [channel for client in clients for channel in client.channels]
    # channel:bot is what a broadcaster grants so that an app may speak there with its own token, as twitchio 3 does.
    tokens = [_token(client.login, SCOPES) for client in clients]
    tokens += [_token(channel, ("channel:bot",)) for channel in channels]
    return {
        "users": [{"login": token["login"]} for token in tokens],
        "tokens": tokens,
        "channels": [{"login": channel, "moderators": [MODERATOR]} for channel in channels],
    }


def _token(login: str, scopes: Sequence[str]) -> Mapping[str, Any]:
    """A token that runs out: of one that does not, Twitch says that 0 seconds are left, and twitchio 3 refreshes it at every start."""
    letters = login.replace("_", "0")
    return {
        "login": login,
        "token": f"{letters:0<30}",
        "refresh_token": f"{letters:0<50}",
        "scopes": list(scopes),
        "lifetime_s": TOKEN_LIFETIME_S,
    }


@contextlib.asynccontextmanager
async def opened(clients: Sequence[Client], directory: Path, *, tls: bool = False) -> AsyncIterator[Stage]:
    """``byte-sim serve`` for these clients, until the context ends. Raises `StageError` when it does not start."""
    seed_file = directory / "seed.json"
    seed_file.write_text(json.dumps(seed(clients)), encoding="utf-8")
    script = shutil.which("byte-sim", path=sysconfig.get_path("scripts"))
    if script is None:
        raise StageError("byte-sim is not installed: make setup")
    command = (script, "serve", "--seed-file", str(seed_file), *(("--tls",) if tls else ()))
    async with running(command, {}, directory) as serve:
        addresses = await _announcement(serve)
        async with httpx.AsyncClient(
            base_url=addresses["control"]["url"], timeout=CONTROL_TIMEOUT_S
        ) as control:
            rooms = (await control.get("/state", params={"tail": "0"})).raise_for_status().json()["channels"]
            try:
                yield Stage(addresses, control, {room["login"]: room["id"] for room in rooms})
            finally:
                serve.interrupt()


async def _announcement(serve: Child) -> Mapping[str, Any]:
    line = await serve.until(lambda found: "control" in found, SERVE_S)
    if line is None:
        raise StageError("byte-sim serve did not start; it wrote: " + "\n".join(serve.other))
    return line
