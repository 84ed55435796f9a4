"""The bot's inboxes: order, bounds, what is handled at all, and what a new channel waits for."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
import pytest
from structlog.testing import capture_logs

from byte_bot.chat.message import ChannelJoined, ChannelParted, ChatNotice, Connected, MessageRefused
from byte_bot.components.api import Add, ChannelState, Component, Context, command, listener
from byte_bot.context.channel import ChannelContext
from byte_bot.context.manager import ContextManager
from byte_bot.errors import ComponentError
from byte_bot.inbox import INBOX_MAX
from byte_bot.persistence.breaker import Circuit
from byte_bot.persistence.journal import SEEN_MESSAGES_MAX
from byte_bot.persistence.operations import Base, RowKey
from simulator.loop import in_virtual_time
from tests.byte_bot.rig import BOT_LOGIN, CHANNELS, Database, Disk, room
from tests.safeguards.variants import become


class Visits(ChannelState, key="test_bot_visits"):
    """A number that adds up."""

    total: Annotated[int, Add] = 0


class Porter(Component):
    """Counts who comes in, and takes as long as it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @listener()
    async def listen(self, ctx: Context) -> None:
        """Remembers every line."""
        self.heard.append(ctx.message.text)

    @command()
    async def visit(self, ctx: Context) -> None:
        """Adds one."""
        visits = ctx.state(Visits)
        visits.total += 1
        await ctx.reply(f"visit {visits.total}")

    @command()
    async def slow(self, ctx: Context, word: str) -> None:
        """Takes 0.1 s."""
        await asyncio.sleep(0.1)
        await ctx.reply(word)


@in_virtual_time()
async def test_messages_of_a_channel_are_handled_in_order_and_one_at_a_time() -> None:
    """Three slow commands said at once are answered one after the other, in the order in which they were said."""
    async with room(Porter()) as place:
        for word in ("one", "two", "three"):
            place.hear(f"!slow {word}")
        await asyncio.sleep(1)
        assert place.said_at == [(0.1, "one"), (0.2, "two"), (0.3, "three")]


@in_virtual_time()
async def test_channels_do_not_wait_for_each_other() -> None:
    """A slow command here does not delay an answer there."""
    async with room(Porter()) as place:
        place.hear("!slow here", channel="lobby")
        place.hear("!visit", channel="arcade")
        await asyncio.sleep(1)
        assert place.said_at == [(0.0, "visit 1"), (0.1, "here")]


@in_virtual_time()
async def test_a_turn_waits_for_whoever_else_changes_the_channel() -> None:
    """Somebody (a call from another thread) holds the channel's lock: the message is handled after that."""
    async with room(Porter()) as place:
        async with place.manager.obtain(CHANNELS["lobby"]).lock:
            place.hear("!visit")
            await asyncio.sleep(1)
        await asyncio.sleep(1)
        assert place.said_at == [(1.0, "visit 1")]


@in_virtual_time()
async def test_a_full_inbox_drops_the_newest_and_counts() -> None:
    """At the bound what comes in addition is passed over; what was in is handled in order."""
    porter = Porter()
    async with room(porter) as place:
        for number in range(INBOX_MAX + 7):
            place.hear(f"line {number}")
        place.hear("elsewhere", channel="arcade")
        await asyncio.sleep(1)
        assert [line for line in porter.heard if line != "elsewhere"] == [
            f"line {n}" for n in range(INBOX_MAX)
        ]
        assert "elsewhere" in porter.heard
        assert place.count("dropped_inbox_full") == 7


@in_virtual_time()
async def test_a_message_delivered_twice_is_handled_once() -> None:
    """The second delivery is counted and does nothing, also much later."""
    async with room(Porter()) as place:
        place.hear("!visit", message_id="same")
        place.hear("!visit", message_id="same")
        await asyncio.sleep(60)
        place.hear("!visit", message_id="same")
        await asyncio.sleep(1)
        assert place.said == ["visit 1"]
        assert (place.count("messages_seen"), place.count("messages_repeated")) == (3, 2)


@in_virtual_time()
async def test_the_window_of_handled_messages_survives_a_restart_and_is_bounded() -> None:
    """What the process before handled is not handled again; only the newest ids are kept."""
    async with room(Porter()) as place:
        place.bot.remember_handled(f"old-{number}" for number in range(SEEN_MESSAGES_MAX + 1))
        place.hear("!visit", message_id=f"old-{SEEN_MESSAGES_MAX}")
        await asyncio.sleep(1)
        assert place.said == []
        place.hear("!visit", message_id="old-0")
        await asyncio.sleep(1)
        assert place.said == ["visit 1"], "the oldest id is forgotten"


@in_virtual_time()
async def test_the_bot_does_not_hear_itself() -> None:
    """Its own messages, which Twitch may echo, reach no component."""
    porter = Porter()
    async with room(porter) as place:
        place.hear("!visit", author=BOT_LOGIN)
        await asyncio.sleep(1)
        assert (porter.heard, place.said) == ([], [])


@in_virtual_time()
async def test_lines_of_another_channel_of_a_shared_chat_are_left_to_that_channel() -> None:
    """A shared chat delivers a line once for every channel; only where it was written it counts."""
    async with room(Porter()) as place:
        place.hear("!visit", source_channel_id=CHANNELS["arcade"])
        place.hear("!visit", source_channel_id=CHANNELS["lobby"])
        await asyncio.sleep(1)
        assert place.said == ["visit 1"]


@in_virtual_time()
async def test_other_events_are_counted_or_passed_over() -> None:
    """A refusal and a join are counted; what nobody asked for harms nobody."""
    async with room() as place:
        place.bot.on_event(MessageRefused("lobby", "msg_duplicate", "Your message is identical"))
        place.bot.on_event(ChannelJoined("lobby", CHANNELS["lobby"]))
        place.bot.on_event(Connected())
        place.bot.on_event(ChatNotice("lobby", CHANNELS["lobby"], "raid", "ana", "ana raids", ""))
        await asyncio.sleep(1)
        assert (place.count("messages_refused"), place.count("channels_joined")) == (1, 1)


@in_virtual_time()
async def test_draining_handles_what_has_arrived_and_takes_nothing_more() -> None:
    """What is in the inboxes is answered; what comes later is counted as dropped."""
    async with room(Porter()) as place:
        place.hear("!slow one")
        place.hear("!slow two")
        draining = asyncio.create_task(place.bot.drain(1.0))
        await asyncio.sleep(0)
        place.hear("!slow three")
        assert await draining == 0
        await asyncio.sleep(1)
        assert place.said == ["one", "two"]
        assert place.count("dropped_shutting_down") == 1


@in_virtual_time()
async def test_draining_ends_in_time() -> None:
    """After its seconds it says how many messages are left."""
    async with room(Porter()) as place:
        for number in range(5):
            place.hear(f"!slow {number}")
        assert await place.bot.drain(0.25) == 3


@in_virtual_time()
async def test_the_status_has_its_shape() -> None:
    """What the log, a metrics endpoint and the dashboard read."""
    async with room(Porter()) as place:
        place.hear("!visit")
        await asyncio.sleep(5)
        status = place.bot.status()
        assert status["circuit"] == "none", "there is no database"
        assert status["rows_waiting"] == 2, "the stream and the visits"
        assert status["oldest_unsaved_s"] == 5.0
        assert (status["degraded"], status["uptime_s"], status["contexts"]) == (False, 5.0, 1)
        assert set(status["reply_ms"]) == {"p50", "p99", "max"}
        assert set(status["journal"]) == {"replies_ungated", "overflows", "writes_dropped", "folds_put_off"}
        assert status["counters"]["messages_seen"] == 1
        msgspec.json.encode(status)


@in_virtual_time()
async def test_two_components_with_one_name_are_an_error() -> None:
    """The second is refused by name and the first still answers; a removed one answers no more."""
    async with room() as place:
        porter = Porter()
        await place.bot.add_component(porter)
        with pytest.raises(ComponentError, match="visit"):
            await place.bot.add_component(Porter())
        assert place.bot.components == (porter,)
        assert [found.name for found in place.bot.commands] == ["visit", "slow"]
        await place.bot.remove_component(porter)
        place.hear("!visit")
        await asyncio.sleep(1)
        assert place.said == []


def visited(total: int) -> dict[RowKey, Base]:
    """A database in which the lobby was visited before."""
    data = msgspec.json.encode({"total": total})
    key = RowKey("component_state", CHANNELS["lobby"], "test_bot_visits")
    return {key: Base(data, edit_no=0)}


@in_virtual_time()
async def test_the_first_message_of_an_unknown_channel_waits_for_its_load() -> None:
    """It is answered with what the database had; nobody waits longer than the load takes."""
    async with room(Porter(), database=Database(visited(40), load_s=0.1)) as place:
        place.hear("!visit")
        place.hear("!visit")
        await asyncio.sleep(1)
        assert place.said_at == [(0.1, "visit 41"), (0.1, "visit 42")]


@in_virtual_time()
async def test_the_first_message_waits_at_most_a_quarter_of_a_second() -> None:
    """A slow load is not waited for: the answer comes after 250 ms, and what was stored is added when it arrives."""
    async with room(Porter(), database=Database(visited(40), load_s=3.0)) as place:
        place.hear("!visit")
        await asyncio.sleep(1)
        place.hear("!visit")
        place.hear("!visit", channel="arcade")
        await asyncio.sleep(5)
        place.hear("!visit")
        await asyncio.sleep(1)
        assert place.said_at == [(0.25, "visit 1"), (1.0, "visit 2"), (1.25, "visit 1"), (6.0, "visit 43")]


@in_virtual_time()
async def test_nobody_waits_for_a_database_that_is_known_to_be_down() -> None:
    """With the circuit open an unknown channel is answered at once."""
    database = Database()
    database.down = True
    async with room(Porter(), database=database) as place:
        place.layer.request_load("somewhere")
        await asyncio.sleep(10)
        assert place.layer.link.circuit is not Circuit.CLOSED
        before = asyncio.get_running_loop().time()
        place.hear("!visit")
        await asyncio.sleep(1)
        assert place.said_at == [(round(before, 3), "visit 1")]


@in_virtual_time()
async def test_an_announcement_delivered_twice_counts_once() -> None:
    """As for messages, also after a restart, and left to the channel of a shared chat that it was made in."""

    def raid(notice_id: str, source: str = "") -> ChatNotice:
        return ChatNotice(
            "lobby", CHANNELS["lobby"], "raid", "ana", "", "", id=notice_id, source_channel_id=source
        )

    disk = Disk()
    async with room(Greeter(), disk=disk) as place:
        for event in (raid("n1"), raid("n1"), raid("n2", CHANNELS["arcade"]), raid("", ""), raid("", "")):
            place.bot.on_event(event)
        await asyncio.sleep(1)
        assert place.said == ["welcome 1", "welcome 2", "welcome 3"], (
            "without an id nothing can be told apart"
        )
        assert place.count("messages_repeated") == 1
    async with room(Greeter(), disk=disk) as place:
        place.bot.on_event(raid("n1"))
        await asyncio.sleep(1)
        assert place.said == []


class Greeter(Component):
    """Welcomes raids."""

    @listener("notice")
    async def welcome(self, ctx: Context) -> None:
        """Counts them."""
        visits = ctx.state(Visits)
        visits.total += 1
        await ctx.send(f"welcome {visits.total}")


class Interrupted(ContextManager):
    """A manager whose first answer to everybody is a cancellation that nobody asked for."""

    def obtain(self, channel_id: str, login: str = "") -> ChannelContext:
        """Raise for a channel without a context, which there is afterwards."""
        new = channel_id not in self.get_active_channels()
        context = super().obtain(channel_id, login)
        if new:
            raise asyncio.CancelledError
        return context


@in_virtual_time()
async def test_a_cancellation_that_nobody_asked_for_costs_one_message() -> None:
    """The channel hears the next one."""
    async with room(Porter()) as place:
        become(place.manager, Interrupted)
        place.hear("!visit")
        place.hear("!visit")
        await asyncio.sleep(1)
        place.hear("!visit")
        await asyncio.sleep(1)
        assert place.said == ["visit 1", "visit 2"]
        assert place.count("messages_failed") == 1


@in_virtual_time()
async def test_being_put_out_of_a_channel_is_said_with_what_to_do() -> None:
    """A channel that was left on purpose is none of that."""
    async with room() as place:
        with capture_logs() as lines:
            place.bot.on_event(ChannelParted("lobby"))
            place.bot.on_event(ChannelParted("arcade", by_twitch=True))
        (warning,) = [line for line in lines if line["log_level"] == "warning"]
        assert (warning["event"], warning["channel"]) == ("put_out_of_channel", "arcade")
        assert "banned" in warning["what_to_do"]


@in_virtual_time()
async def test_every_field_of_an_event_is_cleaned_at_the_border() -> None:
    """Ids too: they go into the journal, which writes UTF-8, whatever the transport made of bytes or JSON."""
    disk = Disk()
    async with room(disk=disk) as place:
        place.hear("he\x00llo", message_id="m\ud800", reply_parent_id="p\x00")
        await asyncio.sleep(1)
        assert list(disk.read().handled) == ["m\ufffd"]


@in_virtual_time()
async def test_without_a_database_no_history_is_kept() -> None:
    """Nobody would ever be sent it; with one it waits for the next save."""
    for database, waiting in ((None, 0), (Database(), 1)):
        async with room(Porter(), database=database) as place:
            place.hear("hello")
            await asyncio.sleep(0.1)
            assert place.bot.status()["appends_waiting"] == waiting
