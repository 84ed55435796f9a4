"""A small bot that awaits the upsert before it replies: nothing is said that is not saved, and chat waits for the database.

supabase-py's asynchronous client, its defaults, one upsert for each change. An error is logged, and the reply given.
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

    async def handle(channel: str, name: str, value: int, reply: Reply) -> None:
        try:
            await client.table(TABLE).upsert(row(channel, name, value)).execute()
        except (httpx.HTTPError, APIError) as error:
            _log.error("not saved: %r", error)
        reply()

    await CountingBot(handle, counters(stored)).run()


if __name__ == "__main__":
    asyncio.run(main())
