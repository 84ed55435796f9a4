"""Get Users, Get and Modify Channel Information, Get Streams, Get Channel Followers."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.twitch.events import ChannelUpdated, Happening
from simulator.twitch.helix_users import ACCOUNT_CREATED
from tests.simulator.twitch.http_rig import WebDesk, refusal

MANAGE = "channel:manage:broadcast"
READ_FOLLOWERS = "moderator:read:followers"


# -- users ----------------------------------------------------------------------------------------------------------------------------


async def test_users_shows_the_tokens_own_account_unless_others_are_named() -> None:
    """With every field of the reference's example but the email."""
    desk = WebDesk()
    (me,) = (await desk.helix("GET", "users", desk.token("bot"))).json()["data"]
    assert sorted(me) == [
        "broadcaster_type", "created_at", "description", "display_name", "id", "login", "offline_image_url",
        "profile_image_url", "type", "view_count",
    ]  # fmt: skip
    assert (me["id"], me["login"], me["display_name"]) == (desk.id("bot"), "bot", "Bot")
    assert me["created_at"] == ACCOUNT_CREATED


async def test_users_finds_by_id_and_login_and_leaves_out_who_does_not_exist() -> None:
    """Each account once, whatever case the login is in."""
    desk = WebDesk()
    query = {"id": [desk.id("alice"), "1"], "login": ["ALICE", "bob", "nobody"]}
    answer = await desk.helix("GET", "users", desk.app_token(), query=query)
    assert [user["login"] for user in answer.json()["data"]] == ["alice", "bob"]


async def test_users_shows_an_email_only_with_its_scope_and_only_the_own() -> None:
    """user:read:email."""
    desk = WebDesk()
    query = {"login": ["bot", "alice"]}
    answer = await desk.helix("GET", "users", desk.token("bot", "user:read:email"), query=query)
    bot, alice = answer.json()["data"]
    assert bot["email"] == "bot@example.com"
    assert "email" not in alice


async def test_users_takes_a_hundred_at_once_and_an_app_must_name_somebody() -> None:
    """60 ids and 41 logins are too many."""
    desk = WebDesk()
    query = {"id": ["1"] * 60, "login": ["a"] * 41}
    assert refusal(await desk.helix("GET", "users", desk.app_token(), query=query))[0] == 400
    words = (400, "Must provide an ID, Login or OAuth Token")
    assert refusal(await desk.helix("GET", "users", desk.app_token())) == words


# -- authorizations -------------------------------------------------------------------------------------------------------------------


async def test_an_app_is_shown_what_users_have_granted_it() -> None:
    """In the order asked for; nothing of who granted nothing, nobody who does not exist; also after the token has ended."""
    desk = WebDesk()
    desk.state.credentials.revoke(desk.token("alice", "channel:bot", "bits:read"))
    query = {"user_id": [desk.id("bob"), "1", desk.id("alice")]}
    answer = await desk.helix("GET", "authorization/users", desk.app_token(), query=query)
    bob, alice = answer.json()["data"]
    assert (bob["user_login"], bob["scopes"], bob["has_authorized"]) == ("bob", [], False)
    assert alice == {
        "user_id": desk.id("alice"),
        "user_login": "alice",
        "user_name": "Alice",
        "scopes": ["channel:bot", "bits:read"],
        "has_authorized": True,
    }


async def test_authorizations_take_ten_users_and_an_apps_token() -> None:
    """One to ten ids; a user's token is refused."""
    desk = WebDesk()
    path, ids = "authorization/users", {"user_id": ["1"] * 11}
    assert refusal(await desk.helix("GET", path, desk.app_token(), query=ids))[0] == 400
    assert refusal(await desk.helix("GET", path, desk.app_token())) == (
        400,
        'Missing required parameter "user_id"',
    )
    assert refusal(await desk.helix("GET", path, desk.token("bot")))[0] == 401


# -- channels -------------------------------------------------------------------------------------------------------------------------


async def test_channels_tells_what_the_channel_shows_about_itself() -> None:
    """The fields of the reference; unknown ids are left out, ids named twice come once."""
    desk = WebDesk()
    desk.life.update("alice", title="hello", game_id="509658", game_name="Just Chatting", language="pt")
    alice = desk.id("alice")
    answer = await desk.helix(
        "GET", "channels", desk.app_token(), query={"broadcaster_id": [alice, alice, "1"]}
    )
    assert answer.json() == {
        "data": [
            {
                "broadcaster_id": alice,
                "broadcaster_login": "alice",
                "broadcaster_name": "Alice",
                "broadcaster_language": "pt",
                "game_id": "509658",
                "game_name": "Just Chatting",
                "title": "hello",
                "delay": 0,
                "tags": [],
                "content_classification_labels": [],
                "is_branded_content": False,
            }
        ]
    }
    missing = await desk.helix("GET", "channels", desk.app_token())
    assert refusal(missing) == (400, 'Missing required parameter "broadcaster_id"')


async def modify(
    desk: WebDesk, body: dict[str, Any], *, who: str = "alice", scope: str = MANAGE
) -> tuple[int, str]:
    query = {"broadcaster_id": desk.id("alice")}
    answer = await desk.helix("PATCH", "channels", desk.token(who, scope), query=query, json=body)
    return (answer.status_code, "") if answer.status_code == 204 else refusal(answer)


async def test_modifying_a_channel_changes_it_for_every_face() -> None:
    """204 without a body; EventSub hears of it once; tags are shown."""
    desk = WebDesk()
    heard: list[Happening] = []
    desk.state.attach(heard.append)
    body = {"title": "new", "game_id": "33214", "broadcaster_language": "de", "tags": ["English", "Spaß"]}
    assert await modify(desk, body) == (204, "")
    room = desk.state.channel("alice")
    assert (room.title, room.game_name, room.language, room.tags) == (
        "new",
        "Fortnite",
        "de",
        ("English", "Spaß"),
    )
    assert [type(one) for one in heard] == [ChannelUpdated]
    assert await modify(desk, {"game_id": "0"}) == (204, "")
    assert (room.game_id, room.game_name, room.title) == ("", "", "new")


async def test_only_the_broadcaster_with_the_scope_modifies_a_channel() -> None:
    """A moderator does not."""
    desk = WebDesk()
    assert await modify(desk, {"title": "x"}, who="bot") == (
        401,
        "The ID in broadcaster_id must match the user ID found in the request's OAuth token.",
    )
    assert await modify(desk, {"title": "x"}, scope="chat:read") == (401, f"Missing scope: {MANAGE}")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "at least one property"),
        ({"title": ""}, "may not contain an empty string"),
        ({"title": 5}, "must be a string"),
        ({"game_id": "123456789"}, "invalid game_id"),
        ({"delay": 10}, "not partnered"),
        ({"tags": ["a"] * 11}, "maximum number of tags"),
        ({"tags": ["a" * 26]}, "maximum length"),
        ({"tags": [""]}, "is empty"),
        ({"tags": ["two words"]}, "special characters or spaces"),
    ],
)
async def test_a_change_that_breaks_a_rule_changes_nothing(body: dict[str, Any], words: str) -> None:
    """Each rule of the reference, by its words."""
    desk = WebDesk()
    status, message = await modify(desk, body)
    assert status == 400
    assert words in message
    assert desk.state.channel("alice").title == ""


# -- streams --------------------------------------------------------------------------------------------------------------------------


async def test_streams_shows_who_is_on_the_air_most_viewers_first() -> None:
    """With the fields of the reference's example."""
    desk = WebDesk()
    desk.life.go_live("alice", viewer_count=5)
    desk.clock.now_s = 60.0
    stream = desk.life.go_live("bob", viewer_count=9)
    body = (await desk.helix("GET", "streams", desk.app_token())).json()
    assert [one["user_login"] for one in body["data"]] == ["bob", "alice"]
    assert sorted(body["data"][0]) == [
        "game_id", "game_name", "id", "is_mature", "language", "started_at", "tag_ids", "tags", "thumbnail_url", "title",
        "type", "user_id", "user_login", "user_name", "viewer_count",
    ]  # fmt: skip
    assert body["data"][0]["id"] == stream.id
    assert body["data"][0]["started_at"] == "2023-11-14T22:14:20Z"
    assert body["pagination"] == {}


async def test_streams_are_filtered_by_user_game_and_language() -> None:
    """Nobody who is off the air, whatever is asked."""
    desk = WebDesk()
    desk.life.go_live("alice")
    desk.life.update("alice", game_id="33214", language="de")

    async def shown(**query: str) -> list[str]:
        answer = await desk.helix("GET", "streams", desk.app_token(), query=query)
        return [one["user_login"] for one in answer.json()["data"]]

    assert await shown(user_login="Alice") == ["alice"]
    assert await shown(user_id=desk.id("alice"), game_id="33214", language="de") == ["alice"]
    assert await shown(user_login="bob") == []
    assert await shown(game_id="1") == []
    assert await shown(language="en") == []
    wrong = await desk.helix("GET", "streams", desk.app_token(), query={"type": "vodcast"})
    assert refusal(wrong) == (400, "The value in the type query parameter is not valid.")


async def test_streams_come_in_pages() -> None:
    """Following the cursor shows each once."""
    desk = WebDesk()
    for number in range(5):
        desk.state.add_channel(f"c{number}")
        desk.life.go_live(f"c{number}", viewer_count=number)
    seen, after = [], ""
    while True:
        query = {"first": "2", "after": after} if after else {"first": "2"}
        body = (await desk.helix("GET", "streams", desk.app_token(), query=query)).json()
        seen += [one["user_login"] for one in body["data"]]
        after = body["pagination"].get("cursor", "")
        if not after:
            break
    assert seen == ["c4", "c3", "c2", "c1", "c0"]


# -- followers --------------------------------------------------------------------------------------------------------------------------


async def test_followers_are_shown_to_broadcaster_and_moderators_newest_first() -> None:
    """With the time, and the total."""
    desk = WebDesk()
    desk.life.follow("alice", "carol")
    desk.clock.now_s = 5.0
    desk.life.follow("alice", "bob")
    query = {"broadcaster_id": desk.id("alice")}
    for who in ("alice", "bot"):
        body = (
            await desk.helix("GET", "channels/followers", desk.token(who, READ_FOLLOWERS), query=query)
        ).json()
        assert [one["user_login"] for one in body["data"]] == ["bob", "carol"]
        assert body["data"][1]["followed_at"] == "2023-11-14T22:13:20Z"
        assert (body["total"], body["pagination"]) == (2, {})


async def test_others_hear_only_how_many_followers_there_are() -> None:
    """Without the scope, without the role, or with an app's token; asking about one user is then refused."""
    desk = WebDesk()
    desk.life.follow("alice", "carol")
    query = {"broadcaster_id": desk.id("alice")}
    for token in (desk.token("bot"), desk.token("carol", READ_FOLLOWERS), desk.app_token()):
        body = (await desk.helix("GET", "channels/followers", token, query=query)).json()
        assert body == {"total": 1, "data": [], "pagination": {}}
        about = await desk.helix(
            "GET", "channels/followers", token, query={**query, "user_id": desk.id("carol")}
        )
        assert refusal(about) == (401, "missing scope moderator:read:followers")


async def test_whether_one_user_follows() -> None:
    """That user or nobody."""
    desk = WebDesk()
    desk.life.follow("alice", "carol")
    token = desk.token("alice", READ_FOLLOWERS)
    for login, expected in (("carol", ["carol"]), ("bob", [])):
        query = {"broadcaster_id": desk.id("alice"), "user_id": desk.id(login)}
        body = (await desk.helix("GET", "channels/followers", token, query=query)).json()
        assert [one["user_login"] for one in body["data"]] == expected
