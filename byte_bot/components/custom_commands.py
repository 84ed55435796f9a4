"""``!cmd``: commands that moderators make up in chat, and their answers.

``!cmd add hug {user} hugs {args}`` makes ``!hug``. In its text ``{user}`` is who typed it, ``{channel}`` the channel,
``{count}`` how often it was used (this time included), ``{args}`` what was typed after it. Other braces stay as they are.

What viewers type can do no harm in the answer:

* placeholders are filled in one pass, so a ``{user}`` among the words of a viewer stays these six characters;
* the answer is cut to one message: a second one would begin with words of the viewer's choice;
* a line that begins with ``/`` or ``.`` would be a command to Twitch, said with the bot's rights, and one that begins
  with punctuation a command to some other bot. Such a line gets a visible mark in front. Not a space or an invisible
  character: Twitch trims the first, and nobody promises that it will not trim the second. ``/me`` works in the text of
  a moderator alone.
"""

from __future__ import annotations

import re
import string
import unicodedata
from typing import Annotated, Literal

import msgspec

from byte_bot.components.api import Add, ChannelState, Component, Context, Texts, command, listener
from byte_bot.components.words import NAME_CHARS_MAX, TEXT_CHARS_MAX, cut, name_of, page, text_of

#: Custom commands per channel (DESIGN section 3).
COMMANDS_MAX = 200
#: Seconds during which a viewer's second use of a custom command is passed over; moderators do not wait.
COOLDOWN_S = 2.0
#: Code points of an answer: one message of Twitch's 500, with room for the mark and for telling equal texts apart.
ANSWER_CHARS_MAX = 480
#: Goes in front of a line that would else be a command to Twitch or to another bot.
SAFE_MARK = "› "

_ACTION = "/me "
_PLACEHOLDER = re.compile(r"\{(user|channel|count|args)\}")
# What chat shows nothing of: controls, formats, surrogates, blanks, combining marks. Unassigned and private characters
# are left alone: tomorrow's emoji are among them.
_SHOWS_NOTHING = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Me"})


class CustomCommand(msgspec.Struct, frozen=True):
    """One command: its text, who made it (login), and when it was last changed (Unix seconds)."""

    text: str
    author: str = ""
    at: float = 0.0


class CustomCommands(ChannelState, key="custom_commands"):
    """A channel's commands and how often they were used, by lower-case name."""

    commands: dict[str, CustomCommand] = {}
    uses: Annotated[dict[str, int], Add] = {}


class CustomCommandCommands(Component):
    """See the module's docstring."""

    texts = Texts(
        en={
            "added": "The command {prefix}{name} is ready.",
            "edited": "The command {prefix}{name} is changed.",
            "deleted": "The command {prefix}{name} is gone.",
            "list": "Commands of this channel: {items}",
            "list_more": "Commands of this channel: {items} … and {more} more",
            "none": "This channel has no commands of its own yet. Moderators make one like this: {prefix}cmd add hello Hello, {{user}}!",
            "unknown": "There is no command {prefix}{name} of this channel's own.",
            "exists": "The command {prefix}{name} exists already: change it with {prefix}cmd edit {name} TEXT",
            "built_in": "The command {prefix}{name} is one of my own: choose another name.",
            "bad_name": "A command's name has 1 to {most} letters or digits, - and _, and no spaces.",
            "too_long": "That is too long: at most {most} characters.",
            "full": "There are {most} commands already, and that is the most: remove one with {prefix}cmd del NAME",
            "usage": "Like this: {prefix}cmd add NAME TEXT, {prefix}cmd edit NAME TEXT, {prefix}cmd del NAME, {prefix}cmd list",
        },
        pt_br={
            "added": "O comando {prefix}{name} está pronto.",
            "edited": "O comando {prefix}{name} foi alterado.",
            "deleted": "O comando {prefix}{name} foi apagado.",
            "list": "Comandos deste canal: {items}",
            "list_more": "Comandos deste canal: {items} … e mais {more}",
            "none": "Este canal ainda não tem comandos próprios. Um moderador cria um assim: {prefix}cmd add oi Oi, {{user}}!",
            "unknown": "Este canal não tem um comando {prefix}{name}.",
            "exists": "O comando {prefix}{name} já existe: mude com {prefix}cmd edit {name} TEXTO",
            "built_in": "O comando {prefix}{name} é um dos meus: escolha outro nome.",
            "bad_name": "O nome de um comando tem de 1 a {most} letras ou números, - e _, sem espaços.",
            "too_long": "Ficou longo demais: no máximo {most} caracteres.",
            "full": "Já existem {most} comandos, e esse é o máximo: apague um com {prefix}cmd del NOME",
            "usage": "Assim: {prefix}cmd add NOME TEXTO, {prefix}cmd edit NOME TEXTO, {prefix}cmd del NOME, {prefix}cmd list",
        },
    )

    def __init__(self) -> None:
        # When a command last answered, per channel; in RAM only, and no larger than the channels' capped commands.
        self._answered_at: dict[tuple[str, str], float] = {}

    @command(
        "cmd",
        aliases=["command"],
        summaries={"pt-br": "Lista os comandos deste canal; moderadores os criam, mudam e apagam."},
    )
    async def manage(
        self,
        ctx: Context,
        action: Literal["add", "edit", "del", "list"] = "list",
        name: str = "",
        *,
        text: str = "",
    ) -> None:
        """Lists the channel's own commands; moderators add, edit and delete them."""
        state = ctx.state(CustomCommands)
        if action == "list":
            await ctx.reply(self._listed(ctx, state))
            return
        if not ctx.is_moderator:
            return
        known = name_of(name.removeprefix(ctx.prefix))
        if not name or (action != "del" and not text):
            await ctx.reply(self._say(ctx, "usage"))
        elif known is None:
            await ctx.reply(ctx.text(self.texts, "bad_name", most=NAME_CHARS_MAX))
        elif action == "del":
            await ctx.reply(self._deleted(ctx, state, known))
        else:
            await ctx.reply(self._written(ctx, state, known, text, new=action == "add"))

    @listener("unknown_command")
    async def answer(self, ctx: Context) -> None:
        """Say the text of a custom command, if the command is one."""
        name = name_of(ctx.invoked_with)
        state = ctx.state(CustomCommands)
        if name is None or name not in state.commands or self._cooling(ctx, name):
            return
        state.uses[name] = state.uses.get(name, 0) + 1
        line = expanded(
            state.commands[name].text,
            user=ctx.author,
            channel=ctx.channel,
            count=state.uses[name],
            args=ctx.arguments,
        )
        if line:
            await ctx.send(line)

    def _cooling(self, ctx: Context, name: str) -> bool:
        key = (ctx.channel_id, name)
        since = ctx.now - self._answered_at.get(key, float("-inf"))
        # Below 0: the wall clock was set back, and says nothing.
        if 0 <= since < COOLDOWN_S and not ctx.is_moderator:
            return True
        self._answered_at[key] = ctx.now
        return False

    def _written(self, ctx: Context, state: CustomCommands, name: str, text: str, *, new: bool) -> str:
        kept = text_of(text)
        exists = name in state.commands
        if new and any(name in known.names for known in ctx.bot.commands):
            return self._say(ctx, "built_in", name=name)
        if new == exists:
            return self._say(ctx, "exists" if exists else "unknown", name=name)
        if kept is None:
            return ctx.text(self.texts, "too_long", most=TEXT_CHARS_MAX)
        if new and len(state.commands) >= COMMANDS_MAX:
            return self._say(ctx, "full", most=COMMANDS_MAX)
        state.commands[name] = CustomCommand(kept, ctx.message.author_login, round(ctx.now, 3))
        return self._say(ctx, "added" if new else "edited", name=name)

    def _deleted(self, ctx: Context, state: CustomCommands, name: str) -> str:
        exists = name in state.commands
        # In any case: what is said must hold for what is not loaded yet too.
        ctx.drop(state, "commands", name)
        ctx.drop(state, "uses", name)
        if not exists:
            return self._say(ctx, "unknown", name=name)
        self._answered_at.pop((ctx.channel_id, name), None)
        return self._say(ctx, "deleted", name=name)

    def _listed(self, ctx: Context, state: CustomCommands) -> str:
        if not state.commands:
            return self._say(ctx, "none")
        items = [f"{ctx.prefix}{name}" for name in sorted(state.commands)]
        shown, following = page(items)
        if following < len(items):
            return ctx.text(self.texts, "list_more", items=shown, more=len(items) - following)
        return ctx.text(self.texts, "list", items=shown)

    def _say(self, ctx: Context, text: str, /, **fields: object) -> str:
        return ctx.text(self.texts, text, prefix=ctx.prefix, **fields)


def expanded(text: str, *, user: str, channel: str, count: int, args: str) -> str:
    """The line a custom command says: placeholders filled once, one message long, no command to anybody."""
    values = {"user": user, "channel": channel, "count": str(count), "args": args}
    action = _ACTION if text.startswith(_ACTION) else ""
    body = text[len(action) :]
    line = _PLACEHOLDER.sub(lambda found: values[found[1]], body)
    line = cut(_from_first_visible(line), ANSWER_CHARS_MAX)
    if not line:
        return ""
    by_viewer = _PLACEHOLDER.match(_from_first_visible(body)) is not None
    dangerous = string.punctuation.replace("@", "") if by_viewer else "/."
    return action + (SAFE_MARK if line[0] in dangerous else "") + line


def _from_first_visible(text: str) -> str:
    for index, character in enumerate(text):
        if unicodedata.category(character) not in _SHOWS_NOTHING:
            return text[index:]
    return ""
