"""Bots, writers and a transport that lack a safeguard."""

from __future__ import annotations

import asyncio

from byte_bot.bot import Bot
from byte_bot.chat.irc.client import IrcTransport
from byte_bot.chat.message import ChatEvent
from byte_bot.chat.outbox import Reply
from byte_bot.context.channel import ChannelContext
from byte_bot.errors import DatabaseError
from byte_bot.persistence.breaker import Circuit
from byte_bot.persistence.row import Row
from byte_bot.persistence.writer import Writer


class CredulousBot(Bot):
    """Takes every message for a new one."""

    def _is_new(self, message_id: str) -> bool:
        return True


class FairWeatherBot(Bot):
    """Deaf while the database is away."""

    def on_event(self, event: ChatEvent) -> None:
        """Take the event if all is well."""
        if self._layer.link.circuit is Circuit.CLOSED:
            super().on_event(event)


class SavesFirst(Bot):
    """A bot that replies once the database has everything: what the journal and its gate are there to avoid."""

    def leave(self, context: ChannelContext, gate: int, replies: list[Reply]) -> None:
        """Hold the replies back until nothing waits to be saved."""

        async def wait() -> None:
            ledger = self._layer.ledger
            while ledger.rows_waiting or ledger.in_flight:  # noqa: ASYNC110 - that it polls is not what is wrong with it
                await asyncio.sleep(0.05)
            self.voice.put(replies)

        assert self._tasks is not None
        self._tasks.create_task(wait(), name="saves first")


class LazyWriter(Writer):
    """Is never told that there is work."""

    def work_arrived(self, since_s: float | None = None) -> None:
        """Sleep on."""


class OneLifeTransport(IrcTransport):
    """Connects once."""

    async def run(self) -> None:
        """Live for one connection, then do nothing until cancelled."""
        await self._live_once()
        await asyncio.get_running_loop().create_future()


class ImpatientWriter(Writer):
    """Starts the next save when its time has come, whatever became of the last one."""

    async def run(self) -> None:
        """Flush at every interval."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(self._flush_interval_s)
                tasks.create_task(self.flush())

    async def flush(self, until: object = None) -> None:
        """Save what waits now, beside every other save."""
        try:
            await self._layer.ensure_epoch()
        except DatabaseError:
            return
        ledger = self._layer.ledger
        while batch := ledger.take(self._sendable):
            ledger.release()
            await self._save(batch)
            if self._layer.link.last_error:
                return


class HastyWriter(Writer):
    """Saves every row at once."""

    def _awaits_journal(self, row: Row) -> bool:
        return False
