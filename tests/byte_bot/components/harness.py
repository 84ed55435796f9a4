"""A chat room with the real bot in it, for tests of components: no sockets, no database, virtual time.

    async def story() -> None:
        async with chat_with(DeathCounter()) as chat:
            assert await chat.say("mod", "!death lava", role=Role.MODERATOR) == ["Deaths: 1"]

    run(story())

The bot, its contexts, the persistence layer, the journal and the outbox are the real ones; the transport keeps what it is
given to send. There is no database, as for a bot without Supabase
settings. Twitch's rates are lifted: they have tests of
their own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

from byte_bot.bot import Bot
from byte_bot.chat.limiter import MessageLimiter, Rates
from byte_bot.chat.message import ChatMessage, ChatNotice, Role, Standing
from byte_bot.chat.outbox import Outbox
from byte_bot.components.api import Component
from byte_bot.context.manager import ContextManager
from byte_bot.persistence.backoff import Backoff
from byte_bot.persistence.breaker import Breaker
from byte_bot.persistence.journal import Journal, MemoryJournalStore
from byte_bot.persistence.layer import LayerParts, PersistenceLayer
from byte_bot.persistence.ledger import Ledger
from byte_bot.persistence.link import Link
from byte_bot.persistence.state import StateT
from byte_bot.telemetry import Telemetry
from byte_bot.turn import BotOptions
from simulator.loop import current_loop

CHANNEL, CHANNEL_ID = "streamer", "1001"

# Longer than anything in these tests may take at once, shorter than any cooldown.
SETTLE_S = 0.01


class LoopClock:
    """Wall time that moves with the virtual loop."""

    def unix(self) -> float:
        """Unix seconds."""
        return current_loop().unix_time()


class Sent(NamedTuple):
    """One message the bot said."""

    channel: str
    text: str
    reply_to: str


class FakeTransport:
    """A transport that is always connected and keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    async def run(self) -> None:
        """Nothing to connect."""

    def join(self, channels: Iterable[str]) -> None:
        """Nothing to join."""

    def part(self, channels: Iterable[str]) -> None:
        """Nothing to leave."""

    @property
    def writable(self) -> bool:
        """False: everything goes through :meth:`send`."""
        return False

    def post(self, channel: str, text: str, reply_to: str = "") -> None:
        """Never asked for."""
        raise AssertionError("post is for a writable transport")

    async def send(self, channel: str, text: str, reply_to: str = "") -> None:
        """Keep the message."""
        self.sent.append(Sent(channel, text, reply_to))

    @property
    def connected(self) -> bool:
        """Always."""
        return True

    @property
    def joined(self) -> tuple[str, ...]:
        """The one channel."""
        return (CHANNEL,)


class Chat:
    """The room: what people say, what the bot answers."""

    def __init__(
        self, bot: Bot, manager: ContextManager, transport: FakeTransport, telemetry: Telemetry, handled: int
    ) -> None:
        self.bot = bot
        self.manager = manager
        self.layer = manager.layer
        self.telemetry = telemetry
        self._transport = transport
        # Ids go on where an earlier bot stopped: it remembers those it has handled.
        self._messages = handled

    async def say(
        self,
        author: str,
        text: str,
        *,
        role: Role = Role.EVERYONE,
        channel: str = CHANNEL,
        channel_id: str = CHANNEL_ID,
        wait_s: float = SETTLE_S,
    ) -> list[str]:
        """Say something; what the bot says within ``wait_s`` seconds."""
        return [sent.text for sent in await self.hear(author, text, role, channel, channel_id, wait_s)]

    async def mod(self, text: str) -> str:
        """A moderator says something; the bot's answers, "" if it has none."""
        return "\n".join(await self.say("mod", text, role=Role.MODERATOR))

    async def viewer(self, text: str) -> str:
        """A viewer says something; the bot's answers, "" if it has none."""
        return "\n".join(await self.say("Ana", text))

    async def hear(
        self,
        author: str,
        text: str,
        role: Role = Role.EVERYONE,
        channel: str = CHANNEL,
        channel_id: str = CHANNEL_ID,
        wait_s: float = SETTLE_S,
    ) -> list[Sent]:
        """:meth:`say`, with where and to what the bot answered."""
        before = len(self._transport.sent)
        self._messages += 1
        self.bot.on_event(
            ChatMessage(
                id=f"{self._messages:08d}-{author}",
                channel_id=channel_id,
                channel=channel,
                author_id=f"id-{author}",
                author_login=author.lower(),
                author_name=author,
                role=role,
                text=text,
            )
        )
        await asyncio.sleep(wait_s)
        return self._transport.sent[before:]

    async def notice(self, kind: str, text: str) -> list[str]:
        """Twitch announces something; what the bot says to it."""
        before = len(self._transport.sent)
        self.bot.on_event(ChatNotice(CHANNEL, CHANNEL_ID, kind, "raider", text, ""))
        await asyncio.sleep(SETTLE_S)
        return [sent.text for sent in self._transport.sent[before:]]

    async def happens(self, event: ChatMessage | ChatNotice) -> list[str]:
        """Something happens; what the bot says to it."""
        before = len(self._transport.sent)
        self.bot.on_event(event)
        await asyncio.sleep(SETTLE_S)
        return [sent.text for sent in self._transport.sent[before:]]

    def state(self, cls: type[StateT]) -> StateT:
        """The channel's state, as it is in RAM."""
        return self.manager.obtain(CHANNEL_ID, CHANNEL).state(cls)

    def count(self, name: str) -> int:
        """One of the bot's counters."""
        return self.telemetry.counters[name]


@asynccontextmanager
async def chat_with(
    *components: Component,
    journal: MemoryJournalStore | None = None,
    language: str = "en",
    owners: tuple[str, ...] = (),
    seed: int = 1,
) -> AsyncIterator[Chat]:
    """A room whose bot has these components.

    Args:
        journal: what an earlier bot left; None for a new machine.
        language: of a channel that has no configuration.
        owners: logins of the bot's owners.
        seed: of ``ctx.random``.
    """
    loop, clock = current_loop(), LoopClock()
    telemetry = Telemetry(clock, "boot")
    ledger = Ledger()
    store = journal if journal is not None else MemoryJournalStore()
    parts = LayerParts(
        store=None,
        link=Link(
            Breaker(Backoff(random.Random(seed))), telemetry, lambda: ledger.rows_waiting, kept=lambda: True
        ),
        ledger=ledger,
        journal=Journal(store),
        journal_store=store,
        clock=clock,
        telemetry=telemetry,
    )
    layer = PersistenceLayer(parts)
    manager = ContextManager(layer)
    manager.bind_loop(loop)
    transport = FakeTransport()
    many = 1_000_000
    limiter = MessageLimiter(
        rates=Rates(messages_privileged=many, channel_privileged=many, duplicate_window_s=0.0, margin_s=0.0)
    )
    bot = Bot(
        BotOptions("byte", owners=owners, default_language=language),
        manager=manager,
        outbox=(outbox := Outbox(transport, limiter, loop.time)),
        directory=None,
        clock=clock,
        rng=random.Random(seed),
        telemetry=telemetry,
    )
    handled = layer.restore().handled
    bot.remember_handled(handled)
    for component in components:
        await bot.add_component(component)
    bot.on_event(Standing(CHANNEL, True))
    running = [asyncio.create_task(part.run()) for part in (layer, outbox, bot)]
    await asyncio.sleep(0)
    try:
        yield Chat(bot, manager, transport, telemetry, len(handled))
    finally:
        for task in running:
            task.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
    # After the test's own failure, which says more.
    for error in ended:
        assert isinstance(error, asyncio.CancelledError), f"a part of the bot ended with {error!r}"
