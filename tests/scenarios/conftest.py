"""A story that takes `place` is told three times: over IRC in memory, over real loopback TCP, over EventSub; all in virtual time."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.scenarios.places import PLACES, Place


@pytest.fixture(params=list(PLACES))
def place(request: pytest.FixtureRequest) -> Place:
    """Where the story is told."""
    return PLACES[request.param]


@pytest.fixture
def no_log() -> Iterator[None]:
    """For a test that plays night after night: the bot's log of them would cost as much as the nights."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
