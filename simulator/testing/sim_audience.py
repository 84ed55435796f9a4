"""Crowds in a test: they chat beside it, at moments and with words that its seed decides.

    raid = sim_audience.add(Raid("lobby", at_s=0, viewers=100))     # a hundred strangers, from now
    await raid                                                      # until the last of them has spoken

The crowds are those of `simulator.audience`; their times count from now. One without an end chats until the test's. A channel must exist:
those of a world do, others come from `fake_twitch.add_channel`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from simulator.audience import Crowd, Utterance, perform, speaker, utterances
from simulator.testing.errors import NotHere, NotYet
from simulator.testing.ground import Ground


class SimAudience:
    """The fixture `sim_audience`; see the module's docstring."""

    order = 4
    sockets = False

    def __init__(self) -> None:
        self._ground: Ground | None = None
        self._added = 0
        #: How many lines the crowds have said so far.
        self.lines_said = 0

    @asynccontextmanager
    async def standing(self, ground: Ground) -> AsyncIterator[None]:
        """Chat on this ground while entered."""
        if ground.twitch is None:
            raise NotHere(
                "sim_audience needs a chat: let the test use the fixture sim_world or fake_twitch too"
            )
        self._ground = ground
        try:
            yield
        finally:
            self._ground = None

    async def judged(self) -> None:
        """Nothing."""

    def add(self, *crowds: Crowd, duration_s: float = math.inf) -> asyncio.Task[None]:
        """Let these chat from now on, for at most `duration_s` virtual seconds; to await or to cancel, if you like."""
        ground = self._ground
        if ground is None:
            raise NotYet("sim_audience can be used while the test runs, and by its asynchronous fixtures")
        assert ground.twitch is not None, "looked for when the night began"
        say = speaker(ground.twitch)

        def heard(line: Utterance) -> None:
            say(line)
            self.lines_said += 1

        # Each group of crowds has a branch of the seeds of its own: one more later changes nothing that these say.
        seeds = ground.seeds.child("audience").child(str(self._added))
        self._added += 1
        lines = utterances(crowds, seeds, duration_s)
        return ground.background(perform(lines, heard), f"audience-{self._added}")
