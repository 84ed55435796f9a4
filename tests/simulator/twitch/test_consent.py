"""When an app may chat as an account with a token of its own: every combination of consents."""

from __future__ import annotations

import pytest

from simulator.twitch.consent import app_may_chat
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from tests.simulator.twitch.rig import Clock, small_twitch

SCOPE = "user:read:chat"


@pytest.mark.parametrize(
    ("of_bot", "of_channel", "moderates", "admitted", "allowed"),
    [
        ((SCOPE, "user:bot"), ("channel:bot",), False, False, True),
        ((SCOPE, "user:bot"), (), True, False, True),
        ((SCOPE, "user:bot"), (), False, True, True),
        ((SCOPE, "user:bot"), (), False, False, False),
        ((SCOPE,), ("channel:bot",), True, True, False),
        (("user:bot",), ("channel:bot",), True, True, False),
        ((), (), False, False, False),
    ],
)
def test_a_cloud_bot_needs_the_scope_and_user_bot_and_channel_bot_or_moderating(
    of_bot: tuple[str, ...], of_channel: tuple[str, ...], moderates: bool, admitted: bool, allowed: bool
) -> None:
    """dev.twitch.tv/docs/chat/authenticating; `grant_channel_bot` is the broadcaster's consent too."""
    state = small_twitch(Clock())
    app = state.credentials.add_app("cloud").client_id
    bot, room = state.add_user("cloudy"), state.channel("alice")
    if of_bot:
        state.credentials.issue_user(app, "cloudy", of_bot)
    if of_channel:
        state.credentials.issue_user(app, "alice", of_channel)
    if moderates:
        state.set_role("alice", "cloudy", "moderator")
    if admitted:
        state.grant_channel_bot("alice", "cloudy")
    assert app_may_chat(state, app, bot, room, SCOPE) is allowed
    assert not app_may_chat(state, DEFAULT_CLIENT_ID, bot, room, SCOPE)


def test_a_broadcaster_needs_nobody_elses_consent_in_their_own_room() -> None:
    """They moderate it."""
    state = small_twitch(Clock())
    app = state.credentials.add_app("cloud").client_id
    state.credentials.issue_user(app, "alice", (SCOPE, "user:bot"))
    assert app_may_chat(state, app, state.user("alice"), state.channel("alice"), SCOPE)
