"""The bot is where it should be: whatever threw it out, in the end it is back in its channels, and hears what is said there.

A connection that has died without an end does not count: on the server it stands in its channels for minutes.
Its channels are those enabled in ``channels_config`` that exist on Twitch, and those of ``TWITCH_CHANNEL_LOGINS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.world import World


class Present:
    """See the module's docstring."""

    name = "present"
    restless = False

    def started(self, world: World) -> None:
        """Nothing: it judges the end."""

    def sampled(self, world: World) -> None:
        """Nothing: on its way back the bot may be away."""

    def converged(self, world: World) -> None:
        """Compare where the bot is with where it should be."""
        missing = absent_from(world)
        if missing:
            world.violated(self.name, f"the bot is not in {', '.join('#' + login for login in missing)}")


def absent_from(world: World) -> tuple[str, ...]:
    """The channels in which the bot should be and is not, in the world's order."""
    enabled = {row["login"]: row["enabled"] for row in world.supabase.view("channels_config").values()}
    return tuple(
        login
        for login in world.channels
        if (enabled.get(login) or login in world.scenario.fixed) and not world.faces.attending(login)
    )
