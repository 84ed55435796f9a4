"""``!quote``."""

from __future__ import annotations

import pytest

from byte_bot.components.quotes import QUOTES_MAX, Quote, QuoteCommands, Quotes
from simulator.loop import in_virtual_time
from tests.byte_bot.components.harness import chat_with


@in_virtual_time()
async def test_quotes_keep_their_numbers() -> None:
    """A deleted quote leaves a gap; a new one gets the highest number plus one."""
    async with chat_with(QuoteCommands()) as chat:
        for n in (1, 2, 3):
            assert await chat.mod(f"!quote add said {n}") == f"Quote {n} is kept."
        assert await chat.mod("!quote del 2") == "Quote 2 is gone."
        assert await chat.mod("!quote add said {user}") == "Quote 4 is kept."
        assert await chat.viewer("!quote 4") == "Quote 4: said {user}"
        assert await chat.viewer("!quote #3") == "Quote 3: said 3"
        assert await chat.viewer("!quote 2") == "There is no quote 2."


@in_virtual_time()
async def test_any_quote_is_drawn_from_the_injected_source() -> None:
    """The same seed shows the same quotes, and in the long run all of them."""
    drawn = []
    for _ in range(2):
        async with chat_with(QuoteCommands(), seed=5) as chat:
            for n in range(4):
                await chat.mod(f"!quote add {n}")
            drawn.append([await chat.viewer("!quote") for _ in range(30)])
            assert (await chat.viewer("!quote random")).startswith("Quote ")
    assert drawn[0] == drawn[1]
    assert len(dict.fromkeys(drawn[0])) == 4


@in_virtual_time()
async def test_viewers_only_read() -> None:
    """Adding and deleting are for moderators; others hear nothing."""
    async with chat_with(QuoteCommands()) as chat:
        await chat.mod("!quote add kept")
        assert await chat.viewer("!quote add mine") == ""
        assert await chat.viewer("!quote del 1") == ""
        assert await chat.viewer("!quote 1") == "Quote 1: kept"


@pytest.mark.parametrize("typed", ["add", "add  ", "del", "del x", "banana", "1.5", "9" * 40, "{0}"])
@in_virtual_time()
async def test_mistakes_are_explained(typed: str) -> None:
    """What is neither a number nor a verb shows how it is written."""
    async with chat_with(QuoteCommands()) as chat:
        assert (
            await chat.mod(f"!quote {typed}") == "Like this: !quote, !quote N, !quote add TEXT, !quote del N"
        )
        assert chat.state(Quotes).quotes == {}


@in_virtual_time()
async def test_lengths_and_cap() -> None:
    """A quote has at most 400 characters, a channel at most 200 quotes, and the bot says so."""
    async with chat_with(QuoteCommands()) as chat:
        assert (
            await chat.viewer("!quote")
            == "There are no quotes yet. Moderators keep one like this: !quote add TEXT"
        )
        assert await chat.mod("!quote add " + "ü" * 401) == "That is too long: at most 400 characters."
        assert await chat.mod("!quote add " + "ü" * 400) == "Quote 1 is kept."
        chat.state(Quotes).quotes.update({f"{n:03}": Quote(n, "x") for n in range(2, QUOTES_MAX + 1)})
        assert await chat.mod("!quote add more") == (
            "There are 200 quotes already, and that is the most: remove one with !quote del N"
        )
        assert await chat.mod("!quote del 200") == "Quote 200 is gone."
        assert await chat.mod("!quote add more") == "Quote 200 is kept."


@in_virtual_time()
async def test_a_shared_number_shows_the_older_and_uncovers_the_other() -> None:
    """Two quotes that met in a late load with one number are both reachable."""
    async with chat_with(QuoteCommands()) as chat:
        chat.state(Quotes).quotes.update({"2": Quote(1, "newer"), "1": Quote(1, "older")})
        assert await chat.viewer("!quote 1") == "Quote 1: older"
        assert await chat.mod("!quote del 1") == "Quote 1 is gone."
        assert await chat.viewer("!quote 1") == "Quote 1: newer"


@in_virtual_time()
async def test_portuguese() -> None:
    """The channel's language is used."""
    async with chat_with(QuoteCommands(), language="pt-br") as chat:
        assert await chat.mod("!quote add pão de queijo") == "A citação 1 foi guardada."
        assert await chat.viewer("!quote 1") == "Citação 1: pão de queijo"
