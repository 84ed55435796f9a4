"""What the tests of the fake's web faces share: a listener with handlers of the test's own, and a client nobody here wrote."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from simulator.twitch.listener import WebListener
from simulator.twitch.websocket import WebSocketHandler


async def _hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello over HTTP")


def small_app() -> Starlette:
    """An application with one page."""
    return Starlette(routes=[Route("/hello", _hello)])


@asynccontextmanager
async def listener(
    sockets: Mapping[str, WebSocketHandler], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[WebListener]:
    """Serve a page and these handlers on a free loopback port."""
    async with WebListener(small_app(), sockets, host="127.0.0.1", ssl=tls) as listening:
        yield listening


@asynccontextmanager
async def client(url: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """A client of the `websockets` package; it sends no pings of its own unless the test asks for them."""
    options = {"ping_interval": None, "proxy": None, "close_timeout": 1, **options}
    async with connect(url, **options) as connection:
        yield connection


async def closing(connection: ClientConnection) -> tuple[int, str]:
    """Read until the server closes; return its code (1006: without a close frame) and its reason."""
    try:
        while True:
            await connection.recv()
    except ConnectionClosed as ended:
        return (ended.rcvd.code, ended.rcvd.reason) if ended.rcvd is not None else (1006, "")


async def silence(connection: ClientConnection, seconds: float) -> bool:
    """Say whether nothing comes for so many seconds of the loop's clock."""
    try:
        async with asyncio.timeout(seconds):
            await connection.recv()
    except TimeoutError:
        return True
    return False


def loopback_tls(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server on 127.0.0.1 and of a client that trusts it alone; the key stays in `folder`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    day = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(day)
        .not_valid_after(day.replace(year=2120))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file = folder / "loopback.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + pem
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())
