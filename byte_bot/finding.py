"""What a check found: a name, how it stands, words, and what to do about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Status(enum.StrEnum):
    """How one thing stands. Only ``FAILED`` keeps the bot from doing its job."""

    OK = "ok"
    WARNING = "warning"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``byte-bot check``; ``advice`` is the next thing to do, empty if there is nothing to do."""

    name: str
    status: Status
    words: str
    advice: str = ""
