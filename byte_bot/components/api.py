"""The extension API: what a component is written with.

::

    from typing import Annotated
    from byte_bot.components.api import Add, ChannelState, Component, ComponentHost, Context, command

    class Deaths(ChannelState, key="deaths"):
        total: Annotated[int, Add] = 0
        last: str = ""

    class DeathCounter(Component):
        @command(aliases=["d"], role="moderator", cooldown_s=2)
        async def death(self, ctx: Context, *, how: str = "") -> None:
            deaths = ctx.state(Deaths)
            deaths.total += 1
            deaths.last = how
            await ctx.reply(f"Deaths: {deaths.total}")

    async def setup(bot: ComponentHost) -> None:
        await bot.add_component(DeathCounter())

``COMPONENTS=my_bot.deaths`` loads it; so does an entry point in the group ``byte_bot.components``. The shape is TwitchIO
3's (``Component``, ``command``, ``listener``, ``guard``, ``async def setup(bot)``).

**A handler is a transaction.** It runs under its channel's lock, one message after the other. What it changes in states
and what it wants to say count only if it returns: then the changes are recorded and journaled, and the replies leave.
If it raises, or takes longer than the deadline (250 ms), the changes are rolled back and nothing is said. Slow work
(an HTTP call) goes through :meth:`Context.defer` and comes back as a transaction of its own. Code that blocks instead of
awaiting (``time.sleep``, ``requests``, a long computation) cannot be interrupted: until it returns it holds all channels,
and only then it is found to be late and rolled back.

Handlers must not read clocks or draw randomness themselves: ``ctx.now`` and ``ctx.random`` are injected, so that a
simulation can replay them.
"""

from __future__ import annotations

import inspect
import random
import typing
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from byte_bot.chat.message import (
    ChatEvent,
    ChatMessage,
    ChatNotice,
    Follow,
    Gift,
    Raid,
    Role,
    Subscription,
)
from byte_bot.chat.utterance import clean
from byte_bot.components.parameters import UsageError, fill, parameters_of
from byte_bot.components.texts import Texts
from byte_bot.context.channel import ChannelContext
from byte_bot.context.stream_context import ChannelConfig, StreamContext
from byte_bot.errors import ComponentError
from byte_bot.persistence.state import Add, ChannelState, Recent, StateT, assign
from byte_bot.persistence.storable import storable

# Milliseconds since 1970 in a key: enough for three thousand years.
_KEY_DIGITS = 14

__all__ = [
    "Add",
    "ChannelState",
    "ChatMessage",
    "ChatNotice",
    "Command",
    "Component",
    "ComponentHost",
    "Context",
    "Follow",
    "Gift",
    "Listener",
    "Raid",
    "Recent",
    "Role",
    "Subscription",
    "Texts",
    "UsageError",
    "command",
    "guard",
    "listener",
]

Handler = Callable[..., Awaitable[None]]
Guard = Callable[["Context"], bool | Awaitable[bool]]
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

#: What a listener can ask for: every chat line; one with bits; every announcement (sub, raid, …); the kinds of them that
#: carry more; a new follower; a command nobody has. What of this each transport carries stands in the README.
EVENTS = ("message", "cheer", "notice", "raid", "subscription", "gift", "follow", "unknown_command")


class Deferred(typing.NamedTuple):
    """Slow work that a handler asked for, and the method that takes its result."""

    coroutine: Coroutine[Any, Any, Any]
    then: Handler
    on_error: Handler | None


class BotView(Protocol):
    """What a handler may see of the bot."""

    @property
    def commands(self) -> tuple[Command, ...]:
        """All commands, in the order of their registration."""
        ...

    def status(self) -> Mapping[str, Any]:
        """The bot's health; the shape stands with ``Bot.status``."""
        ...


class ComponentHost(Protocol):
    """What ``async def setup(bot)`` gets: the bot, while components are added to it."""

    async def add_component(self, component: Component) -> None:
        """Register a component and load it; raises :class:`~byte_bot.errors.ComponentError` if a name is taken."""
        ...


class Context:
    """One event, seen by one handler: who said what where, the channel's state, and ways to answer."""

    __slots__ = (
        "_channel",
        "arguments",
        "bot",
        "command",
        "deferred",
        "event",
        "invoked_with",
        "language",
        "message",
        "now",
        "prefix",
        "random",
        "replies",
        "role",
    )

    _texts = Texts(en={"usage": "Usage: {usage}"}, pt_br={"usage": "Uso: {usage}"})

    def __init__(
        self,
        *,
        bot: BotView,
        channel: ChannelContext,
        message: ChatMessage,
        event: ChatEvent,
        role: Role,
        language: str,
        prefix: str,
        now: float,
        rng: random.Random,
        invoked_with: str = "",
        arguments: str = "",
    ) -> None:
        self.bot = bot
        self.message = message
        self.event = event
        self.role = role
        self.language = language
        self.prefix = prefix
        #: Unix seconds, from the injected clock; one value for the whole transaction.
        self.now = now
        #: The injected source of randomness.
        self.random = rng
        #: The command's name or alias as it was typed, without the prefix ("" for listeners).
        self.invoked_with = invoked_with
        #: What was typed after it.
        self.arguments = arguments
        #: The command that runs, None in a listener, a guard, and what comes back from :meth:`defer`.
        self.command: Command | None = None
        #: What it says, as it will be said (what chat cannot carry, the database cannot store either), and whether as a reply.
        self.replies: list[tuple[str, bool]] = []
        self.deferred: list[Deferred] = []
        self._channel = channel

    @property
    def channel(self) -> str:
        """The channel's login, without ``#``."""
        return self.message.channel

    @property
    def channel_id(self) -> str:
        """The channel's Twitch id."""
        return self.message.channel_id

    @property
    def author(self) -> str:
        """The display name of who wrote the message."""
        return self.message.author_name

    @property
    def usage(self) -> str:
        """How to type the command that runs, in one line; "" if none does.

        It does not begin with the prefix: a channel may have ``.``, and ``.ban …`` would be Twitch's command.
        """
        return self.text(self._texts, "usage", usage=self.command.usage(self.prefix)) if self.command else ""

    @property
    def is_moderator(self) -> bool:
        """True for moderators and everybody above: broadcaster and owners."""
        return self.role >= Role.MODERATOR

    @property
    def stream(self) -> StreamContext:
        """What is known about the channel's stream."""
        return self._channel.stream

    @property
    def config(self) -> ChannelConfig:
        """The channel's settings; a change here changes single columns of its row."""
        return self._channel.config

    def state(self, cls: type[StateT]) -> StateT:
        """The channel's value of a state class: typed, in RAM, no await."""
        return self._channel.state(cls)

    def assign(self, state: ChannelState, field: str, value: Any, key: str | None = None) -> None:
        """Give a field (or one ``key`` of it) a value that holds whatever is stored.

        It discards earlier adds of an ``Add`` field. And it holds where the row was not loaded yet (the database was away at the
        start) or became unreadable: a plain assignment of what RAM shows already changes nothing there, so the stored value would come back.
        """
        self._channel.mark_assigned(type(state), assign(state, field, value, key))

    def drop(self, state: ChannelState, field: str, key: str) -> None:
        """Remove ``key`` from a mapping if it is there, for good: also from a row not loaded yet, or unreadable, which may have it."""
        key = storable(key)
        self._channel.mark_dropped(state, field, key)
        getattr(state, field).pop(key, None)

    async def reply(self, text: str) -> None:
        """Answer the message, as a reply to it; it leaves when the handler has returned and its changes are journaled."""
        self.replies.append((clean(text), True))

    async def send(self, text: str) -> None:
        """Say something in the channel, not as a reply; it leaves like :meth:`reply`."""
        self.replies.append((clean(text), False))

    def defer(
        self, coroutine: Coroutine[Any, Any, Any], *, then: Handler, on_error: Handler | None = None
    ) -> None:
        """Do slow work after this handler, outside its transaction.

        Args:
            coroutine: the work; it must not touch states. It has 30 s.
            then: a method of the component, called as ``then(ctx, result)`` in a transaction of its own.
            on_error: called as ``on_error(ctx, error)`` if the work raised or took too long; without it that is logged
                and counted.
        """
        self.deferred.append(Deferred(coroutine, then, on_error))

    def text(self, texts: Texts, name: str, /, **fields: object) -> str:
        """A sentence of ``texts`` in the channel's language."""
        return texts.get(self.language, name, **fields)

    def unique_key(self, among: Iterable[str] = ()) -> str:
        """A key for a mapping that nobody else makes and that sorts by time.

        Milliseconds, then the channel's count (all handlers of one message share it), then the message's id: after a
        restart the count begins again, but time has gone on or the message is another.

        Args:
            among: the keys that are there: the new one sorts behind them, also if the wall clock was set back since.
        """
        at_ms = round(self.now * 1000)
        last = max(among, default="").partition("-")[0]
        if last.isdecimal() and len(last) == _KEY_DIGITS and int(last) >= at_ms:
            at_ms = int(last) + 1
        return f"{at_ms:0{_KEY_DIGITS}d}-{self._channel.next_key():06d}-{self.message.id[:8]}"


class Command:
    """A command as it was declared, bound to its component.

    How the words of a message become its arguments stands in :mod:`byte_bot.components.parameters`.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        name: str,
        aliases: Iterable[str],
        role: Role,
        cooldown_s: float,
        guards: Iterable[Guard],
        even_paused: bool,
        summaries: Mapping[str, str],
    ) -> None:
        self.handler = handler
        self.name = name
        self.aliases = tuple(aliases)
        self.role = role
        self.cooldown_s = cooldown_s
        self.guards = tuple(guards)
        #: True for the one or two commands that a paused channel still obeys.
        self.even_paused = even_paused
        self.help = inspect.getdoc(handler) or ""
        self.parameters = parameters_of(handler)
        self._summaries = dict(summaries)

    def __repr__(self) -> str:
        return f"<Command {self.name} role={self.role.name.lower()}>"

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, then its aliases."""
        return (self.name, *self.aliases)

    def usage(self, prefix: str) -> str:
        """One line: ``!death [how...]``."""
        return " ".join([f"{prefix}{self.name}", *(parameter.usage for parameter in self.parameters)])

    def summary(self, language: str) -> str:
        """What it does, in one line of ``language``: its translation, else the first line of its docstring."""
        return self._summaries.get(language) or self.help.partition("\n")[0]

    def parse(self, line: str) -> tuple[list[Any], dict[str, Any]]:
        """The arguments for the handler; raises :class:`UsageError` without words of its own if they do not fit."""
        return fill(self.parameters, line)


class Listener(typing.NamedTuple):
    """A method that wants to see events of a kind."""

    event: str
    handler: Handler


class Component:
    """Base of all components; see the module's docstring."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, member in vars(cls).items():
            for mark in ("command", "listener"):
                if hasattr(member, f"__byte_{mark}__") and not inspect.iscoroutinefunction(member):
                    raise ComponentError(f"{cls.__qualname__}.{name}: a {mark} must be `async def`")

    async def component_load(self) -> None:
        """Called once when the component is added."""

    async def component_teardown(self) -> None:
        """Called once when the bot stops or the component is removed."""

    def declared_commands(self) -> list[Command]:
        """Its commands, in the order of their declaration, bound to this object."""
        guards = self._members("__byte_guard__")
        return [
            Command(method, **{**declared, "guards": [*guards, *declared["guards"]]})
            for method in self._members("__byte_command__")
            for declared in [method.__byte_command__]
        ]

    def declared_listeners(self) -> list[Listener]:
        """Its listeners, in the order of their declaration, bound to this object."""
        return [Listener(method.__byte_listener__, method) for method in self._members("__byte_listener__")]

    def _members(self, mark: str) -> list[Any]:
        names = dict.fromkeys(
            name
            for cls in reversed(type(self).__mro__)
            for name, member in vars(cls).items()
            if hasattr(member, mark)
        )
        return [getattr(self, name) for name in names if hasattr(getattr(self, name), mark)]


def command(
    name: str = "",
    *,
    aliases: Iterable[str] = (),
    role: str | Role = "everyone",
    cooldown_s: float = 0.0,
    guards: Iterable[Guard] = (),
    even_paused: bool = False,
    summaries: Mapping[str, str] | None = None,
) -> Callable[[HandlerT], HandlerT]:
    """Make a method of a component a chat command.

    Args:
        name: what is typed after the prefix; the method's name if left out. Case does not matter.
        aliases: other names.
        role: the least role that may use it: everyone, subscriber, vip, moderator, broadcaster, owner.
        cooldown_s: seconds during which a second use in the same channel is passed over.
        guards: called with the context; the command is passed over if one returns False.
        even_paused: the command works while the channel is paused.
        summaries: what ``!help`` says about it in other languages, e.g. ``{"pt-br": "…"}``; in English, and where there
            is none, that is the first line of the method's docstring.
    """

    def mark(method: HandlerT) -> HandlerT:
        method.__byte_command__ = {  # type: ignore[attr-defined]  # a mark on the function, read by Component
            "name": (name or method.__name__).lower(),
            "aliases": tuple(alias.lower() for alias in aliases),
            "role": role if isinstance(role, Role) else _role(role, method.__qualname__),
            "cooldown_s": cooldown_s,
            "guards": tuple(guards),
            "even_paused": even_paused,
            "summaries": summaries or {},
        }
        return method

    return mark


def listener(event: str = "message") -> Callable[[HandlerT], HandlerT]:
    """Make a method of a component see every event of a kind, one of :data:`EVENTS`; ``ctx.event`` is the event.

    It is a :class:`ChatMessage` for ``message``, ``cheer`` (its ``bits``) and ``unknown_command``, a :class:`Raid`,
    :class:`Subscription`, :class:`Gift` or :class:`Follow` for the kinds of these names, and any :class:`ChatNotice` but a
    follow for ``notice``.
    """
    if event not in EVENTS:
        raise ComponentError(f"no event is called {event!r}; there are: {', '.join(EVENTS)}")

    def mark(method: HandlerT) -> HandlerT:
        method.__byte_listener__ = event  # type: ignore[attr-defined]  # a mark, read by Component
        return method

    return mark


def guard(method: HandlerT) -> HandlerT:
    """Make a method (``def (self, ctx) -> bool``, async or not) decide about every command of its component."""
    method.__byte_guard__ = True  # type: ignore[attr-defined]  # a mark, read by Component
    return method


def _role(name: str, where: str) -> Role:
    try:
        return Role[name.upper()]
    except KeyError:
        names = ", ".join(role.name.lower() for role in Role)
        raise ComponentError(f"{where}: no role is called {name!r}; there are: {names}") from None
