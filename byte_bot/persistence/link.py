"""The way to the database that all its users share: one breaker, waited for, told about, announced.

``await link.call(attempt)`` waits until the circuit lets a call through, makes one attempt, tells the breaker how it
went and returns the answer or raises the :class:`~byte_bot.errors.DatabaseError`. It does not try again: its callers
are loops that do, each with its own idea of what to send next time.

A refused request (:class:`~byte_bot.errors.RequestRefused`) means that the database works. A pause is announced at
once and then once a minute, with what to do, how many rows wait and whether they are safe; so is a pause that comes and goes
(one table without a grant, while saves of the others work). The end is told once a call of each sort that was refused has
worked, and only of what was told.
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
        kept: whether what waits would survive the end of the process.
    """

    def __init__(
        self,
        breaker: Breaker,
        telemetry: Telemetry,
        rows_waiting: Callable[[], int],
        *,
        kept: Callable[[], bool],
    ) -> None:
        self._breaker = breaker
        self._telemetry = telemetry
        self._rows_waiting = rows_waiting
        self._kept = kept
        self._changed = asyncio.Event()
        #: When each way out was last announced; they are texts of the code, a dozen.
        self._announced_at_s: dict[str, float] = {}
        #: The sorts of calls whose last answer was that a human must act.
        self._paused: set[str] = set()
        #: The state that the log was last told of, and since when it is not closed.
        self._told = Circuit.CLOSED
        self._away_since_s = 0.0
        self.last_error = ""

    @property
    def circuit(self) -> Circuit:
        """The breaker's state."""
        return self._breaker.circuit

    async def call(self, attempt: Callable[[], Awaitable[T]], what: str = "") -> T:
        """Make one attempt when the circuit allows it.

        Args:
            attempt: the call.
            what: what sort of call it is; a read that works does not end the pause of saves that a read-only database
                refuses.

        Raises:
            DatabaseUnavailable, DatabasePaused, RequestRefused: as the attempt ended.
        """
        loop = asyncio.get_running_loop()
        await self._wait()
        self._breaker.trying(loop.time())
        try:
            answer = await attempt()
        except DatabaseUnavailable as error:
            self._telemetry.count("database_failures")
            self._breaker.failed(loop.time(), error.retry_after_s)
            self._after(loop.time(), str(error))
            raise
        except DatabasePaused as error:
            self._telemetry.count("database_failures")
            self._breaker.paused(loop.time(), error.advice)
            self._paused.add(what)
            self._announce_pause(loop.time(), error)
            self._after(loop.time(), str(error))
            raise
        except RequestRefused:
            self._breaker.succeeded()
            self._paused.discard(what)
            self._after(loop.time(), "")
            raise
        except BaseException:
            self._breaker.abandoned()
            self._after(loop.time(), self.last_error)
            raise
        self._breaker.succeeded()
        self._paused.discard(what)
        self._after(loop.time(), "")
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

    def _after(self, now_s: float, error: str) -> None:
        self._changed.set()
        self.last_error = error
        self._telemetry.count("database_calls")
        circuit = self.circuit
        if circuit is Circuit.CLOSED and not self._paused and self._told is not Circuit.CLOSED:
            _log.info(
                "database_works",
                after_s=round(now_s - self._away_since_s, 1),
                rows_waiting=self._rows_waiting(),
            )
            self._tell(Circuit.CLOSED, now_s, error)
        elif circuit is Circuit.OPEN and self._told is not Circuit.OPEN:
            _log.warning("database_out", circuit=str(circuit), why=error, rows_waiting=self._rows_waiting())
            self._tell(Circuit.OPEN, now_s, error)

    def _announce_pause(self, now_s: float, error: DatabasePaused) -> None:
        if now_s - self._announced_at_s.get(error.advice, float("-inf")) < ANNOUNCE_S:
            return
        self._announced_at_s[error.advice] = now_s
        waiting = self._rows_waiting()
        safety = "nothing is lost" if self._kept() else "and are lost if the bot ends before they are saved"
        _log.error(
            "database_paused",
            what_to_do=error.advice,
            what_it_means=f"{waiting} {'row waits' if waiting == 1 else 'rows wait'}, {safety}",
            server_says=f"{error.code}: {error.words}",
            rows_waiting=waiting,
        )
        if self._told is not Circuit.PAUSED:
            self._tell(Circuit.PAUSED, now_s, str(error))

    def _tell(self, circuit: Circuit, now_s: float, why: str) -> None:
        if self._told is Circuit.CLOSED:
            self._away_since_s = now_s
        self._told = circuit
        self._telemetry.event("circuit", state=str(circuit), why=why[:300])
