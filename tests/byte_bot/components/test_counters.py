"""``!count``."""

from __future__ import annotations

import pytest

from byte_bot.components.counters import COUNTERS_MAX, CounterCommands, Counters
from byte_bot.persistence.journal import MemoryJournalStore
from byte_bot.persistence.operations import Base, RowKey
from simulator.loop import in_virtual_time
from tests.byte_bot.components.harness import CHANNEL_ID, chat_with

KEY = RowKey("component_state", CHANNEL_ID, "counters")


@in_virtual_time()
async def test_moderators_count_and_everybody_reads() -> None:
    """The exact texts are a promise to whoever built something on them."""
    async with chat_with(CounterCommands()) as chat:
        assert await chat.mod("!count deaths +1") == "deaths: 1"
        assert await chat.mod("!count Deaths +2") == "deaths: 3"
        assert await chat.mod("!count deaths -5") == "deaths: -2"
        assert await chat.mod("!count deaths =10") == "deaths: 10"
        assert await chat.viewer("!count DEATHS") == "deaths: 10"
        assert await chat.viewer("!counter deaths") == "deaths: 10"


@in_virtual_time()
async def test_viewers_change_nothing_and_hear_nothing() -> None:
    """A refusal because of a role is silent, as for every other command."""
    async with chat_with(CounterCommands()) as chat:
        assert await chat.viewer("!count deaths +1") == ""
        assert await chat.viewer("!count deaths nonsense") == ""
        assert chat.state(Counters).values == {}


@in_virtual_time()
async def test_two_changes_at_once_both_count() -> None:
    """There is no cooldown between two moderators."""
    async with chat_with(CounterCommands()) as chat:
        for _ in range(20):
            await chat.mod("!count deaths +1")
        assert await chat.viewer("!count deaths") == "deaths: 20"


@in_virtual_time()
async def test_the_list_shows_as_many_as_fit_one_message() -> None:
    """Two hundred counters with long names are one line, which says how many are missing."""
    async with chat_with(CounterCommands()) as chat:
        assert (
            await chat.viewer("!count")
            == "There are no counters yet. Moderators make one like this: !count deaths +1"
        )
        await chat.mod("!count wins =5")
        await chat.mod("!count deaths =3")
        assert await chat.viewer("!count") == "Counters: deaths 3 · wins 5"
        chat.state(Counters).values.update({f"a-rather-long-counter-name-{n:03}": n for n in range(190)})
        line = await chat.viewer("!count")
        assert len(line) <= 500
        assert line.endswith("more")


@in_virtual_time()
async def test_at_the_cap_the_bot_says_so_and_existing_counters_go_on() -> None:
    """The 201st counter is refused with the way out; deleting one makes room."""
    async with chat_with(CounterCommands()) as chat:
        for n in range(COUNTERS_MAX):
            await chat.mod(f"!count c{n} =1")
        assert await chat.mod("!count extra +1") == (
            "There are 200 counters already, and that is the most: remove one with !count NAME del"
        )
        assert await chat.mod("!count c0 +1") == "c0: 2"
        assert await chat.mod("!count c0 del") == "The counter c0 is gone (it was at 2)."
        assert await chat.mod("!count extra +1") == "extra: 1"


@pytest.mark.parametrize(
    "change",
    [
        "+1000000000001",
        "=1000000000001",
        "-1000000000001",
        "=-9999999999999999",
        "+" + "9" * 450,
        "=" + "0" * 20 + "9" * 30,
    ],
)
@in_virtual_time()
async def test_numbers_beyond_the_bounds_change_nothing(change: str) -> None:
    """However many digits are typed, the value stays within 10**12 and the bot names the limit."""
    async with chat_with(CounterCommands()) as chat:
        await chat.mod("!count deaths =7")
        assert await chat.mod(f"!count deaths {change}") == (
            "Counters go from -1000000000000 to 1000000000000; deaths stays at 7."
        )


@in_virtual_time()
async def test_the_sum_is_bounded_too() -> None:
    """Adding to the largest value is refused."""
    async with chat_with(CounterCommands()) as chat:
        assert await chat.mod("!count n =1000000000000") == "n: 1000000000000"
        assert "n stays at 1000000000000" in await chat.mod("!count n +1")
        assert await chat.mod("!count n -1") == "n: 999999999999"


@pytest.mark.parametrize(
    "change", ["5", "++1", "+1.5", "+", "=", "+1e3", "+0x10", "+1_000", "+١", "+-1", "x", "{0}", "= 5 6x"]
)
@in_virtual_time()
async def test_what_is_no_change_is_explained(change: str) -> None:
    """A moderator who mistypes is shown how it is written, and nothing changes."""
    async with chat_with(CounterCommands()) as chat:
        assert (
            await chat.mod(f"!count deaths {change}")
            == "Like this: !count deaths +1, !count deaths -1, !count deaths =5, !count deaths del"
        )
        assert chat.state(Counters).values == {}


@pytest.mark.parametrize(("change", "value"), [("+ 3", 3), ("–2", -2), ("= −4", -4), ("=+4", 4), ("+0", 0)])
@in_virtual_time()
async def test_what_phones_make_of_a_change_is_understood(change: str, value: int) -> None:
    """A blank after the sign and typographic minus signs mean what they look like."""
    async with chat_with(CounterCommands()) as chat:
        assert await chat.mod(f"!count deaths {change}") == f"deaths: {value}"


@pytest.mark.parametrize(
    "name", ["x" * 31, "a.b", "{user}", "💀", "a\u200bb", "'; drop table--", "<b>", "%s"]
)
@in_virtual_time()
async def test_strange_names_are_refused(name: str) -> None:
    """Names are letters and digits, and what cannot be one is not repeated in chat."""
    async with chat_with(CounterCommands()) as chat:
        said = await chat.mod(f"!count {name} +1")
        assert said == "A counter's name has 1 to 30 letters or digits, - and _, and no spaces."
        assert chat.state(Counters).values == {}


@in_virtual_time()
async def test_the_same_name_in_two_unicode_forms_is_one_counter() -> None:
    """``ç`` typed as one code point or as two, in capitals or not, counts in one place."""
    async with chat_with(CounterCommands()) as chat:
        assert await chat.mod("!count ma\u00e7\u00e3s +1") == "maçãs: 1"
        assert await chat.mod("!count MAC\u0327A\u0303S +1") == "maçãs: 2"


@in_virtual_time()
async def test_reading_and_deleting_what_is_not_there() -> None:
    """An unknown counter is not made by asking for it."""
    async with chat_with(CounterCommands()) as chat:
        assert await chat.viewer("!count deaths") == "There is no counter called deaths."
        assert await chat.mod("!count deaths del") == "There is no counter called deaths."
        assert chat.state(Counters).values == {}


@in_virtual_time()
async def test_a_late_load_adds_up_and_an_absolute_value_stands() -> None:
    """What was added before the row arrived is added to it; what was set discards what it holds."""
    async with chat_with(CounterCommands()) as chat:
        await chat.mod("!count deaths +1")
        await chat.mod("!count wins =5")
        base = Base(b'{"values": {"deaths": 41, "wins": 99}}', epoch=1, revision=3, edit_no=0)
        chat.layer.deliver(KEY, base, chat.layer.next_serial())
        assert await chat.viewer("!count deaths") == "deaths: 42"
        assert await chat.viewer("!count wins") == "wins: 5"


@in_virtual_time()
async def test_setting_the_value_it_shows_already_still_discards_the_rest() -> None:
    """``=0`` on a counter that RAM shows as new is not lost as "no change"."""
    async with chat_with(CounterCommands()) as chat:
        await chat.mod("!count deaths +1")
        await chat.mod("!count deaths =1")
        base = Base(b'{"values": {"deaths": 41}}', epoch=1, revision=3, edit_no=0)
        chat.layer.deliver(KEY, base, chat.layer.next_serial())
        assert await chat.viewer("!count deaths") == "deaths: 1"


@in_virtual_time()
async def test_counters_survive_a_restart() -> None:
    """What a viewer was told is there for the next process."""
    journal = MemoryJournalStore()
    async with chat_with(CounterCommands(), journal=journal) as chat:
        await chat.mod("!count deaths +3")
    async with chat_with(CounterCommands(), journal=journal) as chat:
        assert await chat.viewer("!count deaths") == "deaths: 3"


@in_virtual_time()
async def test_portuguese() -> None:
    """The channel's language is used."""
    async with chat_with(CounterCommands(), language="pt-br") as chat:
        assert await chat.viewer("!count mortes") == "Não existe um contador chamado mortes."
        assert await chat.mod("!count mortes +1") == "mortes: 1"
