"""The bot in a real process: the real surroundings, signals, and the exit code.

:func:`run` is what ``byte-bot run`` calls. It opens the journal before anything is connected (a second process must not come that
far), builds network, clock and chance, and hands them to :class:`~byte_bot.app.Application`, which knows only what it is given.

Signals are listened to before anything else: a process that waits for its journal (``--wait-lock``, a disk that does not work) gives
the start up and has stopped in order. As process 1 of a container it would not even be ended by a signal that nobody listens to.

Left out: every order of start and stop, which is :mod:`byte_bot.app`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import structlog

from byte_bot.app import Application, Surroundings, first_error
from byte_bot.auth.choice import token_file_of
from byte_bot.auth.oauth import TIMEOUT_S
from byte_bot.chat.irc.connector import StreamConnector
from byte_bot.clock import Clock, SystemClock
from byte_bot.components.loader import installed_entry_points
from byte_bot.errors import ByteBotError, ExitCode
from byte_bot.garbage import frozen_survivors
from byte_bot.persistence.journal import JournalStore, MemoryJournalStore
from byte_bot.persistence.journal_disk import journal_on_disk
from byte_bot.persistence.journal_opening import journal_path
from byte_bot.persistence.journal_schema import Owner
from byte_bot.settings import Settings

JournalOpener = Callable[..., contextlib.AbstractAsyncContextManager[JournalStore]]

_log = structlog.get_logger(__name__)


def run(settings: Settings, wait_lock: bool = False, *, open_journal: JournalOpener = journal_on_disk) -> int:
    """Run the bot in the foreground until it is told to stop; the exit code (:class:`~byte_bot.errors.ExitCode`).

    Args:
        settings: checked already.
        wait_lock: wait for another process that holds the journal instead of giving up.
        open_journal: opens the journal's file, called as :func:`~byte_bot.persistence.journal_disk.journal_on_disk` is.

    Raises:
        ByteBotError: it could not start, or had to stop; the message says what to do.
    """
    try:
        return asyncio.run(_until_stopped(settings, wait_lock, open_journal))
    except BaseExceptionGroup as group:
        error = first_error(group)
        if isinstance(error, ByteBotError):
            raise error from None
        raise


class _Stop:
    """What a signal asks for.

    Args:
        give_up: ends the start, as long as there is no bot that could be stopped in order.
    """

    def __init__(self, give_up: Callable[[], object]) -> None:
        self._stop = give_up
        self._started = False
        #: True if the start was given up.
        self.given_up = False

    def __call__(self) -> None:
        if self.given_up:
            return  # a second signal must not interrupt the cleaning up
        self.given_up = not self._started
        self._stop()

    def hand_over(self, stop: Callable[[], object]) -> None:
        """From now on there is a bot."""
        self._stop, self._started = stop, True


async def _until_stopped(settings: Settings, wait_lock: bool, open_journal: JournalOpener) -> ExitCode:
    process = asyncio.current_task()
    assert process is not None, "asyncio.run() made one"
    stop = _Stop(process.cancel)
    _on_signals(stop)
    try:
        return await _run_for_real(settings, wait_lock, open_journal, stop)
    except asyncio.CancelledError:
        if not stop.given_up:
            raise
        _log.info(
            "stopped_before_start", what_it_means="the journal was still waited for; nothing was taken over"
        )
        return ExitCode.OK


async def _run_for_real(
    settings: Settings, wait_lock: bool, open_journal: JournalOpener, stop: _Stop
) -> ExitCode:
    rng = random.Random(os.urandom(16))
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        # Before anything is connected: whoever runs already keeps its epoch and its place in chat.
        journal_store = await stack.enter_async_context(
            _journal_store(settings, clock, rng, wait_lock, open_journal)
        )
        http = None
        if settings.has_database:
            http = await stack.enter_async_context(
                httpx.AsyncClient(
                    http2=False,  # one GOAWAY fails everything in flight; one request at a time gains nothing from it
                    follow_redirects=False,  # a redirected POST becomes a GET that "succeeds"
                    timeout=httpx.Timeout(settings.database_timeout_s),
                    limits=httpx.Limits(max_connections=4, max_keepalive_connections=2),
                )
            )
        twitch_http = None
        if settings.asks_twitch:
            twitch_http = await stack.enter_async_context(
                httpx.AsyncClient(http2=False, follow_redirects=False, timeout=httpx.Timeout(TIMEOUT_S))
            )
        surroundings = Surroundings(
            connector=StreamConnector(),
            http=http,
            clock=clock,
            rng=rng,
            journal_store=journal_store,
            offered_components=installed_entry_points,
            components_folder=Path.cwd(),
            twitch_http=twitch_http,
            token_store=token_file_of(settings, os.environ),
        )
        application = Application(settings, surroundings)
        # Nothing since the journal was opened has let a signal in between: it is given up before, or stopped after.
        stop.hand_over(application.stop)
        with frozen_survivors():
            return await application.run()


@contextlib.asynccontextmanager
async def _journal_store(
    settings: Settings, clock: Clock, rng: random.Random, wait_lock: bool, open_journal: JournalOpener
) -> AsyncIterator[JournalStore]:
    # Host and process for whoever reads bot_writer; the rest since in a container they are always the same.
    identity = f"{socket.gethostname()}/{os.getpid()}/{rng.getrandbits(48):012x}"
    if settings.durability == "off":
        yield MemoryJournalStore(identity)
        return
    path = journal_path(settings.journal_path, settings.twitch_login, os.environ)
    owner = Owner(settings.twitch_login, identity)
    async with open_journal(path, owner, clock, durability=settings.durability, wait_lock=wait_lock) as store:
        yield store


def _on_signals(stop: Callable[[], None]) -> None:
    """Stop in order on SIGTERM and Ctrl-C, on Windows too."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:
            # Windows' loop has no signal handlers; the C-level one runs on this thread and wakes the loop.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
