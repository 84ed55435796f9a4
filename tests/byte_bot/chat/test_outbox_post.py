"""Replies that leave at once, without a task: only where nothing at all stands in their way."""

from __future__ import annotations

import asyncio

from byte_bot.chat.errors import NotConnected
from byte_bot.chat.outbox import Reply
from simulator.loop import in_virtual_time
from tests.byte_bot.chat.test_outbox import Story


@in_virtual_time()
async def test_a_reply_that_nothing_forbids_is_posted_without_a_task() -> None:
    """It is out when ``put`` returns, counted in the limits, and whoever asked is told."""
    story = Story(privileged="ana")
    story.transport.writable = True
    async with story.running():
        await asyncio.sleep(1)
        story.outbox.put(Reply("ana", "hi", reply_to="m1", received_at=1.0))
        assert story.transport.posted == [("ana", "hi", "m1")]
        assert story.outbox.waiting == 0
        assert story.reported == [("hi", 1.0)]
    assert story.transport.sent == []


@in_virtual_time()
async def test_a_posted_reply_counts_in_the_channels_pace() -> None:
    """The second one of the second waits its turn, and what follows does not overtake it."""
    story = Story()
    story.transport.writable = True
    async with story.running():
        await asyncio.sleep(1)
        story.put("ana", "one", "two", "three")
        await story.outbox.drain(10.0)
    assert [text for _, text, _ in story.transport.posted] == ["one"]
    assert story.said("ana") == [(2.0, "two"), (3.0, "three")]


@in_virtual_time()
async def test_a_reply_that_is_too_old_is_not_posted_either() -> None:
    """It is dropped and counted, as any other."""
    story = Story()
    story.transport.writable = True
    async with story.running():
        await asyncio.sleep(20)
        story.outbox.put(Reply("ana", "late", received_at=1.0))
        await story.outbox.drain(1.0)
    assert (story.transport.posted, story.transport.sent) == ([], [])
    assert story.dropped == [(20.0, "too_old")]


@in_virtual_time()
async def test_a_refused_post_costs_one_message() -> None:
    """What cannot be written is counted, and the next one leaves."""
    story = Story(privileged="ana")
    story.transport.writable = True
    story.transport.refuses_post = NotConnected("closing")
    async with story.running():
        await asyncio.sleep(0)
        story.put("ana", "one")
        story.transport.refuses_post = None
        story.put("ana", "two")
    assert [text for _, text, _ in story.transport.posted] == ["two"]
    assert [reason for _, reason in story.dropped] == ["refused"]


@in_virtual_time()
async def test_a_bug_in_posting_costs_one_message() -> None:
    """Whoever put the reply goes on: it may be the journal, and everybody's replies behind it."""
    story = Story(privileged="ana")
    story.transport.writable = True
    story.transport.refuses_post = ValueError("a bug")
    async with story.running():
        await asyncio.sleep(0)
        story.put("ana", "one")
        story.transport.refuses_post = None
        story.put("ana", "two")
    assert [text for _, text, _ in story.transport.posted] == ["two"]
    assert [reason for _, reason in story.dropped] == ["failed"]
