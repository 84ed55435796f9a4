"""What a user tells `byte-sim bench` about a bot, and what is said about mistakes."""

from __future__ import annotations

import re

import pytest

from simulator.bench.stage import Addresses
from simulator.bench.target_options import (
    PLACEHOLDERS,
    BadTarget,
    command_to_send,
    environment,
    expectation_of,
    filled,
    outage_names,
    outage_of,
    placeholder_values,
    split_command,
)

ADDRESSES = Addresses(
    "127.0.0.1",
    1234,
    "bot",
    "oauth:abc",
    ("one", "two"),
    supabase_url="http://127.0.0.1:5",
    supabase_key="key",
)


def test_a_command_is_split_as_by_a_shell() -> None:
    """Quotes hold words together; nothing else of a shell is there."""
    assert split_command("python 'my bot.py' $HOME") == ("python", "my bot.py", "$HOME")


@pytest.mark.parametrize("command", ["", "   ", "python 'my bot"])
def test_a_command_that_is_none_is_refused(command: str) -> None:
    """Empty, or with a quote that never ends."""
    with pytest.raises(BadTarget, match="--target"):
        split_command(command)


@pytest.mark.parametrize(
    ("expect", "text", "key"),
    [
        ("pong", "Pong! 12 ms", ""),
        ("a.b", "a.b", ""),
        ("a.b", "axb", None),
        ("/^p[ao]ng$/", "pang", ""),
        ("/^p[ao]ng$/", "a pang", None),
        ("no {n}.", "No 17.", "17"),
        ("{n}", "it is 17", "17"),
        ("{n} and {n}", "3 and 3", "3"),
        ("{n} and {n}", "3 and 4", None),
        ("/", "either/or", ""),
    ],
)
def test_expected_replies(expect: str, text: str, key: str | None) -> None:
    """A text in any case, a number, a regular expression as it stands."""
    read = expectation_of(expect).read(text)
    assert (None if read is None else read[0]) == key


@pytest.mark.parametrize("expect", ["", "//", "/(/", "/(?P<key>x)/"])
def test_expectations_that_cannot_be_are_refused(expect: str) -> None:
    """Nothing, a broken expression, a group whose name is taken."""
    with pytest.raises(BadTarget, match="--expect"):
        expectation_of(expect)


@pytest.mark.parametrize("name", outage_names())
def test_every_outage_that_is_listed_can_be_had(name: str) -> None:
    """Each name makes a fault."""
    condition = outage_of(name)
    assert condition is not None and condition.fault


def test_an_outage_may_be_json_or_none() -> None:
    """A fault with fields of its own is called by its kind."""
    assert outage_of("none") is None
    condition = outage_of('{"kind": "latency", "ms": 300}')
    assert condition is not None and (condition.name, condition.fault) == (
        "latency",
        {"kind": "latency", "ms": 300},
    )


@pytest.mark.parametrize(
    "text",
    ["earthquake", '{"kind": "hang"', '{"kind": "latency", "ms": -1}', "twitch_disconnect", "back again"],
)
def test_an_outage_that_cannot_be_is_refused(text: str) -> None:
    """An unknown one, broken JSON, a value out of range, a fault of something else, what comes after every outage."""
    with pytest.raises(BadTarget, match="--outage"):
        outage_of(text)
    assert text not in outage_names()


@pytest.mark.parametrize(
    "text",
    [
        "foo",
        "human_edit",
        "crash",
        '{"kind": "restart"}',
        '{"kind": "flapping", "inner": {"kind": "foo"}}',
        '{"kind": "flapping", "inner": {"kind": "twitch_disconnect"}}',
        '{"kind": "human_edit", "table": "t", "values": {"a": 1}}',
    ],
)
def test_a_refusal_lists_only_what_can_be_an_outage(text: str) -> None:
    """No fault of chat, process or disk, and nothing that happens at once and is over."""
    with pytest.raises(BadTarget) as refused:
        outage_of(text)
    _, _, listed = str(refused.value).partition("there are: ")
    assert listed.startswith("none, ") and "commit_then_drop" in listed
    for name in ("human_edit", "twitch_", "crash", "restart", "power_cut", "disk", "sync"):
        assert name not in listed


@pytest.mark.parametrize("send", ["", "  ", "!ping\n", "!a\r\n!b"])
def test_a_command_that_cannot_be_said_is_refused(send: str) -> None:
    """Nothing, and more than one message."""
    with pytest.raises(BadTarget, match="--send"):
        command_to_send(send)
    assert command_to_send("!ping {n}") == "!ping {n}"


def test_placeholders_are_filled_and_other_braces_stay() -> None:
    """All of them are known, and JSON in a command survives."""
    values = placeholder_values(ADDRESSES)
    assert values.keys() == PLACEHOLDERS.keys()
    assert filled('{irc_host}:{irc_port} {"a": {n}} {x}', values) == '127.0.0.1:1234 {"a": {n}} {x}'


def test_a_misspelt_placeholder_is_refused() -> None:
    """It would reach the bot as it stands, and fail there."""
    with pytest.raises(BadTarget, match=re.escape("{irc_prot} in 'x {irc_prot}': did you mean {irc_port}?")):
        filled("x {irc_prot}", placeholder_values(ADDRESSES))


def test_the_environment_is_the_users_with_the_fakes_over_it() -> None:
    """What leads to the real services is replaced; the user's own variables come last."""
    found = environment(
        ADDRESSES,
        {"DB": "{supabase_url}/x", "TWITCH_LOGIN": "other"},
        {"HOME": "/home/me", "SUPABASE_KEY": "real", "TWITCH_TOKEN": "real"},
    )
    assert found["HOME"] == "/home/me"
    assert (found["SUPABASE_KEY"], found["TWITCH_TOKEN"]) == ("key", "oauth:abc")
    assert (found["DB"], found["TWITCH_LOGIN"]) == ("http://127.0.0.1:5/x", "other")
    assert found["TWITCH_CHANNEL_LOGINS"] == "one,two"
