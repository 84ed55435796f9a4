"""Every story is told twice: in memory, and over real loopback TCP in the same virtual time."""

from __future__ import annotations

import pytest

from simulator.world import Network


@pytest.fixture(params=["memory", "tcp"])
def network(request: pytest.FixtureRequest) -> Network:
    """Which network the story's world has."""
    return request.param
