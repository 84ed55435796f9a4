"""The addresses of the web faces, the aliases for clients of twitch-cli's mock, and the faults."""

from __future__ import annotations

import asyncio

import pytest

from simulator.loop import in_virtual_time
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from tests.simulator.twitch.http_rig import Shelf, WebDesk, refusal
from tests.simulator.twitch.rig import UNIX_START


async def test_the_official_mocks_addresses_lead_to_the_same_faces() -> None:
    """/mock is /helix, /auth is /oauth2, and EventSub's subscriptions stand at the root."""
    desk = WebDesk(shelf=Shelf())
    token = desk.token("bot")
    headers = {"Authorization": f"Bearer {token}", "Client-Id": DEFAULT_CLIENT_ID}
    users = [
        (await desk.ask("GET", f"{prefix}/users", headers=headers)).json() for prefix in ("/helix", "/mock")
    ]
    assert users[0] == users[1]
    for path in ("/eventsub/subscriptions", "/mock/eventsub/subscriptions", "/helix/eventsub/subscriptions"):
        assert (await desk.ask("GET", path, headers=headers)).json()["total"] == 0
    assert (await desk.ask("GET", "/auth/validate", headers=headers)).json()["login"] == "bot"
    secret = {"client_id": DEFAULT_CLIENT_ID, "client_secret": "fake0secret0of0the0default0app"}
    form = {**secret, "grant_type": "client_credentials"}
    assert (await desk.ask("POST", "/auth/token", params=form)).status_code == 200


async def test_errors_have_the_form_of_their_face() -> None:
    """id.twitch.tv tells status and message, Helix and the mock the short name as well."""
    desk = WebDesk()
    assert list((await desk.ask("GET", "/oauth2/validate")).json()) == ["status", "message"]
    assert list((await desk.ask("GET", "/helix/users")).json()) == ["error", "status", "message"]
    assert list((await desk.ask("POST", "/auth/authorize")).json()) == ["error", "status", "message"]
    broken = await desk.ask(
        "POST", "/helix/chat/messages", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert list(broken.json()) == ["error", "status", "message"]


async def test_a_face_without_eventsub_has_no_subscriptions() -> None:
    """404, as any path that does not exist."""
    desk = WebDesk()
    assert (await desk.helix("GET", "eventsub/subscriptions", desk.token("bot"))).status_code == 404


async def test_a_503_is_a_fault_that_carries_nothing_out() -> None:
    """Every call while it is certain, none when it is over."""
    desk = WebDesk()
    desk.face.helix_503_probability = 1.0
    body = {"broadcaster_id": desk.id("alice"), "sender_id": desk.id("bot"), "message": "hi"}
    token = desk.token("bot", "user:write:chat")
    answer = await desk.helix("POST", "chat/messages", token, json=body)
    assert answer.json() == {"error": "Service Unavailable", "status": 503, "message": ""}
    assert desk.said == []
    desk.face.helix_503_probability = 0.0
    assert (await desk.helix("POST", "chat/messages", token, json=body)).status_code == 200
    assert desk.face.stats["fault_503"] == 1


async def test_a_401_in_mid_life_leaves_the_token_good() -> None:
    """The words that clients refresh on; afterwards the same token works."""
    desk = WebDesk()
    token = desk.token("bot")
    desk.face.helix_401_probability = 1.0
    assert refusal(await desk.helix("GET", "users", token)) == (401, "Invalid OAuth token")
    desk.face.helix_401_probability = 0.0
    assert (await desk.helix("GET", "users", token)).status_code == 200


async def test_a_429_out_of_turn_tells_a_reset_in_a_second() -> None:
    """With the headers that clients wait by; it takes no points."""
    desk = WebDesk()
    desk.face.helix_429_probability = 1.0
    answer = await desk.helix("GET", "users", desk.token("bot"))
    assert answer.status_code == 429
    assert answer.headers["ratelimit-remaining"] == "0"
    assert answer.headers["ratelimit-reset"] == str(int(UNIX_START) + 1)
    desk.face.helix_429_probability = 0.0
    answer = await desk.helix("GET", "users", desk.token("bot"))
    assert answer.headers["ratelimit-remaining"] == "799"


async def test_the_faults_draw_from_streams_of_their_own() -> None:
    """Switching the 401 on does not shift which calls the 503 hits."""

    async def hit(unauthorized: float) -> list[bool]:
        desk = WebDesk()
        desk.face.helix_503_probability = 0.5
        desk.face.helix_401_probability = unauthorized
        token = desk.token("bot")
        return [(await desk.helix("GET", "users", token)).status_code == 503 for _ in range(40)]

    alone = await hit(0.0)
    assert alone == await hit(0.5)
    assert 0 < sum(alone) < 40


@in_virtual_time()
async def test_a_slow_helix_carries_a_call_out_at_once_and_answers_late() -> None:
    """A client that gives up after a second was obeyed all the same; OAuth is not slow."""
    loop = asyncio.get_running_loop()
    desk = WebDesk()
    desk.face.helix_delay_s = 3.0
    token = desk.token("bot", "user:write:chat")
    body = {"broadcaster_id": desk.id("alice"), "sender_id": desk.id("bot"), "message": "hi"}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await desk.helix("POST", "chat/messages", token, json=body)
    assert [one.text for one in desk.said] == ["hi"]
    began_s = loop.time()
    assert (await desk.helix("GET", "users", token)).status_code == 200
    assert loop.time() - began_s == 3.0
    await desk.ask("GET", "/oauth2/validate", headers={"Authorization": f"OAuth {token}"})
    assert loop.time() - began_s == 3.0
