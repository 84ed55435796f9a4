"""The errors of ``byte_bot``, one tree, split by what the caller can do about them.

::

    ByteBotError
    ├── SettingsError            fix the settings: every wrong variable is named at once
    ├── ComponentError           fix the component: bad declaration, missing setup()
    ├── StateError               fix the component: a state class or value that cannot be stored
    ├── DatabaseError            (raised by a store, never by the chat path)
    │   ├── DatabaseUnavailable  retry later: transport, 408, 429, 5xx
    │   ├── DatabasePaused       a human must act: schema, privilege, key, billing; probe, lose nothing
    │   └── RequestRefused       the request's data or size: halve it until the culprit stands alone
    ├── MigrationError           fix what it names, and migrate again: nothing was changed
    ├── Fenced                   give up: a newer process holds the epoch
    ├── JournalError             the local disk: go on ungated, say so, try again
    ├── JournalRefused           choose another journal, or the release that wrote it
    │   └── JournalUnready       make room on the disk, or wait: nothing is wrong with the file
    ├── JournalLocked            stop the other bot, or wait for it
    ├── BridgeError              another thread asked too late, too early, or for too long
    └── chat errors              see byte_bot/chat/errors.py

``except Exception`` stands only at supervisors (a handler's transaction, a background task), which log and count.
"""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """What ``byte-bot run`` returns to the shell, so that a supervisor can tell "fix me" from "restart me"."""

    OK = 0
    FAILED = 1
    SETTINGS = 2
    LOGIN_REFUSED = 3
    FENCED = 4
    JOURNAL_LOCKED = 5
    JOURNAL_REFUSED = 6


class ByteBotError(Exception):
    """Root of all errors raised on purpose by ``byte_bot``."""


class SettingsError(ByteBotError):
    """One or more settings are missing or wrong; the message has one line for each."""


class ComponentError(ByteBotError):
    """A component is declared wrongly or cannot be loaded."""


class StateError(ByteBotError):
    """A ``ChannelState`` class is declared wrongly, or a value in it cannot be stored."""


class DatabaseError(ByteBotError):
    """Something between us and Supabase did not work."""


class DatabaseUnavailable(DatabaseError):
    """The call may succeed later.

    Args:
        words: what happened, for the log.
        retry_after_s: what the server asked for (``Retry-After``), in seconds, or None.
        surely_not_executed: True only if the request cannot have reached the database (connection refused),
            so that what was sent may be replaced by something newer before the next try.
    """

    def __init__(
        self, words: str, *, retry_after_s: float | None = None, surely_not_executed: bool = False
    ) -> None:
        super().__init__(words)
        self.retry_after_s = retry_after_s
        self.surely_not_executed = surely_not_executed


class DatabasePaused(DatabaseError):
    """Trying harder does not help: a human must act. Nothing is lost meanwhile.

    Args:
        code: SQLSTATE, PGRST code or HTTP status as text.
        words: the server's words.
        advice: what to do, in one sentence.
    """

    def __init__(self, code: str, words: str, advice: str) -> None:
        super().__init__(f"{advice} [{code}: {words}]")
        self.code = code
        self.words = words
        self.advice = advice


class RequestRefused(DatabaseError):
    """The server refused the whole request because of its data or its size.

    Args:
        code: SQLSTATE, PGRST code or HTTP status as text.
        words: the server's words.
    """

    def __init__(self, code: str, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code = code
        self.words = words


class MigrationError(ByteBotError):
    """``byte-bot migrate`` changed nothing; the message says why, and the way out."""


class Fenced(ByteBotError):
    """Another process took a newer epoch: this one must stop confirming and leave."""

    def __init__(self, ours: int, current: int) -> None:
        super().__init__(
            f"another byte-bot took over this database (epoch {current}, ours {ours}); this one stops. "
            "Run one bot per Supabase project."
        )
        self.ours = ours
        self.current = current


class JournalError(ByteBotError):
    """The journal's store could not commit (disk full, read-only, too slow).

    Args:
        words: what happened, for the log.
        in_doubt: True if the commit may have reached the disk all the same: only the same one may be tried next.
    """

    def __init__(self, words: str, *, in_doubt: bool = False) -> None:
        super().__init__(words)
        self.in_doubt = in_doubt


class JournalRefused(ByteBotError):
    """The journal cannot be used at all: a newer release's, another bot's, or out of reach; the message has the way out."""


class JournalUnready(JournalRefused):
    """The journal cannot be opened now: its disk is full, read-only or fails, or another program holds the file."""


class JournalLocked(ByteBotError):
    """Another process holds the journal; the message says which."""


class BridgeError(ByteBotError):
    """A call from another thread could not be carried out: no loop yet, loop closed, or timed out."""
