"""What every test starts from: the same properties tried in CI each time, none of this machine's settings, and a silent log.

To read the bot's log of a failing test: ``BYTE_BOT_TEST_LOG=1 make test ARGS="-n0 tests/...::test_..."``.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog
from hypothesis import HealthCheck, settings
from structlog.typing import EventDict, WrappedLogger

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


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests, and no garbage meanwhile: of what is made nearly all stays, and looking at it takes a seventh of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


OURS = tuple(name.upper() for name in Settings.model_fields)


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the bot's variables out of the environment: a developer's real token must reach no test."""
    for name in [name for name in os.environ if name.upper() in OURS]:
        monkeypatch.delenv(name)


def _dropped(_logger: WrappedLogger, _method: str, _event: EventDict) -> NoReturn:
    raise structlog.DropEvent


@pytest.fixture(autouse=True)
def log_as_it_was_never_set_up() -> None:
    """Ends what an earlier test set up, and renders nothing: a line for a screen costs as much as handling a message.

    `capture_logs`, and a test that sets the log up, see every event all the same.
    """
    structlog.reset_defaults()
    if not os.environ.get("BYTE_BOT_TEST_LOG"):
        structlog.configure(processors=[_dropped])


@pytest.fixture
def testimonies(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Path:
    """A folder of this test file's in this test run, the same for all of its processes: whoever is last there knows what all have seen."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / request.path.stem
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def no_log() -> Iterator[None]:
    """For a test that plays night after night: the bot's log of them would cost as much as the nights."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
