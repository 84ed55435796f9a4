"""A function is called once more where the stack is empty."""

from __future__ import annotations

import msgspec
import pytest

from byte_bot.persistence.fresh_stack import on_fresh_stack
from tests.byte_bot.persistence.nesting import BOTTOMLESS, deepest, nested


def test_what_can_just_be_read_where_little_was_called_can_be_read_there() -> None:
    """From here, where a test runner has called a lot, it cannot."""
    depth = on_fresh_stack(lambda _: deepest(), None) - 10
    data = b"[" * depth + b"]" * depth
    with pytest.raises(RecursionError):
        msgspec.json.decode(data)
    assert on_fresh_stack(lambda text: msgspec.json.decode(text) == nested(depth), data)


def test_what_it_raises_is_raised() -> None:
    """Also where no stack would be large enough."""
    with pytest.raises(msgspec.DecodeError):
        on_fresh_stack(msgspec.json.decode, b"[")
    with pytest.raises(RecursionError):
        on_fresh_stack(msgspec.json.decode, b"[" * BOTTOMLESS)
