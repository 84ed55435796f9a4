"""The throw-away authority: a real TLS handshake under it, and none without it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from simulator.certificates import SERVER_NAMES, ThrowAwayAuthority


@asynccontextmanager
async def greeting(authority: ThrowAwayAuthority) -> AsyncIterator[int]:
    """A TLS server that says hello; its port."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=authority.server_context())
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def greeted(port: int, context: ssl.SSLContext, name: str = "127.0.0.1") -> bytes:
    """What a client with this trust, which believes to talk to `name`, is told."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        return await reader.readline()
    finally:
        writer.close()


async def test_a_client_that_trusts_the_written_root_is_served(tmp_path: Path) -> None:
    """The file alone is enough, under every name that the certificate stands for."""
    authority = ThrowAwayAuthority()
    file = tmp_path / "ca.pem"
    authority.write(file)
    assert b"PRIVATE KEY" not in file.read_bytes()
    async with greeting(authority) as port:
        for name in SERVER_NAMES:
            assert await greeted(port, ssl.create_default_context(cafile=file), name) == b"hello\n"
        assert await greeted(port, authority.client_context()) == b"hello\n"


async def test_nobody_else_trusts_it() -> None:
    """Neither the machine's own trust nor that in another throw-away root, nor a name that it does not stand for."""
    authority = ThrowAwayAuthority()
    async with greeting(authority) as port:
        for context in (ssl.create_default_context(), ThrowAwayAuthority().client_context()):
            with pytest.raises(ssl.SSLCertVerificationError):
                await greeted(port, context)
        with pytest.raises(ssl.SSLCertVerificationError):
            await greeted(port, authority.client_context(), "example.org")
