"""Every story is told twice: in memory, and over real loopback TCP in the same virtual time."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from simulator.world import Network


@pytest.fixture(params=["memory", "tcp"])
def network(request: pytest.FixtureRequest) -> Network:
    """Which network the story's world has."""
    return request.param


@pytest.fixture
def no_log() -> Iterator[None]:
    """For a test that plays night after night: the bot's log of them would cost as much as the nights."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
