"""What the persistence layer asks of a database, as a protocol, and the shapes that go through it.

The layer knows this and nothing of Supabase; :mod:`byte_bot.persistence.supabase_store` is the real one. All methods
raise :class:`~byte_bot.errors.DatabaseUnavailable` or :class:`~byte_bot.errors.DatabasePaused`, a save also
:class:`~byte_bot.errors.RequestRefused`, and nothing else: failure is never an empty list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

from byte_bot.persistence.operations import Base, RowKey

#: In place of a SQLSTATE: what the request carries cannot be written as JSON, so no server has seen it.
UNENCODABLE: Final = "unencodable"
#: In place of a SQLSTATE: the stored row has an epoch that nobody can have taken.
EPOCH_BEYOND: Final = "epoch"


class SaveRequest(msgspec.Struct, frozen=True):
    """The arguments of ``byte_bot_save``; the shapes of the objects stand in ``schema/``."""

    epoch: int
    rows: list[dict[str, Any]]
    patches: list[dict[str, Any]]
    history: list[dict[str, Any]]
    events: list[dict[str, Any]]


class Refusal(msgspec.Struct, frozen=True):
    """A row that was not saved, and why.

    ``edited``: a human changed (or deleted) it since it was read; ``stale``: the stored row is newer; both bring the
    row as it stands. ``invalid``: the server cannot store it, with SQLSTATE and words.
    """

    key: RowKey
    reason: Literal["edited", "stale", "invalid"]
    sqlstate: str
    message: str
    stored: Base


class SaveAnswer(msgspec.Struct, frozen=True):
    """What became of a save. ``fenced``, ``unknown_epoch``: nothing was written; ``epoch`` is the database's.

    ``holder`` names who took the epoch that fences.
    """

    status: Literal["ok", "fenced", "unknown_epoch"]
    epoch: int
    refused: list[Refusal]
    holder: str = ""


class DatabaseStore(Protocol):
    """See the module's docstring."""

    async def take_epoch(self, holder: str, seen: int) -> int:
        """Take a new epoch, higher than every earlier one and than ``seen``."""
        ...

    async def save(self, request: SaveRequest) -> SaveAnswer:
        """Save everything of ``request`` in one transaction on the server."""
        ...

    async def load_states(self, channel_ids: Sequence[str]) -> dict[RowKey, Base]:
        """All state rows of the channels (at most 100 ids); a channel without rows is simply absent."""
        ...

    async def list_channels(self) -> dict[str, Base]:
        """All rows of ``channels_config`` by login, without the sentinel.

        Raises:
            DatabasePaused: the sentinel row did not come back: wrong key, or a schema that was never applied.
        """
        ...
