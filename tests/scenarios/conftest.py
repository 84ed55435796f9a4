"""A story that takes `place` is told three times: over IRC in memory, over real loopback TCP, over EventSub; all in virtual time."""

from __future__ import annotations

import pytest

from tests.scenarios.places import PLACES, Place


@pytest.fixture(params=list(PLACES))
def place(request: pytest.FixtureRequest) -> Place:
    """Where the story is told."""
    return PLACES[request.param]
