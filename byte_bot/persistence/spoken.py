"""What the bot's account said lately, as the journal keeps it for the next process; pure.

Twitch counts what an account says in half a minute, whichever process says it, and ignores an account that goes over for half
an hour. So each message's :class:`~byte_bot.persistence.journal_image.Handled` carries what has left since the one before it,
and how many messages may leave before the next: what waits at the gate or in the outbox, the message's own replies among it. It rides
along with what is committed anyway, before those replies may leave; so whatever left is either told or was announced.

**Two clocks.** Each moment is noted on the wall clock and on the loop's, which goes on over the end of a process on all
systems that Python's monotonic clock is known on (it counts from the machine's start). An age (:func:`age_s`) is the lower of what the
two make of it, where they make sense: a wall clock that was set makes nothing older, and after a restart of the machine, or
on another one, the loop's says nothing.

Left out: what left under a journal that was degraded when the process died, and what a power cut took of the journal.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

#: Messages that are remembered; an account that is not verified may say no more in a window.
SAID_MAX: Final = 100


class Moment(NamedTuple):
    """A moment on two clocks: seconds since 1970, and seconds of the loop."""

    unix_s: float = 0.0
    loop_s: float = 0.0


def age_s(then: Moment, now: Moment) -> float:
    """How many seconds ago that was, in doubt fewer: 0 if both clocks say that it is still to come."""
    ages_s = (now.unix_s - then.unix_s, now.loop_s - then.loop_s)
    return min((age for age in ages_s if age >= 0.0), default=0.0)


class Spoken(msgspec.Struct, frozen=True, array_like=True):
    """What has left by the moment ``at``, and how many messages wait to."""

    at: Moment
    said: list[Moment] = []
    waiting: int = 0
    #: Those to channels where the bot is moderator, VIP or broadcaster.
    waiting_privileged: int = 0

    def followed_by(self, later: Spoken | None) -> Spoken:
        """Both together; None is a moment at which nothing had been said since, and nothing waited."""
        if later is None:
            if not (self.waiting or self.waiting_privileged):
                return self
            return Spoken(self.at, self.said)
        if not self.said:
            return later
        return msgspec.structs.replace(later, said=[*self.said, *later.said][-SAID_MAX:])


NOTHING_SPOKEN: Final = Spoken(Moment())
