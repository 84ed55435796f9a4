"""A turn: transactions, what they leave behind, and the gate in front of replies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import pytest

from byte_bot.chat.message import ChatNotice, Role
from byte_bot.components.api import Add, ChannelState, Component, Context, UsageError, command, listener
from byte_bot.context.stream_context import ChannelConfig, StreamContext
from byte_bot.persistence.journal import STALL_S, Recorded, Write
from byte_bot.persistence.operations import Operation, RowKey
from simulator.loop import current_loop, in_virtual_time
from tests.byte_bot.rig import CHANNELS, Database, Disk, room


class Tally(ChannelState, key="test_turn_tally"):
    """What the handlers below change."""

    total: Annotated[int, Add] = 0
    last: str = ""


class Acts(Component):
    """Handlers that end in every way."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @listener()
    async def listen(self, ctx: Context) -> None:
        """Remembers what a component sees of a line."""
        self.heard.append(ctx.message.text)

    @listener("notice")
    async def announce(self, ctx: Context) -> None:
        """Answers an announcement."""
        await ctx.reply(f"thanks for {ctx.message.text}")

    @command()
    async def add(self, ctx: Context) -> None:
        """Adds one and says so."""
        await ctx.reply(f"total: {self._add(ctx)}")

    @command()
    async def look(self, ctx: Context) -> None:
        """Changes nothing."""
        await ctx.reply(f"now: {ctx.state(Tally).total}")

    @command()
    async def fail(self, ctx: Context) -> None:
        """Changes something, says something, and fails."""
        await ctx.reply(f"never: {self._add(ctx)}")
        raise ValueError("a bug")

    @command()
    async def misuse(self, ctx: Context) -> None:
        """Changes something and finds that it was called wrongly."""
        await ctx.reply(f"never: {self._add(ctx)}")
        raise UsageError("not like this")

    @command()
    async def linger(self, ctx: Context) -> None:
        """Takes too long."""
        await ctx.reply(f"never: {self._add(ctx)}")
        await asyncio.sleep(10)

    @command()
    async def stubborn(self, ctx: Context) -> None:
        """Takes too long and will not be cancelled."""
        await ctx.reply(f"never: {self._add(ctx)}")
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return

    @command()
    async def block(self, ctx: Context) -> None:
        """Takes 0.3 s without awaiting anything, so that no timer can run."""
        await ctx.reply(f"never: {self._add(ctx)}")
        loop = current_loop()
        loop._timers.advance(loop.time_us() + 300_000)

    @command()
    async def cut_off(self, ctx: Context) -> None:
        """Waits for something that somebody cancels."""
        await ctx.reply(f"never: {self._add(ctx)}")
        future: asyncio.Future[None] = current_loop().create_future()
        future.cancel()
        await future

    @command()
    async def unstorable(self, ctx: Context) -> None:
        """Puts into the state what no row can hold."""
        await ctx.reply(f"never: {self._add(ctx)}")
        ctx.state(Tally).last = object()  # type: ignore[assignment]

    @command()
    async def half(self, ctx: Context) -> None:
        """Puts a text into the state that a component got from elsewhere."""
        tally = ctx.state(Tally)
        tally.last = "half \ud83d, nul \x00."
        await ctx.reply("done")

    @command()
    async def odd(self, ctx: Context) -> None:
        """Says what chat cannot carry."""
        await ctx.reply("a\x00b\ud800c\r\nd")

    @command(even_paused=True)
    async def resume(self, ctx: Context) -> None:
        """Works in a paused channel."""
        ctx.config.paused = False
        await ctx.reply("awake")

    @command(role="owner")
    async def reign(self, ctx: Context) -> None:
        """For owners."""
        await ctx.reply("as you wish")

    def _add(self, ctx: Context) -> int:
        tally = ctx.state(Tally)
        tally.total += 1
        return tally.total


ROLLED_BACK = {
    "!fail": "handlers_failed",
    "!linger": "handlers_timed_out",
    "!stubborn": "handlers_timed_out",
    "!block": "handlers_timed_out",
    "!cut_off": "handlers_failed",
    "!unstorable": "handlers_failed",
}


@pytest.mark.parametrize(("line", "counter"), ROLLED_BACK.items())
def test_a_handler_that_fails_changes_nothing_and_says_nothing(line: str, counter: str) -> None:
    """It raises, takes too long, or holds what cannot be stored: rolled back, counted, and the channel goes on."""

    @in_virtual_time()
    async def story() -> None:
        async with room(Acts()) as place:
            place.hear("!add")
            place.hear(line)
            place.hear("!add")
            await asyncio.sleep(5)
            assert place.said == ["total: 1", "total: 2"]
            assert place.count(counter) == 1
            assert place.state(Tally).total == 2
            assert place.layer.journal.committed(place.manager.obtain(CHANNELS["lobby"]).gate)

    story()


@in_virtual_time()
async def test_the_deadline_is_a_quarter_of_a_second() -> None:
    """A handler that takes too long holds up its channel for 250 ms."""
    async with room(Acts()) as place:
        place.hear("!linger")
        place.hear("!add")
        await asyncio.sleep(5)
        assert place.said_at == [(0.25, "total: 1")]


@in_virtual_time()
async def test_wrong_use_is_answered_and_rolled_back() -> None:
    """A UsageError is for the person: its words are said, and nothing else remains."""
    async with room(Acts()) as place:
        place.hear("!misuse")
        place.hear("!look")
        await asyncio.sleep(1)
        assert place.said == ["not like this", "now: 0"]
        assert place.count("commands_misused") == 1


@in_virtual_time()
async def test_what_cannot_be_stored_is_cleaned_from_what_is_heard() -> None:
    """NUL, which PostgreSQL refuses, and invisible tails, which clients append, are no part of a line."""
    acts = Acts()
    async with room(acts) as place:
        place.hear("he\x00llo \ud800 \U000e0000")
        place.hear("!add \u034f")
        await asyncio.sleep(1)
        assert acts.heard == ["hello \ufffd", "!add"]
        assert place.said == ["total: 1"]
        assert [line.text for line in place.state(StreamContext).chat_lines] == ["hello \ufffd", "!add"]


@in_virtual_time()
async def test_what_a_component_puts_into_its_state_is_cleaned_there_and_saved() -> None:
    """The value in RAM is what the database has; nothing is rolled back for it."""
    async with room(Acts()) as place:
        place.hear("!half")
        await asyncio.sleep(1)
        assert place.said == ["done"]
        assert place.state(Tally).last == "half \ufffd, nul ."
        row = place.layer.row(RowKey("component_state", CHANNELS["lobby"], "test_turn_tally"))
        assert "half \ufffd, nul ." in [operation.value for operation in row.pending]


@in_virtual_time()
async def test_what_chat_cannot_carry_is_cleaned_from_what_is_said() -> None:
    """The reply is remembered, and stored as history, as it was said."""
    database = Database()
    async with room(Acts(), database=database) as place:
        place.hear("!odd")
        await asyncio.sleep(5)
        assert place.said == ["ab\ufffdc  d"]
        assert place.state(StreamContext).last_reply == "ab\ufffdc  d"
        assert [row["reply"] for row in database.history] == ["ab\ufffdc  d"]


@in_virtual_time()
async def test_every_line_becomes_history_with_what_was_answered() -> None:
    """One row a line, with the message's id, its time, and all replies; a line without an answer has none."""
    database = Database()
    async with room(Acts(), database=database) as place:
        place.hear("hello", author="bia", sent_at=1_767_225_600.5)
        asked = place.hear("!add")
        await asyncio.sleep(5)
        assert database.history[0] == {
            "id": "m1",
            "channel_id": CHANNELS["lobby"],
            "at": "2026-01-01T00:00:00.500000+00:00",
            "author": "bia",
            "text": "hello",
            "reply": None,
        }
        assert (database.history[1]["id"], database.history[1]["reply"]) == (asked, "total: 1")


@in_virtual_time()
async def test_an_announcement_is_remembered_and_can_be_answered() -> None:
    """A raid is the stream's last event; a listener's answer to it is no reply to a message; it is no history."""
    database = Database()
    async with room(Acts(), database=database) as place:
        place.bot.on_event(ChatNotice("lobby", CHANNELS["lobby"], "raid", "bia", "5 raiders\x00 come", "fun"))
        await asyncio.sleep(5)
        event = place.state(StreamContext).last_event
        assert (event.kind, event.text) == ("raid", "5 raiders come")
        assert [(sent.text, sent.reply_to) for sent in place.transport.sent] == [("thanks for fun", "")]
        assert database.history == []


@in_virtual_time()
async def test_a_paused_channel_is_not_observed_and_answers_only_what_wakes_it() -> None:
    """Nothing is heard, remembered or answered until the command that works even then."""
    database, acts = Database(), Acts()
    async with room(acts, database=database) as place:
        place.state(ChannelConfig).paused = True
        place.hear("hello")
        place.hear("!add")
        await asyncio.sleep(1)
        assert (acts.heard, place.said) == ([], [])
        assert place.state(StreamContext).chat_lines == []
        place.hear("!resume")
        place.hear("!add")
        await asyncio.sleep(5)
        assert place.said == ["awake", "total: 1"]
        assert [row["text"] for row in database.history] == ["!resume", "!add"]


@in_virtual_time()
async def test_owners_come_from_the_settings() -> None:
    """An owner may what nobody else may, whatever they are in the channel."""
    async with room(Acts(), owners=("bia",)) as place:
        place.hear("!reign", author="ana", role=Role.BROADCASTER)
        place.hear("!reign", author="bia", role=Role.EVERYONE)
        await asyncio.sleep(1)
        assert place.said == ["as you wish"]
        assert place.count("commands_not_allowed") == 1


@in_virtual_time()
async def test_a_reply_leaves_only_after_its_change_is_in_the_journal() -> None:
    """With a disk that takes 50 ms the answer comes after 50 ms, and the image on the disk contains the change."""
    disk = Disk(delay_s=0.05)
    async with room(Acts(), disk=disk) as place:
        place.hear("!add")
        await asyncio.sleep(0.04)
        assert place.said == []
        await asyncio.sleep(0.02)
        assert place.said_at == [(0.05, "total: 1")]
        assert [row.pending[0].value for key, row in disk.read().rows.items() if key.key] == [1]


@in_virtual_time()
async def test_the_gate_keeps_the_order_of_a_channel_and_holds_no_turn_up() -> None:
    """The next messages are handled while the disk works; their answers leave in order, a look after the changes."""
    async with room(Acts(), disk=Disk(delay_s=0.05)) as place:
        place.hear("!add")
        await asyncio.sleep(0.01)
        place.hear("!add")
        place.hear("!look")
        await asyncio.sleep(0.01)
        assert place.state(Tally).total == 2, "handled before the first answer has left"
        await asyncio.sleep(1)
        assert place.said_at == [(0.05, "total: 1"), (0.1, "total: 2"), (0.1, "now: 2")]


@in_virtual_time()
async def test_a_stalled_journal_lets_replies_go_and_counts_them() -> None:
    """After 1 s without a commit the journal is degraded: said in the status, replies go ungated until it works again."""
    disk = Disk(delay_s=3.0)
    async with room(Acts(), disk=disk) as place:
        place.hear("!add")
        await asyncio.sleep(2)
        assert place.said_at == [(STALL_S, "total: 1")]
        assert place.bot.status()["degraded"] is True
        place.hear("!add")
        await asyncio.sleep(0.1)
        assert place.said_at[1:] == [(2.0, "total: 2")]
        assert place.layer.journal.ungated_replies == 2
        disk.delay_s = 0.0
        await asyncio.sleep(5)
        assert place.bot.status()["degraded"] is False


@in_virtual_time()
async def test_a_full_disk_silences_nobody_and_loses_nothing_when_there_is_room_again() -> None:
    """A commit that fails degrades the journal; what was said meanwhile is on the disk once it works."""
    disk = Disk()
    disk.broken = True
    async with room(Acts(), disk=disk) as place:
        place.hear("!add")
        place.hear("!add")
        await asyncio.sleep(1)
        assert place.said == ["total: 1", "total: 2"]
        disk.broken = False
        await asyncio.sleep(5)
        assert place.bot.status()["degraded"] is False
        assert [sum(op.value for op in row.pending) for key, row in disk.read().rows.items() if key.key] == [
            2
        ]


@in_virtual_time()
async def test_a_command_in_a_threaded_reply_is_one() -> None:
    """Twitch puts the name of whom it answers in front; without a thread the same line is no command."""
    async with room(Acts()) as place:
        place.hear("@Byte !add", reply_parent_id="an-answer")
        place.hear("@Byte !add")
        await asyncio.sleep(1)
        assert place.said == ["total: 1"]


class Recording(Disk):
    """A disk that remembers every operation."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []

    async def commit(self, writes: Sequence[Write]) -> None:
        """Remember and commit."""
        for write in writes:
            if isinstance(write, Recorded):
                self.operations += write.operations
        await super().commit(writes)


class Twice(Component):
    """Starts slow work twice for one message."""

    @command()
    async def twice(self, ctx: Context) -> None:
        """Both pieces come back under the message's id."""
        for _ in range(2):
            ctx.defer(asyncio.sleep(0.1), then=self.add)

    async def add(self, ctx: Context, result: None) -> None:
        """Adds one."""
        ctx.state(Tally).total += 1


@in_virtual_time()
async def test_operations_of_one_message_have_ids_of_their_own() -> None:
    """Also those of slow work that comes back twice."""
    disk = Recording()
    async with room(Twice(), disk=disk) as place:
        place.hear("!twice")
        await asyncio.sleep(5)
        assert place.state(Tally).total == 2
    ids = [operation.op_id for operation in disk.operations if operation.field == "total"]
    assert len(ids) == len(set(ids)) == 2
