"""What the stream is about: ``!game``, ``!vibe``, ``!style``, ``!scene``, ``!note``, all kept in the StreamContext.

Everybody reads, moderators write. ``-`` or ``clear`` in place of a value takes it away.
"""

from __future__ import annotations

from typing import Literal

from byte_bot.components.api import Component, Context, Texts, command
from byte_bot.components.words import BULLET, TEXT_CHARS_MAX, cut, page, text_of, whole_number
from byte_bot.context.stream_context import NOTES_MAX, OBSERVABLE_TYPES, Note

#: What takes a value away.
CLEARING = ("-", "clear")
#: Code points of one of several things in a line.
ITEM_CHARS_MAX = 60


class StreamCommands(Component):
    """See the module's docstring."""

    texts = Texts(
        en={
            "game": "Game: {value}",
            "game_none": "No game is set.",
            "vibe": "Vibe: {value}",
            "vibe_none": "No vibe is set.",
            "style": "Style: {value}",
            "style_none": "No style is set.",
            "too_long": "That is too long: at most {most} characters.",
            "scene": "On screen: {items}",
            "scene_none": "Nothing is on screen that I know of.",
            "type_none": "On screen: no {label} that I know of.",
            "type_game": "game",
            "type_movie": "movie",
            "type_series": "series",
            "type_youtube": "YouTube",
            "type_x": "X",
            "type_topic": "topic",
            "note_added": "Note {number} is kept.",
            "note_deleted": "Note {number} is gone.",
            "notes_cleared": "All notes are gone ({count}).",
            "notes": "Notes: {items}",
            "notes_more": "Notes: {items} … more with {prefix}note list {next}",
            "notes_none": "There are no notes.",
            "note_unknown": "There is no note {number}.",
            "notes_full": "There are {most} notes already, and that is the most: remove one with {prefix}note del N",
            "note_usage": "Like this: {prefix}note add TEXT, {prefix}note list, {prefix}note del N, {prefix}note clear",
        },
        pt_br={
            "game": "Jogo: {value}",
            "game_none": "Nenhum jogo definido.",
            "vibe": "Clima: {value}",
            "vibe_none": "Nenhum clima definido.",
            "style": "Estilo: {value}",
            "style_none": "Nenhum estilo definido.",
            "too_long": "Ficou longo demais: no máximo {most} caracteres.",
            "scene": "Na tela: {items}",
            "scene_none": "Que eu saiba, não há nada na tela.",
            "type_none": "Na tela: nada em {label}, que eu saiba.",
            "type_game": "jogo",
            "type_movie": "filme",
            "type_series": "série",
            "type_youtube": "YouTube",
            "type_x": "X",
            "type_topic": "assunto",
            "note_added": "A nota {number} foi guardada.",
            "note_deleted": "A nota {number} foi apagada.",
            "notes_cleared": "Todas as notas foram apagadas ({count}).",
            "notes": "Notas: {items}",
            "notes_more": "Notas: {items} … mais com {prefix}note list {next}",
            "notes_none": "Não há notas.",
            "note_unknown": "Não existe a nota {number}.",
            "notes_full": "Já existem {most} notas, e esse é o máximo: apague uma com {prefix}note del N",
            "note_usage": "Assim: {prefix}note add TEXTO, {prefix}note list, {prefix}note del N, {prefix}note clear",
        },
    )

    @command(summaries={"pt-br": "Mostra o jogo; moderadores o mudam."})
    async def game(self, ctx: Context, *, name: str = "") -> None:
        """Shows the game; moderators set it."""
        await self._field(ctx, name, "game", "current_game")

    @command(summaries={"pt-br": "Mostra o clima da live; moderadores o mudam."})
    async def vibe(self, ctx: Context, *, mood: str = "") -> None:
        """Shows the mood of the stream; moderators set it."""
        await self._field(ctx, mood, "vibe", "vibe")

    @command(summaries={"pt-br": "Mostra o estilo da live; moderadores o mudam."})
    async def style(self, ctx: Context, *, profile: str = "") -> None:
        """Shows the style of the stream; moderators set it."""
        await self._field(ctx, profile, "style", "style_profile")

    @command(summaries={"pt-br": "Mostra o que está na tela; moderadores o mudam."})
    async def scene(
        self,
        ctx: Context,
        kind: Literal["game", "movie", "series", "youtube", "x", "topic"] | None = None,
        *,
        what: str = "",
    ) -> None:
        """Shows what is on screen; moderators set it."""
        if what and kind is not None:
            if not ctx.is_moderator:
                return
            value = _new_value(what)
            if value is None:
                await ctx.reply(ctx.text(self.texts, "too_long", most=TEXT_CHARS_MAX))
                return
            # A key of its own each: a film set here and a topic set elsewhere do not overwrite each other.
            if value:
                ctx.assign(ctx.stream, "observability", value, kind)
            else:
                ctx.drop(ctx.stream, "observability", kind)
        await ctx.reply(self._on_screen(ctx, kind))

    @command(
        aliases=["notes"],
        summaries={"pt-br": "Mostra as notas; moderadores guardam e apagam notas."},
    )
    async def note(
        self, ctx: Context, action: Literal["add", "list", "del", "clear"] = "list", *, text: str = ""
    ) -> None:
        """Shows the notes; moderators add, delete and clear them."""
        if action == "list":
            await ctx.reply(self._notes(ctx, text))
        elif ctx.is_moderator:
            if action == "add":
                await ctx.reply(self._note_added(ctx, text))
            elif action == "del":
                await ctx.reply(self._note_deleted(ctx, text))
            else:
                await ctx.reply(self._notes_cleared(ctx))

    async def _field(self, ctx: Context, typed: str, name: str, field: str) -> None:
        """Read or set one field of the StreamContext; ``name`` is that of its text."""
        if typed:
            if not ctx.is_moderator:
                return
            value = _new_value(typed)
            if value is None:
                await ctx.reply(ctx.text(self.texts, "too_long", most=TEXT_CHARS_MAX))
                return
            ctx.assign(ctx.stream, field, value)
        now = getattr(ctx.stream, field)
        await ctx.reply(ctx.text(self.texts, name if now else f"{name}_none", value=now))

    def _on_screen(self, ctx: Context, kind: str | None) -> str:
        """What is on screen; of one ``kind`` whole, of all kinds shortened to one message."""
        seen = ctx.stream.observability
        labels = {known: ctx.text(self.texts, f"type_{known}") for known in OBSERVABLE_TYPES}
        if kind is None:
            items = [
                f"{label}: {cut(seen[known], ITEM_CHARS_MAX)}"
                for known, label in labels.items()
                if known in seen
            ]
            return ctx.text(self.texts, "scene" if items else "scene_none", items=BULLET.join(items))
        if kind not in seen:
            return ctx.text(self.texts, "type_none", label=labels[kind])
        return ctx.text(self.texts, "scene", items=f"{labels[kind]}: {seen[kind]}")

    def _notes(self, ctx: Context, start: str) -> str:
        items = [f"{number}) {note.text}" for number, (_, note) in enumerate(_in_order(ctx), 1)]
        if not items:
            return ctx.text(self.texts, "notes_none")
        first = whole_number(start or "1")
        if first is None or not 1 <= first <= len(items):
            return ctx.text(self.texts, "note_unknown", number=cut(start, ITEM_CHARS_MAX))
        shown, following = page(items, first - 1)
        if following < len(items):
            return ctx.text(self.texts, "notes_more", items=shown, prefix=ctx.prefix, next=following + 1)
        return ctx.text(self.texts, "notes", items=shown)

    def _note_added(self, ctx: Context, typed: str) -> str:
        notes = ctx.stream.notes
        text = text_of(typed)
        if text is None:
            return ctx.text(self.texts, "too_long", most=TEXT_CHARS_MAX)
        if not text:
            return ctx.text(self.texts, "note_usage", prefix=ctx.prefix)
        if len(notes) >= NOTES_MAX:
            return ctx.text(self.texts, "notes_full", most=NOTES_MAX, prefix=ctx.prefix)
        notes[ctx.unique_key(notes)] = Note(text, ctx.message.author_login, round(ctx.now, 3))
        return ctx.text(self.texts, "note_added", number=len(notes))

    def _note_deleted(self, ctx: Context, typed: str) -> str:
        number = whole_number(typed.removeprefix("#"))
        if number is None:
            return ctx.text(self.texts, "note_usage", prefix=ctx.prefix)
        ordered = _in_order(ctx)
        if not 1 <= number <= len(ordered):
            return ctx.text(self.texts, "note_unknown", number=number)
        del ctx.stream.notes[ordered[number - 1][0]]
        return ctx.text(self.texts, "note_deleted", number=number)

    def _notes_cleared(self, ctx: Context) -> str:
        count = len(ctx.stream.notes)
        # Once the row is loaded each key is dropped, and not the field replaced: a note that a human adds meanwhile stays.
        ctx.assign(ctx.stream, "notes", {})
        return ctx.text(self.texts, "notes_cleared", count=count)


def _new_value(typed: str) -> str | None:
    """What a field becomes: "" where it is taken away, None where it would be too long."""
    return "" if typed.strip().lower() in CLEARING else text_of(typed)


def _in_order(ctx: Context) -> list[tuple[str, Note]]:
    """The notes, oldest first: their numbers are their places."""
    return sorted(ctx.stream.notes.items())
