"""The bot keeps Twitch's rate limits: nothing that it says, joins or logs in with is dropped for being too much.

Over a limit Twitch drops messages in silence, and may ignore the account for an hour; so not even once. What the fake Twitch has
dropped for that reason is looked at every second: messages over the account's window, closer than a second, or twice the same,
JOINs and logins over theirs.

One excuse: a process cannot know what the one before it sent. So in the first :data:`FORGIVEN_S` after a restart nothing is
held against the bot, and nothing at all once two of its processes have run at the same time: they share the account's limits.

Left out: Send Chat Message (EventSub's way to speak), where Twitch itself says that its bucket is empty, and for how long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulator.invariants import had_company

if TYPE_CHECKING:
    from simulator.world import World

#: What the fake counts, and how people call it. What an account says after it was over the limit is ignored, whatever it does.
DROPPED: Mapping[str, str] = {
    "refused_over_limit": "message over the account's limit",
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

    def started(self, world: World) -> None:
        """Nothing: it looks every second."""

    def sampled(self, world: World) -> None:
        """Look at what was dropped since the last look."""
        if world.bot.incarnation > self._process:
            self._process, self._began_s = world.bot.incarnation, world.loop.time()
        forgiven = world.loop.time() < self._began_s + FORGIVEN_S or had_company(world)
        stats = world.irc.stats
        for name, words in DROPPED.items():
            now = stats.get(name, 0)
            dropped = now - self._seen.get(name, 0)
            if dropped:
                self._seen[name] = now
                if not forgiven:
                    more = f", and {dropped - 1} more" if dropped > 1 else ""
                    world.violated(self.name, f"Twitch dropped a {words}{more}")

    def converged(self, world: World) -> None:
        """Look a last time."""
        self.sampled(world)
