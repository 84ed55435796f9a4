"""One ``byte-sim serve`` for all tests of this folder, and a channel for each test.

Starting a process costs a second or more, so the fakes are started once; a channel that no other test knows, and no
fault left over, keep the tests apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.clients.programs import Fakes, served

CHANNELS = tuple(f"room_{number}" for number in range(50))


@pytest.fixture(scope="session")
def running_fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fakes, Iterator[int]]]:
    """The fakes' process, and the numbers of the channels not used yet."""
    with served(tmp_path_factory.mktemp("fakes"), CHANNELS) as fakes:
        yield fakes, count()


@pytest.fixture
def fakes(running_fakes: tuple[Fakes, Iterator[int]]) -> Iterator[Fakes]:
    """The fakes, healthy, with a channel of the test's own."""
    shared, numbers = running_fakes
    yield shared.in_channel(CHANNELS[next(numbers)])
    shared.heal()
