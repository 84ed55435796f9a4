"""EventSub breaking, on purpose and by Twitch's rules: close codes, losses, redeliveries, revocations."""

from __future__ import annotations

import pytest

from simulator.loop import in_virtual_time
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.twitch.eventsub_subscriptions import SubscriptionRefused
from tests.simulator.twitch.eventsub_rig import Listener, closed, eventsub, now_s

# -- closing and breaking ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (4000, "websocket_internal_error"),
        (4001, "websocket_received_inbound_traffic"),
        (4002, "websocket_failed_ping_pong"),
        (4003, "websocket_connection_unused"),
        (4004, "websocket_failed_to_reconnect"),
        (4005, "websocket_network_timeout"),
        (4006, "websocket_network_error"),
        (4007, "websocket_failed_to_reconnect"),
    ],
)
@in_virtual_time(hybrid=True)
async def test_each_close_code_can_be_sent(code: int, status: str) -> None:
    """The client sees it, its subscriptions get the status that belongs to it, and it may come back."""
    async with eventsub() as place:
        async with place.listener() as mine:
            made = mine.subscribe()
            assert place.server.close_all(code, login="carol") == 0
            assert place.server.close_all(code, login="bot") == 1
            assert await closed(mine) == code
            assert made.status == status
        async with place.listener() as mine:
            mine.subscribe()


@in_virtual_time(hybrid=True)
async def test_a_code_that_is_not_twitchs_is_refused() -> None:
    """In words."""
    async with eventsub() as place:
        with pytest.raises(ValueError, match="4999 is none of 4000, 4001"):
            place.server.close_all(4999)


@in_virtual_time(hybrid=True)
async def test_disconnect_all_cuts_off_without_a_close_frame() -> None:
    """1006 for the client; only the account that is named."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe()
        assert place.server.disconnect_all(login="carol") == 0
        assert place.server.disconnect_all(login="bot") == 1
        assert await closed(mine) == 1006


@in_virtual_time(hybrid=True)
async def test_at_least_once_a_redelivery_keeps_its_message_id() -> None:
    """The same message twice, the second when the fault says."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe()
        place.server.duplicate_probability = 1.0
        place.server.redelivery_delay_s = 3.0
        place.state.say("alice", "carol", "hi")
        first, second = await mine.next("notification"), await mine.next("notification")
        assert first == second
        assert (now_s(), place.server.stats["notifications_duplicated"]) == (3.0, 1)


@in_virtual_time(hybrid=True)
async def test_a_reordered_event_comes_late_and_others_overtake_it() -> None:
    """Order is not guaranteed."""
    async with eventsub() as place, place.listener() as mine:
        mine.subscribe()
        place.server.reorder_probability = 1.0
        place.state.say("alice", "carol", "first")
        place.server.reorder_probability = 0.0
        place.state.say("alice", "carol", "second")
        assert [(await mine.event())["message"]["text"] for _ in range(2)] == ["second", "first"]
        assert now_s() == 0.25


@in_virtual_time(hybrid=True)
async def test_nothing_is_replayed_after_a_loss() -> None:
    """What happens while nobody listens is gone."""
    async with eventsub() as place:
        async with place.listener() as mine:
            mine.subscribe()
        place.state.say("alice", "carol", "unheard")
        async with place.listener() as mine:
            mine.subscribe()
            place.state.say("alice", "carol", "heard")
            assert (await mine.event())["message"]["text"] == "heard"


# -- revocations ---------------------------------------------------------------------------------------------------------------------


async def revoked(mine: Listener) -> tuple[str, str]:
    """Return id and status of the subscription that the next message revokes."""
    message = await mine.next("revocation")
    shown = message["payload"]["subscription"]
    assert message["metadata"]["subscription_type"] == shown["type"]
    assert "event" not in message["payload"]
    return str(shown["id"]), str(shown["status"])


@in_virtual_time(hybrid=True)
async def test_a_consent_that_ends_revokes_what_stood_on_it_once() -> None:
    """authorization_revoked for each of the user's subscriptions with this app, and no more events."""
    async with eventsub() as place, place.listener() as mine:
        chat, online = mine.subscribe(), mine.subscribe("stream.online")
        place.state.credentials.disconnect(DEFAULT_CLIENT_ID, "bot")
        assert [await revoked(mine) for _ in range(2)] == [
            (chat.id, "authorization_revoked"),
            (online.id, "authorization_revoked"),
        ]
        place.state.credentials.disconnect(DEFAULT_CLIENT_ID, "bot")
        place.state.say("alice", "carol", "unheard")
        await mine.next("session_keepalive")
        assert place.server.stats["revocations"] == 2


@in_virtual_time(hybrid=True)
async def test_revoking_one_token_revokes_no_subscription() -> None:
    """They stand on the connection between user and app, which /oauth2/revoke does not end: not even by the only token there was."""
    async with eventsub() as place, place.listener() as mine:
        place.state.credentials.disconnect(DEFAULT_CLIENT_ID, "bot")
        token = place.token("bot", "user:read:chat")
        mine.subscribe(token=token)
        place.state.credentials.revoke(token.access)
        place.state.say("alice", "carol", "still heard")
        assert (await mine.event())["message"]["text"] == "still heard"
        assert place.server.stats["revocations"] == 0


@in_virtual_time(hybrid=True)
async def test_a_token_that_expires_revokes_nothing() -> None:
    """Subscriptions outlive the access token that made them."""
    async with eventsub() as place, place.listener() as mine:
        token = place.token()
        mine.subscribe(token=token)
        place.state.credentials.expire(token.access)
        place.state.say("alice", "carol", "still here")
        await mine.event()


@pytest.mark.parametrize("status", ["user_removed", "version_removed"])
@in_virtual_time(hybrid=True)
async def test_a_revocation_by_hand_is_told_once(status: str) -> None:
    """With the status; the second time there is nothing to revoke."""
    async with eventsub() as place, place.listener() as mine:
        made = mine.subscribe()
        assert place.server.revoke(made.id, status)
        assert await revoked(mine) == (made.id, status)
        assert not place.server.revoke(made.id, status)
        with pytest.raises(ValueError, match="none of authorization_revoked"):
            place.server.revoke(made.id, "bored")


@in_virtual_time(hybrid=True)
async def test_a_ban_refuses_both_faces() -> None:
    """chat_user_banned for what the account reads in that channel alone; a timeout revokes nothing."""
    async with eventsub() as place, place.listener() as mine:
        users = place.state.users
        here = mine.subscribe()
        mine.subscribe(broadcaster_user_id=users["bob"].id, user_id=users["bot"].id)
        place.state.timeout("alice", "bot", 10)
        place.state.ban("alice", "bot")
        assert await revoked(mine) == (here.id, "chat_user_banned")
        with pytest.raises(SubscriptionRefused, match="403"):
            mine.subscribe()
        place.state.say("bob", "carol", "still here")
        await mine.event()


@in_virtual_time(hybrid=True)
async def test_a_moderator_who_is_one_no_more_loses_what_moderators_see() -> None:
    """moderator_removed."""
    async with eventsub() as place, place.listener() as mine:
        users = place.state.users
        place.state.set_role("alice", "bot", "moderator")
        condition = {"broadcaster_user_id": users["alice"].id, "moderator_user_id": users["bot"].id}
        made = mine.subscribe("channel.follow", "2", **condition)
        place.life.follow("alice", "carol")
        assert (await mine.event("channel.follow"))["user_login"] == "carol"
        place.state.set_role("alice", "bot", None)
        assert await revoked(mine) == (made.id, "moderator_removed")
