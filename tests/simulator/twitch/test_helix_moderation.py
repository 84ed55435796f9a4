"""Moderators, bans and timeouts, the list of the banned, deleted messages."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest

from simulator.twitch.events import BanLifted, ChatCleared, Happening, MessageDeleted
from tests.simulator.twitch.http_rig import WebDesk, refusal

MANAGE = "channel:manage:moderators"
BAN = "moderator:manage:banned_users"
DELETE = "moderator:manage:chat_messages"


def watched(desk: WebDesk) -> list[Happening]:
    heard: list[Happening] = []
    desk.state.attach(heard.append)
    return heard


# -- moderators ---------------------------------------------------------------------------------------------------------------------------


async def test_the_broadcaster_reads_the_list_of_moderators() -> None:
    """With either scope, filtered by user; nobody else's token works."""
    desk = WebDesk()
    desk.state.set_role("alice", "carol", "moderator")
    query: dict[str, Any] = {"broadcaster_id": desk.id("alice")}
    for scope in ("moderation:read", MANAGE):
        body = (
            await desk.helix("GET", "moderation/moderators", desk.token("alice", scope), query=query)
        ).json()
        assert [one["user_login"] for one in body["data"]] == ["bot", "carol"]
    query["user_id"] = [desk.id("carol"), desk.id("bob")]
    body = (await desk.helix("GET", "moderation/moderators", desk.token("alice", MANAGE), query=query)).json()
    assert body == {
        "data": [{"user_id": desk.id("carol"), "user_login": "carol", "user_name": "carol"}],
        "pagination": {},
    }
    assert (
        await desk.helix("GET", "moderation/moderators", desk.token("bot", MANAGE), query=query)
    ).status_code == 401


async def test_moderators_are_added_and_removed() -> None:
    """The broadcaster's token; the state's roles change for every face."""
    desk = WebDesk()
    token = desk.token("alice", MANAGE)

    async def change(method: str, login: str) -> tuple[int, str]:
        query = {"broadcaster_id": desk.id("alice"), "user_id": desk.id(login)}
        answer = await desk.helix(method, "moderation/moderators", token, query=query)
        return (204, "") if answer.status_code == 204 else refusal(answer)

    assert await change("POST", "carol") == (204, "")
    assert "carol" in desk.state.channel("alice").moderators
    assert await change("POST", "carol") == (400, "user is already a mod")
    assert await change("DELETE", "carol") == (204, "")
    assert await change("DELETE", "carol") == (400, "user is not a mod")
    desk.state.set_role("alice", "carol", "vip")
    assert (await change("POST", "carol"))[0] == 422
    desk.state.ban("alice", "bob")
    assert "banned from the channel" in (await change("POST", "bob"))[1]


async def test_ten_moderators_are_added_in_ten_seconds_and_not_more() -> None:
    """Removing has a window of its own."""
    desk = WebDesk()
    token = desk.token("alice", MANAGE)
    statuses = []
    for number in range(11):
        query = {"broadcaster_id": desk.id("alice"), "user_id": desk.state.add_user(f"u{number}").id}
        statuses.append((await desk.helix("POST", "moderation/moderators", token, query=query)).status_code)
    assert statuses == [204] * 10 + [429]


async def test_an_account_lists_the_channels_it_moderates() -> None:
    """user:read:moderated_channels, for itself."""
    desk = WebDesk()
    scope, query = "user:read:moderated_channels", {"user_id": desk.id("bot")}
    body = (await desk.helix("GET", "moderation/channels", desk.token("bot", scope), query=query)).json()
    assert body["data"] == [
        {"broadcaster_id": desk.id("alice"), "broadcaster_login": "alice", "broadcaster_name": "Alice"}
    ]
    assert (await desk.helix("GET", "moderation/channels", desk.token("bot"), query=query)).status_code == 401
    other = await desk.helix("GET", "moderation/channels", desk.token("carol", scope), query=query)
    assert other.status_code == 401


# -- bans -----------------------------------------------------------------------------------------------------------------------------------


async def ban(
    desk: WebDesk, login: str, *, who: str = "bot", scope: str = BAN, **data: Any
) -> httpx.Response:
    query = {"broadcaster_id": desk.id("alice"), "moderator_id": desk.id(who)}
    body = {"data": {"user_id": desk.id(login), **data}}
    return await desk.helix("POST", "moderation/bans", desk.token(who, scope), query=query, json=body)


async def test_a_ban_reaches_every_face_with_moderator_and_reason() -> None:
    """The answer's fields are the reference's; the banned one is refused on IRC by the same state."""
    desk = WebDesk()
    heard = watched(desk)
    (done,) = (await ban(desk, "carol", reason="rude")).json()["data"]
    assert done == {
        "broadcaster_id": desk.id("alice"),
        "moderator_id": desk.id("bot"),
        "user_id": desk.id("carol"),
        "created_at": "2023-11-14T22:13:20Z",
        "end_time": None,
    }
    assert desk.state.channel("alice").bans == {"carol": math.inf}
    (cleared,) = heard
    assert isinstance(cleared, ChatCleared)
    assert cleared.moderator is desk.state.user("bot")
    assert (cleared.reason, cleared.duration_s) == ("rude", None)


async def test_a_timeout_ends_by_itself_and_may_be_changed() -> None:
    """Shorter, longer, or into a ban; a ban cannot become a timeout."""
    desk = WebDesk()
    (done,) = (await ban(desk, "carol", duration=60)).json()["data"]
    assert done["end_time"] == "2023-11-14T22:14:20Z"
    assert (await ban(desk, "carol", duration=1)).status_code == 200
    assert desk.state.channel("alice").bans == {"carol": 1.0}
    assert (await ban(desk, "carol")).status_code == 200
    words = "The user specified in the user_id field is already banned."
    assert refusal(await ban(desk, "carol")) == (400, words)
    assert refusal(await ban(desk, "carol", duration=60)) == (400, words)


@pytest.mark.parametrize("duration", [0, 1_209_601, -1, 1.5, "60", True])
async def test_a_timeout_lasts_from_a_second_to_two_weeks(duration: Any) -> None:
    """Anything else is not valid."""
    answer = await ban(WebDesk(), "carol", duration=duration)
    assert refusal(answer) == (400, "The value in the duration field is not valid.")


async def test_nobody_bans_the_broadcaster_or_themselves_and_only_the_broadcaster_a_moderator() -> None:
    """A banned moderator is none any more."""
    desk = WebDesk()
    desk.state.set_role("alice", "carol", "moderator")
    words = "The user specified in the user_id field may not be "
    assert refusal(await ban(desk, "alice")) == (400, words + "banned.")
    assert refusal(await ban(desk, "bot")) == (400, words + "banned.")
    assert refusal(await ban(desk, "carol", duration=5)) == (400, words + "put in a timeout.")
    assert (await ban(desk, "carol", who="alice")).status_code == 200
    assert "carol" not in desk.state.channel("alice").moderators


async def test_bans_need_scope_role_user_and_a_short_reason() -> None:
    """401, 403, 400, 400."""
    desk = WebDesk()
    assert refusal(await ban(desk, "carol", scope="chat:edit")) == (401, f"Missing scope: {BAN}")
    assert (await ban(desk, "bob", who="carol")).status_code == 403
    assert refusal(await ban(desk, "carol", user_id=""))[0] == 400
    assert refusal(await ban(desk, "carol", reason="x" * 501))[0] == 400
    assert desk.state.channel("alice").bans == {}


async def test_a_ban_or_timeout_is_lifted_by_a_moderator() -> None:
    """204, and every face hears who did it; who is not banned cannot be unbanned, nor whose timeout is over."""
    desk = WebDesk()
    desk.state.timeout("alice", "carol", 60)
    heard = watched(desk)
    query = {"broadcaster_id": desk.id("alice"), "moderator_id": desk.id("bot"), "user_id": desk.id("carol")}
    token = desk.token("bot", BAN)
    assert (await desk.helix("DELETE", "moderation/bans", token, query=query)).status_code == 204
    (lifted,) = heard
    assert isinstance(lifted, BanLifted)
    assert lifted.moderator is desk.state.user("bot")
    words = "The user in the user_id query parameter is not banned."
    assert refusal(await desk.helix("DELETE", "moderation/bans", token, query=query)) == (400, words)
    desk.state.timeout("alice", "carol", 60)
    desk.clock.now_s = 60.0
    assert (await desk.helix("DELETE", "moderation/bans", token, query=query)).status_code == 400


async def test_the_banned_are_listed_with_who_did_it_and_why() -> None:
    """Bans of every face; a timeout that is over is gone; a ban has no end."""
    desk = WebDesk()
    await ban(desk, "carol", duration=30, reason="rude")
    desk.state.ban("alice", "bob")
    query = {"broadcaster_id": desk.id("alice")}
    token = desk.token("alice", "moderation:read")
    carol, bob = (await desk.helix("GET", "moderation/banned", token, query=query)).json()["data"]
    assert carol == {
        "user_id": desk.id("carol"),
        "user_login": "carol",
        "user_name": "carol",
        "expires_at": "2023-11-14T22:13:50Z",
        "created_at": "2023-11-14T22:13:20Z",
        "reason": "rude",
        "moderator_id": desk.id("bot"),
        "moderator_login": "bot",
        "moderator_name": "Bot",
    }
    assert (bob["expires_at"], bob["moderator_login"]) == ("", "alice")
    desk.clock.now_s = 30.0
    answer = await desk.helix("GET", "moderation/banned", token, query={**query, "user_id": desk.id("carol")})
    assert answer.json()["data"] == []


# -- messages -------------------------------------------------------------------------------------------------------------------------------


async def delete(desk: WebDesk, message_id: str = "", *, who: str = "bot") -> tuple[int, str]:
    query = {"broadcaster_id": desk.id("alice"), "moderator_id": desk.id(who)}
    if message_id:
        query["message_id"] = message_id
    answer = await desk.helix("DELETE", "moderation/chat", desk.token(who, DELETE), query=query)
    return (204, "") if answer.status_code == 204 else refusal(answer)


async def test_a_moderator_deletes_a_message_for_every_face() -> None:
    """Once: afterwards it is not found."""
    desk = WebDesk()
    message_id = desk.state.say("alice", "carol", "bad")
    heard = watched(desk)
    assert await delete(desk, message_id) == (204, "")
    assert [type(one) for one in heard] == [MessageDeleted]
    assert await delete(desk, message_id) == (404, "The ID in message_id was not found.")


async def test_messages_of_the_broadcaster_and_of_other_moderators_stay() -> None:
    """One's own may go, and the broadcaster deletes anybody's; a message of another channel is not found."""
    desk = WebDesk()
    desk.state.set_role("alice", "carol", "moderator")
    alices, carols, bots = (desk.state.say("alice", who, "x") for who in ("alice", "carol", "bot"))
    assert await delete(desk, alices) == (400, "You may not delete the broadcaster's messages.")
    assert await delete(desk, carols) == (400, "You may not delete another moderator's messages.")
    assert await delete(desk, bots) == (204, "")
    assert await delete(desk, carols, who="alice") == (204, "")
    assert (await delete(desk, desk.state.say("bob", "carol", "x")))[0] == 404


async def test_a_message_older_than_six_hours_cannot_be_deleted() -> None:
    """At six hours it still can."""
    desk = WebDesk()
    first, second = desk.state.say("alice", "carol", "x"), desk.state.say("alice", "carol", "y")
    desk.clock.now_s = 6 * 3_600.0
    assert await delete(desk, first) == (204, "")
    desk.clock.now_s += 1.0
    assert await delete(desk, second) == (404, "The specified message was created more than 6 hours ago.")


async def test_without_an_id_the_room_is_cleared() -> None:
    """And only by its moderators, in recorded words."""
    desk = WebDesk()
    heard = watched(desk)
    assert await delete(desk) == (204, "")
    assert [type(one) for one in heard] == [ChatCleared]
    assert await delete(desk, who="carol") == (403, "You don't have permission to perform that action.")
