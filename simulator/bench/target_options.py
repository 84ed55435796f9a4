"""What `byte-sim bench` is told about a bot: its command, what it must answer, which outage; each mistake in words. Pure.

A command, a variable or a text may contain placeholders in braces. Braces around anything that is no placeholder stay, since
commands may contain JSON; one that is nearly a placeholder is taken for a misspelt one and refused.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from simulator import placeholders
from simulator.bench.child import BenchError
from simulator.bench.matching import Expectation
from simulator.bench.plan import CONDITIONS, Condition
from simulator.bench.stage import Addresses
from simulator.faults import KINDS, FaultError, fault_from_json

#: What a command and its variables may contain, and what stands there when the bot is started.
PLACEHOLDERS: Mapping[str, str] = {
    "irc_host": "host of the fake chat (IRC without TLS)",
    "irc_port": "its port",
    "irc_token": "the bot's token, with oauth: in front",
    "login": "the bot's login",
    "channels": "the channels' logins, separated by commas",
    "supabase_url": "address of the fake Supabase",
    "supabase_key": "its secret key",
}
NUMBER = "{n}"  # in what is said and expected: the number of the message
# Kinds of faults that need no further field and are no condition of the benchmark.
MORE_OUTAGES = (
    "reset", "html_520", "html_ok", "cut_body", "commit_then_drop", "unauthorized", "over_quota", "project_paused", "read_only",
)  # fmt: skip
EXAMPLE = '\'{"kind": "latency", "ms": 300}\''


class BadTarget(BenchError):
    """An option that cannot be; the message says what is allowed."""


def split_command(text: str) -> tuple[str, ...]:
    """A command line as a shell would split it, without a shell; raises `BadTarget`."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise BadTarget(f"--target {text!r} cannot be split into words: {error}") from error
    if not words:
        raise BadTarget(
            "--target is empty; it is the command that starts your bot: --target 'python my_bot.py'"
        )
    return words


def expectation_of(expect: str) -> Expectation:
    """What the reply must contain: a text in any case, {n} being the message's number, or /a regular expression/.

    Raises `BadTarget` for a broken expression, and for the named groups which the matching needs for itself.
    """
    if not expect or expect == "//":
        raise BadTarget("--expect is empty; it is a text that the bot's reply contains: --expect pong")
    is_pattern = len(expect) > 2 and expect.startswith("/") and expect.endswith("/")
    pattern = expect[1:-1] if is_pattern else f"(?i){re.escape(expect)}"
    if not is_pattern:
        head, *rest = pattern.split(re.escape(NUMBER))
        # The number is found once; where it stands again it must be the same.
        numbers = (r"(?<!\d)(?P<key>\d+)(?!\d)", *("(?P=key)",) * len(rest))
        pattern = head + "".join(number + part for number, part in zip(numbers, rest, strict=False))
    try:
        found = Expectation(pattern)
    except re.error as error:
        raise BadTarget(f"--expect {expect!r} is no regular expression: {error}") from error
    if is_pattern and found.pattern.groupindex.keys() & {"key", "value"}:
        raise BadTarget("--expect: groups cannot be called key or value here; without names they are fine")
    return found


def command_to_send(send: str) -> str:
    """What is said in chat, as it is; raises `BadTarget` for what Twitch would not take as one message."""
    if not send.strip() or send.splitlines() != [send]:
        raise BadTarget(
            "--send is empty or more than one line; it is the command that is given in chat: --send '!ping'"
        )
    return send


def outage_of(text: str) -> Condition | None:
    """The outage of this name: a condition of the benchmark, a kind of database fault, or a fault as JSON; None for "none".

    Raises `BadTarget`, which lists what there is.
    """
    if text == "none":
        return None
    for condition in CONDITIONS:
        if condition.name == text and condition.is_outage:
            return condition
    name, value = text, dict[str, Any](kind=text)
    if text.startswith("{"):
        try:
            value = json.loads(text)
        except ValueError as error:
            raise BadTarget(f"--outage {text!r} is no JSON: {error}") from error
        name = str(value.get("kind", ""))
    inner = value.get("inner")
    # Asked before it is made: the answer for any kind of fault would list those of chat and process as well.
    for kind in (name, *([str(inner.get("kind", ""))] if isinstance(inner, Mapping) else [])):
        if kind not in database_kinds():
            raise BadTarget(
                f"--outage {kind!r} is no outage of a database; there are: none, {', '.join(outage_names())}; or as "
                f"JSON, such as {EXAMPLE}, one of the kinds {', '.join(database_kinds())}"
            )
    try:
        fault_from_json(value)
    except FaultError as error:
        raise BadTarget(f"--outage: {error}; or one of: none, {', '.join(outage_names())}") from error
    return Condition(name, value)


def database_kinds() -> list[str]:
    """The kinds of faults that can be an outage: a database's, and such as last."""
    return [kind for kind, fault in KINDS.items() if fault.family == "database" and not fault.instant]


def outage_names() -> list[str]:
    """Every outage that is complete with its name, besides "none"."""
    return [*(condition.name for condition in CONDITIONS if condition.is_outage), *MORE_OUTAGES]


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with each {placeholder} replaced; braces around anything else stay. Raises `BadTarget` for a misspelt one."""
    return placeholders.filled(text, values, BadTarget)


def placeholder_values(addresses: Addresses) -> dict[str, str]:
    """What stands for each of `PLACEHOLDERS`."""
    return {
        "irc_host": addresses.irc_host,
        "irc_port": str(addresses.irc_port),
        "irc_token": addresses.token,
        "login": addresses.login,
        "channels": ",".join(addresses.channels),
        "supabase_url": addresses.supabase_url,
        "supabase_key": addresses.supabase_key,
    }


def environment(addresses: Addresses, extra: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """The bot's environment: that of this process, over it Byte Bot's names for where the fakes are, over these `extra`."""
    values = placeholder_values(addresses)
    return {
        **ours,
        "PYTHONUNBUFFERED": "1",  # or a Python bot's last words stay in its buffer when it is killed
        "TWITCH_LOGIN": values["login"],
        "TWITCH_TOKEN": values["irc_token"],
        "TWITCH_CHANNEL_LOGINS": values["channels"],
        "TWITCH_IRC_HOST": values["irc_host"],
        "TWITCH_IRC_PORT": values["irc_port"],
        "TWITCH_IRC_TLS": "false",
        "TWITCH_RATE_TIER": "verified",
        "SUPABASE_URL": values["supabase_url"],
        "SUPABASE_KEY": values["supabase_key"],
        **{name: filled(value, values) for name, value in extra.items()},
    }
