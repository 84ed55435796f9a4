"""A small bot that calls the synchronous client in a coroutine: while a request is under way, nothing else happens at all.

supabase-py's synchronous client, its defaults, one upsert for each change, before the reply. It is what an `async def`
command with a blocking library in it does. An error is logged, and the reply given.
"""

from __future__ import annotations

import asyncio
import logging
import os

import httpx
from postgrest.exceptions import APIError
from supabase import create_client

from benchmarks.bots.counting_bot import TABLE, CountingBot, Reply, counters, row

_log = logging.getLogger(__name__)


async def main() -> None:
    """Load the counters, then chat."""
    client = create_client(os.environ["SUPABASE_URL"], os.environ["SUPABASE_KEY"])
    stored = client.table(TABLE).select("*").execute().data

    async def handle(channel: str, name: str, value: int, reply: Reply) -> None:
        try:
            client.table(TABLE).upsert(row(channel, name, value)).execute()
        except (httpx.HTTPError, APIError) as error:
            _log.error("not saved: %r", error)
        reply()

    await CountingBot(handle, counters(stored)).run()


if __name__ == "__main__":
    asyncio.run(main())
