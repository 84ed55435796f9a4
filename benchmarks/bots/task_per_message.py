"""A small bot that starts a task for each upsert and replies at once: the reply does not wait, the tasks pile up.

supabase-py's asynchronous client, its defaults. The tasks are kept until they end, as asyncio's documentation says they must
be. An error is logged; the change stays in RAM only.
"""

from __future__ import annotations

import asyncio
import logging
import os

import httpx
from postgrest.exceptions import APIError
from supabase import acreate_client

from benchmarks.bots.counting_bot import TABLE, CountingBot, Reply, counters, row

_log = logging.getLogger(__name__)


async def main() -> None:
    """Load the counters, then chat."""
    client = await acreate_client(os.environ["SUPABASE_URL"], os.environ["SUPABASE_KEY"])
    stored = (await client.table(TABLE).select("*").execute()).data
    saving: set[asyncio.Task[None]] = set()

    async def save(channel: str, name: str, value: int) -> None:
        try:
            await client.table(TABLE).upsert(row(channel, name, value)).execute()
        except (httpx.HTTPError, APIError) as error:
            _log.error("not saved: %r", error)

    async def handle(channel: str, name: str, value: int, reply: Reply) -> None:
        task = asyncio.create_task(save(channel, name, value))
        saving.add(task)
        task.add_done_callback(saving.discard)
        reply()

    await CountingBot(handle, counters(stored)).run()


if __name__ == "__main__":
    asyncio.run(main())
