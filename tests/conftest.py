"""What every test starts from: the same properties tried in CI each time, and none of this machine's settings."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from byte_bot.settings import Settings

# No deadline: an example's wall time says more about the machine than about the code.  In CI the examples are fixed, so that
# a change fails for what it changed; elsewhere they differ from run to run, and a failure prints how to repeat it.
settings.register_profile(
    "byte-bot",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("byte-bot")

OURS = tuple(name.upper() for name in Settings.model_fields)


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the bot's variables out of the environment: a developer's real token must reach no test."""
    for name in [name for name in os.environ if name.upper() in OURS]:
        monkeypatch.delenv(name)


@pytest.fixture
def no_log() -> Iterator[None]:
    """For a test that plays night after night: the bot's log of them would cost as much as the nights."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
