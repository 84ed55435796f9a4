"""The values of settings: how a login, a list, a secret, a project's address are read from what people write.

Plain functions from text to a value, with no knowledge of which variable they serve; :mod:`byte_bot.settings` puts them
together. A ``ValueError``'s text says what is wrong and the way out, and never repeats a secret.

Left out: whether a token or key is *valid*. Only the servers know; ``byte-bot check`` asks them.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

LOGIN_PATTERN: Final = re.compile(r"[a-z0-9_]{1,25}")  # Twitch's rule for logins (at most 25 characters)
# Twitch's have 30 lower-case letters and digits; other servers' may look a little different.
CLIENT_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
MODULE_PATTERN: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
# Wide enough for Twitch's tokens, JWTs and sb_secret_ keys. Nothing that needs an escape in a header, an IRC line or
# JSON, so that the log's redaction finds a secret in whatever form it is printed.
SECRET_PATTERN: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")

# A Twitch token has 30 characters, a Supabase key more, a login at most 25.
_SHOWN_MAX: Final = 29
_BEGINS_SECRET: Final = re.compile(r"oauth:|sb_|sbp_|eyJ", re.IGNORECASE)


class Redacted(SecretStr):
    """A secret that prints as ``[redacted]`` everywhere; ``get_secret_value()`` gives it away."""

    def _display(self) -> str:
        return "[redacted]" if self.get_secret_value() else ""


def tidy(value: object) -> object:
    """Strip blanks and one pair of quotes: ``docker run --env-file`` keeps the quotes of a ``.env``."""
    if isinstance(value, str):
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1].strip()
    return value


def lower(value: object) -> object:
    """Tidied text in lower case; anything else as it is."""
    value = tidy(value)
    return value.lower() if isinstance(value, str) else value


def words(value: object) -> object:
    """``"a, b c"`` as ``("a", "b", "c")``; anything that is not text is left for pydantic to judge."""
    value = tidy(value)
    if isinstance(value, str):
        return tuple(word for word in re.split(r"[,;\s]+", value) if word)
    return value


def redacted(value: SecretStr) -> Redacted:
    """The same secret, tidied, under the type that prints as ``[redacted]``."""
    return Redacted(str(tidy(value.get_secret_value())))


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """``values`` without repetitions, in their order."""
    return tuple(dict.fromkeys(values))


def shown(value: object) -> str:
    """``value`` as an error message may quote it: long ones could be a secret under the wrong name."""
    text = repr(value)
    return "what is written there" if len(text) > _SHOWN_MAX or _BEGINS_SECRET.search(text) else text


def login_of(raw: str) -> str:
    """A Twitch login from what people write: ``#Channel``, ``@Channel``, ``twitch.tv/channel``.

    Raises:
        ValueError: what is left is not 1 to 25 of a-z, 0-9 and _.
    """
    login = re.sub(r"^(https?://)?(www\.)?twitch\.tv/", "", raw.strip().lower()).strip("/").lstrip("#@")
    if not LOGIN_PATTERN.fullmatch(login):
        raise ValueError(
            f"{shown(raw)} is not a Twitch login: 1 to 25 letters a-z, digits and _, as in twitch.tv/LOGIN"
        )
    return login


def logins_of(raw: Iterable[str]) -> tuple[str, ...]:
    """Logins as :func:`login_of` reads them, each once, in their order."""
    return unique(login_of(item) for item in raw)


def token_of(raw: str) -> str:
    """A Twitch token without the ``oauth:`` (IRC) or ``Bearer`` (HTTP) that people copy along.

    Raises:
        ValueError: it cannot be a token.
    """
    token = re.sub(r"^(oauth:|bearer\s+)", "", raw, flags=re.IGNORECASE)
    if not SECRET_PATTERN.fullmatch(token):
        raise ValueError("is empty or holds characters that no Twitch token has: copy it again")
    return token


def client_id_of(raw: str) -> str:
    """An application's id.

    Raises:
        ValueError: it cannot be one.
    """
    if not CLIENT_ID_PATTERN.fullmatch(raw):
        raise ValueError(
            f"is {shown(raw)}, no client id: copy it from the application's page in Twitch's developer console"
        )
    return raw


def service_url(value: str) -> str:
    """The address of a server of Twitch's, without a slash at its end.

    Raises:
        ValueError: not an address, or one that would carry tokens in clear over a network.
    """
    wrong = f"is {shown(value)}, not an address: write it with https://, or leave it out"
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(wrong) from error
    if "@" in parts.netloc:
        # Not repeated in the message: what stands before the @ is a password.
        raise ValueError("holds a user or password: leave them out")
    if (
        parts.scheme not in ("http", "https")
        or not host
        or re.search(r"\s", value)
        or parts.query
        or parts.fragment
    ):
        raise ValueError(wrong)
    if parts.scheme == "http" and not _stays_local(host):
        raise ValueError(f"begins with http://, which would send tokens in clear: write https://{host}")
    return value.rstrip("/")


def modules_of(raw: Iterable[str]) -> tuple[str, ...]:
    """Names of modules, each once, in their order.

    Raises:
        ValueError: one is not written as for ``import``.
    """
    names = unique(raw)
    for name in names:
        if not MODULE_PATTERN.fullmatch(name):
            raise ValueError(f"{shown(name)} is not a module: write my_bot.deaths, not my_bot/deaths.py")
    return names


def project_url(value: str) -> str:
    """``value`` as ``scheme://host[:port]``: supabase-py appends ``/rest/v1`` itself, and silently does so twice.

    Raises:
        ValueError: not the address of a project, or one that would carry the key in clear over a network.
    """
    if dashboard := re.match(r"https?://(?:www\.)?supabase\.com/dashboard/project/([a-z0-9]+)", value):
        raise ValueError(
            f"is the dashboard's page: the project's address is https://{dashboard[1]}.supabase.co"
        )
    wrong = f"is {shown(value)}, not an address: write it as https://PROJECT.supabase.co (dashboard, Project Settings, Data API)"
    if not re.match(r"https?://", value, re.IGNORECASE):
        raise ValueError(wrong)
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(wrong) from error
    if "@" in parts.netloc:
        # Not repeated in the message: what stands before the @ is a password.
        raise ValueError("holds a user or password: write only https://PROJECT.supabase.co")
    if not host or re.search(r"\s", value) or parts.query or parts.fragment:
        raise ValueError(wrong)
    path = re.sub(r"/rest/v1$", "", parts.path.rstrip("/")).rstrip("/")
    if parts.scheme == "http" and not _stays_local(host):
        raise ValueError(
            f"begins with http://, which would send the secret key in clear: write https://{host}"
        )
    return f"{parts.scheme}://{parts.netloc}{path}"


def _stays_local(host: str) -> bool:
    """True for loopback, private addresses, and names that only a local network or Docker resolves."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return address.is_loopback or address.is_private


def key_problems(key: str) -> Iterable[str]:
    """What is wrong with a Supabase key as far as its looks tell; nothing if it may be a secret key."""
    way_out = "use the secret key (dashboard, Project Settings, API keys: sb_secret_..., or the old service_role key)"
    if not SECRET_PATTERN.fullmatch(key):
        yield "holds characters that no Supabase key has: copy it again, without blanks or quotes"
    elif key.startswith("sb_publishable_"):
        yield f"is the publishable key, with which the bot may read and write nothing: {way_out}"
    elif key.startswith("sbp_"):
        yield f"is a personal access token of your account, not a key of the project: {way_out}"
    elif (role := _jwt_role(key)) in {"anon", "authenticated"}:
        yield f"is the {role} key, with which the bot may read and write nothing: {way_out}"


def _jwt_role(key: str) -> str:
    """The ``role`` in a JWT's payload; empty for anything else. The signature is the server's business."""
    parts = key.split(".")
    if len(parts) != 3:
        return ""
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return ""
    return str(payload.get("role", "")) if isinstance(payload, dict) else ""
