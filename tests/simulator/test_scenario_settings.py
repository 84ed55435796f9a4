"""Settings in a scenario file: all of the bot's but secrets and what the world says, judged by the bot's rules."""

from __future__ import annotations

from pydantic import SecretStr

from byte_bot.settings import Settings
from simulator.scenario_settings import REFUSED, setting_names, wrong_values


def test_every_setting_is_either_allowed_or_refused() -> None:
    """And every secret is refused, also one that is yet to come."""
    assert {*setting_names(), *REFUSED} == set(Settings.model_fields)
    secret = {name for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
    assert secret and secret <= set(REFUSED)


def test_values_that_the_bot_takes_are_taken() -> None:
    """As its own settings read them."""
    assert list(wrong_values({"flush_interval_s": 0.5, "durability": "power", "components": ("a.b",)})) == []


def test_values_that_the_bot_refuses_are_named_all_at_once() -> None:
    """By the field's name, with its bounds and its default."""
    found = dict(wrong_values({"flush_interval_s": 0, "durability": "none", "default_prefix": "/"}))
    assert set(found) == {"flush_interval_s", "durability", "default_prefix"}
    assert found["flush_interval_s"].startswith(
        "flush_interval_s is 0, which is wrong: input should be greater"
    )
    assert "leave it out for 2.0" in found["flush_interval_s"]
    assert "which Twitch takes for its own commands" in found["default_prefix"]
