"""The bot parts no channel in which it should be, whatever the database tells it.

It should be where ``channels_config`` has the channel enabled, or where ``TWITCH_CHANNEL_LOGINS`` names it. A list that cannot be
read, or that comes back empty, is no wish of anybody's: who leaves on it is silent in every channel until the next list, and
nobody there knows why.

Looked at every second: a channel that the bot was in and is not, while every connection of its account is the one that it was.
So a lost connection is no parting. A channel that was not wanted a short while ago (:data:`REMEMBERED_S`) may be parted late: the
bot acts on lists that it reads now and then.

Left out: a process that was superseded, which leaves as it should; EventSub, where Twitch itself ends subscriptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.invariants import had_company

if TYPE_CHECKING:
    from simulator.world import World

#: For so many seconds a channel that was disabled may still be parted after a human has enabled it again: the longest time
#: between two lists, and a request's deadline.
REMEMBERED_S = 70.0


class Stays:
    """See the module's docstring."""

    name = "stays"
    restless = False

    def __init__(self) -> None:
        self._joined: tuple[str, ...] = ()
        self._connections: tuple[int, ...] = ()
        #: The disabled channels as the table was at the last look, and when each channel was last found disabled.
        self._rows: object = None
        self._disabled: tuple[str, ...] = ()
        self._unwanted_s: dict[str, float] = {}

    def started(self, world: World) -> None:
        """Nothing: it looks every second."""

    def sampled(self, world: World) -> None:
        """Compare the channels with those of the last look."""
        if world.faces.eventsub is not None or had_company(world):
            return
        now_s = world.loop.time()
        rows = world.supabase.view("channels_config")
        if rows is not self._rows:
            self._rows = rows
            self._disabled = tuple(row["login"] for row in rows.values() if not row["enabled"])
        for login in self._disabled:
            self._unwanted_s[login] = now_s
        joined, connections = world.irc.joined(world.bot_login), world.irc.sound(world.bot_login)
        if connections and connections == self._connections and joined != self._joined:
            here = frozenset(joined)
            wanted = _wanted(world)
            parted = [
                login
                for login in self._joined
                if login in wanted
                and login not in here
                and now_s > self._unwanted_s.get(login, -REMEMBERED_S) + REMEMBERED_S
            ]
            if parted:
                words = ", ".join(f"#{login}" for login in parted[:5])
                more = f" and {len(parted) - 5} more" if len(parted) > 5 else ""
                world.violated(self.name, f"the bot parted {words}{more}, where it should be")
        self._joined, self._connections = joined, connections

    def converged(self, world: World) -> None:
        """Look a last time."""
        self.sampled(world)


def _wanted(world: World) -> frozenset[str]:
    """The channels in which the bot should be, by the database and its settings."""
    rows = world.supabase.view("channels_config").values()
    return frozenset((*(row["login"] for row in rows if row["enabled"]), *world.scenario.fixed))
