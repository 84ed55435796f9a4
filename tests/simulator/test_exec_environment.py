"""The variables with which a command finds the fakes, from the line that `serve` prints."""

from __future__ import annotations

import json
from typing import Any

from simulator.exec_environment import placeholders, variables

PLAIN: dict[str, Any] = {
    "irc": {"host": "127.0.0.1", "port": 1111},
    "irc_ws": {"url": "ws://127.0.0.1:2222/irc"},
    "eventsub": {"url": "ws://127.0.0.1:2222/ws"},
    "helix": {"url": "http://127.0.0.1:2222/helix"},
    "oauth": {"url": "http://127.0.0.1:2222/oauth2"},
    "web": {"url": "http://127.0.0.1:2222", "host": "127.0.0.1", "port": 2222},
    "supabase": {"url": "http://127.0.0.1:3333", "secret_key": "sb_secret", "publishable_key": "sb_publishable"},
    "control": {"url": "http://127.0.0.1:4444"},
    "app": {"client_id": "the_client", "client_secret": "the_secret"},
    "users": {"bot": {"id": "7", "token": "abc", "refresh_token": "r", "scopes": ["chat:read", "chat:edit"]}},
    "twitch": {"login": "bot", "token": "oauth:abc", "channels": ["one", "two"], "moderators": {"mod_1": "oauth:m"}},
    "seed": 5,
}  # fmt: skip
UNDER_TLS: dict[str, Any] = {
    **PLAIN,
    "irc_tls": {"host": "127.0.0.1", "port": 5555},
    **{
        name: {**PLAIN[name], "tls_url": PLAIN[name]["url"].replace("ws:", "wss:").replace("http:", "https:")}
        for name in ("irc_ws", "eventsub", "helix", "oauth", "web")
    },
    "ca_file": "/somewhere/ca.pem",
}


def test_byte_bot_finds_everything() -> None:
    """Its settings by their names; files of its own are new ones."""
    found = variables(PLAIN, "/folder")
    assert found["TWITCH_LOGIN"] == "bot" and found["TWITCH_TOKEN"] == "oauth:abc"
    assert found["TWITCH_CHANNEL_LOGINS"] == "one,two"
    assert (found["TWITCH_IRC_HOST"], found["TWITCH_IRC_PORT"], found["TWITCH_IRC_TLS"]) == (
        "127.0.0.1",
        "1111",
        "false",
    )
    assert (found["TWITCH_CLIENT_ID"], found["TWITCH_CLIENT_SECRET"]) == ("the_client", "the_secret")
    assert found["TWITCH_OAUTH_URL"] == "http://127.0.0.1:2222/oauth2"
    assert found["TWITCH_HELIX_URL"] == "http://127.0.0.1:2222/helix"
    assert found["TWITCH_EVENTSUB_URL"] == "ws://127.0.0.1:2222/ws"
    assert (found["SUPABASE_URL"], found["SUPABASE_KEY"]) == ("http://127.0.0.1:3333", "sb_secret")
    assert found["JOURNAL_PATH"].startswith("/folder/") and found["TWITCH_TOKEN_FILE"].startswith("/folder/")


def test_twurple_finds_its_port() -> None:
    """One number for Helix, OAuth and EventSub."""
    assert variables(PLAIN, "")["TWURPLE_MOCK_API_PORT"] == "2222"


def test_every_value_of_the_line_has_a_variable() -> None:
    """Under its path, lists joined by commas; and the line itself."""
    found = variables(PLAIN, "")
    assert found["BYTE_SIM_IRC_PORT"] == "1111"
    assert found["BYTE_SIM_IRC_WS_URL"] == "ws://127.0.0.1:2222/irc"
    assert found["BYTE_SIM_APP_CLIENT_ID"] == "the_client"
    assert found["BYTE_SIM_USERS_BOT_SCOPES"] == "chat:read,chat:edit"
    assert found["BYTE_SIM_CONTROL_URL"] == "http://127.0.0.1:4444"
    assert json.loads(found["BYTE_SIM_JSON"]) == PLAIN
    assert "SSL_CERT_FILE" not in found


def test_under_tls_the_root_is_trusted_and_everything_goes_there() -> None:
    """OpenSSL's, requests' and Node's variable name the same file."""
    found = variables(UNDER_TLS, "")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        assert found[name] == "/somewhere/ca.pem"
    assert (found["TWITCH_IRC_PORT"], found["TWITCH_IRC_TLS"]) == ("5555", "true")
    assert found["TWITCH_HELIX_URL"] == "https://127.0.0.1:2222/helix"
    assert found["TWITCH_EVENTSUB_URL"] == "wss://127.0.0.1:2222/ws"
    assert found["BYTE_SIM_OAUTH_TLS_URL"] == "https://127.0.0.1:2222/oauth2"


def test_placeholders_stand_for_the_same_values() -> None:
    """By the path in the line."""
    values = placeholders(PLAIN)
    assert (values["irc_port"], values["users_bot_token"], values["twitch_channels"]) == (
        "1111",
        "abc",
        "one,two",
    )
