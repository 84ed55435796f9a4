"""Real byte streams: TCP, with TLS if asked. The production :class:`~byte_bot.chat.transport.Connector`."""

from __future__ import annotations

import asyncio
import ssl

# RFC 8305 section 8: 250 ms is the recommended time before the next address is tried beside a silent one.
# Without it a broken IPv6 route costs the whole connect deadline.
_NEXT_ADDRESS_AFTER_S = 0.25


class StreamConnector:
    """Opens TCP and TLS connections.

    Args:
        tls_context: how certificates are checked; by default against the system's authorities, host name
            included.
    """

    def __init__(self, tls_context: ssl.SSLContext | None = None) -> None:
        self._tls_context = tls_context

    async def open(
        self, host: str, port: int, *, tls: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to ``host``:``port``.

        Raises:
            OSError: refused, unreachable, name not found; ``ssl.SSLError`` is one.
        """
        if tls and self._tls_context is None:
            # Made on first use: reading the authorities takes milliseconds, and a plain connection needs
            # none.
            self._tls_context = ssl.create_default_context()
        return await asyncio.open_connection(
            host,
            port,
            ssl=self._tls_context if tls else None,
            happy_eyeballs_delay=_NEXT_ADDRESS_AFTER_S,
        )
