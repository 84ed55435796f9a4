"""The seams of chat: what the bot needs from a transport, and what a transport needs from the world.

A transport owns its connection for as long as the bot lives: it connects, reconnects, rejoins, and turns the
wire into :data:`~byte_bot.chat.message.ChatEvent`. It hands events to a plain function, in order, on the
loop: the function must not block and must not await. There are two transports to be: IRC
(``byte_bot.chat.irc.client``) and EventSub.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from byte_bot.chat.message import ChatEvent

EventHandler: TypeAlias = Callable[[ChatEvent], None]


class ChatTransport(Protocol):
    """Chat, as the bot sees it. Channels are logins; ``#`` and capitals are tolerated."""

    async def run(self) -> None:
        """Connect and stay connected until cancelled.

        Raises:
            LoginRejected: Twitch refused the token.
        """
        ...

    def join(self, channels: Iterable[str]) -> None:
        """Want to be in ``channels`` from now on, over reconnects too; may be called before ``run``."""
        ...

    def part(self, channels: Iterable[str]) -> None:
        """Want to be in ``channels`` no longer."""
        ...

    @property
    def writable(self) -> bool:
        """True if :meth:`post` would be taken now, without waiting for anything."""
        ...

    def post(self, channel: str, text: str, reply_to: str = "") -> None:
        """:meth:`send` that does not wait; only while :attr:`writable`. A connection that breaks afterwards is not told."""
        ...

    async def send(self, channel: str, text: str, reply_to: str = "") -> None:
        """Say ``text`` (one line, at most 500 code points) in ``channel``, as an answer to message
        ``reply_to`` if given.

        Raises:
            NotConnected: nothing was written.
            SendUnconfirmed: it may or may not have been written.
        """
        ...

    @property
    def connected(self) -> bool:
        """True while logged in."""
        ...

    @property
    def joined(self) -> tuple[str, ...]:
        """The channels Twitch confirmed on this connection, in the order of their confirmation."""
        ...


class Connector(Protocol):
    """Opens byte streams: real TCP and TLS in production, memory in a simulation."""

    async def open(
        self, host: str, port: int, *, tls: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to ``host``:``port``; the caller sets the deadline.

        Raises:
            OSError: refused, unreachable, name not found, TLS failed.
        """
        ...
