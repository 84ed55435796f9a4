"""``!ping``, ``!status``, ``!help``: is the bot there, is it well, what can it do.

``!status`` says in words what operators see in numbers; it tells no addresses, keys, or error messages, since anybody
in chat may ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from byte_bot.components.api import Command, Component, Context, Role, Texts, command
from byte_bot.components.words import NAME_CHARS_MAX, cut, page

#: Seconds from which on ``!status`` says how long chat has been going; chosen: before, the question itself began it.
SESSION_SHOWN_S = 60.0


class InfoCommands(Component):
    """See the module's docstring."""

    texts = Texts(
        en={
            "pong": "Pong!",
            "database_none": "No database is set up: what I know is gone when I restart.",
            "database_saved": "Database: fine, everything is saved.",
            "database_saving": "Database: fine, changes on their way: {rows}.",
            "database_away": "Database: away. Nothing is lost; changes waiting: {rows}, for {age}.",
            "database_paused": "Database: it refuses me, and somebody must look at my log. Nothing is lost; changes waiting: {rows}, for {age}.",
            "degraded": "My disk is too slow: a crash now could cost the last seconds.",
            "uptime": "Up for {uptime}.",
            "session": "Chat has been going for {uptime}.",
            "latency": "99 of 100 answers within {p99} ms.",
            "commands": "Commands: {items}",
            "commands_more": "Commands: {items} … and {more} more",
            "command": "Usage: {usage} — {summary}",
            "aliases": "(also {names})",
            "unknown": "There is no command {prefix}{name}.",
            "role_everyone": "",
            "role_subscriber": "For subscribers.",
            "role_vip": "For VIPs.",
            "role_moderator": "For moderators.",
            "role_broadcaster": "For the broadcaster.",
            "role_owner": "For my owners.",
        },
        pt_br={
            "pong": "Pong!",
            "database_none": "Nenhum banco de dados configurado: o que eu sei se perde quando eu reinicio.",
            "database_saved": "Banco de dados: tudo bem, tudo salvo.",
            "database_saving": "Banco de dados: tudo bem, mudanças a caminho: {rows}.",
            "database_away": "Banco de dados: fora do ar. Nada se perdeu; mudanças esperando: {rows}, há {age}.",
            "database_paused": "Banco de dados: ele me recusa, alguém precisa olhar o meu log. Nada se perdeu; mudanças esperando: {rows}, há {age}.",
            "degraded": "Meu disco está lento demais: uma queda agora poderia custar os últimos segundos.",
            "uptime": "No ar há {uptime}.",
            "session": "O chat está rolando há {uptime}.",
            "latency": "99 de 100 respostas em até {p99} ms.",
            "commands": "Comandos: {items}",
            "commands_more": "Comandos: {items} … e mais {more}",
            "command": "Uso: {usage} — {summary}",
            "aliases": "(também {names})",
            "unknown": "Não existe o comando {prefix}{name}.",
            "role_everyone": "",
            "role_subscriber": "Para inscritos.",
            "role_vip": "Para VIPs.",
            "role_moderator": "Para moderadores.",
            "role_broadcaster": "Para o streamer.",
            "role_owner": "Para os meus donos.",
        },
    )

    # No cooldown: whoever asks whether the bot is there must not be left in doubt; the outbox bounds what is said.
    @command(summaries={"pt-br": "Diz se o bot está aqui."})
    async def ping(self, ctx: Context) -> None:
        """Says whether the bot is there."""
        await ctx.reply(ctx.text(self.texts, "pong"))

    @command(cooldown_s=5, summaries={"pt-br": "Diz como vão o bot e o banco de dados."})
    async def status(self, ctx: Context) -> None:
        """Says how the bot and its database are."""
        status = ctx.bot.status()
        sentences = [
            self._database(ctx, status),
            ctx.text(self.texts, "uptime", uptime=duration(status["uptime_s"])),
        ]
        session_s = ctx.stream.uptime_s(ctx.now)
        if session_s >= SESSION_SHOWN_S:
            sentences.append(ctx.text(self.texts, "session", uptime=duration(session_s)))
        if p99 := status["reply_ms"]["p99"]:
            sentences.append(ctx.text(self.texts, "latency", p99=f"{p99:.0f}" if p99 >= 10 else f"{p99:.1f}"))
        if status["degraded"]:
            sentences.append(ctx.text(self.texts, "degraded"))
        await ctx.reply(" ".join(sentences))

    @command(aliases=["commands"], cooldown_s=2, summaries={"pt-br": "Lista os comandos, ou explica um."})
    async def help(self, ctx: Context, name: str = "") -> None:
        """Lists the commands, or explains one."""
        if not name:
            await ctx.reply(self._listed(ctx))
            return
        wanted = name.lower().removeprefix(ctx.prefix.lower())
        for known in ctx.bot.commands:
            if wanted in known.names:
                await ctx.reply(self._explained(ctx, known))
                return
        await ctx.reply(ctx.text(self.texts, "unknown", prefix=ctx.prefix, name=cut(wanted, NAME_CHARS_MAX)))

    def _database(self, ctx: Context, status: Mapping[str, Any]) -> str:
        circuit, rows = status["circuit"], status["rows_waiting"]
        if circuit == "none":
            return ctx.text(self.texts, "database_none")
        if circuit == "closed":
            return ctx.text(self.texts, "database_saving" if rows else "database_saved", rows=rows)
        key = "database_paused" if circuit == "paused" else "database_away"
        return ctx.text(self.texts, key, rows=rows, age=duration(status["oldest_unsaved_s"]))

    def _listed(self, ctx: Context) -> str:
        items = [f"{ctx.prefix}{known.name}" for known in ctx.bot.commands if ctx.role >= known.role]
        shown, following = page(items)
        if following < len(items):
            return ctx.text(self.texts, "commands_more", items=shown, more=len(items) - following)
        return ctx.text(self.texts, "commands", items=shown)

    def _explained(self, ctx: Context, known: Command) -> str:
        usage, summary = known.usage(ctx.prefix), known.summary(ctx.language)
        parts = [ctx.text(self.texts, "command", usage=usage, summary=summary).removesuffix(" — ")]
        if known.role > Role.EVERYONE:
            parts.append(ctx.text(self.texts, f"role_{known.role.name.lower()}"))
        if known.aliases:
            names = ", ".join(f"{ctx.prefix}{alias}" for alias in known.aliases)
            parts.append(ctx.text(self.texts, "aliases", names=names))
        return " ".join(parts)


def duration(seconds: float) -> str:
    """``seconds`` as a person says it, in two neighbouring units at most: ``2 d 3 h``, ``5 min``, ``0 s``."""
    rest = max(0, round(seconds))
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    for index, (unit, length) in enumerate(units):
        if rest >= length or unit == "s":
            amounts = [f"{rest // length} {unit}"]
            if index + 1 < len(units):
                smaller, smaller_length = units[index + 1]
                if amount := rest % length // smaller_length:
                    amounts.append(f"{amount} {smaller}")
            return " ".join(amounts)
    raise AssertionError("seconds are the last unit")
