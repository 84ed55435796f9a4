"""JSON text as PostgreSQL has it, read and written with numbers that Python makes no int of.

jsonb keeps numbers as ``numeric``: ``1e5000``, entered in the table editor, comes back as 5,001 digits. Python reads and prints ints of
at most 4,300 digits. So a longer one is kept here as :class:`Digits`, a text that a JSON library takes for a string, and is put between
the others without its quotes on the way out. Pure.

Left out: an exponent in JSON text becomes a float, as Python reads it; whoever wants ``1e5000`` says ``Digits("1e5000")``.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final

#: Digits of the longest number that Python reads and prints (``sys.int_info.default_max_str_digits``).
PYTHON_DIGITS_MAX: Final = 4_300
#: What tells such a number from a text: a code point that Unicode gives to no character.
_MARK: Final = "\ufdd0"
_MARKED: Final = re.compile(f'"{_MARK}(-?[0-9]+)"')


class Digits(str):
    """A whole number of any length, given as ``numeric`` takes it: ``1e5000``, ``-12``."""

    __slots__ = ()

    def __new__(cls, number: str) -> Digits:
        """Expand the exponent, as ``numeric`` does; raises ValueError for what is not a whole number."""
        plain = number if re.fullmatch("-?[0-9]+", number) else f"{Decimal(number):f}"
        if not re.fullmatch("-?[0-9]+", plain):
            raise ValueError(f"{number:.40} is no whole number")
        return super().__new__(cls, _MARK + plain)

    @property
    def digits(self) -> str:
        """The number as PostgreSQL prints it."""
        return self[len(_MARK) :]


def loads(text: str | bytes) -> Any:
    """The value of JSON text, with :class:`Digits` for each number that is too long for an int; raises ValueError."""
    try:
        return json.loads(text)
    except ValueError as error:
        if type(error) is not ValueError or len(text) <= PYTHON_DIGITS_MAX:
            raise  # it is no JSON
        # Only now: a hook of one's own makes a function call of every number.
        return json.loads(text, parse_int=_whole)


def dumps(value: Any, *, allow_nan: bool = False) -> str:
    """Compact JSON text; raises ValueError for infinity and NaN unless they are allowed."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=allow_nan)
    return _MARKED.sub(r"\1", text) if _MARK in text else text


def _whole(digits: str) -> int | Digits:
    return int(digits) if len(digits.lstrip("-")) <= PYTHON_DIGITS_MAX else Digits(digits)
