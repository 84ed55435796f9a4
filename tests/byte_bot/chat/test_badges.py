"""What badges say."""

from __future__ import annotations

import pytest

from byte_bot.chat.badges import is_privileged, role_of
from byte_bot.chat.message import Role


@pytest.mark.parametrize(
    ("badges", "role", "privileged"),
    [
        (("broadcaster", "subscriber"), Role.BROADCASTER, True),
        (("moderator", "vip"), Role.MODERATOR, True),
        (("lead_moderator",), Role.MODERATOR, True),
        (("vip",), Role.VIP, True),
        (("founder", "premium"), Role.SUBSCRIBER, False),
        (("subscriber",), Role.SUBSCRIBER, False),
        (("premium", "glhf-pledge"), Role.EVERYONE, False),
        ((), Role.EVERYONE, False),
    ],
)
def test_the_highest_badge_is_the_role(badges: tuple[str, ...], role: Role, privileged: bool) -> None:
    """A bought badge is no role, and only three roles speak faster."""
    assert role_of(badges) is role
    assert is_privileged(badges) is privileged
