"""A stage: the fakes on real loopback sockets, in virtual time."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from simulator.faults import (
    Crash,
    Hang,
    TwitchDisconnect,
    TwitchDuplicates,
    TwitchHalfOpen,
    TwitchPackets,
    TwitchReconnect,
)
from simulator.loop import START_UNIX_S, in_virtual_time
from simulator.serve import BOT_LOGIN, MODERATORS, Ports, ServeError, Stage, serve
from simulator.twitch.state import UnknownName
from tests.simulator.supabase.project import BOT_SCHEMA
from tests.simulator.twitch.rig import ALL_CAPS, Client


def stage(**options: object) -> Stage:
    """A stage with the bot's own tables."""
    return Stage(BOT_SCHEMA, unix_start_s=START_UNIX_S, seed=3, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def bot_on(place: Stage, *channels: str) -> AsyncIterator[Client]:
    """A client that logged in with the stage's token and joined."""
    client = Client(*await asyncio.open_connection(*place.irc_address))
    client.send(ALL_CAPS, f"PASS oauth:{place.bot_token}", f"NICK {place.bot_login}")
    await client.until("GLOBALUSERSTATE")
    for channel in channels:
        client.send(f"JOIN #{channel}")
        await client.until("ROOMSTATE")
    try:
        yield client
    finally:
        await client.close()


@in_virtual_time(hybrid=True)
async def test_a_bot_logs_in_and_hears_what_is_said() -> None:
    """The token opens the chat over TCP, and a line that somebody says arrives with its author's badge."""
    async with stage() as place, bot_on(place, "lobby") as bot:
        message_id = place.say("lobby", "mod_9", "!ping", "moderator")
        line = await bot.until("PRIVMSG")
        assert line.tags["id"] == message_id
        assert line.tags["mod"] == "1"
        assert tuple(line.params) == ("#lobby", "!ping")


@in_virtual_time(hybrid=True)
async def test_the_bot_is_moderator_of_every_channel() -> None:
    """The bot's account has the higher limits everywhere, and there are moderators who can command it."""
    async with stage(channels=("one", "two")) as place:
        assert place.channels == ("one", "two")
        for channel in place.channels:
            room = place.twitch.channel(channel)
            assert room.privileged(BOT_LOGIN)
            assert len(room.moderators) == MODERATORS + 1
        assert place.twitch.user(BOT_LOGIN).verified


@in_virtual_time(hybrid=True)
async def test_the_database_answers_with_its_secret_key() -> None:
    """The project has the tables of the schema directory, and opens with the key that is announced."""
    async with stage() as place, httpx.AsyncClient() as http:
        key = place.addresses()["supabase"]["secret_key"]
        answer = await http.get(
            f"{place.supabase_url}/rest/v1/channels_config?select=login", headers={"apikey": key}
        )
        assert answer.json() == [{"login": ".sentinel"}]


@in_virtual_time(hybrid=True)
async def test_a_database_fault_acts_until_it_is_cleared() -> None:
    """While the database hangs a request waits; after the heal the next one is answered."""
    async with stage() as place, httpx.AsyncClient(timeout=2.0) as http:
        url = f"{place.supabase_url}/rest/v1/channels_config?select=login"
        headers = {"apikey": place.supabase.secret_key}
        place.faults.set("outage", Hang())
        with pytest.raises(httpx.ReadTimeout):
            await http.get(url, headers=headers)
        place.faults.clear("outage")
        assert (await http.get(url, headers=headers)).status_code == 200


@in_virtual_time(hybrid=True)
async def test_twitch_faults_act_on_the_chat() -> None:
    """Duplicates, RECONNECT and a disconnect on the board happen to the connection."""
    async with stage() as place, bot_on(place, "lobby") as bot:
        place.faults.set("twice", TwitchDuplicates())
        await asyncio.sleep(0)
        place.say("lobby", "viewer_1", "hello")
        first, second = await bot.until("PRIVMSG"), await bot.until("PRIVMSG")
        assert first.tags["id"] == second.tags["id"]
        place.faults.set("move", TwitchReconnect(grace_s=5.0))
        await bot.until("RECONNECT")
        place.faults.set("gone", TwitchDisconnect(start_s=1.0))
        with pytest.raises(EOFError):
            await bot.until("PRIVMSG")
        assert place.time_s() == pytest.approx(1.0, abs=0.1)


@in_virtual_time(hybrid=True)
async def test_a_half_open_connection_goes_silent() -> None:
    """After the fault nothing arrives, and nothing is closed."""
    async with stage() as place, bot_on(place, "lobby") as bot:
        place.faults.set("dead", TwitchHalfOpen())
        await asyncio.sleep(0.1)
        place.say("lobby", "viewer_1", "anybody?")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.0):
                await bot.line()


@in_virtual_time(hybrid=True)
async def test_faults_that_cannot_act_here_say_so() -> None:
    """Whoever asks for a crash of a process, or for cut packets, learns where those are."""
    async with stage() as place:
        assert "start it yourself" in place.refusal_of(Crash())
        assert "byte-sim run" in place.refusal_of(TwitchPackets())
        assert place.refusal_of(Hang()) == ""


@in_virtual_time(hybrid=True)
async def test_saying_needs_a_channel_that_exists() -> None:
    """An unknown channel is an error and no new channel; an unknown person is a new one."""
    async with stage() as place:
        place.say("lobby", "somebody_new", "hello")
        assert place.twitch.user("somebody_new").login == "somebody_new"
        with pytest.raises(UnknownName, match="nowhere"):
            place.say("nowhere", "viewer_1", "hello")


@in_virtual_time(hybrid=True)
async def test_messages_are_numbered_in_order() -> None:
    """The recent messages hold what everybody said, each with its number."""
    async with stage() as place:
        for text in ("one", "two"):
            place.say("lobby", "viewer_1", text)
        assert [(said.number, said.message.text) for said in place.recent] == [(1, "one"), (2, "two")]
        assert place.last_number == 2


@in_virtual_time(hybrid=True)
async def test_a_taken_port_is_named() -> None:
    """The error names the address and the option that changes it, and nothing is left listening."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for ports, option in (
            (Ports(irc=port), "--irc-port"),
            (Ports(supabase=port), "--supabase-port"),
            (Ports(control=port), "--control-port"),
        ):
            with pytest.raises(ServeError, match=f"127.0.0.1:{port} .*{option}"):
                async with stage(ports=ports):
                    pass


@in_virtual_time(hybrid=True)
async def test_fixed_ports_are_used() -> None:
    """The addresses are those that were asked for."""
    async with stage() as first:
        chosen = Ports(first.irc_address[1], int(first.supabase_url.rpartition(":")[2]), 0)
    async with stage(ports=chosen) as second:
        assert second.irc_address[1] == chosen.irc
        assert second.supabase_url.endswith(f":{chosen.supabase}")


@in_virtual_time(hybrid=True)
async def test_serving_announces_one_line_and_ends_clean() -> None:
    """The line is JSON with everything a client needs; cancelling closes all that listened."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    place = stage()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(serve(place, lines.put_nowait))
        addresses = json.loads(await lines.get())
        host, port = addresses["irc"]["host"], addresses["irc"]["port"]
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        task.cancel()
    assert lines.empty()
    assert set(addresses) >= {"irc", "supabase", "control"}
    assert set(addresses["supabase"]) == {"url", "secret_key", "publishable_key"}
    assert addresses["control"]["url"].startswith("http://127.0.0.1:")
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(host, port)
