"""What must happen sometimes: the rare things that a night may have seen, each with a line that says what it is.

An invariant says what must always hold; it shows nothing about a path that was never gone. So many nights together are asked
what at least one of them has seen: a search that never met a full save or a fenced writer has shown nothing about them, and says so.

What it leaves out: how often something happened in a night, and whether the bot did right; that is for the invariants. Who looks is
in `witness.py`.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable

#: Messages within one second that are a burst; a twentieth of the twins' nights has up to 1,000.
BURST_PER_S = 500


class Sometimes(enum.StrEnum):
    """What can happen to a bot that is in trouble, or whose chat is loud; the words are those shown to people."""

    description: str

    def __new__(cls, words: str, description: str) -> Sometimes:
        """A member: its words, and what it means in a sentence."""
        member = str.__new__(cls, words)
        member._value_ = words
        member.description = description
        return member

    # The database is in trouble.
    CALL_FAILED = "call failed", "a request to the database was not answered as it should be"
    CIRCUIT_OPEN = "circuit open amid chat", "somebody spoke while the breaker was open"
    CIRCUIT_PAUSED = "circuit paused amid chat", "somebody spoke while a human had to act on the database"
    PROBE_FAILED = "half-open probe failed", "the one call that a half-open circuit lets through failed too"
    SAVE_FAILED = "save failed", "a save had no answer"
    SAVE_HALVED = (
        "more rows waiting than a halved save takes",
        "after saves without an answer one was smaller",
    )
    BISECTED = "bisection ran", "a save was refused as a whole and sent in halves"
    DEAD_LETTER = "dead letter made", "the database refused a row for what is in it"
    LOST_ANSWER_RETRIED = (
        "lost answer retried",
        "a save that the database had carried out was sent and carried out again",
    )
    FULL_SAVE = "full save of rows", "as many rows as a save may have"
    FULL_SAVE_OF_HISTORY = "full save of history", "as many chat lines as a save may have"
    HISTORY_DROPPED = "history dropped", "more chat lines waited than are kept"
    #: Others write, too.
    MERGED = (
        "merge kept a local field",
        "a human had changed the data of a row with local changes: they were saved on top of it",
    )
    OVERTAKEN = "older save refused", "the row guard refused a save that a newer one had overtaken"
    FENCED_SAVE = "fenced save", "a save under an epoch that is not the newest was refused"
    FENCED = "fenced writer", "a bot ended because another took over"
    UNREADABLE = "row unreadable", "a row that a human wrote does not fit its class"
    # Memory.
    EVICTED_AMID_CHAT = (
        "context evicted amid chat",
        "a channel left memory within a tenth of a second of a message",
    )
    RELOADED = "evicted context loaded again", "a channel that had left memory answered, loaded"
    ANSWERED_BEFORE_LOAD = "reply before the load", "a reply left while its channel's load was on its way"
    LATE_LOAD = "late load", "a load met rows that had been changed meanwhile"
    EPOCH_LATE = "epoch taken late", "a reply had left before the process had an epoch"
    SNAPSHOT_ANSWERED = (
        "snapshot answered",
        "a process answered from an earlier one's snapshot, before any load of its own",
    )
    # The process and its journal.
    REPLAYED = "replay at boot had operations", "a process found changes that an earlier one had not saved"
    DIED_IN_FLIGHT = "process died with a save in flight", "nobody was left to hear the answer"
    DIED_UNCOMMITTED = "process died with a commit under way", "what it carried is in the journal, or is not"
    DIED_STOPPING = "process died while it stopped", "killed in the middle of an orderly stop"
    POWER_CUT_LOST = "power cut lost a commit", "one that the process had been told of"
    GATE_WAITED = "reply held by the gate", "it left in the very instant in which its record was durable"
    JOURNAL_DEGRADED = "journal degraded", "the disk failed or took too long"
    LEFT_UNGATED = "reply left ungated", "it left before it was durable, as announced"
    JOURNAL_FOLDED = "journal at its bound", "more writes waited than are kept one by one"
    FOLD_FAILED = "fold failed", "the disk failed while the journal's log was folded into its tables"
    # Chat.
    LIMITER_HELD = "reply held by a limit of Twitch", "it waited although the connection was sound"
    REPLY_TOO_OLD = "reply dropped for its age", "15 s after the command nobody waits for it"
    OUTBOX_FULL = "reply dropped by a full outbox", "more replies waited in one channel than it could use"
    REPEATED = "message delivered twice", "the bot refused to handle it again"
    CHAT_AWAY = "chat connection lost", "somebody spoke while the bot was not connected"
    REJOINED = "rejoin", "a bot that had lost its connection answered over another"
    BURST = f"burst of {BURST_PER_S}/s", "so many messages within one second"


#: What a pair of twins may see: one process, no human, a database that is in trouble.
TWINS: tuple[Sometimes, ...] = (
    Sometimes.CALL_FAILED,
    Sometimes.CIRCUIT_OPEN,
    Sometimes.CIRCUIT_PAUSED,
    Sometimes.SAVE_FAILED,
    Sometimes.SAVE_HALVED,
    Sometimes.BISECTED,
    Sometimes.FULL_SAVE,
    Sometimes.FULL_SAVE_OF_HISTORY,
    Sometimes.HISTORY_DROPPED,
    Sometimes.EVICTED_AMID_CHAT,
    Sometimes.RELOADED,
    Sometimes.ANSWERED_BEFORE_LOAD,
    Sometimes.GATE_WAITED,
    Sometimes.JOURNAL_DEGRADED,
    Sometimes.LEFT_UNGATED,
    Sometimes.JOURNAL_FOLDED,
    Sometimes.LIMITER_HELD,
    Sometimes.REPLY_TOO_OLD,
    Sometimes.OUTBOX_FULL,
    Sometimes.REPEATED,
    Sometimes.CHAT_AWAY,
    Sometimes.BURST,
)


def what_happened(seen: Counter[Sometimes], wanted: Iterable[Sometimes], nights: str) -> str:
    """In how many nights each thing has happened, in lines; what never did is told too. `nights` says of which."""
    wanted = tuple(wanted)
    happened = ", ".join(f"{one} {seen[one]}" for one in wanted if seen[one]) or "nothing"
    never = ", ".join(one for one in wanted if not seen[one])
    words = f"in how many {nights}: {happened}"
    return f"{words}\nin none: {never}" if never else words
