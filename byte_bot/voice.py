"""The way from a turn to the outbox, and what the journal is told of it.

How it works. A turn announces its replies before they wait at the journal's gate (:meth:`Voice.announce`), and puts them into
the outbox behind it (:meth:`Voice.put`). What the account says is limited by Twitch over the end of a process, so the
announcement is also what the journal gets to know: what has left since the last message was handled, and how much waits to
(:mod:`byte_bot.persistence.spoken`). :meth:`Voice.remember` gives it to the limiter of the next process.

It costs no commit: only a message that is handled carries it. Of slow work that has come back the next message tells. Of a verified
account nothing is told (:attr:`~byte_bot.chat.limiter.MessageLimiter.tells`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain

from byte_bot.chat.outbox import Outbox, Reply, pieces_of
from byte_bot.clock import Clock
from byte_bot.persistence.journal import Handled
from byte_bot.persistence.spoken import SAID_MAX, Moment, Spoken, age_s


class Voice:
    """See the module's docstring.

    Args:
        outbox: where replies leave; what its limiter counts is told.
        clock: wall time.
    """

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._limiter = outbox.limiter
        self._clock = clock
        self._now = asyncio.get_running_loop().time
        #: Messages that wait at the journal's gate, by channel.
        self._at_gate: dict[str, int] = {}

    def announce(self, message_id: str, replies: Sequence[Reply]) -> Handled | None:
        """These replies will be put; what the journal is to know of the message, None of one without an id."""
        if not self._limiter.tells:
            return Handled(message_id) if message_id else None
        at_gate = self._at_gate
        for reply in replies:
            at_gate[reply.channel] = at_gate.get(reply.channel, 0) + len(pieces_of(reply.text))
        if not message_id:
            return None
        untold, waiting = self._limiter.take_untold(), self._waiting()
        if not (untold or any(waiting)):
            return Handled(message_id)
        now = Moment(self._clock.unix(), self._now())
        said = [Moment(now.unix_s - (now.loop_s - at_s), at_s) for at_s in untold]
        return Handled(message_id, Spoken(now, said, *waiting))

    def put(self, replies: Sequence[Reply]) -> None:
        """The gate is open: have them said."""
        at_gate = self._at_gate
        for reply in replies:
            if reply.channel in at_gate:
                at_gate[reply.channel] -= len(pieces_of(reply.text))
                if at_gate[reply.channel] <= 0:
                    del at_gate[reply.channel]
            self._outbox.put(reply)

    def remember(self, spoken: Spoken) -> None:
        """Have the limiter count what the process before this one said, before anything is said."""
        now = Moment(self._clock.unix(), self._now())
        since_s = now.loop_s - age_s(spoken.at, now)
        self._limiter.recall(
            (now.loop_s - age_s(moment, now) for moment in spoken.said),
            {False: spoken.waiting, True: spoken.waiting_privileged},
            min(now.loop_s, since_s + self._outbox.reply_age_max_s),
        )

    def _waiting(self) -> tuple[int, int]:
        """How many messages may leave before the next is handled: where the bot is nobody, and where it is privileged."""
        nobody = privileged = 0
        for channel, count in chain(self._at_gate.items(), self._outbox.queued):
            if self._limiter.privileged(channel):
                privileged += count
            else:
                nobody += count
            if nobody + privileged >= SAID_MAX:
                break
        return nobody, privileged
