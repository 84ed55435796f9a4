"""What cannot be in a snapshot is refused, with its place."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from simulator.twitch.snapshot_parts import Snapshot


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"users": [{"login": "No Spaces"}]}, "users.0.login"),
        ({"users": [{"login": "a", "verified": "yes"}]}, "users.0.verified"),
        ({"users": [{"login": "a"}, {"login": "a"}]}, "two have the login 'a'"),
        ({"users": [{"login": "a", "id": "1"}, {"login": "b", "id": "1"}]}, "two have the id '1'"),
        ({"channels": [{"login": "a", "modes": {"slow_s": 121}}]}, "channels.0.modes.slow_s"),
        ({"channels": [{"login": "a", "colour": "red"}]}, "channels.0.colour"),
        ({"channels": [{"login": "a", "moderators": ["b"], "vips": ["b"]}]}, "both moderator and vip"),
        ({"channels": [{"login": "a", "refusals": {"b": "msg_no"}}]}, "allowed: msg_bad_characters"),
        ({"tokens": [{"token": "two words", "login": "a"}]}, "tokens.0.token"),
        ({"tokens": [{"token": "x", "login": "a", "lifetime_s": -1}]}, "tokens.0.lifetime_s"),
    ],
)
def test_what_twitch_would_not_have_is_refused(wrong: dict[str, Any], words: str) -> None:
    """With the place of the mistake, and before anything is changed."""
    with pytest.raises(ValidationError) as refused:
        Snapshot.model_validate(wrong)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"shard_count": 0}, "shard_count"),
        ({"shard_count": 20_001}, "shard_count"),
        ({"shard_count": 1, "shards": [{"id": 1, "session_id": "s"}]}, "shard 1 is outside"),
        ({"shard_count": 1, "shards": [{"id": 0, "session_id": "s"}] * 2}, "two have the id '0'"),
        ({"shard_count": 1, "subscriptions": [{"type": "tea", "condition": {}}]}, "there is no type 'tea'"),
    ],
)
def test_a_conduit_that_twitch_would_not_have_is_refused(wrong: dict[str, Any], words: str) -> None:
    """Before anything is changed."""
    with pytest.raises(ValidationError) as refused:
        Snapshot.model_validate({"conduits": [wrong]})
    assert words in str(refused.value)


def test_a_snapshot_has_five_conduits_of_an_app_at_most() -> None:
    """As Twitch has; of two apps ten."""
    Snapshot.model_validate(
        {"conduits": [{"client_id": app, "shard_count": 1} for app in ("a", "b") for _ in range(5)]}
    )
    with pytest.raises(ValidationError, match="Twitch allows 5"):
        Snapshot.model_validate({"conduits": [{"client_id": "a", "shard_count": 1}] * 6})
