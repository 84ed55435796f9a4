"""The bots that are compared: Byte Bot with and without its database, and three small bots as people write them.

All get the same commands, `!count NAME +1` over a few counters a channel, and answer `NAME: VALUE`; the value grows with each
change, which makes every reply distinct and shows what is lost.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from byte_bot.persistence.schema import SCHEMA_DIR
from simulator.bench.matching import Expectation
from simulator.bench.measure import Storage, Target, Values
from simulator.bench.stage import Addresses

ROOT = Path(__file__).parents[1]
COUNTERS = ("deaths", "wins", "falls", "saves", "jumps")
MESSAGES = tuple((f"!count {name} +1", name) for name in COUNTERS)
REPLY = r"\b(?P<key>[a-z]+): (?P<value>\d+)"
SMALL_BOTS = ("inline", "blocking", "task_per_message")
# Far above the loads: what Twitch grants is not what is measured here, and the fake Twitch's own limits are lifted too.
GRANTED = "1000000"


def byte_bot_variables(addresses: Addresses) -> dict[str, str]:
    """The settings of Byte Bot; everything that is not named has its default."""
    variables = {
        "TWITCH_LOGIN": addresses.login,
        "TWITCH_TOKEN": addresses.token,
        "TWITCH_CHANNEL_LOGINS": ",".join(addresses.channels),
        "TWITCH_IRC_HOST": addresses.irc_host,
        "TWITCH_IRC_PORT": str(addresses.irc_port),
        "TWITCH_IRC_TLS": "false",
        "TWITCH_RATE_TIER": "verified",
        "TWITCH_MESSAGES_PER_30S": GRANTED,
        "TWITCH_CHANNEL_MESSAGES_PER_30S": GRANTED,
    }
    if addresses.supabase_url:
        variables |= {"SUPABASE_URL": addresses.supabase_url, "SUPABASE_KEY": addresses.supabase_key}
        variables["JOURNAL_PATH"] = "bench.journal"  # in the empty folder that it is started in
    else:
        variables["DURABILITY"] = "off"  # the floor is a bot without any persistence
    return variables


def small_bot_variables(addresses: Addresses) -> dict[str, str]:
    """The settings of the small bots."""
    return {
        "TWITCH_LOGIN": addresses.login,
        "TWITCH_TOKEN": addresses.token,
        "TWITCH_CHANNELS": ",".join(addresses.channels),
        "TWITCH_HOST": addresses.irc_host,
        "TWITCH_PORT": str(addresses.irc_port),
        "SUPABASE_URL": addresses.supabase_url,
        "SUPABASE_KEY": addresses.supabase_key,
        "PYTHONPATH": str(ROOT),
    }


def byte_bot_counters(rows: Sequence[Mapping[str, Any]], logins: Mapping[str, str]) -> Values:
    """What Byte Bot's table `component_state` holds of its counters."""
    return {
        (logins[str(row["channel_id"])], name): int(value)
        for row in rows
        if row["key"] == "counters" and str(row["channel_id"]) in logins
        for name, value in row["data"].get("values", {}).items()
    }


def small_bot_counters(rows: Sequence[Mapping[str, Any]], logins: Mapping[str, str]) -> Values:
    """What the small bots' table holds; they name channels by their login."""
    return {(str(row["channel"]), str(row["name"])): int(row["value"]) for row in rows}


def strategy(name: str) -> Target:
    """The target of a strategy's name; raises `KeyError` for one that there is not."""
    return {target.name: target for target in strategies()}[name]


def strategies() -> tuple[Target, ...]:
    """All of them, in the order of the tables."""
    expectation = Expectation(REPLY)
    byte_bot = (sys.executable, "-m", "byte_bot", "run")
    stored = Storage("component_state", byte_bot_counters, schema_dir=SCHEMA_DIR)
    saved_small = Storage("bot_counters", small_bot_counters, schema_dir=ROOT / "benchmarks" / "bots")
    return (
        Target("floor", byte_bot, byte_bot_variables, MESSAGES, expectation, uses_database=False),
        Target("byte_bot", byte_bot, byte_bot_variables, MESSAGES, expectation, storage=stored),
        *(
            Target(
                name,
                (sys.executable, "-m", f"benchmarks.bots.{name}"),
                small_bot_variables,
                MESSAGES,
                expectation,
                storage=saved_small,
            )
            for name in SMALL_BOTS
        ),
    )
