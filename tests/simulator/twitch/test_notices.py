"""The words of Twitch's notices."""

from __future__ import annotations

import pytest

from simulator.twitch.notices import notice_text
from tests.simulator.twitch.rig import recorded_lines


def test_the_text_of_a_ban_is_the_recorded_one() -> None:
    """The recorded NOTICE of a banned account in #forsen has exactly our words."""
    assert (
        f"@msg-id=msg_banned :tmi.twitch.tv NOTICE #forsen :{notice_text('msg_banned', channel='forsen')}"
        in (recorded_lines())
    )


@pytest.mark.parametrize(
    "notice_id",
    [
        "msg_banned",
        "msg_timedout",
        "msg_duplicate",
        "msg_ratelimit",
        "msg_slowmode",
        "msg_r9k",
        "msg_subsonly",
        "msg_emoteonly",
        "msg_followersonly",
        "msg_rejected",
        "msg_channel_suspended",
        "msg_channel_blocked",
        "msg_suspended",
        "msg_room_not_found",
        "msg_bad_characters",
        "msg_verified_email",
        "msg_requires_verified_phone_number",
    ],
)
def test_every_notice_that_a_bot_must_expect_has_words(notice_id: str) -> None:
    """Each id of the list in use has a text with its values filled in."""
    text = notice_text(notice_id, channel="alice", seconds=3, minutes=10)
    assert text
    assert "{" not in text
