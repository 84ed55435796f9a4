"""The fakes of a benchmark: Twitch in virtual time, Supabase as a real process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from simulator.bench.child import BenchError
from simulator.bench.stage import SupabaseProcess, TwitchStage
from simulator.loop import START_UNIX_S, in_virtual_time
from tests.simulator.twitch.rig import Client


@in_virtual_time(hybrid=True)
async def test_what_the_bot_says_is_heard_without_any_limit() -> None:
    """600 messages at once, far beyond what Twitch grants, and none of the moderator's own."""
    heard: list[tuple[str, str, str]] = []
    async with TwitchStage(2, lambda *said: heard.append(said), unix_start_s=START_UNIX_S, seed=1) as stage:
        addresses = stage.addresses(None)
        assert addresses.channels == ("channel_1", "channel_2")
        assert (addresses.supabase_url, addresses.supabase_key) == ("", "")
        client = Client(*await asyncio.open_connection(addresses.irc_host, addresses.irc_port))
        client.send("CAP REQ :twitch.tv/tags", f"PASS {addresses.token}", f"NICK {addresses.login}")
        client.send("JOIN #channel_1")
        await client.until("366")
        assert not stage.all_joined()
        client.send("JOIN #channel_2")
        await client.until("366")
        assert stage.all_joined()
        message_id = stage.say("channel_2", "!count wins +1")
        line = await client.until("PRIVMSG")
        assert (line.tags["id"], line.tags["mod"]) == (message_id, "1")
        client.send(f"@reply-parent-msg-id={message_id} PRIVMSG #channel_2 :wins: 1")
        client.send(*(f"PRIVMSG #channel_1 :text {number}" for number in range(600)))
        client.send("PING :all of them")
        await client.until("PONG")
        assert len(heard) == 601
        assert heard[0] == ("channel_2", "wins: 1", message_id)
        assert heard[-1] == ("channel_1", "text 599", "")
        await client.close()


async def test_the_fake_supabase_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    """With tables of one's own, faults, and a count of what reached it."""
    (tmp_path / "tables.sql").write_text(
        "create table if not exists public.things (name text primary key, size bigint);\n"
        "grant select, insert, update, delete on table public.things to service_role;\n"
    )
    async with SupabaseProcess(tmp_path, seed=1) as supabase, httpx.AsyncClient() as client:

        async def add(name: str) -> int:
            answer = await client.post(
                f"{supabase.url}/rest/v1/things",
                json={"name": name, "size": 1},
                headers={"apikey": supabase.secret_key},
            )
            return answer.status_code

        before = await supabase.attempts()
        assert await add("one") == 201
        await supabase.set_fault({"kind": "status_503"})
        assert await add("two") == 503
        await supabase.set_fault(None)
        assert await add("three") == 201
        assert [row["name"] for row in await supabase.rows("things")] == ["one", "three"]
        assert await supabase.attempts() - before == 3
        with pytest.raises(BenchError, match="there is no table 'nothing'"):
            await supabase.rows("nothing")


async def test_a_fake_supabase_that_cannot_start_says_why(tmp_path: Path) -> None:
    """Its own words are in the error."""
    (tmp_path / "broken.sql").write_text("create tablet;")
    with pytest.raises(BenchError, match=r"ended at once[\s\S]*broken\.sql"):
        async with SupabaseProcess(tmp_path, seed=1):
            pass
