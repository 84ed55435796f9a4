"""Real sockets on loopback: TCP, and TLS with a certificate authority made for the test."""

from __future__ import annotations

import asyncio
import datetime
import random
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from byte_bot.auth.token_source import FixedToken
from byte_bot.chat.irc.client import IrcTransport
from byte_bot.chat.irc.connector import StreamConnector
from byte_bot.chat.message import ChannelJoined, ChatEvent
from tests.byte_bot.chat.irc.wire import WELCOME, joined_lines

HOST = "127.0.0.1"


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that is its own authority, and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file


async def serve_login(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that welcomes and lets join."""
    while line := (await reader.readline()).decode().strip():
        command, _, rest = line.partition(" ")
        answers = [WELCOME] if command == "NICK" else []
        if command == "JOIN":
            answers = joined_lines(rest.removeprefix("#"))
        writer.write("".join(answer + "\r\n" for answer in answers).encode())
    writer.close()


async def join_over(connector: StreamConnector, host: str, port: int, *, tls: bool) -> None:
    """Log in and join one channel through a real socket."""
    joined = asyncio.Event()

    def hear(event: ChatEvent) -> None:
        if isinstance(event, ChannelJoined):
            joined.set()

    transport = IrcTransport(
        connector,
        host=host,
        port=port,
        tls=tls,
        login="byte_bot",
        tokens=FixedToken("t", "byte_bot"),
        handler=hear,
        rng=random.Random(1),
    )
    transport.join(["ana"])
    run = asyncio.create_task(transport.run())
    try:
        async with asyncio.timeout(20):
            await joined.wait()
    finally:
        run.cancel()
        await asyncio.wait([run])


async def test_tcp() -> None:
    """A plain connection carries a login and a join."""
    server = await asyncio.start_server(serve_login, HOST, 0)
    async with server:
        await join_over(StreamConnector(), HOST, server.sockets[0].getsockname()[1], tls=False)


async def test_tls_with_a_trusted_certificate(tmp_path: Path) -> None:
    """The same over TLS, when the authority is trusted."""
    cert_file, key_file = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    server = await asyncio.start_server(serve_login, HOST, 0, ssl=context)
    async with server:
        trusting = StreamConnector(ssl.create_default_context(cafile=str(cert_file)))
        await join_over(trusting, "localhost", server.sockets[0].getsockname()[1], tls=True)


async def test_tls_with_an_unknown_certificate_is_refused(tmp_path: Path) -> None:
    """By default nobody can pretend to be Twitch: the error is an OSError like any other failed attempt."""
    cert_file, key_file = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    server = await asyncio.start_server(serve_login, HOST, 0, ssl=context)
    async with server:
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            await StreamConnector().open("localhost", server.sockets[0].getsockname()[1], tls=True)
    assert isinstance(caught.value, OSError)


async def test_a_closed_port_is_an_os_error() -> None:
    """What the transport counts as a failed attempt."""
    server = await asyncio.start_server(serve_login, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await StreamConnector().open(HOST, port, tls=False)
