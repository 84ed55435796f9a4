"""A stage: the fakes on real loopback sockets, in virtual time."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

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
    fault_from_json,
)
from simulator.loop import in_virtual_time
from simulator.seed_file import CHAT_BOT_SCOPES, read_seed_file, token_letters
from simulator.serve import BOT_LOGIN, BOT_TOKEN, MODERATORS, Ports, ServeError, serve
from simulator.twitch.scopes import KNOWN_SCOPES
from simulator.twitch.state import UnknownName
from tests.simulator.stage_rig import bot_on, events_of, helix, stage, subscribed
from tests.simulator.twitch.web_rig import closing


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
            (Ports(web=port), "--web-port"),
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
    assert set(addresses) == {
        "irc", "irc_ws", "eventsub", "helix", "oauth", "web", "supabase", "control", "app", "users", "twitch", "seed",
    }  # fmt: skip
    assert set(addresses["supabase"]) == {"url", "secret_key", "publishable_key"}
    assert addresses["control"]["url"].startswith("http://127.0.0.1:")
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(host, port)


@in_virtual_time(hybrid=True)
async def test_the_ready_made_app_and_users_work() -> None:
    """Each token validates with its scopes, which Twitch knows; each refreshes once; the app gets one of its own."""
    async with stage() as place, httpx.AsyncClient() as http:
        line = place.addresses()
        oauth, app = line["oauth"]["url"], line["app"]
        assert set(line["users"]) == {BOT_LOGIN, "mod_1", "mod_2", "mod_3", "lobby", "arcade", "cinema"}
        assert set(CHAT_BOT_SCOPES) <= set(KNOWN_SCOPES)
        for login, user in line["users"].items():
            headers = {"Authorization": f"OAuth {user['token']}"}
            about = (await http.get(f"{oauth}/validate", headers=headers)).json()
            assert (about["login"], about["user_id"], about["client_id"]) == (
                login,
                user["id"],
                app["client_id"],
            )
            assert sorted(about["scopes"]) == sorted(user["scopes"]) == sorted(CHAT_BOT_SCOPES)
            refresh = {"grant_type": "refresh_token", "refresh_token": user["refresh_token"], **app}
            assert (await http.post(f"{oauth}/token", data=refresh)).status_code == 200
            assert (await http.post(f"{oauth}/token", data=refresh)).status_code == 400
        own = await http.post(f"{oauth}/token", data={"grant_type": "client_credentials", **app})
        assert own.json()["token_type"] == "bearer"


@in_virtual_time(hybrid=True)
async def test_faults_of_twitch_act_on_every_face() -> None:
    """An event twice with one message_id, a 429 of Helix, a close with its code."""
    async with stage() as place, events_of(place) as events, httpx.AsyncClient() as http:
        await subscribed(place, events, "channel.chat.message", "lobby")
        place.faults.set("twice", fault_from_json({"kind": "twitch_duplicates"}))
        place.faults.set("full", fault_from_json({"kind": "helix_429"}))
        await asyncio.sleep(0)
        place.say("lobby", "viewer_1", "hello")
        ids = [json.loads(await events.connection.recv())["metadata"]["message_id"] for _ in range(2)]
        assert ids[0] == ids[1]
        limited = await helix(http, place, "GET", "/users", BOT_TOKEN)
        assert limited.status_code == 429 and limited.headers["Ratelimit-Remaining"] == "0"
        place.faults.clear_all()
        await asyncio.sleep(0)
        assert (await helix(http, place, "GET", "/users", BOT_TOKEN)).status_code == 200
        place.faults.set("gone", fault_from_json({"kind": "eventsub_close", "code": 4000}))
        assert (await closing(events.connection))[0] == 4000


@in_virtual_time(hybrid=True)
async def test_a_seed_file_decides_who_is_there(tmp_path: Path) -> None:
    """Its channels instead of the default ones, with its roles; its users with tokens that work; the rest as always."""
    file = tmp_path / "seed.toml"
    file.write_text(
        '[[users]]\nlogin = "ana"\nscopes = ["chat:read"]\n'
        '[[channels]]\nlogin = "padaria"\nmoderators = ["ana"]\nmodes = { slow_s = 30 }\n'
        '[[channels]]\nlogin = "praia"\n'
    )
    async with stage(seed_file=read_seed_file(file)) as place:
        line = place.addresses()
        assert line["twitch"]["channels"] == ["padaria", "praia"]
        assert line["users"]["ana"]["scopes"] == ["chat:read"]
        assert line["users"]["ana"]["token"] == token_letters("ana")
        assert list(place.twitch.channel("padaria").moderators) == ["ana"]
        assert place.twitch.channel("padaria").modes.slow_s == 30
        assert BOT_LOGIN in place.twitch.channel("praia").moderators
        owner = place.twitch.user_of_token(token_letters("ana"))
        assert owner is not None and owner.login == "ana"
    async with stage(seed_file=read_seed_file(file), channels=("lobby",)) as place:
        assert place.channels == ("lobby", "padaria", "praia")


def holds_a_certificate(file: str) -> bool:
    """Whether there is a file with one."""
    return Path(file).exists() and Path(file).read_text().startswith("-----BEGIN CERTIFICATE-----")


@in_virtual_time(hybrid=True)
async def test_without_a_name_the_root_is_written_aside_and_goes_with_the_stage() -> None:
    """A temporary file, named in the line; gone at the end."""
    async with stage(tls=True) as place:
        file = place.addresses()["ca_file"]
        assert holds_a_certificate(file)
    assert not holds_a_certificate(file)


@in_virtual_time(hybrid=True)
async def test_a_root_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With the option that changes it."""
    with pytest.raises(ServeError, match=r"cannot write .*--ca-file"):
        async with stage(tls=True, ca_file=tmp_path / "nowhere" / "root.pem"):
            pass
