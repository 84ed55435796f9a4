"""A command's parameters: read from its handler's signature, filled with the words a viewer typed.

========================  ==========================================================
``n: int``                one word; ``str``, ``int``, ``float``, a ``Literal`` of strings
``n: int = 1``            the same, may be left out
``*words: str``           all remaining words
``*, text: str``          the rest of the line, as it was typed
========================  ==========================================================

A mistake in a signature is a :class:`~byte_bot.errors.ComponentError` when the component is added; words that do not
fit are a :class:`UsageError` when they are typed.
"""

from __future__ import annotations

import enum
import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union

from byte_bot.errors import ComponentError


class UsageError(ComponentError):
    """What a viewer typed does not fit the command; its message is said in chat, the usage line if there is none."""


class Shape(enum.Enum):
    """How a parameter takes words."""

    WORD = enum.auto()
    REST_OF_WORDS = enum.auto()
    REST_OF_LINE = enum.auto()


# Looked up once, for what runs with every command.
_WORD, _REST_OF_LINE = Shape.WORD, Shape.REST_OF_LINE


class Parameter(typing.NamedTuple):
    """One parameter of a command, after ``self`` and ``ctx``."""

    name: str
    shape: Shape
    convert: Callable[[str], Any]
    required: bool
    default: Any
    choices: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """As shown in a usage line: ``<required>``, ``[optional]``, ``[more...]``."""
        name = "|".join(self.choices) if self.choices else self.name
        name += "..." if self.shape is not Shape.WORD else ""
        return f"<{name}>" if self.required else f"[{name}]"

    def value(self, words: str) -> Any:
        """``words`` as the parameter's type, its default if there are none; raises :class:`UsageError`."""
        if not words:
            if self.required:
                raise UsageError("")
            return self.default
        if self.convert is str:
            return words
        try:
            value = self.convert(words)
        except ValueError:
            raise UsageError("") from None
        if self.choices and value not in self.choices:
            raise UsageError("")
        return value


def parameters_of(handler: Callable[..., Any]) -> tuple[Parameter, ...]:
    """The parameters of a handler after its context; raises :class:`ComponentError` for a signature chat cannot fill."""
    if isinstance(handler, types.MethodType):
        return _parameters_after(1, handler.__func__)
    return _parameters_after(0, handler)


# A handler is looked at once in a process, however many bots of it are started: in a small simulated night that was a tenth of the time.
@functools.lru_cache(maxsize=1024)
def _parameters_after(bound: int, handler: Callable[..., Any]) -> tuple[Parameter, ...]:
    try:
        hints = typing.get_type_hints(handler)
    except NameError as error:
        raise ComponentError(f"{handler.__qualname__}: its annotations cannot be read: {error}") from None
    signature = list(inspect.signature(handler).parameters.values())[bound:]
    if not signature:
        raise ComponentError(f"{handler.__qualname__} needs a parameter for the context")
    found = tuple(_parameter(handler, parameter, hints) for parameter in signature[1:])
    for parameter in found[:-1]:
        if parameter.shape is not Shape.WORD:
            raise ComponentError(f"{handler.__qualname__}: nothing is left for what follows {parameter.name}")
    return found


def fill(parameters: Sequence[Parameter], line: str) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments from what was typed; raises :class:`UsageError` if it does not fit."""
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    rest = line.strip()
    for parameter in parameters:
        shape = parameter.shape
        if shape is _WORD:
            # Not partition(" "): people type other blanks too, such as U+3000.
            words = rest.split(maxsplit=1)
            rest = words[1] if len(words) > 1 else ""
            positional.append(parameter.value(words[0] if words else ""))
        elif shape is _REST_OF_LINE:
            keywords[parameter.name] = parameter.value(rest)
        else:
            positional.extend(parameter.value(word) for word in rest.split())
    return positional, keywords


def _parameter(
    handler: Callable[..., Any], parameter: inspect.Parameter, hints: Mapping[str, Any]
) -> Parameter:
    where = f"{handler.__qualname__}: {parameter.name}"
    convert, choices = _converter(where, hints.get(parameter.name, str))
    shapes = {
        "POSITIONAL_OR_KEYWORD": Shape.WORD,
        "VAR_POSITIONAL": Shape.REST_OF_WORDS,
        "KEYWORD_ONLY": Shape.REST_OF_LINE,
    }
    shape = shapes.get(parameter.kind.name)
    if shape is None:
        raise ComponentError(f"{where} cannot be a parameter of a command")
    required = parameter.default is inspect.Parameter.empty and shape is not Shape.REST_OF_WORDS
    return Parameter(parameter.name, shape, convert, required, parameter.default, choices)


def _converter(where: str, hint: Any) -> tuple[Callable[[str], Any], tuple[str, ...]]:
    if typing.get_origin(hint) in (Union, types.UnionType):
        hints = [part for part in typing.get_args(hint) if part is not type(None)]
        hint = hints[0] if len(hints) == 1 else hint
    if hint in (str, int):
        return hint, ()
    if hint is float:
        return _finite, ()
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if all(isinstance(choice, str) and choice == choice.lower() for choice in choices):
            return str.lower, choices
    raise ComponentError(f"{where} must be str, int, float or a Literal of lower-case strings, not {hint!r}")


def _finite(word: str) -> float:
    """A float that JSON can hold: ``nan`` and ``inf`` are numbers to Python only."""
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(word)
    return value
