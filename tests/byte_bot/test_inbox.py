"""The channels' inboxes: in order within a channel, no channel waits for another."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from byte_bot.chat.message import ChatMessage, Role
from byte_bot.inbox import BURST_MAX, INBOX_MAX, RESTING_MAX, Inboxes, Returned, Waiting
from simulator.loop import in_virtual_time


def message(channel_id: str, text: str) -> ChatMessage:
    """A line in a channel."""
    return ChatMessage(
        id=f"{channel_id}-{text}",
        channel_id=channel_id,
        channel=f"channel_{channel_id}",
        author_id="7",
        author_login="ana",
        author_name="Ana",
        role=Role.EVERYONE,
        text=text,
    )


class Handling:
    """Writes down what is handled and when; a text that is a number of seconds takes that long."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.began: list[str] = []
        self.ended: list[tuple[float, str]] = []
        self.inboxes = Inboxes(self.handle, self.count)

    def count(self, name: str) -> None:
        """Count it."""
        self.counts[name] += 1

    def put(self, channel_id: str, *texts: str) -> None:
        """Lines of one channel, at once."""
        for text in texts:
            self.inboxes.put(channel_id, message(channel_id, text))

    async def handle(self, channel_id: str, waiting: Waiting) -> None:
        """Handle a line as its text says."""
        assert not isinstance(waiting.event, Returned)
        text = waiting.event.text
        self.began.append(f"{channel_id}:{text}")
        if text == "fails":
            raise ValueError(text)
        if text == "cancels its worker":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        if text.replace(".", "").isdigit():
            self.inboxes.hand_over()
            await asyncio.sleep(float(text))
        self.ended.append((asyncio.get_running_loop().time(), f"{channel_id}:{text}"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The workers run inside the block."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.inboxes.run())
            await asyncio.sleep(0)
            yield
            task.cancel()


@in_virtual_time()
async def test_one_channels_lines_are_handled_in_order() -> None:
    """Also when one of them waits."""
    story = Handling()
    async with story.running():
        story.put("a", "first", "2", "last")
        await asyncio.sleep(5)
    assert story.ended == [(0.0, "a:first"), (2.0, "a:2"), (2.0, "a:last")]


@in_virtual_time()
async def test_a_channel_that_waits_holds_no_other() -> None:
    """However many wait, the others are handled in the instant in which they came."""
    story = Handling()
    async with story.running():
        for number in range(20):
            story.put(f"slow{number}", "3")
        story.put("quick", "hello")
        await asyncio.sleep(1)
        assert [(at, what) for at, what in story.ended if what == "quick:hello"] == [(0.0, "quick:hello")]
        await asyncio.sleep(5)
    assert len(story.ended) == 21


@in_virtual_time()
async def test_a_busy_channel_takes_turns_with_the_others() -> None:
    """A flood in one channel does not make the one line of another wait for its end."""
    story = Handling()
    async with story.running():
        story.put("flood", *(f"line {n}" for n in range(200)))
        story.put("quiet", "hello")
        await asyncio.sleep(1)
    assert story.began.index("quiet:hello") < 3


@in_virtual_time()
async def test_the_loop_gets_its_turn_in_a_long_burst() -> None:
    """Something else runs after at most :data:`BURST_MAX` entries."""
    story = Handling()
    seen: list[int] = []
    async with story.running():
        for n in range(4 * BURST_MAX):
            story.put(f"c{n}", "hello")
        while len(story.ended) < 4 * BURST_MAX:
            seen.append(len(story.ended))
            await asyncio.sleep(0)
    steps = [later - earlier for earlier, later in itertools.pairwise(seen)]
    assert max(steps) <= BURST_MAX


@in_virtual_time()
async def test_a_failure_costs_one_entry() -> None:
    """It is counted, and the channel goes on."""
    story = Handling()
    async with story.running():
        story.put("a", "fails", "next")
        await asyncio.sleep(1)
    assert [what for _, what in story.ended] == ["a:next"]
    assert story.counts == {"messages_failed": 1}


@in_virtual_time()
async def test_a_worker_that_is_cancelled_leaves_no_channel_deaf() -> None:
    """Neither the channel whose handler did it, nor those that waited behind it."""
    story = Handling()
    async with story.running():
        story.put("a", "cancels its worker", "next")
        story.put("b", "hello")
        await asyncio.sleep(1)
        story.put("a", "later")
        await asyncio.sleep(1)
    assert sorted(what for _, what in story.ended) == ["a:later", "a:next", "b:hello"]


@in_virtual_time()
async def test_a_full_inbox_drops_the_newest_and_counts_it() -> None:
    """What came first is handled."""
    story = Handling()
    story.put("a", *(f"line {n}" for n in range(INBOX_MAX + 3)))
    async with story.running():
        await asyncio.sleep(1)
    assert story.counts == {"dropped_inbox_full": 3}
    assert len(story.ended) == INBOX_MAX


@in_virtual_time()
async def test_few_workers_stay_after_many_were_needed() -> None:
    """A hundred slow channels at once leave no hundred tasks behind."""
    story = Handling()
    async with story.running():
        for number in range(100):
            story.put(f"c{number}", "1")
        await asyncio.sleep(5)
        workers = [task for task in asyncio.all_tasks() if task.get_name() == "inbox-worker"]
        assert len(workers) <= RESTING_MAX
    assert len(story.ended) == 100


@in_virtual_time()
async def test_drain_waits_for_what_is_there_and_takes_nothing_new() -> None:
    """What is left after its time is said."""
    story = Handling()
    async with story.running():
        story.put("a", "1", "5")
        await asyncio.sleep(0)
        assert await story.inboxes.drain(2.0) == 1
        story.put("b", "too late")
        assert await story.inboxes.drain(10.0) == 0
    assert story.counts == {"dropped_shutting_down": 1}
