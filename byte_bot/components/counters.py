"""``!count``: counters by name, read by everybody, changed by moderators.

``!count deaths`` reads; ``!count deaths +1`` and ``-1`` add, and what was added while the database was away adds up with
what it holds; ``!count deaths =5`` discards everything before it; ``!count deaths del`` removes. ``!count`` lists.
"""

from __future__ import annotations

import re
from typing import Annotated

from byte_bot.components.api import Add, ChannelState, Component, Context, Texts, command
from byte_bot.components.words import NAME_CHARS_MAX, NUMBER_MAX, name_of, page, plain_signs, whole_number

#: Counters per channel (DESIGN section 3).
COUNTERS_MAX = 200

# Any length: a number that is only too large deserves to hear of the limit, not a lesson in spelling.
_WHOLE = re.compile(r"[+-]?[0-9]+")


class Counters(ChannelState, key="counters"):
    """A channel's counters by lower-case name."""

    values: Annotated[dict[str, int], Add] = {}


class CounterCommands(Component):
    """See the module's docstring."""

    texts = Texts(
        en={
            "value": "{name}: {value}",
            "list": "Counters: {items}",
            "list_more": "Counters: {items} … and {more} more",
            "none": "There are no counters yet. Moderators make one like this: {prefix}count deaths +1",
            "unknown": "There is no counter called {name}.",
            "bad_name": "A counter's name has 1 to {most} letters or digits, - and _, and no spaces.",
            "bad_change": "Like this: {prefix}count {name} +1, {prefix}count {name} -1, {prefix}count {name} =5, {prefix}count {name} del",
            "too_far": "Counters go from -{most} to {most}; {name} stays at {value}.",
            "full": "There are {most} counters already, and that is the most: remove one with {prefix}count NAME del",
            "removed": "The counter {name} is gone (it was at {value}).",
        },
        pt_br={
            "value": "{name}: {value}",
            "list": "Contadores: {items}",
            "list_more": "Contadores: {items} … e mais {more}",
            "none": "Ainda não há contadores. Um moderador cria um assim: {prefix}count mortes +1",
            "unknown": "Não existe um contador chamado {name}.",
            "bad_name": "O nome de um contador tem de 1 a {most} letras ou números, - e _, sem espaços.",
            "bad_change": "Assim: {prefix}count {name} +1, {prefix}count {name} -1, {prefix}count {name} =5, {prefix}count {name} del",
            "too_far": "Os contadores vão de -{most} a {most}; {name} continua em {value}.",
            "full": "Já existem {most} contadores, e esse é o máximo: apague um com {prefix}count NOME del",
            "removed": "O contador {name} foi apagado (estava em {value}).",
        },
    )

    # No cooldown: two moderators who count the same death and the next one within a second must both be heard.
    @command(
        aliases=["counter", "counts"],
        summaries={"pt-br": "Mostra um contador; moderadores o mudam com +1, -1, =5 ou del."},
    )
    async def count(self, ctx: Context, name: str = "", *, change: str = "") -> None:
        """Shows a counter; moderators change it with +1, -1, =5 or del."""
        counters = ctx.state(Counters)
        if not name:
            await ctx.reply(self._listed(ctx, counters))
            return
        if change and not ctx.is_moderator:
            return
        known = name_of(name)
        if known is None:
            await ctx.reply(ctx.text(self.texts, "bad_name", most=NAME_CHARS_MAX))
        elif change:
            await ctx.reply(self._changed(ctx, counters, known, plain_signs(change)))
        elif known in counters.values:
            await ctx.reply(ctx.text(self.texts, "value", name=known, value=counters.values[known]))
        else:
            await ctx.reply(ctx.text(self.texts, "unknown", name=known))

    def _changed(self, ctx: Context, counters: Counters, name: str, change: str) -> str:
        """Carry out ``change``; what to say about it."""
        values = counters.values
        if change.lower() == "del":
            last = values.get(name)
            # In any case: what is said must hold for what is not loaded yet too.
            ctx.drop(counters, "values", name)
            if last is None:
                return ctx.text(self.texts, "unknown", name=name)
            return ctx.text(self.texts, "removed", name=name, value=last)
        sign, number = change[0], change[1:]
        before = values.get(name, 0)
        if sign not in "+-=" or not _WHOLE.fullmatch(number if sign == "=" else change):
            return ctx.text(self.texts, "bad_change", name=name, prefix=ctx.prefix)
        amount = whole_number(number if sign == "=" else change)
        after = None if amount is None else amount if sign == "=" else before + amount
        if after is None or abs(after) > NUMBER_MAX:
            return ctx.text(self.texts, "too_far", name=name, value=before, most=NUMBER_MAX)
        if name not in values and len(values) >= COUNTERS_MAX:
            return ctx.text(self.texts, "full", most=COUNTERS_MAX, prefix=ctx.prefix)
        if sign == "=":
            ctx.assign(counters, "values", after, name)
        else:
            values[name] = after
        return ctx.text(self.texts, "value", name=name, value=values[name])

    def _listed(self, ctx: Context, counters: Counters) -> str:
        if not counters.values:
            return ctx.text(self.texts, "none", prefix=ctx.prefix)
        items = [f"{name} {value}" for name, value in sorted(counters.values.items())]
        shown, following = page(items)
        if following < len(items):
            return ctx.text(self.texts, "list_more", items=shown, more=len(items) - following)
        return ctx.text(self.texts, "list", items=shown)
