"""Send Chat Message with its drop reasons, chatters, chat settings, announcements."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.twitch.events import Happening, Noticed, RoomChanged
from simulator.twitch.helix_chat import DROP_CODES
from simulator.twitch.limits import TwitchLimits
from tests.simulator.twitch.http_rig import WebDesk, refusal

WRITE = "user:write:chat"
SETTINGS = "moderator:manage:chat_settings"
ANNOUNCE = "moderator:manage:announcements"


async def send(
    desk: WebDesk, text: str, *, channel: str = "alice", who: str = "carol", token: str = "", **more: Any
) -> httpx.Response:
    body = {"broadcaster_id": desk.id(channel), "sender_id": desk.id(who), "message": text, **more}
    return await desk.helix("POST", "chat/messages", token or desk.token(who, WRITE), json=body)


def result(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200
    (one,) = answer.json()["data"]
    assert sorted(one) == ["drop_reason", "is_sent", "message_id"]
    found: dict[str, Any] = one
    return found


async def dropped(desk: WebDesk, text: str, **more: Any) -> str:
    """Send a message that is dropped; return the code."""
    before = len(desk.said)
    found = result(await send(desk, text, **more))
    assert (found["is_sent"], found["message_id"]) == (False, "")
    assert found["drop_reason"]["message"]
    assert len(desk.said) == before
    return str(found["drop_reason"]["code"])


# -- sending ----------------------------------------------------------------------------------------------------------------------------


async def test_a_message_through_helix_is_said_in_the_channel() -> None:
    """By the sender, with the id that everybody sees."""
    desk = WebDesk()
    found = result(await send(desk, "hello"))
    (said,) = desk.said
    assert (said.channel, said.login, said.text, said.from_client) == ("alice", "carol", "hello", True)
    assert found == {"message_id": said.id, "is_sent": True, "drop_reason": None}


async def test_parameters_may_be_in_the_query_in_the_body_or_in_both() -> None:
    """twitchio sends JSON, twitchAPI a query, twurple both."""
    desk = WebDesk()
    ids = {"broadcaster_id": desk.id("alice"), "sender_id": desk.id("bot")}
    token = desk.token("bot", WRITE)
    query_only = await desk.helix("POST", "chat/messages", token, query={**ids, "message": "one"})
    both = await desk.helix("POST", "chat/messages", token, query=ids, json={"message": "two"})
    assert [result(one)["is_sent"] for one in (query_only, both)] == [True, True]
    assert [one.text for one in desk.said] == ["one", "two"]


async def test_a_reply_answers_its_parent_and_a_malformed_id_is_refused() -> None:
    """An id that could be one but is not remembered makes an ordinary message, as on IRC."""
    desk = WebDesk()
    parent = desk.state.say("alice", "alice", "question", message_id="m-1")
    assert result(await send(desk, "answer", reply_parent_message_id=parent))["is_sent"]
    assert desk.said[-1].reply_to == "m-1"
    desk.clock.now_s = 2.0
    gone = "885196de-cb67-427a-baa8-82f9b0fcd05f"
    assert result(await send(desk, "other", reply_parent_message_id=gone))["is_sent"]
    assert desk.said[-1].reply_to == ""
    wrong = await send(desk, "x", reply_parent_message_id="none")
    assert refusal(wrong) == (400, "The ID in reply_parent_message_id is not valid.")


async def test_a_message_of_more_than_500_characters_is_422() -> None:
    """500 are said."""
    desk = WebDesk()
    assert refusal(await send(desk, "x" * 501)) == (422, "The message is too large.")
    assert result(await send(desk, "x" * 500))["is_sent"]


async def test_slash_me_is_an_action_and_other_commands_are_cut_off() -> None:
    """Recorded: "/me" and ".foo" alone are rejected, of ".foo bar" only "bar" is said."""
    desk = WebDesk(limits=TwitchLimits(message_interval_s=0.0))
    for text in ("/me waves", ".foo bar", "/ban carol", "...well"):
        assert result(await send(desk, text))["is_sent"]
    assert [(one.text, one.is_action) for one in desk.said] == [
        ("waves", True),
        ("bar", False),
        ("carol", False),
        ("...well", False),
    ]
    assert await dropped(desk, "/me") == "msg_rejected"
    assert await dropped(desk, ".foo") == "msg_rejected"


@pytest.mark.parametrize("missing", ["broadcaster_id", "sender_id", "message"])
async def test_each_parameter_of_a_message_is_required(missing: str) -> None:
    """Absent or empty."""
    desk = WebDesk()
    body = {"broadcaster_id": desk.id("alice"), "sender_id": desk.id("bot"), "message": "hi"}
    answer = await desk.helix("POST", "chat/messages", desk.token("bot", WRITE), json={**body, missing: ""})
    assert refusal(answer) == (400, f'Missing required parameter "{missing}"')


# -- who may ----------------------------------------------------------------------------------------------------------------------------


async def test_a_user_token_needs_the_scope_and_speaks_only_for_itself() -> None:
    """Recorded words for the scope."""
    desk = WebDesk()
    without = await send(desk, "hi", token=desk.token("carol", "chat:edit"))
    assert refusal(without) == (401, "User access token requires the user:write:chat scope.")
    other = await send(desk, "hi", who="bot", token=desk.token("carol", WRITE))
    assert refusal(other)[0] == 401
    only = await send(desk, "hi", for_source_only=True)
    assert refusal(only) == (400, "Cannot set for_source_only if User Access Token is used.")
    assert desk.said == []


async def test_an_app_token_needs_user_bot_and_channel_bot() -> None:
    """The sender's consent to both scopes, and the broadcaster's; taking any one away refuses."""
    desk = WebDesk()
    app = desk.app_token()
    assert (await send(desk, "hi", token=app)).status_code == 401
    desk.token("carol", WRITE)
    desk.token("alice", "channel:bot")
    assert (await send(desk, "hi", token=app)).status_code == 401
    desk.token("carol", "user:bot")
    assert result(await send(desk, "hi", token=app, for_source_only=True))["is_sent"]
    desk.state.credentials.disconnect(DEFAULT_CLIENT_ID, "alice")
    status, words = refusal(await send(desk, "hi", token=app))
    assert status == 401
    assert "channel:bot" in words


async def test_an_app_token_needs_no_channel_bot_where_the_sender_moderates() -> None:
    """Or where the channel granted it by other means."""
    desk = WebDesk()
    desk.token("bot", WRITE, "user:bot")
    app = desk.app_token()
    assert result(await send(desk, "hi", who="bot", token=app))["is_sent"]
    assert (await send(desk, "hi", who="bot", channel="bob", token=app)).status_code == 401
    desk.state.grant_channel_bot("bob", "bot")
    assert result(await send(desk, "hi", who="bot", channel="bob", token=app))["is_sent"]


# -- drop reasons -----------------------------------------------------------------------------------------------------------------------


async def test_bans_and_timeouts_drop_a_message_here_as_on_irc() -> None:
    """One state under both; the words for a timeout do not tell how long, as recorded."""
    desk = WebDesk()
    desk.state.ban("alice", "carol")
    assert await dropped(desk, "hi") == "user_banned"
    desk.state.unban("alice", "carol")
    desk.state.timeout("alice", "carol", 60)
    found = result(await send(desk, "hi"))
    assert found["drop_reason"] == {
        "code": "user_timed_out",
        "message": "You are timed out from talking in the room.",
    }
    desk.clock.now_s = 60.0
    assert result(await send(desk, "hi"))["is_sent"]


@pytest.mark.parametrize(
    ("modes", "code"),
    [
        ({"subs_only": True}, "subs_only_mode"),
        ({"followers_only": 0}, "followers_only_mode"),
        ({"followers_only": 10}, "followers_only_mode"),
        ({"emote_only": True}, "emote_only_mode"),
    ],
)
async def test_each_chat_mode_drops_with_its_code_and_spares_moderators(
    modes: dict[str, Any], code: str
) -> None:
    """Codes from the logs of public bots."""
    desk = WebDesk()
    desk.state.set_modes("alice", **modes)
    assert await dropped(desk, "hi") == code
    assert result(await send(desk, "hi", who="bot"))["is_sent"]


async def test_slow_mode_and_unique_chat_drop_the_second_message() -> None:
    """The first is said."""
    desk = WebDesk()
    desk.state.set_modes("alice", slow_s=10)
    assert result(await send(desk, "one"))["is_sent"]
    desk.clock.now_s = 5.0
    assert await dropped(desk, "two") == "slow_mode"
    desk.state.set_modes("alice", slow_s=0, r9k=True)
    assert await dropped(desk, "one") == "unique_mode"


async def test_the_same_text_within_30_seconds_is_a_duplicate() -> None:
    """After them it is said again; fast talking is "rate_limited"."""
    desk = WebDesk()
    assert result(await send(desk, "hi"))["is_sent"]
    assert await dropped(desk, "ho") == "rate_limited"
    desk.clock.now_s = 29.9
    assert await dropped(desk, "hi") == "msg_duplicate"
    desk.clock.now_s = 30.0
    assert result(await send(desk, "hi"))["is_sent"]


async def test_the_accounts_limit_of_messages_counts_for_both_faces() -> None:
    """The 21st within 30 s is dropped, and the account is ignored from then on; IRC would say nothing at all."""
    desk = WebDesk(limits=TwitchLimits(message_interval_s=0.0))
    for number in range(20):
        assert result(await send(desk, f"m{number}"))["is_sent"]
    assert await dropped(desk, "over") == "rate_limited"
    desk.clock.now_s = 40.0
    assert await dropped(desk, "ignored") == "rate_limited"


async def test_a_forced_refusal_keeps_its_notices_id_unless_a_code_is_known() -> None:
    """Refusals that a story sets, such as AutoMod's."""
    desk = WebDesk()
    for notice, code in [
        ("msg_rejected", "msg_rejected"),
        ("msg_rejected_mandatory", "channel_settings"),
        ("msg_verified_email", "msg_verified_email"),
    ]:
        desk.state.refuse_messages("alice", "carol", notice)
        assert await dropped(desk, "hi") == code
    desk.state.channel("alice").suspended = True
    assert await dropped(desk, "hi") == "channel_suspended"


def test_every_refusal_of_the_rules_has_a_code() -> None:
    """The table names ids that the rules know."""
    assert {"msg_banned", "msg_timedout", "msg_duplicate", "over_limit", "ignored"} <= set(DROP_CODES)


# -- chatters ---------------------------------------------------------------------------------------------------------------------------


async def test_chatters_lists_connections_and_viewers_for_moderators() -> None:
    """Each once; others get 403, other scopes 401."""
    desk = WebDesk()
    desk.face.chat.occupants = lambda channel: ("bot", "justinfan1", "carol") if channel == "alice" else ()
    desk.state.viewer_joins("alice", "carol")
    desk.state.viewer_joins("alice", "dora")
    scope, query = (
        "moderator:read:chatters",
        {"broadcaster_id": desk.id("alice"), "moderator_id": desk.id("bot")},
    )
    body = (await desk.helix("GET", "chat/chatters", desk.token("bot", scope), query=query)).json()
    assert [one["user_login"] for one in body["data"]] == ["bot", "carol", "dora"]
    assert (body["total"], body["pagination"]) == (3, {})
    assert (await desk.helix("GET", "chat/chatters", desk.token("bot"), query=query)).status_code == 401
    query["moderator_id"] = desk.id("carol")
    assert (
        await desk.helix("GET", "chat/chatters", desk.token("carol", scope), query=query)
    ).status_code == 403


# -- settings ---------------------------------------------------------------------------------------------------------------------------


async def change(desk: WebDesk, body: dict[str, Any]) -> httpx.Response:
    query = {"broadcaster_id": desk.id("alice"), "moderator_id": desk.id("bot")}
    return await desk.helix("PATCH", "chat/settings", desk.token("bot", SETTINGS), query=query, json=body)


async def test_anybody_reads_the_chat_settings_and_moderators_the_delay_too() -> None:
    """The fields of the reference's example."""
    desk = WebDesk()
    desk.state.set_modes("alice", slow_s=10, followers_only=0)
    query = {"broadcaster_id": desk.id("alice")}
    (shown,) = (await desk.helix("GET", "chat/settings", desk.app_token(), query=query)).json()["data"]
    assert shown == {
        "broadcaster_id": desk.id("alice"),
        "slow_mode": True,
        "slow_mode_wait_time": 10,
        "follower_mode": True,
        "follower_mode_duration": 0,
        "subscriber_mode": False,
        "emote_mode": False,
        "unique_chat_mode": False,
    }
    query["moderator_id"] = desk.id("bot")
    token = desk.token("bot", "moderator:read:chat_settings")
    (more,) = (await desk.helix("GET", "chat/settings", token, query=query)).json()["data"]
    assert more["non_moderator_chat_delay"] is False
    (less,) = (await desk.helix("GET", "chat/settings", desk.token("bot"), query=query)).json()["data"]
    assert "non_moderator_chat_delay" not in less


async def test_updating_the_chat_settings_changes_the_modes_for_every_face() -> None:
    """IRC gets one ROOMSTATE with what changed; what stays as it is tells nobody."""
    desk = WebDesk()
    heard: list[Happening] = []
    desk.state.attach(heard.append)
    body = {"slow_mode": True, "slow_mode_wait_time": 5, "emote_mode": False, "subscriber_mode": True}
    (shown,) = (await change(desk, body)).json()["data"]
    assert (shown["slow_mode_wait_time"], shown["subscriber_mode"], shown["moderator_id"]) == (
        5,
        True,
        desk.id("bot"),
    )
    (changed,) = heard
    assert isinstance(changed, RoomChanged)
    assert changed.changed == {"slow": "5", "subs-only": "1"}
    assert (await change(desk, body)).status_code == 200
    assert len(heard) == 1


async def test_modes_that_are_switched_on_without_a_number_get_twitchs_defaults() -> None:
    """30 s of slow mode, 0 minutes of following; false switches off."""
    desk = WebDesk()
    await change(desk, {"slow_mode": True, "follower_mode": True})
    modes = desk.state.channel("alice").modes
    assert (modes.slow_s, modes.followers_only) == (30, 0)
    await change(desk, {"slow_mode": False, "follower_mode": False})
    assert (modes.slow_s, modes.followers_only) == (0, -1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"slow_mode": True, "slow_mode_wait_time": 2}, "must be in the range 3 through 120"),
        ({"slow_mode": True, "slow_mode_wait_time": 121}, "must be in the range"),
        ({"slow_mode": True, "slow_mode_wait_time": True}, "must be in the range"),
        ({"slow_mode_wait_time": 5}, "slow_mode field must be set to true"),
        ({"follower_mode": True, "follower_mode_duration": 129_601}, "must be in the range 0 through 129600"),
        ({"non_moderator_chat_delay": True, "non_moderator_chat_delay_duration": 3}, "2, 4 or 6"),
        ({"non_moderator_chat_delay_duration": 2}, "must be set to true"),
        ({"emote_mode": "yes"}, "must be a boolean"),
    ],
)
async def test_a_setting_out_of_range_changes_nothing(body: dict[str, Any], words: str) -> None:
    """400 with the range."""
    desk = WebDesk()
    status, message = refusal(await change(desk, {"subscriber_mode": True, **body}))
    assert status == 400
    assert words in message
    assert not desk.state.channel("alice").modes.subs_only


async def test_the_delay_of_chat_is_remembered_and_shown() -> None:
    """Switched on, kept by another change, switched off."""
    desk = WebDesk()
    body: dict[str, Any] = {"non_moderator_chat_delay": True, "non_moderator_chat_delay_duration": 4}
    for given, expected in [
        (body, 4),
        ({"emote_mode": True}, 4),
        ({"non_moderator_chat_delay": False}, None),
    ]:
        (shown,) = (await change(desk, given)).json()["data"]
        assert shown["non_moderator_chat_delay_duration"] == expected


# -- announcements ------------------------------------------------------------------------------------------------------------------------


async def announce(
    desk: WebDesk, body: dict[str, Any], *, who: str = "bot", token: str = ""
) -> httpx.Response:
    query = {"broadcaster_id": desk.id("alice"), "moderator_id": desk.id(who)}
    return await desk.helix(
        "POST", "chat/announcements", token or desk.token(who, ANNOUNCE), query=query, json=body
    )


async def test_an_announcement_reaches_the_room_with_its_colour() -> None:
    """204; a line break in it cannot end the IRC line, and longer texts are cut."""
    desk = WebDesk()
    heard: list[Happening] = []
    desk.state.attach(heard.append)
    answer = await announce(desk, {"message": "hello\r\nPART #alice " + "x" * 600, "color": "purple"})
    assert answer.status_code == 204
    (notice,) = heard
    assert isinstance(notice, Noticed)
    assert (notice.kind, notice.user.login, notice.params) == ("announcement", "bot", {"color": "PURPLE"})
    assert notice.text.startswith("hello PART #alice x")
    assert len(notice.text) == 500


async def test_announcements_are_refused_without_text_colour_or_role() -> None:
    """Each by its words."""
    desk = WebDesk()
    for body, words in [
        ({}, "The message field in the request's body is required."),
        ({"message": " \n"}, "The message field may not contain an empty string."),
        ({"message": "x", "color": "PURPLE"}, "The specified color is not valid."),
    ]:
        assert refusal(await announce(desk, body)) == (400, words)
    assert (await announce(desk, {"message": "x"}, who="carol")).status_code == 403


async def test_one_announcement_every_two_seconds() -> None:
    """The second within them is 429."""
    desk = WebDesk()
    assert (await announce(desk, {"message": "one"})).status_code == 204
    desk.clock.now_s = 1.9
    assert (await announce(desk, {"message": "two"})).status_code == 429
    desk.clock.now_s = 2.0
    assert (await announce(desk, {"message": "two"})).status_code == 204


async def test_an_app_may_announce_with_the_moderators_consent() -> None:
    """moderator:manage:announcements and user:bot from the moderator."""
    desk = WebDesk()
    app = desk.app_token()
    assert (await announce(desk, {"message": "x"}, token=app)).status_code == 401
    desk.token("bot", ANNOUNCE, "user:bot")
    assert (await announce(desk, {"message": "x"}, token=app)).status_code == 204
