"""What endpoints share: finding accounts by id, scopes, required parameters, who may."""

from __future__ import annotations

import pytest

from simulator.twitch.helix_call import Directory, HelixCall, rfc3339, user_fields
from simulator.twitch.web_exchange import Refused, WebRequest
from tests.simulator.twitch.http_rig import WebDesk


def call(desk: WebDesk, token: str, **query: str) -> HelixCall:
    held = desk.state.credentials.valid(token)
    assert held is not None
    request = WebRequest("GET", "x", query={name: (value,) for name, value in query.items()})
    return HelixCall(request, held, desk.state, Directory(desk.state))


def refused(caught: pytest.ExceptionInfo[Refused]) -> tuple[int, str]:
    return caught.value.status, caught.value.message


def test_the_directory_finds_accounts_that_came_later_and_forgets_those_that_went() -> None:
    """Ids are looked up anew when they are not where they were."""
    desk = WebDesk()
    directory = Directory(desk.state)
    assert directory.user("12345") is None
    dora = desk.state.add_user("dora", user_id="12345")
    assert directory.user("12345") is dora
    assert directory.channel("12345") is None
    desk.state.users.pop("dora")
    assert directory.user("12345") is None


def test_an_id_that_an_account_had_before_a_reset_finds_nobody() -> None:
    """The same login may come back with another id."""
    desk = WebDesk()
    directory = Directory(desk.state)
    dora = desk.state.add_user("dora", user_id="12345")
    assert directory.user("12345") is dora
    desk.state.users.pop("dora")
    desk.state.add_user("dora", user_id="67890")
    assert directory.user("12345") is None


def test_a_call_for_users_is_refused_to_an_apps_token() -> None:
    """Recorded words."""
    desk = WebDesk()
    with pytest.raises(Refused) as caught:
        call(desk, desk.app_token()).user_with("moderation:read")
    assert refused(caught) == (401, "Missing User OAUTH Token")


def test_a_missing_scope_is_named_and_one_of_several_is_enough() -> None:
    """Clients look for words that begin with "Missing scope"."""
    desk = WebDesk()
    token = desk.token("bot", "moderation:read")
    assert call(desk, token).user_with("channel:manage:moderators", "moderation:read").login == "bot"
    with pytest.raises(Refused) as caught:
        call(desk, token).user_with("moderator:manage:banned_users")
    assert refused(caught) == (401, "Missing scope: moderator:manage:banned_users")


def test_a_missing_parameter_is_named() -> None:
    """Recorded words; an empty one is missing."""
    desk = WebDesk()
    with pytest.raises(Refused) as caught:
        call(desk, desk.token("bot"), broadcaster_id="").required("broadcaster_id")
    assert refused(caught) == (400, 'Missing required parameter "broadcaster_id"')


def test_an_id_must_be_a_number_and_somebodys() -> None:
    """Two different refusals, both 400."""
    desk = WebDesk()
    asked = call(desk, desk.token("bot"))
    with pytest.raises(Refused) as malformed:
        asked.user("alice", "id")
    assert refused(malformed) == (
        400,
        'The parameter "id" was malformed: value must be a numeric',
    )
    with pytest.raises(Refused) as unknown:
        asked.channel("1")
    assert refused(unknown) == (400, "The ID in broadcaster_id is not valid.")


def test_a_parameter_comes_at_most_a_hundred_times() -> None:
    """One more is refused."""
    desk = WebDesk()
    held = desk.state.credentials.valid(desk.token("bot"))
    assert held is not None
    request = WebRequest("GET", "x", query={"id": tuple("1" * 101)})
    with pytest.raises(Refused, match="less than or equal to 100"):
        HelixCall(request, held, desk.state, Directory(desk.state)).many("id")


def test_the_broadcasters_own_token_is_needed_for_the_broadcasters_things() -> None:
    """Another's is 401."""
    desk = WebDesk()
    with pytest.raises(Refused) as caught:
        call(desk, desk.token("bot", "moderation:read"), broadcaster_id=desk.id("alice")).as_broadcaster(
            "moderation:read"
        )
    assert refused(caught) == (
        401,
        "The ID in broadcaster_id must match the user ID found in the request's OAuth token.",
    )
    alice = desk.token("alice", "moderation:read")
    assert (
        call(desk, alice, broadcaster_id=desk.id("alice")).as_broadcaster("moderation:read").login == "alice"
    )


def test_a_moderator_acts_with_the_moderators_own_token_and_only_where_they_moderate() -> None:
    """401 for somebody else's id, 403 for somebody who is none; the broadcaster moderates too."""
    desk = WebDesk()
    scope, alice = "moderator:read:chatters", desk.id("alice")
    bot = desk.token("bot", scope)
    with pytest.raises(Refused) as mismatch:
        call(desk, bot, broadcaster_id=alice, moderator_id=desk.id("carol")).as_moderator(scope)
    assert mismatch.value.status == 401
    with pytest.raises(Refused) as nobody:
        call(desk, bot, broadcaster_id=desk.id("bob"), moderator_id=desk.id("bot")).as_moderator(scope)
    assert refused(nobody) == (403, "The user in moderator_id is not one of the broadcaster's moderators.")
    assert (
        call(desk, bot, broadcaster_id=alice, moderator_id=desk.id("bot")).as_moderator(scope)[0].login
        == "alice"
    )
    owner = call(desk, desk.token("alice", scope), broadcaster_id=alice, moderator_id=alice)
    assert owner.as_moderator(scope)[1].login == "alice"


def test_times_are_whole_seconds_of_utc() -> None:
    """As in the reference's examples; names come with a prefix."""
    assert rfc3339(1_615_388_661_999) == "2021-03-10T15:04:21Z"
    alice = WebDesk().state.user("alice")
    assert user_fields(alice, "moderator") == {
        "moderator_id": alice.id,
        "moderator_login": "alice",
        "moderator_name": "Alice",
    }
