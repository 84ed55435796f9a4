"""A bot between a transport that writes down and a database that does as it is told, for tests of the bot itself.

    async def story() -> None:
        async with room(Tallying()) as place:
            place.hear("!add")
            await asyncio.sleep(1)
            assert place.said == ["total: 1"]

Everything between chat and database is the real thing; there is no transport, no socket and, unless one is given, no
database. Twitch's rates are lifted. Times are seconds of the virtual loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from byte_bot.bot import Bot
from byte_bot.chat.limiter import MessageLimiter, Rates
from byte_bot.chat.message import ChatMessage, Role, Standing
from byte_bot.chat.outbox import Outbox
from byte_bot.components.api import Component
from byte_bot.context.manager import ContextManager
from byte_bot.errors import DatabaseUnavailable, JournalError
from byte_bot.persistence.backoff import Backoff
from byte_bot.persistence.breaker import Breaker
from byte_bot.persistence.journal import Journal, JournalStore, MemoryJournalStore, Write
from byte_bot.persistence.layer import LayerParts, PersistenceLayer
from byte_bot.persistence.ledger import Ledger
from byte_bot.persistence.link import Link
from byte_bot.persistence.operations import Base, RowKey
from byte_bot.persistence.state import StateT
from byte_bot.persistence.store import DatabaseStore, SaveAnswer, SaveRequest
from byte_bot.telemetry import Telemetry
from byte_bot.turn import BotOptions
from simulator.loop import current_loop

BOT_LOGIN = "byte"
CHANNELS = {"lobby": "1001", "arcade": "1002"}


class LoopClock:
    """Wall time that moves with the virtual loop."""

    def unix(self) -> float:
        """Unix seconds."""
        return current_loop().unix_time()


class Sent(NamedTuple):
    """One message that left, and when."""

    at_s: float
    channel: str
    text: str
    reply_to: str


class WrittenDown:
    """A transport that is always connected and writes down what it is given."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.connected = True
        self.joined = tuple(CHANNELS)

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
        """Write the message down."""
        self.sent.append(Sent(current_loop().time(), channel, text.rstrip(" \u034f"), reply_to))


class Disk(MemoryJournalStore):
    """A journal's store that takes ``delay_s`` for a commit, and fails while ``broken``."""

    def __init__(self, delay_s: float = 0.0) -> None:
        super().__init__()
        self.delay_s = delay_s
        self.broken = False

    async def commit(self, writes: Sequence[Write]) -> None:
        """Commit as slowly as told."""
        await asyncio.sleep(self.delay_s)
        if self.broken:
            raise JournalError("the disk is full")
        await super().commit(writes)


class Database:
    """A database that takes ``load_s`` for a load, has ``rows``, keeps what is saved, and can be down."""

    def __init__(self, rows: dict[RowKey, Base] | None = None, *, load_s: float = 0.0) -> None:
        self.rows = rows or {}
        self.load_s = load_s
        self.down = False
        self.saved: list[SaveRequest] = []

    async def take_epoch(self, holder: str, seen: int) -> int:
        """The first epoch."""
        self._answer()
        return seen + 1

    async def save(self, request: SaveRequest) -> SaveAnswer:
        """Keep the request."""
        self._answer()
        self.saved.append(request)
        return SaveAnswer("ok", request.epoch, [])

    async def load_states(self, channel_ids: Sequence[str]) -> dict[RowKey, Base]:
        """The channels' rows, after a while."""
        await asyncio.sleep(self.load_s)
        self._answer()
        return {key: base for key, base in self.rows.items() if key.channel_id in channel_ids}

    async def list_channels(self) -> dict[str, Base]:
        """No channel is configured."""
        self._answer()
        return {}

    def _answer(self) -> None:
        if self.down:
            raise DatabaseUnavailable("down")

    @property
    def history(self) -> list[dict[str, Any]]:
        """The chat lines that were saved."""
        return [row for request in self.saved for row in request.history]


class Place:
    """The bot, what it is told and what it says."""

    def __init__(
        self, bot: Bot, manager: ContextManager, transport: WrittenDown, telemetry: Telemetry
    ) -> None:
        self.bot = bot
        self.manager = manager
        self.layer = manager.layer
        self.telemetry = telemetry
        self.transport = transport
        self._numbers = 0

    def hear(
        self,
        text: str,
        *,
        author: str = "ana",
        channel: str = "lobby",
        role: Role = Role.MODERATOR,
        message_id: str = "",
        **fields: Any,
    ) -> str:
        """A line of chat arrives; its id."""
        self._numbers += 1
        chosen = message_id or f"m{self._numbers}"
        self.bot.on_event(
            ChatMessage(
                chosen,
                CHANNELS[channel],
                channel,
                f"id-{author}",
                author,
                author.title(),
                role,
                text,
                **fields,
            )
        )
        return chosen

    @property
    def said(self) -> list[str]:
        """What the bot has said so far, everywhere."""
        return [sent.text for sent in self.transport.sent]

    @property
    def said_at(self) -> list[tuple[float, str]]:
        """The same with the times, to the millisecond."""
        return [(round(sent.at_s, 3), sent.text) for sent in self.transport.sent]

    def state(self, cls: type[StateT], channel: str = "lobby") -> StateT:
        """A channel's state in RAM."""
        return self.manager.obtain(CHANNELS[channel], channel).state(cls)

    def count(self, name: str) -> int:
        """One of the bot's counters."""
        return self.telemetry.counters[name]


@asynccontextmanager
async def room(
    *components: Component,
    disk: JournalStore | None = None,
    database: DatabaseStore | None = None,
    owners: tuple[str, ...] = (),
) -> AsyncIterator[Place]:
    """A running bot with these components in the channels lobby and arcade."""
    loop, clock = current_loop(), LoopClock()
    telemetry, ledger = Telemetry(clock, "boot"), Ledger()
    store = disk if disk is not None else Disk()
    layer = PersistenceLayer(
        LayerParts(
            store=database,
            link=Link(
                Breaker(Backoff(random.Random(1))), telemetry, lambda: ledger.rows_waiting, kept=lambda: True
            ),
            ledger=ledger,
            journal=Journal(store),
            journal_store=store,
            clock=clock,
            telemetry=telemetry,
        )
    )
    manager = ContextManager(layer)
    manager.bind_loop(loop)
    transport = WrittenDown()
    many = 1_000_000
    rates = Rates(messages_privileged=many, channel_privileged=many, duplicate_window_s=0.0, margin_s=0.0)
    outbox = Outbox(transport, MessageLimiter(rates=rates), loop.time, queue_max=many)
    bot = Bot(
        BotOptions(BOT_LOGIN, owners=owners),
        manager=manager,
        outbox=outbox,
        directory=None,
        clock=clock,
        rng=random.Random(1),
        telemetry=telemetry,
    )
    bot.remember_handled(layer.restore().handled)
    for component in components:
        await bot.add_component(component)
    for channel in CHANNELS:
        bot.on_event(Standing(channel, True))
    running = [loop.create_task(part.run()) for part in (layer, outbox, bot)]
    await asyncio.sleep(0)
    try:
        yield Place(bot, manager, transport, telemetry)
    finally:
        for task in running:
            task.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
    for error in ended:
        assert isinstance(error, asyncio.CancelledError), f"a part of the bot ended with {error!r}"
