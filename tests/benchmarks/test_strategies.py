"""The bots that are compared: what they are told, and how their tables are read."""

from __future__ import annotations

import pytest

from benchmarks.strategies import COUNTERS, byte_bot_counters, small_bot_counters, strategies, strategy
from byte_bot.settings import load_settings
from simulator.bench.stage import Addresses

ADDRESSES = Addresses("127.0.0.1", 1234, "byte_test_bot", "oauth:" + "f" * 30, ("one", "two"))
WITH_DATABASE = Addresses(
    "127.0.0.1",
    1234,
    "byte_test_bot",
    "oauth:" + "f" * 30,
    ("one", "two"),
    "http://127.0.0.1:1",
    "sb_secret_fake000000000",
)


def test_the_floor_is_byte_bot_without_a_database() -> None:
    """The same command and settings, but for the database's, and without a journal: no persistence at all."""
    floor, bot = strategy("floor"), strategy("byte_bot")
    assert (floor.command, floor.uses_database) == (bot.command, False)
    with_database = dict(bot.variables(WITH_DATABASE))
    assert with_database.pop("SUPABASE_URL") and with_database.pop("SUPABASE_KEY")
    without = dict(floor.variables(ADDRESSES))
    assert (with_database.pop("JOURNAL_PATH"), without.pop("DURABILITY")) == ("bench.journal", "off")
    assert with_database == without


def test_byte_bot_understands_its_settings() -> None:
    """Every variable is one of its settings, and nothing is warned about."""
    warnings: list[str] = []
    variables = strategy("byte_bot").variables(WITH_DATABASE)
    settings = load_settings(variables, None, warn=warnings.append)
    assert (settings.twitch_channel_logins, settings.has_database, warnings) == (("one", "two"), True, [])
    assert {name.lower() for name in variables} <= type(settings).model_fields.keys()


def test_everybody_is_asked_the_same() -> None:
    """And the reply to each question is recognised, with its value."""
    for target in strategies():
        assert [key for _, key in target.messages] == list(COUNTERS)
        assert target.expectation.read("@mod_1 deaths: 12") == ("deaths", 12)
    with pytest.raises(KeyError):
        strategy("mine")


def test_what_the_tables_hold_is_read_by_channel_and_counter() -> None:
    """Byte Bot names channels by id and keeps other state too; the small bots name them by login."""
    rows = [
        {"channel_id": "11", "key": "counters", "data": {"values": {"deaths": 3}}},
        {"channel_id": "11", "key": "quotes", "data": {}},
        {"channel_id": "99", "key": "counters", "data": {"values": {"deaths": 1}}},
    ]
    assert byte_bot_counters(rows, {"11": "one"}) == {("one", "deaths"): 3}
    assert small_bot_counters([{"channel": "one", "name": "wins", "value": 2}], {}) == {("one", "wins"): 2}
