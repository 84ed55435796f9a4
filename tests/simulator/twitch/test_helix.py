"""What every call to Helix meets: tokens, Client-Id, rate limits, headers, the form of errors."""

from __future__ import annotations

from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from tests.simulator.twitch.http_rig import WebDesk, refusal
from tests.simulator.twitch.rig import UNIX_START


async def test_an_error_has_error_status_and_message() -> None:
    """Exactly these three, as the reference shows."""
    answer = await WebDesk().helix("GET", "users", "x")
    assert answer.json() == {"error": "Unauthorized", "status": 401, "message": "Invalid OAuth token"}


async def test_a_call_without_a_token_is_401() -> None:
    """Recorded words."""
    answer = await WebDesk().ask("GET", "/helix/users", headers={"Client-Id": DEFAULT_CLIENT_ID})
    assert refusal(answer) == (401, "OAuth token is missing")


async def test_unknown_expired_and_revoked_tokens_are_401() -> None:
    """The words that twitchio looks for before it refreshes."""
    desk = WebDesk()
    expired, revoked = desk.token("bot"), desk.token("bot")
    desk.state.credentials.expire(expired)
    desk.state.credentials.revoke(revoked)
    for token in ("x", expired, revoked):
        assert refusal(await desk.helix("GET", "users", token)) == (401, "Invalid OAuth token")


async def test_a_token_must_come_as_a_bearer() -> None:
    """`OAuth` is for validate only."""
    desk = WebDesk()
    headers = {"Authorization": f"OAuth {desk.token('bot')}", "Client-Id": DEFAULT_CLIENT_ID}
    assert refusal(await desk.ask("GET", "/helix/users", headers=headers)) == (401, "Invalid OAuth token")


async def test_a_missing_or_different_client_id_is_401() -> None:
    """The same words for both, as recorded."""
    desk = WebDesk()
    token, other = desk.token("bot"), desk.state.credentials.add_app("other")
    words = (401, "Client ID and OAuth token do not match")
    assert refusal(await desk.helix("GET", "users", token, client_id=other.client_id)) == words
    missing = await desk.ask("GET", "/helix/users", headers={"Authorization": f"Bearer {token}"})
    assert refusal(missing) == words


async def test_an_unknown_path_or_method_is_404() -> None:
    """In Helix's form."""
    desk = WebDesk()
    token = desk.token("bot")
    for method, path in [("GET", "nothing"), ("DELETE", "users"), ("POST", "eventsub/subscriptions")]:
        answer = await desk.helix(method, path, token)
        assert answer.json() == {"error": "Not Found", "status": 404, "message": ""}


async def test_every_answer_tells_the_rate_limit() -> None:
    """Limit, what is left, and the Unix second at which the bucket is full again; errors after the token tell it too."""
    desk = WebDesk()
    token = desk.token("bot")
    first = (await desk.helix("GET", "users", token)).headers
    assert (first["ratelimit-limit"], first["ratelimit-remaining"]) == ("800", "799")
    assert first["ratelimit-reset"] == str(int(UNIX_START) + 1)
    wrong = await desk.helix("GET", "channels", token)
    assert (wrong.status_code, wrong.headers["ratelimit-remaining"]) == (400, "798")


async def test_the_801st_call_within_a_moment_is_429() -> None:
    """A point comes back after 75 ms; the reset is a minute away."""
    desk = WebDesk()
    token = desk.token("bot")
    for _ in range(800):
        assert (await desk.helix("GET", "users", token)).status_code == 200
    refused = await desk.helix("GET", "users", token)
    assert refused.json() == {
        "error": "Too Many Requests",
        "status": 429,
        "message": "Request limit exceeded",
    }
    assert refused.headers["ratelimit-remaining"] == "0"
    assert refused.headers["ratelimit-reset"] == str(int(UNIX_START) + 60)
    desk.clock.now_s = 0.075
    assert (await desk.helix("GET", "users", token)).status_code == 200
    assert desk.face.stats["helix_over_limit"] == 1


async def test_an_app_and_each_of_its_users_have_a_bucket_of_their_own() -> None:
    """What the bot's token spends, carol's and the app's keep; two tokens of one user share."""
    desk = WebDesk()
    desk.face.helix.rates.points_max = 1
    tokens = [desk.token("bot"), desk.token("carol"), desk.app_token()]
    query = {"login": "alice"}
    assert [(await desk.helix("GET", "users", one, query=query)).status_code for one in tokens] == [200] * 3
    assert (await desk.helix("GET", "users", desk.token("bot"), query=query)).status_code == 429


async def test_send_chat_message_draws_from_a_bucket_of_its_own() -> None:
    """A bot that has used up its points can still speak."""
    desk = WebDesk()
    desk.face.helix.rates.points_max = 1
    token = desk.token("bot", "user:write:chat")
    assert (await desk.helix("GET", "users", token)).status_code == 200
    assert (await desk.helix("GET", "users", token)).status_code == 429
    body = {"broadcaster_id": desk.id("alice"), "sender_id": desk.id("bot"), "message": "hi"}
    assert (await desk.helix("POST", "chat/messages", token, json=body)).status_code == 200
    assert (await desk.helix("POST", "chat/messages", token, json=body)).status_code == 429


async def test_calls_are_counted_by_name_and_by_status() -> None:
    """What the control address shows."""
    desk = WebDesk()
    await desk.helix("GET", "users", desk.token("bot"))
    await desk.helix("GET", "users", "x")
    assert desk.face.stats == {"GET users": 1, "helix_200": 1, "helix_401": 1}
