"""From a chat line to a command: prefix, name, and whether it may run now. Pure but for the state of cooldowns.

A line is a command if it starts with the channel's prefix directly followed by a name. Names are compared without
regard to case. Two commands of the same name are an error at start, not a surprise in chat.
"""

from __future__ import annotations

import msgspec

from byte_bot.chat.message import ChatMessage, ChatNotice, Follow, Gift, Raid, Subscription
from byte_bot.components.api import EVENTS, Command, Component, Listener
from byte_bot.errors import ComponentError


class Invocation(msgspec.Struct, frozen=True):
    """What a line asks for: the name as typed, lower case, and the rest of the line."""

    name: str
    arguments: str


class Router:
    """All commands and listeners of the bot."""

    def __init__(self) -> None:
        self._components: dict[Component, list[Command]] = {}
        self._listeners: dict[Component, list[Listener]] = {}
        #: By event, in the order of registration: asked for with every line of chat.
        self._listening: dict[str, tuple[Listener, ...]] = {}
        self._by_name: dict[str, Command] = {}

    @property
    def commands(self) -> tuple[Command, ...]:
        """All commands, in the order of their registration."""
        return tuple(command for commands in self._components.values() for command in commands)

    @property
    def components(self) -> tuple[Component, ...]:
        """All components, in the order of their registration."""
        return tuple(self._components)

    def add(self, component: Component) -> None:
        """Register a component; raises :class:`ComponentError` if a name is taken, and then registers nothing."""
        commands = component.declared_commands()
        listeners = component.declared_listeners()
        if component in self._components:
            raise ComponentError(f"{type(component).__qualname__}: this object was added already")
        fresh: dict[str, Command] = {}
        for command in commands:
            for name in command.names:
                taken = self._by_name.get(name) or fresh.get(name)
                if taken is not None:
                    raise ComponentError(
                        f"{type(component).__qualname__}: the command {name!r} exists already in "
                        f"{taken.handler.__qualname__}; rename one or drop the alias"
                    )
                fresh[name] = command
        self._by_name.update(fresh)
        self._components[component] = commands
        self._listeners[component] = listeners
        self._sort_listeners()

    def remove(self, component: Component) -> None:
        """Take a component out again; one that is not registered is passed over."""
        for command in self._components.pop(component, ()):
            for name in command.names:
                del self._by_name[name]
        self._listeners.pop(component, None)
        self._sort_listeners()

    def _sort_listeners(self) -> None:
        everybody = [listener for listeners in self._listeners.values() for listener in listeners]
        self._listening = {
            event: tuple(listener for listener in everybody if listener.event == event) for event in EVENTS
        }

    def find(self, name: str) -> Command | None:
        """The command of that name or alias."""
        return self._by_name.get(name)

    def listeners(self, event: str) -> tuple[Listener, ...]:
        """Who wants to see events of that kind (one of ``EVENTS``)."""
        return self._listening.get(event, ())


def heard_as(event: ChatMessage | ChatNotice) -> tuple[str, ...]:
    """The kinds of listeners that get an event, in the order in which they are called."""
    match event:
        case ChatMessage():
            return ("message", "cheer") if event.bits else ("message",)
        case Raid():
            return ("notice", "raid")
        case Subscription():
            return ("notice", "subscription")
        case Gift():
            return ("notice", "gift")
        case Follow():
            # No announcement of chat: whoever listens to those has never seen one.
            return ("follow",)
        case _:
            return ("notice",)


def parse_invocation(text: str, prefix: str) -> Invocation | None:
    """What ``text`` asks for, None if it is no command."""
    if not text.startswith(prefix):
        return None
    rest = text[len(prefix) :]
    if not rest or rest[0].isspace():
        return None
    # Not partition(" "): people type other blanks too, such as U+3000.
    name, *arguments = rest.split(maxsplit=1)
    return Invocation(name.lower(), arguments[0].rstrip() if arguments else "")


def without_mention(text: str) -> str:
    """The text of a threaded reply without the ``@Name`` that Twitch puts in front of it: whom it answers."""
    return text.partition(" ")[2].lstrip() if text.startswith("@") else text


def cooldown_passed(cooldowns: dict[str, float], command: Command, now_s: float) -> bool:
    """True, and the cooldown starts, if the command may run again in this channel at loop time ``now_s``."""
    if command.cooldown_s <= 0:
        return True
    if now_s < cooldowns.get(command.name, float("-inf")) + command.cooldown_s:
        return False
    cooldowns[command.name] = now_s
    return True
