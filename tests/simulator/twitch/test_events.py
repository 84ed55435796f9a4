"""Who is privileged in a channel."""

from __future__ import annotations

from simulator.twitch.events import Channel, User


def test_the_broadcaster_moderators_and_vips_are_privileged() -> None:
    """The higher message limits belong to these three and nobody else."""
    channel = Channel("1", "alice", User("1", "alice", "Alice"), moderators={"mo": None}, vips={"vi": None})
    channel.subscribers["sub"] = 12
    assert [channel.privileged(login) for login in ("alice", "mo", "vi", "sub", "x")] == [True] * 3 + [
        False
    ] * 2
