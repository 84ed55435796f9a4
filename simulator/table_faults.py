"""Faults of the database that depend on what a request carries or asks for: one that is too large, a table read as if emptied.

What all faults have in common is in `fault_base`. These two act inside the fake Supabase (`supabase/server.py`), behind the network's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from simulator.fault_base import Fault, FaultError


@dataclass(frozen=True)
class TooLarge(Fault):
    """The gateway answers 413 to a request whose body has more than ``bytes_max`` bytes; nothing is executed.

    As nginx does (client_max_body_size), in front of a project that hosts itself, or whose gateway was set tighter.
    """

    kind: ClassVar[str] = "too_large"
    bytes_max: int = 100_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bytes_max < 1:
            raise FaultError(f"too_large: bytes_max must be at least 1, got {self.bytes_max}")


@dataclass(frozen=True)
class EmptyList(Fault):
    """``channels_config`` is read as if somebody had emptied it: of its rows the API shows the schema's own alone.

    The table itself stays as it is, so that everything is back when the fault ends, as after a restored backup.
    """

    kind: ClassVar[str] = "empty_list"
