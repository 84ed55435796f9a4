"""Placeholders in braces: what is replaced, what stays, what is refused."""

from __future__ import annotations

import pytest

from simulator.errors import ProcessError
from simulator.placeholders import PlaceholderError, filled

VALUES = {"irc_host": "127.0.0.1", "irc_port": "1111"}


def test_placeholders_are_replaced_and_other_braces_stay() -> None:
    """Commands may hold JSON, and placeholders of somebody else."""
    assert filled('{irc_host}:{irc_port} {"kind": 1} {n}', VALUES) == '127.0.0.1:1111 {"kind": 1} {n}'


def test_a_misspelt_one_is_refused() -> None:
    """With the one that was meant, as the caller's own error."""
    with pytest.raises(
        PlaceholderError, match=r"\{irc_prot\} in 'x\{irc_prot\}': did you mean \{irc_port\}\?"
    ):
        filled("x{irc_prot}", VALUES)
    with pytest.raises(ProcessError, match="did you mean"):
        filled("{irc_hots}", VALUES, ProcessError)
