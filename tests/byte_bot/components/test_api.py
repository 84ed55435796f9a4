"""The extension API, on the example that its users are shown."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest

from byte_bot.chat.message import ChatMessage, ChatNotice, Follow, Gift, Raid, Subscription
from byte_bot.components.api import (
    Add,
    ChannelState,
    Component,
    ComponentHost,
    Context,
    Recent,
    Role,
    UsageError,
    command,
    guard,
    listener,
)
from byte_bot.errors import ComponentError
from byte_bot.persistence.journal import MemoryJournalStore
from byte_bot.persistence.operations import Base, RowKey
from simulator.loop import in_virtual_time
from tests.byte_bot.components.harness import CHANNEL, CHANNEL_ID, Chat, chat_with

# ── the example of the documentation, word for word ──────────────────────────────────────────────────────────────


class Deaths(ChannelState, key="deaths"):
    total: Annotated[int, Add] = 0  # changes made before a late load add up; other fields: newest wins
    last: str = ""


class DeathCounter(Component):
    @command(aliases=["d"], role="moderator", cooldown_s=2)
    async def death(self, ctx: Context, *, how: str = "") -> None:
        deaths = ctx.state(Deaths)  # typed, in RAM: no await
        deaths.total += 1
        deaths.last = how
        await ctx.reply(f"Deaths: {deaths.total}")


# ── everything else ──────────────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time()
async def test_the_example_works() -> None:
    """Role, alias, rest of the line, cooldown, reply."""
    async with chat_with(DeathCounter()) as chat:
        assert await chat.say("mod", "!death lava", role=Role.MODERATOR) == ["Deaths: 1"]
        assert chat.state(Deaths).last == "lava"
        assert await chat.mod("!d again") == ""
        assert chat.count("commands_cooling") == 1
        await asyncio.sleep(2)
        assert await chat.mod("!D fell {off} a 'cliff'; --") == "Deaths: 2"
        assert chat.state(Deaths).last == "fell {off} a 'cliff'; --"
        await asyncio.sleep(2)
        assert await chat.viewer("!death") == ""
        assert chat.count("commands_not_allowed") == 1
        (sent,) = await chat.hear("Boss", "!death", Role.BROADCASTER)
        assert sent.reply_to.endswith("-Boss")


@in_virtual_time()
async def test_the_example_survives_a_restart_and_a_late_load() -> None:
    """What was added adds up with what the database held; the newer word stays."""
    journal = MemoryJournalStore()
    async with chat_with(DeathCounter(), journal=journal) as chat:
        await chat.mod("!death lava")
    async with chat_with(DeathCounter(), journal=journal) as chat:
        base = Base(b'{"total": 40, "last": "wolves"}', epoch=3, revision=9, edit_no=0)
        chat.layer.deliver(RowKey("component_state", CHANNEL_ID, "deaths"), base, chat.layer.next_serial())
        assert await chat.mod("!death ice") == "Deaths: 42"
        assert chat.state(Deaths).last == "ice"


class Log(ChannelState, key="log"):
    """What the misbehaving component did."""

    lines: Annotated[list[str], Recent(100)] = []
    keys: dict[str, str] = {}


class Misbehaving(Component):
    """One of everything that can go wrong, and of everything that can be heard."""

    @command()
    async def crash(self, ctx: Context, *, what: str = "") -> None:
        """Changes, speaks, and raises."""
        ctx.state(Log).lines.append(what)
        ctx.state(Log).keys["x"] = what
        await ctx.reply("never said")
        ctx.defer(asyncio.sleep(0), then=self.returned)
        raise ValueError(what)

    @command()
    async def dawdle(self, ctx: Context) -> None:
        """Changes, speaks, and does not return in time."""
        ctx.state(Log).lines.append("late")
        await ctx.reply("never said")
        await asyncio.sleep(1)

    @command()
    async def nonsense(self, ctx: Context) -> None:
        """Leaves a value that cannot be stored."""
        ctx.state(Log).lines.append(5)  # type: ignore[arg-type]  # the mistake
        await ctx.reply("never said")

    @command()
    async def misuse(self, ctx: Context, *, why: str = "") -> None:
        """Finds out late that what was typed does not fit."""
        ctx.state(Log).lines.append("misused")
        raise UsageError(why)

    @command()
    async def add(self, ctx: Context, a: int, b: int = 1, *words: str) -> None:
        """Adds."""
        await ctx.reply(f"{a + b}{words}")

    @command()
    async def fetch(self, ctx: Context, delay: float = 2.0) -> None:
        """Does slow work."""
        ctx.state(Log).lines.append("asked")
        ctx.defer(slow(delay), then=self.returned, on_error=self.failed)
        await ctx.send("looking…")

    async def returned(self, ctx: Context, result: Any) -> None:
        """Slow work is done."""
        ctx.state(Log).lines.append(str(result))
        await ctx.reply(f"found {result}")

    async def failed(self, ctx: Context, error: Exception) -> None:
        """Slow work is not done."""
        await ctx.reply(f"no luck: {type(error).__name__}")

    @listener("message")
    async def hears(self, ctx: Context) -> None:
        """Keeps a key for each line with an asterisk."""
        if "*" in ctx.message.text:
            ctx.state(Log).keys[ctx.unique_key()] = "heard"

    @command()
    async def keep(self, ctx: Context) -> None:
        """Keeps a key behind those that are there."""
        keys = ctx.state(Log).keys
        keys[ctx.unique_key(keys)] = str(len(keys))

    @listener("notice")
    async def notices(self, ctx: Context) -> None:
        """Thanks for raids."""
        assert isinstance(ctx.event, ChatNotice)
        await ctx.reply(f"{ctx.event.kind}: {ctx.event.system_text}")

    @listener("unknown_command")
    async def shrugs(self, ctx: Context) -> None:
        """Sees what nobody has."""
        ctx.state(Log).keys[ctx.unique_key()] = "shrugged"
        await ctx.reply(f"no {ctx.invoked_with} for {ctx.arguments or 'nobody'}")


async def slow(delay_s: float) -> str:
    """Work that takes its time, or fails."""
    if delay_s < 0:
        raise OSError("down")
    await asyncio.sleep(delay_s)
    return "gold"


@in_virtual_time()
async def test_a_handler_that_raises_did_nothing() -> None:
    """Its changes are rolled back, nothing is said, its slow work is not begun; the next message is fine."""
    async with chat_with(Misbehaving()) as chat:
        assert await chat.viewer("!crash boom") == ""
        assert chat.state(Log).lines == []
        assert chat.state(Log).keys == {}
        assert chat.count("handlers_failed") == 1
        assert await chat.viewer("!add 1") == "2()"


@in_virtual_time()
async def test_a_handler_that_misses_its_deadline_did_nothing() -> None:
    """It is stopped after 250 ms, and who waits behind it is answered then."""
    async with chat_with(Misbehaving()) as chat:
        first, second = await asyncio.gather(
            chat.say("Ana", "!dawdle", wait_s=0.24), chat.say("Bob", "!add 1", wait_s=0.3)
        )
        assert (first, second) == ([], ["2()"])
        assert chat.state(Log).lines == []
        assert chat.count("handlers_timed_out") == 1


@in_virtual_time()
async def test_a_value_that_cannot_be_stored_is_rolled_back() -> None:
    """The mistake shows in the handler that made it, not in a save hours later."""
    async with chat_with(Misbehaving()) as chat:
        assert await chat.viewer("!nonsense") == ""
        assert chat.state(Log).lines == []
        assert chat.count("handlers_failed") == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("!add", "Usage: !add <a> [b] [words...]"),
        ("!add one", "Usage: !add <a> [b] [words...]"),
        ("!add 1 2 x {y}", "3('x', '{y}')"),
        ("!misuse not like this", "not like this"),
        ("!misuse", "Usage: !misuse [why...]"),
    ],
)
@in_virtual_time()
async def test_what_does_not_fit_shows_the_usage_line(line: str, said: str) -> None:
    """From the signature, or in the handler's own words; then too nothing is changed."""
    async with chat_with(Misbehaving()) as chat:
        assert await chat.viewer(line) == said
        assert chat.state(Log).lines == []


@in_virtual_time()
async def test_slow_work_comes_back_as_a_transaction_of_its_own() -> None:
    """Chat goes on meanwhile; the answer is a reply to the message that asked."""
    async with chat_with(Misbehaving()) as chat:
        assert await chat.viewer("!fetch") == "looking…"
        assert await chat.viewer("!add 1") == "2()"
        first = await chat.hear("Bob", "nothing", wait_s=3)
        assert [(sent.text, sent.reply_to) for sent in first] == [("found gold", "00000001-Ana")]
        assert chat.state(Log).lines == ["asked", "gold"]


@pytest.mark.parametrize(("delay", "said"), [("-1", "no luck: OSError"), ("99", "no luck: TimeoutError")])
@in_virtual_time()
async def test_slow_work_that_fails_has_its_own_way_back(delay: str, said: str) -> None:
    """An error and a timeout (30 s) reach ``on_error``."""
    async with chat_with(Misbehaving()) as chat:
        assert await chat.say("Ana", f"!fetch {delay}", wait_s=40) == ["looking…", said]
        assert chat.count("deferred_failed") == 1


@in_virtual_time()
async def test_listeners_hear_lines_notices_and_unknown_commands() -> None:
    """Each kind reaches who asked for it; a notice is answered in the channel, there is no message to reply to."""
    async with chat_with(Misbehaving()) as chat:
        assert await chat.viewer("!nobody Bob") == "no nobody for Bob"
        assert await chat.viewer("!add 1") == "2()"
        assert await chat.notice("raid", "20 raiders") == ["raid: 20 raiders"]


@in_virtual_time()
async def test_a_new_key_sorts_behind_those_from_a_clock_that_was_ahead() -> None:
    """Over a year of them, and behind keys that are none of ours."""
    async with chat_with(Misbehaving()) as chat:
        await chat.mod("!keep")
        (ours,) = chat.state(Log).keys
        ahead = f"{int(ours[:14]) + 365 * 86_400_000:014d}-000001-deadbeef"
        chat.state(Log).keys[ahead] = "ahead"
        await chat.mod("!keep")
        await chat.mod("!keep")
        assert [value for _, value in sorted(chat.state(Log).keys.items())] == ["0", "ahead", "2", "3"]
        chat.state(Log).keys["zebra"] = "a human's"
        await chat.mod("!keep")
        assert len(chat.state(Log).keys) == 6


@in_virtual_time()
async def test_keys_made_for_one_message_differ_and_sort_by_time() -> None:
    """A listener and a command of the same message, at the same instant, share a mapping and lose nothing."""
    async with chat_with(Misbehaving()) as chat:
        for _ in range(12):
            await chat.viewer("!nobody *")
        kept = sorted(chat.state(Log).keys.items())
        assert [value for _, value in kept] == ["heard", "shrugged"] * 12


class Guarded(Component):
    """A component that decides who may, in each of the three ways."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @guard
    def not_bob(self, ctx: Context) -> bool:
        """Bob may nothing."""
        return ctx.author != "Bob"

    @guard
    async def not_carl(self, ctx: Context) -> bool:
        """Carl breaks it, Dora is told why not."""
        if ctx.author == "Carl":
            raise ValueError("Carl")
        if ctx.author == "Dora":
            await ctx.reply("not today")
            return False
        if ctx.author == "Eve":
            await asyncio.sleep(5)
        return True

    @command(guards=[lambda ctx: "please" in ctx.arguments])
    async def open(self, ctx: Context, *, how: str = "") -> None:
        """Opens."""
        await ctx.reply("open")


@in_virtual_time()
async def test_guards_decide_and_a_broken_one_forbids() -> None:
    """Methods, coroutines and functions; one that raises or dawdles costs that command and nothing else."""
    async with chat_with(Guarded()) as chat:
        assert await chat.viewer("!open please") == "open"
        assert await chat.viewer("!open") == ""
        for author, said in (("Bob", []), ("Carl", []), ("Dora", ["not today"]), ("Eve", [])):
            assert await chat.say(author, "!open please", wait_s=1) == said
        assert chat.count("messages_failed") == 0
        assert chat.count("commands_guarded") == 5
        assert await chat.viewer("!open please") == "open"


def test_mistakes_in_a_declaration_are_named_at_import() -> None:
    """A plain function as a command or listener, a role or an event that does not exist."""
    with pytest.raises(ComponentError, match="a command must be `async def`"):

        class Plain(Component):
            @command()
            def plain(self, ctx: Context) -> None:
                """Not asynchronous."""

    with pytest.raises(ComponentError, match="a listener must be `async def`"):

        class Deaf(Component):
            @listener()
            def deaf(self, ctx: Context) -> None:
                """Not asynchronous."""

    with pytest.raises(ComponentError, match=r"no role is called 'king'; there are: everyone, subscriber"):
        command(role="king")(DeathCounter.death)
    with pytest.raises(ComponentError, match="no event is called 'earthquake'"):
        listener("earthquake")


class Narrow(Component):
    """Roles and languages."""

    @command(role=Role.OWNER, summaries={"pt-br": "Só para donos."})
    async def own(self, ctx: Context) -> None:
        """For owners only.

        More about it.
        """
        await ctx.reply(
            f"{ctx.language} {ctx.prefix} {ctx.channel} {ctx.channel_id} {ctx.is_moderator} {ctx.now:.0f}"
        )


@in_virtual_time()
async def test_owners_come_from_the_settings_and_a_context_knows_where_it_is() -> None:
    """A broadcaster is not an owner; the first line of the docstring is the summary."""
    async with chat_with(Narrow(), owners=("zoe",)) as chat:
        assert await chat.say("Boss", "!own", role=Role.BROADCASTER) == []
        assert await chat.say("Zoe", "!own") == ["en ! streamer 1001 True 1767225600"]
        (own,) = chat.bot.commands
        assert own.summary("en") == "For owners only."
        assert own.summary("pt-br") == "Só para donos."
        assert own.summary("fr") == "For owners only."
        assert repr(own) == "<Command own role=owner>"


async def setup(bot: ComponentHost) -> None:
    """What a module of components has; the bot of the tests fits its type."""
    await bot.add_component(DeathCounter())


@in_virtual_time()
async def test_setup_adds_to_the_bot() -> None:
    """The protocol of ``setup`` is the bot's own method."""
    chat: Chat
    async with chat_with() as chat:
        await setup(chat.bot)
        assert await chat.mod("!death") == "Deaths: 1"


class Host(Component):
    """Greets everybody who does something for the channel."""

    @listener("raid")
    async def raided(self, ctx: Context) -> None:
        """Counts raiders."""
        assert isinstance(ctx.event, Raid)
        await ctx.send(f"{ctx.event.viewers} with {ctx.author}")

    @listener("subscription")
    async def subscribed(self, ctx: Context) -> None:
        """Counts months."""
        assert isinstance(ctx.event, Subscription)
        await ctx.send(f"{ctx.author}: {ctx.event.months} at {ctx.event.tier}")

    @listener("gift")
    async def given(self, ctx: Context) -> None:
        """Counts gifts."""
        assert isinstance(ctx.event, Gift)
        await ctx.send(f"{ctx.event.count} for {ctx.event.recipient_login or 'all'}")

    @listener("cheer")
    async def cheered(self, ctx: Context) -> None:
        """Counts bits."""
        await ctx.reply(f"{ctx.message.bits} bits")

    @listener("follow")
    async def followed(self, ctx: Context) -> None:
        """Welcomes."""
        assert isinstance(ctx.event, Follow)
        await ctx.send(f"welcome, {ctx.author}")


@in_virtual_time()
async def test_raids_subscriptions_gifts_cheers_and_follows_reach_their_listeners() -> None:
    """Each with what is known of it."""
    common = {"channel": CHANNEL, "channel_id": CHANNEL_ID, "system_text": "", "text": "", "name": "Ana"}
    async with chat_with(Host()) as chat:
        happens = chat.happens
        assert await happens(Raid(**common, kind="raid", login="ana", viewers=12)) == ["12 with Ana"]
        month = Subscription(**common, kind="resub", login="ana", tier="1000", months=3)
        assert await happens(month) == ["Ana: 3 at 1000"]
        assert await happens(Gift(**common, kind="submysterygift", login="ana", count=5)) == ["5 for all"]
        assert await happens(Follow(**common, kind="follow", login="ana")) == ["welcome, Ana"]
        cheer = ChatMessage("m1", CHANNEL_ID, CHANNEL, "9", "ana", "Ana", Role.EVERYONE, "Cheer100", bits=100)
        assert await happens(cheer) == ["100 bits"]
        assert await happens(ChatNotice(**common, kind="announcement", login="ana")) == []
