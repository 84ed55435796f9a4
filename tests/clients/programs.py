"""Real processes for the tests in this folder: ``byte-sim serve`` and ``byte-bot run``, as they are shipped.

Everything is found out from outside: exit codes, log lines (one JSON object each), the control address. Ports are free
ones that the fakes choose; the environment holds nothing but what a test gives. Real time: whatever is waited for has a
limit, and whoever is still running at the end of a ``with`` is ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx

from simulator.bot_process import clean_environment

#: Seconds until something that should happen at once counts as failed; generous, for a machine that is busy.
PATIENCE_S = 15.0
#: Seconds between two looks.
POLL_S = 0.02

T = TypeVar("T")


def until(look: Callable[[], T | None], what: str, within_s: float = PATIENCE_S) -> T:
    """Look again and again until there is something; raises AssertionError with ``what`` after ``within_s`` seconds."""
    deadline_s = time.monotonic() + within_s
    while (found := look()) is None:
        assert time.monotonic() < deadline_s, f"did not happen within {within_s:g} s: {what}"
        time.sleep(POLL_S)
    return found


class Program:
    """One process; its output is read line by line by a thread, so that it never waits for a full pipe."""

    def __init__(self, *command: str, variables: Mapping[str, str], directory: Path) -> None:
        script = shutil.which(command[0], path=sysconfig.get_path("scripts"))
        assert script is not None, f"{command[0]} is not installed"
        self._name = " ".join(command)
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            [script, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean_environment(os.environ, variables),
            cwd=directory,
            text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line.rstrip("\n"))

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def output(self) -> str:
        """Everything it has written so far, on standard output and standard error."""
        return "\n".join(self._lines)

    def object(self, wanted: Callable[[Mapping[str, Any]], bool], what: str) -> Mapping[str, Any]:
        """Wait for a line that is a JSON object and is ``wanted``."""

        def look() -> Mapping[str, Any] | None:
            for line in list(self._lines):
                if line.startswith("{") and wanted(found := json.loads(line)):
                    return found
            assert self._process.poll() is None, f"{self._name} ended before {what}:\n{self.output}"
            return None

        try:
            return until(look, what)
        except AssertionError as error:
            error.add_note(f"{self._name} wrote:\n{self.output}")
            raise

    def event(self, name: str, **fields: Any) -> Mapping[str, Any]:
        """Wait for a log line about the event ``name`` that has these fields."""
        return self.object(
            lambda line: line.get("event") == name and fields.items() <= line.items(),
            f"event {name} {fields}",
        )

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL, and the end of it."""
        self._process.kill()
        self._process.wait()

    def exit_code(self, within_s: float = PATIENCE_S) -> int:
        """Wait until it has ended by itself; its exit code."""
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self._name} still runs after {within_s:g} s:\n{self.output}") from None
        self._reader.join()
        return code


class Fakes:
    """What ``byte-sim serve`` announced, and its control address; one test's view, with a channel of its own."""

    def __init__(self, addresses: Mapping[str, Any], control: httpx.Client, channel: str = "") -> None:
        self.irc: Mapping[str, Any] = addresses["irc"]
        self.supabase: Mapping[str, Any] = addresses["supabase"]
        self.twitch: Mapping[str, Any] = addresses["twitch"]
        self.channel = channel
        self._addresses = addresses
        self._control = control

    def in_channel(self, channel: str) -> Fakes:
        """The same fakes, for a test that plays in ``channel``."""
        return Fakes(self._addresses, self._control, channel)

    def variables(self, **changes: str) -> dict[str, str]:
        """The settings with which a bot finds the fakes."""
        return {
            "TWITCH_LOGIN": self.twitch["login"],
            "TWITCH_TOKEN": self.twitch["token"],
            "TWITCH_CHANNEL_LOGINS": self.channel,
            "TWITCH_IRC_HOST": self.irc["host"],
            "TWITCH_IRC_PORT": str(self.irc["port"]),
            "TWITCH_IRC_TLS": "false",
            "SUPABASE_URL": self.supabase["url"],
            "SUPABASE_KEY": self.supabase["secret_key"],
            "FLUSH_INTERVAL_S": "0.1",
            "LOG_FORMAT": "json",
            **changes,
        }

    def login_variables(self, folder: Path, **changes: str) -> dict[str, str]:
        """The settings of a bot that gets its token from `byte-bot login`, and keeps it in ``folder``."""
        found = self._addresses
        return self.variables(
            TWITCH_TOKEN="",
            TWITCH_TOKEN_FILE=str(folder / "token.json"),
            TWITCH_CLIENT_ID=found["app"]["client_id"],
            TWITCH_CLIENT_SECRET=found["app"]["client_secret"],
            TWITCH_OAUTH_URL=found["oauth"]["url"],
            TWITCH_HELIX_URL=found["helix"]["url"],
            TWITCH_EVENTSUB_URL=found["eventsub"]["url"],
            STATUS_INTERVAL_S="1",
            **changes,
        )

    def secrets(self) -> list[str]:
        """Every token that Twitch has given out and that still works, with those that renew it, and every secret of an application."""
        snapshot = self._control.get("/snapshot").raise_for_status().json()
        tokens = [
            letters for one in snapshot["tokens"] for letters in (one["token"], one.get("refresh_token", ""))
        ]
        return [
            secret for secret in (*tokens, *(app.get("secret", "") for app in snapshot["apps"])) if secret
        ]

    def approve(self, user_code: str) -> None:
        """The bot's owner allows it, as at twitch.tv/activate."""
        body = {"user_code": user_code, "login": self.twitch["login"]}
        self._control.post("/devices", json=body).raise_for_status()

    def wait_for_bot(self) -> None:
        """Wait until the bot is in the channel."""
        until(lambda: self.twitch["login"] in self._room()["joined"] or None, f"the bot in {self.channel}")

    def _room(self) -> Mapping[str, Any]:
        return next(room for room in self.state()["channels"] if room["login"] == self.channel)

    def say(self, text: str, login: str = "mod_1") -> str:
        """Somebody says something in the channel; the message's id. ``mod_1`` is a moderator."""
        body = {"channel": self.channel, "login": login, "text": text}
        answer = self._control.post("/say", json=body).raise_for_status()
        return str(answer.json()["id"])

    def ask(self, text: str, login: str = "mod_1") -> str:
        """Say something and wait for the reply to it; its text."""
        message_id = self.say(text, login)
        return until(lambda: self.replies().get(message_id), f"a reply to {text!r}")

    def replies(self) -> dict[str, str]:
        """What was replied, by the id of the message it answers."""
        messages = self._control.get("/transcript").raise_for_status().json()["messages"]
        return {
            message["reply_to"]: message["text"].rstrip(" \u034f")
            for message in messages
            if message["reply_to"]
        }

    def state(self, table: str | None = None) -> Mapping[str, Any]:
        """The control address's view, with the rows of ``table``."""
        query = {"table": table} if table else {}
        found: Mapping[str, Any] = self._control.get("/state", params=query).raise_for_status().json()
        return found

    def stored(self, key: str) -> Mapping[str, Any] | None:
        """The data that a component keeps for the channel in the database, None if there is none."""
        channel_id = self._room()["id"]
        for row in self.state("component_state")["rows"]:
            if (row["channel_id"], row["key"]) == (channel_id, key):
                found: Mapping[str, Any] = row["data"]
                return found
        return None

    def hang_database(self) -> None:
        """Let the database accept every request and answer none."""
        self._control.put("/faults", json={"outage": {"kind": "hang"}}).raise_for_status()

    def heal(self) -> None:
        """End every fault."""
        self._control.delete("/faults").raise_for_status()


@contextlib.contextmanager
def served(directory: Path, channels: Sequence[str]) -> Iterator[Fakes]:
    """``byte-sim serve`` in a process of its own."""
    command = ("byte-sim", "serve", "--channels", ",".join(channels))
    with Program(*command, variables={}, directory=directory) as program:
        addresses = program.object(lambda line: "control" in line, "the line with the addresses")
        with httpx.Client(base_url=addresses["control"]["url"], timeout=PATIENCE_S) as control:
            yield Fakes(addresses, control)


def bot(directory: Path, variables: Mapping[str, str]) -> Program:
    """``byte-bot run`` in a process of its own, with settings from the environment only and a journal in its folder."""
    variables = {"JOURNAL_PATH": str(directory / "bot.journal"), **variables}
    return Program("byte-bot", "run", variables=variables, directory=directory)
