"""Where the fakes are, as environment variables for somebody's bot: the names that libraries read, and one for every address.

`variables` makes them from what `Stage.addresses` says:

- Byte Bot's own settings;
- `TWURPLE_MOCK_API_PORT`, with which @twurple reaches Helix, OAuth and EventSub;
- with TLS `SSL_CERT_FILE` (OpenSSL, so Python), `REQUESTS_CA_BUNDLE` and `NODE_EXTRA_CA_CERTS`, so that the throw-away root is trusted;
- `BYTE_SIM_JSON`, the whole line, and each of its values under its path: `irc.port` is `BYTE_SIM_IRC_PORT`; lists are joined by commas.

`placeholders` has the same values by the same paths, for commands that take an address as an argument: `{irc_port}`. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

PREFIX = "BYTE_SIM_"


def placeholders(addresses: Mapping[str, Any]) -> dict[str, str]:
    """Each value of the line under the path that leads to it."""
    return dict(_flat("", addresses))


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _flat(f"{path}_{name}" if path else str(name), part)
    elif isinstance(value, list):
        yield path, ",".join(str(part) for part in value)
    else:
        yield path, str(value)


def variables(addresses: Mapping[str, Any], folder: str) -> dict[str, str]:
    """The variables; `folder` is a new one, for what a bot keeps about these fakes and no others."""
    twitch, app = addresses["twitch"], addresses["app"]
    irc = addresses.get("irc_tls", addresses["irc"])
    has_tls = "irc_tls" in addresses
    address = "tls_url" if has_tls else "url"
    found = {
        **{PREFIX + name.upper(): value for name, value in placeholders(addresses).items()},
        f"{PREFIX}JSON": json.dumps(addresses),
        "PYTHONUNBUFFERED": "1",  # or a Python bot's last words stay in its buffer when it is stopped
        "TWITCH_LOGIN": twitch["login"],
        "TWITCH_TOKEN": twitch["token"],
        "TWITCH_CHANNEL_LOGINS": ",".join(twitch["channels"]),
        "TWITCH_IRC_HOST": irc["host"],
        "TWITCH_IRC_PORT": str(irc["port"]),
        "TWITCH_IRC_TLS": "true" if has_tls else "false",
        "TWITCH_RATE_TIER": "verified",
        "TWITCH_CLIENT_ID": app["client_id"],
        "TWITCH_CLIENT_SECRET": app["client_secret"],
        "TWITCH_OAUTH_URL": addresses["oauth"][address],
        "TWITCH_HELIX_URL": addresses["helix"][address],
        "TWITCH_EVENTSUB_URL": addresses["eventsub"][address],
        # The bot's own files would be about the real Twitch and the real database.
        "TWITCH_TOKEN_FILE": f"{folder}/twitch-token.json",
        "JOURNAL_PATH": f"{folder}/byte-bot.journal",
        "SUPABASE_URL": addresses["supabase"]["url"],
        "SUPABASE_KEY": addresses["supabase"]["secret_key"],
        "TWURPLE_MOCK_API_PORT": str(addresses["web"]["port"]),
    }
    if has_tls:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
            found[name] = addresses["ca_file"]
    return found
