"""Slow work that handlers defer: outside the transaction, bounded in number and time, back through the inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

from byte_bot.bot import DEFERRED_MAX, DEFERRED_TIMEOUT_S
from byte_bot.components.api import Add, ChannelState, Component, Context, command, guard
from simulator.loop import current_loop, in_virtual_time
from tests.byte_bot.rig import room


class Errands(ChannelState, key="test_bot_errands"):
    """How many came back."""

    done: Annotated[int, Add] = 0


class Messenger(Component):
    """Sends somebody out, and says what they bring back."""

    def __init__(self, work: Callable[[], Awaitable[str]]) -> None:
        self._work = work

    async def _go(self) -> str:
        return await self._work()

    @command()
    async def fetch(self, ctx: Context) -> None:
        """Starts the work."""
        await ctx.reply("on my way")
        ctx.defer(self._go(), then=self.back, on_error=self.lost)

    @command()
    async def forget(self, ctx: Context) -> None:
        """Starts work whose failure nobody wants to hear of."""
        ctx.defer(self._go(), then=self.back)

    @command()
    async def regret(self, ctx: Context) -> None:
        """Starts the work and fails."""
        ctx.defer(self._go(), then=self.back)
        raise ValueError("changed my mind")

    @command()
    async def ping(self, ctx: Context) -> None:
        """Is at once back."""
        await ctx.reply("pong")

    async def back(self, ctx: Context, result: str) -> None:
        """The work succeeded."""
        errands = ctx.state(Errands)
        errands.done += 1
        await ctx.reply(f"{ctx.author}: {result} ({errands.done})")

    async def lost(self, ctx: Context, error: BaseException) -> None:
        """The work failed."""
        await ctx.reply(f"{type(error).__name__} {error}")


async def two_seconds() -> str:
    """Takes 2 s."""
    await asyncio.sleep(2)
    return "milk"


async def for_ever() -> str:
    """Never comes back."""
    await current_loop().create_future()
    return "never"


async def fails() -> str:
    """Fails after a while."""
    await asyncio.sleep(1)
    raise ValueError("the shop is closed")


async def cut_off() -> str:
    """Waits for something that somebody cancels."""
    future: asyncio.Future[str] = current_loop().create_future()
    future.cancel()
    return await future


@in_virtual_time()
async def test_slow_work_holds_nobody_up_and_comes_back_as_a_reply() -> None:
    """The channel goes on; the result is a transaction of its own, which answers the first message."""
    async with room(Messenger(two_seconds)) as place:
        asked = place.hear("!fetch", author="bia")
        await asyncio.sleep(1)
        place.hear("!ping")
        await asyncio.sleep(5)
        assert place.said_at == [(0.0, "on my way"), (1.0, "pong"), (2.0, "Bia: milk (1)")]
        assert place.transport.sent[-1].reply_to == asked
        assert place.state(Errands).done == 1


@in_virtual_time()
async def test_slow_work_that_fails_is_counted_and_told_to_whoever_wants_to_know() -> None:
    """on_error gets the exception; without it the failure is only counted."""
    async with room(Messenger(fails)) as place:
        place.hear("!fetch")
        place.hear("!forget")
        await asyncio.sleep(5)
        assert place.said == ["on my way", "ValueError the shop is closed"]
        assert place.count("deferred_failed") == 2


@in_virtual_time()
async def test_slow_work_has_half_a_minute() -> None:
    """Longer work is cancelled, and that is a failure like any other."""
    async with room(Messenger(for_ever)) as place:
        place.hear("!fetch")
        await asyncio.sleep(DEFERRED_TIMEOUT_S + 1)
        assert place.said_at == [(0.0, "on my way"), (DEFERRED_TIMEOUT_S, "TimeoutError")]


@in_virtual_time()
async def test_work_whose_source_is_cancelled_has_failed() -> None:
    """A CancelledError that nobody sent to the bot is a failure of the work and ends nothing else."""
    async with room(Messenger(cut_off)) as place:
        place.hear("!fetch")
        await asyncio.sleep(1)
        assert place.said == ["on my way", "CancelledError"]


@in_virtual_time()
async def test_too_much_slow_work_is_refused_and_counted() -> None:
    """At the bound new work is not begun; when some has ended there is room again."""
    async with room(Messenger(two_seconds)) as place:
        for _ in range(DEFERRED_MAX + 3):
            place.hear("!forget")
        await asyncio.sleep(1)
        assert place.count("deferred_refused") == 3
        await asyncio.sleep(2)
        assert len(place.said) == DEFERRED_MAX
        place.hear("!forget")
        await asyncio.sleep(3)
        assert len(place.said) == DEFERRED_MAX + 1


@in_virtual_time()
async def test_a_handler_that_fails_starts_nothing() -> None:
    """Deferred work belongs to the transaction: rolled back with it."""
    async with room(Messenger(two_seconds)) as place:
        place.hear("!regret")
        await asyncio.sleep(5)
        assert place.said == []
        assert place.state(Errands).done == 0


@in_virtual_time()
async def test_work_under_way_at_the_end_is_given_up() -> None:
    """The bot ends while work is under way or just asked for; nothing is left behind."""
    async with room(Messenger(for_ever)) as place:
        place.hear("!forget")
        await asyncio.sleep(1)
        place.hear("!forget")


class Picky(Component):
    """Lets only Ana in, and asks slowly."""

    @guard
    async def is_ana(self, ctx: Context) -> bool:
        """Who is it?"""
        await asyncio.sleep(0.01 if ctx.message.author_login != "slow" else 1)
        return ctx.message.author_login in ("ana", "slow")

    @command()
    async def enter(self, ctx: Context) -> None:
        """Lets in."""
        await ctx.reply("welcome")


@in_virtual_time()
async def test_a_guard_that_forbids_or_takes_too_long_keeps_the_command_from_running() -> None:
    """Only a True in time lets a command run."""
    async with room(Picky()) as place:
        for author in ("bia", "slow", "ana"):
            place.hear("!enter", author=author)
        await asyncio.sleep(1)
        assert [sent.reply_to for sent in place.transport.sent] == ["m3"]
        assert (place.count("commands_guarded"), place.count("handlers_timed_out")) == (2, 1)
