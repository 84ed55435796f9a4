"""``!pause`` and ``!resume``: moderators send the bot to sleep in their channel.

The same column ``paused`` of ``channels_config`` that a human ticks in Supabase's table editor. While it is set the bot
neither reads the chat nor answers anything but ``!resume``.
"""

from __future__ import annotations

from byte_bot.components.api import Component, Context, Texts, command


class PauseCommands(Component):
    """See the module's docstring."""

    texts = Texts(
        en={
            "paused": "Good night: I say nothing here until {prefix}resume.",
            "resumed": "I am back.",
            "awake": "I was awake all the time.",
        },
        pt_br={
            "paused": "Boa noite: fico em silêncio aqui até {prefix}resume.",
            "resumed": "Voltei.",
            "awake": "Eu já estava acordado.",
        },
    )

    @command(role="moderator", summaries={"pt-br": "Silencia o bot neste canal."})
    async def pause(self, ctx: Context) -> None:
        """Silences the bot in this channel."""
        ctx.assign(ctx.config, "paused", True)
        await ctx.reply(ctx.text(self.texts, "paused", prefix=ctx.prefix))

    @command(role="moderator", even_paused=True, summaries={"pt-br": "Acorda o bot depois de uma pausa."})
    async def resume(self, ctx: Context) -> None:
        """Wakes the bot up after a pause."""
        was_paused = ctx.config.paused
        # Also where it seems to be awake: its row may not be loaded yet.
        ctx.assign(ctx.config, "paused", False)
        await ctx.reply(ctx.text(self.texts, "resumed" if was_paused else "awake"))
