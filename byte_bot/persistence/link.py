"""The way to the database that all its users share: one breaker, waited for, told about, announced.

``await link.call(attempt)`` waits until the circuit lets a call through, makes one attempt, tells the breaker how it
went and returns the answer or raises the :class:`~byte_bot.errors.DatabaseError`. It does not try again: its callers
are loops that do, each with its own idea of what to send next time.

A refused request (:class:`~byte_bot.errors.RequestRefused`) means that the database works. A pause is announced at
once and then once a minute, with what to do and how many rows wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from byte_bot.errors import DatabasePaused, DatabaseUnavailable, RequestRefused
from byte_bot.persistence.breaker import Breaker, Circuit
from byte_bot.telemetry import Telemetry

T = TypeVar("T")
#: Seconds between two announcements of the same pause.
ANNOUNCE_S = 60.0

_log = structlog.get_logger(__name__)


class Link:
    """See the module's docstring.

    Args:
        breaker: the shared circuit.
        telemetry: counts attempts and failures, records changes of the circuit as events.
        rows_waiting: how many rows wait to be saved, for announcements.
    """

    def __init__(self, breaker: Breaker, telemetry: Telemetry, rows_waiting: Callable[[], int]) -> None:
        self._breaker = breaker
        self._telemetry = telemetry
        self._rows_waiting = rows_waiting
        self._changed = asyncio.Event()
        self._announced_at_s = float("-inf")
        self._announced = ""
        self.last_error = ""

    @property
    def circuit(self) -> Circuit:
        """The breaker's state."""
        return self._breaker.circuit

    async def call(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make one attempt when the circuit allows it.

        Raises:
            DatabaseUnavailable, DatabasePaused, RequestRefused: as the attempt ended.
        """
        loop = asyncio.get_running_loop()
        await self._wait()
        self._breaker.trying(loop.time())
        before = self.circuit
        try:
            answer = await attempt()
        except DatabaseUnavailable as error:
            self._telemetry.count("database_failures")
            self._breaker.failed(loop.time(), error.retry_after_s)
            self._after(before, str(error))
            raise
        except DatabasePaused as error:
            self._telemetry.count("database_failures")
            self._breaker.paused(loop.time(), error.advice)
            self._announce_pause(loop.time(), error)
            self._after(before, str(error))
            raise
        except RequestRefused:
            self._breaker.succeeded()
            self._after(before, "")
            raise
        except BaseException:
            self._breaker.abandoned()
            self._after(before, self.last_error)
            raise
        self._breaker.succeeded()
        self._after(before, "")
        return answer

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        while (wait_s := self._breaker.wait_s(loop.time())) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(None if wait_s == float("inf") else wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _after(self, before: Circuit, error: str) -> None:
        self._changed.set()
        self.last_error = error
        self._telemetry.count("database_calls")
        now = self.circuit
        if now is before or {before, now} == {Circuit.HALF_OPEN, Circuit.OPEN}:
            return
        if now is Circuit.CLOSED:
            _log.info("database_works", rows_waiting=self._rows_waiting())
        else:
            _log.warning("database_out", circuit=str(now), why=error, rows_waiting=self._rows_waiting())
        self._telemetry.event("circuit", state=str(now), why=error[:300])

    def _announce_pause(self, now_s: float, error: DatabasePaused) -> None:
        if now_s - self._announced_at_s < ANNOUNCE_S and error.advice == self._announced:
            return
        self._announced_at_s, self._announced = now_s, error.advice
        _log.error(
            "database_paused",
            what_to_do=error.advice,
            server_says=f"{error.code}: {error.words}",
            rows_waiting=self._rows_waiting(),
        )
