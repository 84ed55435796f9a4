"""``!quote``: what was said and should not be forgotten.

``!quote`` shows any, ``!quote 3`` the third; moderators ``!quote add TEXT`` and ``!quote del 3``. A quote keeps its
number for life; a new one gets the highest plus one. Two bots' quotes that meet in a late load may share a number: the
older is shown first, and deleting it uncovers the other.
"""

from __future__ import annotations

import msgspec

from byte_bot.components.api import ChannelState, Component, Context, Texts, UsageError, command
from byte_bot.components.words import TEXT_CHARS_MAX, text_of, whole_number

#: Quotes per channel (DESIGN section 3).
QUOTES_MAX = 200


class Quote(msgspec.Struct, frozen=True):
    """One quote: the number viewers know it by, who added it (login), and when (Unix seconds)."""

    number: int
    text: str
    author: str = ""
    at: float = 0.0


class Quotes(ChannelState, key="quotes"):
    """A channel's quotes by a key that sorts by time."""

    quotes: dict[str, Quote] = {}


class QuoteCommands(Component):
    """See the module's docstring."""

    texts = Texts(
        en={
            "quote": "Quote {number}: {text}",
            "added": "Quote {number} is kept.",
            "deleted": "Quote {number} is gone.",
            "none": "There are no quotes yet. Moderators keep one like this: {prefix}quote add TEXT",
            "unknown": "There is no quote {number}.",
            "too_long": "That is too long: at most {most} characters.",
            "full": "There are {most} quotes already, and that is the most: remove one with {prefix}quote del N",
            "usage": "Like this: {prefix}quote, {prefix}quote N, {prefix}quote add TEXT, {prefix}quote del N",
        },
        pt_br={
            "quote": "Citação {number}: {text}",
            "added": "A citação {number} foi guardada.",
            "deleted": "A citação {number} foi apagada.",
            "none": "Ainda não há citações. Um moderador guarda uma assim: {prefix}quote add TEXTO",
            "unknown": "Não existe a citação {number}.",
            "too_long": "Ficou longo demais: no máximo {most} caracteres.",
            "full": "Já existem {most} citações, e esse é o máximo: apague uma com {prefix}quote del N",
            "usage": "Assim: {prefix}quote, {prefix}quote N, {prefix}quote add TEXTO, {prefix}quote del N",
        },
    )

    @command(
        aliases=["quotes"],
        summaries={
            "pt-br": "Mostra uma citação qualquer, ou a de um número; moderadores guardam e apagam citações."
        },
    )
    async def quote(self, ctx: Context, which: str = "random", *, text: str = "") -> None:
        """Shows any quote, or the one of a number; moderators add and delete quotes."""
        action = which.lower()
        if action in ("add", "del"):
            if ctx.is_moderator:
                await ctx.reply(self._added(ctx, text) if action == "add" else self._deleted(ctx, text))
            return
        await ctx.reply(self._shown(ctx, action))

    def _shown(self, ctx: Context, which: str) -> str:
        quotes = [quote for _, quote in _in_order(ctx.state(Quotes))]
        if which == "random":
            if not quotes:
                return ctx.text(self.texts, "none", prefix=ctx.prefix)
            found = ctx.random.choice(quotes)
            return ctx.text(self.texts, "quote", number=found.number, text=found.text)
        number = self._number(ctx, which)
        for quote in quotes:
            if quote.number == number:
                return ctx.text(self.texts, "quote", number=number, text=quote.text)
        return ctx.text(self.texts, "unknown", number=number)

    def _added(self, ctx: Context, text: str) -> str:
        state = ctx.state(Quotes)
        kept = text_of(text)
        if kept is None:
            return ctx.text(self.texts, "too_long", most=TEXT_CHARS_MAX)
        if not kept:
            raise self._usage(ctx)
        if len(state.quotes) >= QUOTES_MAX:
            return ctx.text(self.texts, "full", most=QUOTES_MAX, prefix=ctx.prefix)
        number = max((quote.number for quote in state.quotes.values()), default=0) + 1
        state.quotes[ctx.unique_key(state.quotes)] = Quote(
            number, kept, ctx.message.author_login, round(ctx.now, 3)
        )
        return ctx.text(self.texts, "added", number=number)

    def _deleted(self, ctx: Context, word: str) -> str:
        state = ctx.state(Quotes)
        number = self._number(ctx, word)
        for key, quote in _in_order(state):
            if quote.number == number:
                del state.quotes[key]
                return ctx.text(self.texts, "deleted", number=number)
        return ctx.text(self.texts, "unknown", number=number)

    def _number(self, ctx: Context, word: str) -> int:
        number = whole_number(word.strip().removeprefix("#"))
        if number is None:
            raise self._usage(ctx)
        return number

    def _usage(self, ctx: Context) -> UsageError:
        return UsageError(ctx.text(self.texts, "usage", prefix=ctx.prefix))


def _in_order(state: Quotes) -> list[tuple[str, Quote]]:
    """Oldest first, so that a draw depends on what is kept and not on how it came into RAM."""
    return sorted(state.quotes.items())
