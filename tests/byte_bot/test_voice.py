"""The way from a turn to the outbox: what the journal is told, and what the next process makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from byte_bot.chat.limiter import MessageLimiter, Tier
from byte_bot.chat.outbox import Outbox, Reply
from byte_bot.chat.utterance import CHARS_MAX
from byte_bot.persistence.journal import Handled
from byte_bot.persistence.journal_image import JournalImage
from byte_bot.persistence.spoken import NOTHING_SPOKEN, Moment, Spoken
from byte_bot.voice import Voice
from simulator.loop import START_UNIX_S, current_loop, in_virtual_time
from tests.byte_bot.rig import LoopClock, WrittenDown


@asynccontextmanager
async def speaking(tier: Tier = Tier.NORMAL) -> AsyncIterator[tuple[Voice, WrittenDown, MessageLimiter]]:
    """A voice over an outbox that runs, as an ordinary account's."""
    transport, limiter = WrittenDown(), MessageLimiter(tier)
    outbox = Outbox(transport, limiter, current_loop().time)
    running = asyncio.create_task(outbox.run())
    yield Voice(outbox, LoopClock()), transport, limiter
    running.cancel()


def reply(text: str, channel: str = "lobby") -> Reply:
    """An answer to what was said now."""
    return Reply(channel, text, received_at=current_loop().time())


def moment(at_s: float) -> Moment:
    """So many seconds after the loop's start."""
    return Moment(START_UNIX_S + at_s, at_s)


def told(handled: Handled | None) -> Spoken | None:
    """What a message carries, after the way to the disk and back."""
    assert handled is not None
    return msgspec.json.decode(msgspec.json.encode(handled), type=Handled).spoken


@in_virtual_time()
async def test_a_message_carries_what_left_before_it_and_what_waits() -> None:
    """Of a message with an answer: that one waits. Of the next: it has left. A line after which nothing was said carries nothing."""
    async with speaking() as (voice, _, limiter):
        assert voice.announce("m0", []) == Handled("m0")
        assert msgspec.json.encode(Handled("m0")) == b'{"type":"handled","message_id":"m0"}'
        assert told(voice.announce("m1", [reply("one")])) == Spoken(moment(0.0), [], waiting=1)
        await asyncio.sleep(0.5)
        voice.put([reply("one")])
        await asyncio.sleep(0.5)
        limiter.set_privileged("home", True)
        mine = reply("two " * 200, "home")
        assert len(mine.text) > CHARS_MAX
        assert told(voice.announce("m2", [mine])) == Spoken(moment(1.0), [moment(0.5)], waiting_privileged=2)
        assert voice.announce("", [reply("of slow work")]) is None
        assert told(voice.announce("m3", [])) == Spoken(moment(1.0), [], 1, 2)
        voice.put([mine, reply("of slow work")])
        voice.put([reply("not announced")])
        await asyncio.sleep(5)
        assert told(voice.announce("m4", [])) is not None
        assert voice.announce("m5", []) == Handled("m5")


@in_virtual_time()
async def test_what_waits_in_the_outbox_waits() -> None:
    """A second message within the second of an ordinary channel has not left yet."""
    async with speaking() as (voice, transport, _):
        for text in ("one", "two"):
            voice.announce("", [reply(text)])
            voice.put([reply(text)])
        await asyncio.sleep(0.1)
        assert [sent.text for sent in transport.sent] == ["one"]
        assert told(voice.announce("m1", [])) == Spoken(moment(0.1), [moment(0.0)], waiting=1)


@in_virtual_time()
async def test_the_next_process_waits_for_what_the_one_before_said() -> None:
    """Nineteen were said, one more may have left: the next one leaves when the first is out of the window."""
    await asyncio.sleep(100)
    image = JournalImage()
    image.apply([Handled("m1", Spoken(moment(80.0), [moment(80.0)] * 19, waiting=1))])
    async with speaking() as (voice, transport, limiter):
        voice.remember(image.spoken)
        voice.put([reply("one")])
        await asyncio.sleep(14)
        assert [sent.at_s for sent in transport.sent] == [110.25]
        # The one that may have left is told on, since the process after this one needs to know of it too.
        assert limiter.take_untold() == [95.0, 110.25]


@in_virtual_time()
async def test_who_knows_nothing_says_it_at_once() -> None:
    """A first start, and one that waited for longer than the window."""
    async with speaking() as (voice, transport, _):
        voice.remember(NOTHING_SPOKEN)
        voice.put([reply("one")])
        await asyncio.sleep(50)
        voice.remember(Spoken(moment(4.0), [moment(3.0)] * 20, waiting=20))
        voice.put([reply("two")])
        await asyncio.sleep(1)
        assert [sent.at_s for sent in transport.sent] == [0.0, 50.0]


@in_virtual_time()
async def test_of_a_verified_account_nothing_is_told() -> None:
    """It may say 7,500 messages in a window: a busy chat pays nothing for what no restart can cost."""
    async with speaking(Tier.VERIFIED) as (voice, transport, limiter):
        for number in range(3):
            assert voice.announce(f"m{number}", [reply("one")]) == Handled(f"m{number}")
            assert voice.announce("", [reply("of slow work")]) is None
            voice.put([reply("one"), reply("of slow work")])
            await asyncio.sleep(5)
        assert len(transport.sent) == 6
        assert limiter.take_untold() == []
