"""The bot in a real process: the real surroundings, signals, and the exit code.

:func:`run` is what ``byte-bot run`` calls. It opens the journal before anything is connected (a second process must not come that
far), builds network, clock and chance, and hands them to :class:`~byte_bot.app.Application`, which knows only what it is given.

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
        return asyncio.run(_run_for_real(settings, wait_lock, open_journal))
    except BaseExceptionGroup as group:
        error = first_error(group)
        if isinstance(error, ByteBotError):
            raise error from None
        raise


async def _run_for_real(settings: Settings, wait_lock: bool, open_journal: JournalOpener) -> ExitCode:
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
        _on_signals(application.stop)
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
