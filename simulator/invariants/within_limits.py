"""The bot keeps Twitch's rate limits: nothing that it says, joins or logs in with is dropped for being too much.

Over a limit Twitch drops messages in silence, and may ignore the account for an hour; so not even once. What the fake Twitch has
dropped for that reason is looked at every second: messages over the account's window, closer than a second, or twice the same,
JOINs and logins over theirs.

What the process before it said counts for the one that runs now, which has it from the journal. Excused are, each for the
:data:`FORGIVEN_S` in which Twitch counts it:

* what was said by a process whose journal does not have it (it died degraded, its machine lost the power, or nothing is left of its
  disk), or by another one that ran beside this one, be it for a moment;
* what costs one message and not the account, after a restart: coming too soon after the last message of the process before in a
  channel, or repeating it; so are JOINs and logins of the two together.

Nothing is held against a bot while two of its processes run, nor for :data:`FORGIVEN_S` after it: they share the account's limits, and each
knows only what it has said itself. Then the one that is left is judged like any other.

Left out: Send Chat Message (EventSub's way to speak), where Twitch itself says that its bucket is empty, and for how long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.world import World

#: What the fake counts, and how people call it. What an account says after it was over the limit is ignored, whatever it does.
OVER_LIMIT = "refused_over_limit"
DROPPED: Mapping[str, str] = {
    OVER_LIMIT: "message over the account's limit",
    "refused_msg_ratelimit": "message within a second of the one before",
    "refused_msg_duplicate": "message that repeats the one before",
    "joins_over_limit": "JOIN over the limit",
    "logins_over_limit": "login over the limit",
}
#: Twitch's longest window, and the second between two looks.
FORGIVEN_S = 31.0


class WithinLimits:
    """See the module's docstring."""

    name = "within_limits"
    restless = False

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._process = 1
        self._began_s = -FORGIVEN_S
        #: When two processes were last found running.
        self._company_s = -math.inf

    def started(self, world: World) -> None:
        """Nothing: it looks every second."""

    def sampled(self, world: World) -> None:
        """Look at what was dropped since the last look."""
        if world.bot.incarnation > self._process:
            self._process, self._began_s = world.bot.incarnation, world.loop.time()
        if world.bot.in_company:
            self._company_s = world.loop.time()
        began_s, stats = world.loop.time() - FORGIVEN_S, world.irc.stats
        for name, words in DROPPED.items():
            now = stats.get(name, 0)
            dropped = now - self._seen.get(name, 0)
            if dropped:
                self._seen[name] = now
                excused_s = world.bot.unknown_until_s if name == OVER_LIMIT else self._began_s
                if began_s >= max(excused_s, self._company_s):
                    more = f", and {dropped - 1} more" if dropped > 1 else ""
                    world.violated(self.name, f"Twitch dropped a {words}{more}")

    def converged(self, world: World) -> None:
        """Look a last time."""
        self.sampled(world)
