"""The way out, in virtual time: order, limits, age, and what happens without a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byte_bot.chat.errors import ChatError, NotConnected, SendUnconfirmed
from byte_bot.chat.limiter import MessageLimiter, Rates
from byte_bot.chat.message import Connected, SendingHeld, Standing
from byte_bot.chat.outbox import EMPTY, QUEUE_FULL, TOO_OLD, Outbox, Reply
from simulator.loop import in_virtual_time, run

EXACT = Rates(margin_s=0.0)


class RecordingTransport:
    """A transport that writes down when what was said where; ``failures`` are raised by the next sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, str, str]] = []
        self.reply_tos: list[str] = []
        self.connected = True
        self.joined: tuple[str, ...] = ()
        self.failures: list[Exception] = []
        self.delay_s = 0.0
        self.writable = False
        self.posted: list[tuple[str, str, str]] = []
        self.refuses_post: Exception | None = None

    async def run(self) -> None:
        """Nothing to keep up."""

    def join(self, channels: Iterable[str]) -> None:
        """Every channel can be spoken to."""

    def part(self, channels: Iterable[str]) -> None:
        """Every channel can be spoken to."""

    def post(self, channel: str, text: str, reply_to: str = "") -> None:
        """Take it at once, and remember that it was."""
        if self.refuses_post is not None:
            raise self.refuses_post
        self.posted.append((channel, text, reply_to))

    async def send(self, channel: str, text: str, reply_to: str = "") -> None:
        """Take ``delay_s`` seconds, then fail or write it down."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append((asyncio.get_running_loop().time(), channel, text))
        self.reply_tos.append(reply_to)


class Story:
    """An outbox on a recording transport, and what it reported."""

    def __init__(self, *, rates: Rates = EXACT, queue_max: int = 60, privileged: str = "") -> None:
        self.transport = RecordingTransport()
        self.limiter = MessageLimiter(rates=rates)
        for channel in privileged.split():
            self.limiter.set_privileged(channel, True)
        self.dropped: list[tuple[float, str]] = []
        self.reported: list[tuple[str, float]] = []
        self.outbox = Outbox(
            self.transport,
            self.limiter,
            self.now,
            queue_max=queue_max,
            on_drop=lambda reason: self.dropped.append((self.now(), reason)),
            on_sent=lambda reply, at_s: self.reported.append((reply.text, at_s)),
        )

    def now(self) -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()

    def put(self, channel: str, *texts: str) -> None:
        """Replies to messages that arrived now."""
        for text in texts:
            self.outbox.put(Reply(channel, text, received_at=self.now()))

    def said(self, channel: str) -> list[tuple[float, str]]:
        """What reached a channel, and when."""
        return [(at, text) for at, where, text in self.transport.sent if where == channel]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The outbox runs inside the block."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.outbox.run())
            yield
            task.cancel()


@in_virtual_time()
async def test_a_reply_leaves_in_the_instant_it_was_put() -> None:
    """When nothing forbids it no time passes, and whoever asked is told."""
    story = Story()
    async with story.running():
        await asyncio.sleep(3)
        story.outbox.put(Reply("ana", "hi", reply_to="m1", received_at=3.0))
        assert await story.outbox.drain(1.0) == 0
        assert story.now() == 3.0
    assert story.transport.sent == [(3.0, "ana", "hi")]
    assert story.transport.reply_tos == ["m1"]
    assert story.reported == [("hi", 3.0)]
    assert story.dropped == []


@in_virtual_time()
async def test_a_reply_put_before_the_start_leaves_at_the_start() -> None:
    """The order of starting things must not matter."""
    story = Story()
    story.put("ana", "early")
    async with story.running():
        await story.outbox.drain(1.0)
    assert story.said("ana") == [(0.0, "early")]


@in_virtual_time()
async def test_an_unprivileged_channel_gets_one_a_second_in_order() -> None:
    """And its waiting delays nobody else."""
    story = Story()
    async with story.running():
        story.put("ana", "1", "2", "3")
        story.put("bob", "x")
        await story.outbox.drain(60.0)
    assert story.said("ana") == [(0.0, "1"), (1.0, "2"), (2.0, "3")]
    assert story.said("bob") == [(0.0, "x")]


@in_virtual_time()
async def test_a_standing_counts_from_the_moment_it_is_known() -> None:
    """A reply that waits for its second leaves at once when the bot turns out to be moderator."""
    story = Story()
    async with story.running():
        story.put("ana", "1", "2", "3")
        await asyncio.sleep(0.5)
        story.outbox.observe(Standing("ana", True))
        await story.outbox.drain(60.0)
    assert story.said("ana") == [(0.0, "1"), (0.5, "2"), (0.5, "3")]


@in_virtual_time()
async def test_the_accounts_window_is_a_line() -> None:
    """Of 21 channels the last would wait 30 s and is dropped at 15; a privileged one passes meanwhile."""
    story = Story(privileged="mod")
    async with story.running():
        for n in range(21):
            story.put(f"chan{n}", "hi")
        await asyncio.sleep(1)
        story.put("mod", "still here")
        await asyncio.sleep(40)
    assert [channel for _, channel, _ in story.transport.sent] == [*(f"chan{n}" for n in range(20)), "mod"]
    assert story.said("mod") == [(1.0, "still here")]
    assert story.dropped == [(15.0, "too_old")]


@in_virtual_time()
async def test_places_in_the_account_go_to_those_who_came_first() -> None:
    """First come, first served, over channels; a newcomer does not slip in when a place opens."""
    story = Story(rates=Rates(messages_unprivileged=2, message_window_s=4.0, margin_s=0.0))
    async with story.running():
        for channel in ("a", "b", "c", "d", "e"):
            story.put(channel, "hi")
        await asyncio.sleep(4)
        story.put("f", "hi")
        await story.outbox.drain(60.0)
    assert [(at, channel) for at, channel, _ in story.transport.sent] == [
        (0.0, "a"), (0.0, "b"), (4.0, "c"), (4.0, "d"), (8.0, "e"), (8.0, "f"),
    ]  # fmt: skip


@in_virtual_time()
async def test_the_same_text_is_said_in_another_form() -> None:
    """Viewers see both; Twitch sees two texts."""
    story = Story()
    async with story.running():
        story.put("ana", "pong", "pong")
        await story.outbox.drain(3.0)
    first, second = (text for _, text in story.said("ana"))
    assert (first, second) == ("pong", "pong \u034f")


@in_virtual_time()
async def test_a_long_reply_is_several_messages_in_order() -> None:
    """At most 500 code points each, nothing between them, and the same parent message."""
    story = Story()
    async with story.running():
        story.outbox.put(Reply("ana", "word " * 250, reply_to="m1", received_at=0.0))
        story.put("ana", "after")
        await story.outbox.drain(9.0)
    texts = [text for _, text in story.said("ana")]
    # The second has an invisible mark, because it is equal to the first.
    assert [len(text) for text in texts] == [484, 486, 279, 5]
    assert story.transport.reply_tos == ["m1", "m1", "m1", ""]


@in_virtual_time()
async def test_a_reply_cannot_inject() -> None:
    """What leaves is one line without NUL, whatever the transport."""
    story = Story()
    async with story.running():
        story.put("ana", "hi\r\nPRIVMSG #bob :owned\0")
        await story.outbox.drain(1.0)
    assert story.said("ana") == [(0.0, "hi  PRIVMSG #bob :owned")]


@in_virtual_time()
async def test_nothing_to_say_is_counted() -> None:
    """A reply of spaces and control characters."""
    story = Story()
    async with story.running():
        assert not story.outbox.put(Reply("ana", " \r\n\0 "))
    assert story.dropped == [(0.0, "empty")]


@in_virtual_time()
async def test_without_a_connection_replies_wait() -> None:
    """And leave in the instant in which the transport says that it is back."""
    story = Story(privileged="ana")
    story.transport.connected = False
    async with story.running():
        story.put("ana", "1", "2")
        await asyncio.sleep(7.1)
        assert story.transport.sent == []
        story.transport.connected = True
        story.outbox.observe(Connected())
        await story.outbox.drain(1.0)
    assert story.said("ana") == [(7.1, "1"), (7.1, "2")]


@in_virtual_time()
async def test_a_connection_nobody_announced_is_noticed() -> None:
    """A quarter of a second later at most."""
    story = Story()
    story.transport.connected = False
    async with story.running():
        story.put("ana", "1")
        await asyncio.sleep(2.05)
        story.transport.connected = True
        await story.outbox.drain(1.0)
    assert story.said("ana") == [(2.25, "1")]


@in_virtual_time()
async def test_a_reply_older_than_15_s_is_dropped() -> None:
    """Counted from the message it answers, not from when it was put; younger ones still leave."""
    story = Story(privileged="ana")
    story.transport.connected = False
    async with story.running():
        await asyncio.sleep(10)
        story.outbox.put(Reply("ana", "old", received_at=0.0))
        story.outbox.put(Reply("ana", "young", received_at=10.0))
        await asyncio.sleep(6)
        story.transport.connected = True
        story.outbox.observe(Connected())
        await story.outbox.drain(1.0)
    assert story.dropped == [(15.0, "too_old")]
    assert story.said("ana") == [(16.0, "young")]


@in_virtual_time()
async def test_a_full_queue_drops_the_newest_whole() -> None:
    """Half a reply is worse than none; other channels have their own queue."""
    story = Story(queue_max=3)
    story.transport.connected = False
    async with story.running():
        story.put("ana", "1", "2")
        assert not story.outbox.put(Reply("ana", "x" * 900))
        story.put("ana", "3", "4")
        story.put("bob", "1")
        assert story.outbox.waiting == 4
    assert [reason for _, reason in story.dropped] == ["queue_full", "queue_full"]


@in_virtual_time()
async def test_a_send_that_found_no_connection_is_repeated() -> None:
    """Nothing was written, so it is the same message: unmarked, still in order, and without spinning."""
    story = Story(privileged="ana")
    story.transport.failures = [NotConnected("gone"), NotConnected("gone")]
    async with story.running():
        story.put("ana", "1", "2")
        await story.outbox.drain(10.0)
    assert story.said("ana") == [(0.5, "1"), (0.5, "2")]
    assert story.dropped == []


@in_virtual_time()
async def test_a_message_that_may_have_been_written_is_not_repeated() -> None:
    """Silence is better than saying it twice."""
    story = Story(privileged="ana")
    story.transport.failures = [SendUnconfirmed("broke")]
    async with story.running():
        story.put("ana", "1", "2")
        await story.outbox.drain(10.0)
    assert [text for _, text in story.said("ana")] == ["2"]
    assert story.dropped == [(0.0, "unconfirmed")]


class Bug(Exception):
    """Nothing the outbox knows."""


@pytest.mark.parametrize(("error", "reason"), [(ChatError("no"), "refused"), (Bug(), "failed")])
def test_a_message_the_transport_refuses_costs_only_itself(error: Exception, reason: str) -> None:
    """Refused by the server or hit by a bug: counted, and the channel goes on."""
    story = Story(privileged="ana")
    story.transport.failures = [error]

    async def tell() -> None:
        async with story.running():
            story.put("ana", "1", "2")
            await story.outbox.drain(10.0)

    run(tell())
    assert [text for _, text in story.said("ana")] == ["2"]
    assert story.dropped == [(0.0, reason)]


@in_virtual_time()
async def test_a_slow_send_delays_only_its_own_channel() -> None:
    """A transport that speaks HTTP takes a while for each message."""
    story = Story(privileged="ana bob")
    story.transport.delay_s = 2.0
    async with story.running():
        story.put("ana", "1", "2")
        story.put("bob", "1")
        await story.outbox.drain(10.0)
    assert story.said("ana") == [(2.0, "1"), (4.0, "2")]
    assert story.said("bob") == [(2.0, "1")]


@in_virtual_time()
async def test_drain_gives_up_in_time_and_says_what_is_left() -> None:
    """A shutdown does not wait for a limit."""
    story = Story()
    async with story.running():
        story.put("ana", "1", "2", "3")
        assert await story.outbox.drain(1.5) == 1
        assert story.now() == 1.5
        assert await story.outbox.drain(0.0) == 1


@in_virtual_time()
async def test_stopping_and_starting_again_loses_nothing() -> None:
    """What was queued when the task was cancelled leaves when it runs again."""
    story = Story()
    async with story.running():
        story.put("ana", "1", "2")
        await asyncio.sleep(0.5)
    await asyncio.sleep(1)
    async with story.running():
        await story.outbox.drain(5.0)
    assert story.said("ana") == [(0.0, "1"), (1.5, "2")]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.3, 1.0, 5.0, 20.0]),
            st.sampled_from(["mod", "a", "b"]),
            st.sampled_from(["ping", "long " * 120]),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_order_age_and_limits_hold_for_any_traffic(steps: list[tuple[float, str, str, bool]]) -> None:
    """Each channel's replies in order, none after 15 s, none above a limit, every message accounted for."""
    rates = Rates(messages_unprivileged=4, messages_privileged=8, margin_s=0.0)
    story = Story(rates=rates, queue_max=10, privileged="mod")
    put: list[tuple[str, str, float]] = []

    async def tell() -> None:
        async with story.running():
            for gap, channel, text, connected in steps:
                await asyncio.sleep(gap)
                story.transport.connected = connected
                if connected:
                    story.outbox.observe(Connected())
                numbered = f"{len(put):03d} {text}"
                if story.outbox.put(Reply(channel, numbered, received_at=story.now())):
                    put.append((channel, numbered, story.now()))
            story.transport.connected = True
            assert await story.outbox.drain(100.0) == 0

    run(tell())
    born = {text[:3]: at for _, text, at in put}
    for channel in ("mod", "a", "b"):
        firsts = [text[:3] for _, text in story.said(channel) if text[:3].isdigit()]
        assert firsts == sorted(firsts)
    for at, _, text in story.transport.sent:
        assert not text[:3].isdigit() or at < born[text[:3]] + 15.0
    times = [at for at, *_ in story.transport.sent]
    for n, at in enumerate(times):
        assert sum(1 for other in times[: n + 1] if other > at - 30.0 + 1e-6) <= 8
    pieces = sum(2 if len(text) > 500 else 1 for _, text, _ in put)
    late = sum(reason == "too_old" for _, reason in story.dropped)
    assert len(story.transport.sent) + late == pieces


@in_virtual_time()
async def test_replies_wait_until_twitchs_own_bucket_has_a_place() -> None:
    """What Send Chat Message says of it counts beside our own count."""
    story = Story()
    async with story.running():
        story.outbox.observe(SendingHeld(7.0))
        story.put("lobby", "hello")
        await asyncio.sleep(10.0)
        assert story.said("lobby") == [(7.0, "hello")]


@in_virtual_time()
async def test_what_was_dropped_is_counted_by_channel() -> None:
    """Full, empty, too old: each where it was to be said."""
    story = Story(queue_max=1)
    story.put("ana", "one", "two", "   ")
    story.put("bia", " ")
    story.transport.connected = False
    async with story.running():
        await asyncio.sleep(20)
    assert story.outbox.drops == {
        ("ana", QUEUE_FULL): 1,
        ("ana", EMPTY): 1,
        ("bia", EMPTY): 1,
        ("ana", TOO_OLD): 1,
    }
    assert len(story.dropped) == 4
