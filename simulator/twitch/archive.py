"""What was said: the transcript of the clients' messages, and the recent messages that can be replied to or deleted.

Both are bounded and keep the newest; transcript entries that went are counted. Threads are remembered by the id of their first
message, as Twitch's `reply-thread-parent-*` tags need.
"""

from __future__ import annotations

from simulator.twitch.events import SentMessage

TRANSCRIPT_MAX = 200_000  # chosen: an hour of 55 messages a second
#: Over all channels; chosen: twenty seconds of 500 messages a second. A reply to an older one is posted without what it answers.
RECENT_MESSAGES_MAX = 10_000


class Archive:
    """The messages of one fake Twitch."""

    def __init__(
        self, *, transcript_max: int = TRANSCRIPT_MAX, recent_max: int = RECENT_MESSAGES_MAX
    ) -> None:
        self._transcript_max = transcript_max
        self.recent_max = recent_max
        self._recent: dict[
            str, tuple[SentMessage, str]
        ] = {}  # id -> message, id of its thread's first message
        self.transcript: list[SentMessage] = []
        self.transcript_dropped = 0

    def add(self, message: SentMessage, parent: SentMessage | None) -> None:
        """Remember a message; only those from clients enter the transcript."""
        self._recent[message.id] = (message, self._thread_id(parent) if parent is not None else message.id)
        if len(self._recent) > self.recent_max:
            del self._recent[next(iter(self._recent))]
        if not message.from_client:
            return
        self.transcript.append(message)
        if len(self.transcript) > self._transcript_max:
            # In lumps of a tenth: dropping one at a time from the front of a list would cost its whole length each time.
            lump = max(1, self._transcript_max // 10)
            del self.transcript[:lump]
            self.transcript_dropped += lump

    def find(self, message_id: str) -> SentMessage | None:
        """Return a recent message, or None."""
        found = self._recent.get(message_id)
        return found[0] if found is not None else None

    def said_in(self, channel: str, text: str) -> bool:
        """Say whether a recent message of the channel has exactly this text; looks through all recent messages."""
        return any(
            message.channel == channel and message.text == text for message, _ in self._recent.values()
        )

    def thread_root(self, message: SentMessage) -> SentMessage:
        """Return the first message of the thread, or the nearest one that is still remembered."""
        return self.find(self._thread_id(message)) or message

    def forget(self, message_id: str) -> SentMessage | None:
        """Remove a recent message and return it, or None."""
        found = self._recent.pop(message_id, None)
        return found[0] if found is not None else None

    def _thread_id(self, message: SentMessage) -> str:
        found = self._recent.get(message.id)
        return found[1] if found is not None else message.id

    def clear(self) -> None:
        """Empty it, as on a Twitch that has just started."""
        self._recent.clear()
        self.transcript.clear()
        self.transcript_dropped = 0
