"""Placeholders in braces, as a command or a variable of somebody's bot may contain them: `{irc_port}`.

Braces around anything that is no placeholder stay, since commands may contain JSON; one that is nearly a placeholder is taken for a
misspelt one and refused. Pure.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from simulator.errors import SimulatorError

_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")
# A name that is so like a placeholder is a misspelt one.
_LIKENESS = 0.75


class PlaceholderError(SimulatorError):
    """A placeholder that is nearly one; the message says which was meant."""


def filled(text: str, values: Mapping[str, str], error: type[SimulatorError] = PlaceholderError) -> str:
    """`text` with each {placeholder} replaced; raises `error` for a misspelt one."""
    for name in _PLACEHOLDER.findall(text):
        if name not in values and (close := difflib.get_close_matches(name, values, n=1, cutoff=_LIKENESS)):
            raise error(f"{{{name}}} in {text!r}: did you mean {{{close[0]}}}?")
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)
