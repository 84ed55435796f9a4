"""The control address, asked over real sockets in virtual time."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from simulator.control import PAGE_MAX, ROUTES
from simulator.faults import KINDS
from simulator.loop import in_virtual_time
from tests.simulator.stage_rig import controlled, error_of


@in_virtual_time(hybrid=True)
async def test_the_root_describes_every_route() -> None:
    """Whoever opens the address learns all routes and all kinds of faults; each route exists."""
    async with controlled() as (_, http):
        about = (await http.get("/")).json()
        assert about["faults"] == list(KINDS)
        assert list(about["routes"]) == list(ROUTES)
        for route in about["routes"]:
            method, path = route.split(" ")
            answer = await http.request(method, path)
            assert answer.status_code in (200, 400), route


@in_virtual_time(hybrid=True)
async def test_faults_are_set_shown_and_cleared_by_name() -> None:
    """PUT changes the names it holds and no others; null clears; DELETE clears all."""
    async with controlled() as (stage, http):
        await http.put("/faults", json={"outage": {"kind": "hang"}, "slow": {"kind": "latency", "ms": 50}})
        shown = (await http.get("/faults")).json()
        assert shown["acting"] == ["hang", "latency"]
        assert shown["named"]["slow"]["ms"] == 50
        cleared = (await http.put("/faults", json={"outage": None, "never_set": None})).json()
        assert cleared["acting"] == ["latency"]
        assert [fault.kind for fault in stage.faults.database_now()] == ["latency"]
        assert (await http.delete("/faults")).json()["acting"] == []


@in_virtual_time(hybrid=True)
async def test_a_mistake_in_the_faults_changes_nothing() -> None:
    """One wrong fault among several: the answer names it, and none of them is set."""
    async with controlled() as (stage, http):
        words = await error_of(http, "PUT", "/faults", {"good": {"kind": "hang"}, "bad": {"kind": "hangs"}})
        assert words.startswith("bad: unknown kind of fault 'hangs'; did you mean 'hang'? allowed: latency")
        assert "needs a name" in await error_of(http, "PUT", "/faults", {"": {"kind": "hang"}})
        assert "not ours" in await error_of(http, "PUT", "/faults", {"x": {"kind": "crash"}})
        assert "not ours" in await error_of(http, "PUT", "/faults", {"x": {"kind": "disk_full"}})
        assert "JSON object" in await error_of(http, "PUT", "/faults", ["hang"])
        answer = await http.put("/faults", content=b"{'kind'}")
        assert answer.status_code == 400 and "no JSON" in answer.json()["error"]
        assert stage.faults.database_now() == ()


@in_virtual_time(hybrid=True)
async def test_somebody_speaks() -> None:
    """What is posted is said, by an account with the role, and the answer names the message."""
    async with controlled() as (stage, http):
        body = {"channel": "lobby", "login": "chief_1", "text": "!count deaths +1", "role": "moderator"}
        answer = (await http.post("/say", json=body)).json()
        assert answer == {"id": stage.recent[0].message.id, "number": 1}
        assert "chief_1" in stage.twitch.channel("lobby").moderators


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channel": "nowhere"}, "no channel 'nowhere'; add_channel first; channels: lobby, arcade, cinema"),
        ({"channel": ""}, "channel must be a text that is not empty, got ''"),
        ({"text": None}, "text must be a text"),
        ({"text": "two\nlines"}, "cannot have CR, LF or NUL"),
        ({"login": "no spaces"}, "letters, digits and _ only"),
        ({"role": "king"}, "role is 'king'; allowed: viewer, subscriber"),
        ({"role": "broadcaster"}, "the broadcaster of lobby is lobby, not viewer_1"),
        ({"reply": "x"}, "unknown field 'reply'; allowed"),
    ],
)
def test_a_wrong_line_is_refused_with_words(change: dict[str, Any], words: str) -> None:
    """Every mistake in POST /say is named, and nothing is said."""

    @in_virtual_time(hybrid=True)
    async def story() -> None:
        async with controlled() as (stage, http):
            body = {"channel": "lobby", "login": "viewer_1", "text": "hi", **change}
            assert words in await error_of(http, "POST", "/say", body)
            assert not stage.recent

    story()


@in_virtual_time(hybrid=True)
async def test_the_transcript_is_read_in_pages() -> None:
    """`after` continues where the last page ended; both numbers are checked."""
    async with controlled() as (stage, http):
        for number in range(5):
            stage.say("arcade", "viewer_1", f"line {number}")
        page = (await http.get("/transcript", params={"after": 1, "limit": 2})).json()
        assert [(line["number"], line["text"]) for line in page["messages"]] == [(2, "line 1"), (3, "line 2")]
        assert page["last"] == 5
        assert "after must be a whole number, got '-1'" in await error_of(http, "GET", "/transcript?after=-1")
        assert f"up to {PAGE_MAX}" in await error_of(http, "GET", "/transcript?limit=1000000")


@in_virtual_time(hybrid=True)
async def test_the_state_shows_everything() -> None:
    """Channels, people, messages, tables, requests, saves and faults, with a table's rows on demand."""
    async with controlled() as (stage, http):
        stage.say("lobby", "viewer_1", "hi")
        headers = {"apikey": stage.supabase.secret_key}
        async with httpx.AsyncClient() as client:
            await client.get(f"{stage.supabase_url}/rest/v1/channels_config", headers=headers)
        state = (await http.get("/state", params={"table": "channels_config", "tail": 1})).json()
        assert [channel["login"] for channel in state["channels"]] == ["lobby", "arcade", "cinema"]
        assert state["transcript"][0]["text"] == "hi"
        assert state["tables"]["channels_config"] == 1
        assert state["rows"][0]["login"] == ".sentinel"
        assert state["requests"]["by_path"] == {"channels_config": 1}
        assert state["requests"]["last"][0]["status"] == 200
        assert state["saves"] == {"total": 0, "last": []}
        assert state["faults"]["acting"] == []
        assert (await http.get("/state?tail=0")).json()["transcript"] == []
        assert "there is no table 'secrets'" in await error_of(http, "GET", "/state?table=secrets")


@in_virtual_time(hybrid=True)
async def test_a_wrong_route_names_the_right_ones() -> None:
    """An unknown path is a 404 and a wrong method a 405, both with the list of routes."""
    async with controlled() as (_, http):
        unknown = await http.get("/nothing")
        wrong = await http.post("/faults", json={})
        assert (unknown.status_code, wrong.status_code) == (404, 405)
        assert "there is no POST /faults; there are: GET /, GET /faults" in wrong.json()["error"]
