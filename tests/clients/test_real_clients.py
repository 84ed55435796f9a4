"""Done when: clients that nobody here wrote, unmodified, find nothing odd about the fake Twitch.

The quick part of `make clients`: every act but the slow ones, with the clients that are installed (`make test` installs them before it
begins). What is not installed is skipped, with the command that installs it; a test never installs anything itself.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.clients.acts import ACTS
from tests.clients.installation import missing
from tests.clients.performance import perform
from tests.clients.roster import CLIENTS, Runtime
from tests.clients.verdicts import exit_code, remarks, table


@pytest.mark.parametrize("runtimes", [("twitchio2", "python"), ("node",)], ids=["Python", "JavaScript"])
def test_real_clients_find_nothing_odd(runtimes: tuple[Runtime, ...], tmp_path: Path) -> None:
    """Each connects, joins two channels, receives, sends, replies, hears of refusals, and survives Twitch's request to reconnect."""
    asyncio.run(_play(runtimes, tmp_path))


async def _play(runtimes: tuple[Runtime, ...], directory: Path) -> None:
    for runtime in runtimes:
        if why := await missing(runtime):
            pytest.skip(f"{runtime}: {why}")
    clients = [client for client in CLIENTS if client.runtime in runtimes]
    acts = [act for act in ACTS if not act.slow]
    verdicts = await perform(clients, acts, {}, directory, lambda _: None)
    assert exit_code(verdicts) == 0, f"\n{table(verdicts)}\n\n{remarks(verdicts)}"
