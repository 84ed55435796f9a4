"""The device flow's codes: pending, approved, used up, expired, too often."""

from __future__ import annotations

import random

import pytest

from simulator.twitch.device_flow import GRANTS_MAX, DeviceFlow, Poll, UnknownUserCode
from tests.simulator.twitch.rig import Clock


def flow(clock: Clock) -> DeviceFlow:
    letters = random.Random(2)
    return DeviceFlow(clock, random.Random(1), lambda count: "".join(letters.choices("abcdef", k=count)))


def test_a_device_waits_until_somebody_approves_and_gets_one_token() -> None:
    """Pending, then approved, then the code is used up."""
    devices = flow(Clock())
    grant = devices.begin("app", ("chat:read",))
    assert devices.poll("app", grant.device_code) == (Poll.PENDING, None)
    devices.approve(grant.user_code, "bot")
    poll, approved = devices.poll("app", grant.device_code)
    assert poll is Poll.APPROVED
    assert approved is not None
    assert (approved.login, approved.scopes) == ("bot", ("chat:read",))
    assert devices.poll("app", grant.device_code) == (Poll.INVALID, None)


def test_the_user_code_is_eight_capitals_and_may_be_typed_any_way() -> None:
    """A person writes it in small letters, with a dash."""
    devices = flow(Clock())
    code = devices.begin("app", ()).user_code
    assert len(code) == 8
    assert code.isupper()
    devices.approve(f" {code[:4].lower()}-{code[4:]} ", "bot")


def test_codes_expire_after_half_an_hour() -> None:
    """The device hears what it hears of a code that never was; the person cannot approve it any more."""
    clock = Clock()
    devices = flow(clock)
    grant = devices.begin("app", ())
    clock.now_s = 1_799.9
    assert devices.poll("app", grant.device_code)[0] is Poll.PENDING
    clock.now_s = 1_800.0
    assert devices.poll("app", grant.device_code)[0] is Poll.INVALID
    with pytest.raises(UnknownUserCode, match=grant.user_code):
        devices.approve(grant.user_code, "bot")


def test_another_app_cannot_use_the_code() -> None:
    """A device code belongs to the app that asked for it."""
    devices = flow(Clock())
    grant = devices.begin("app", ())
    devices.approve(grant.user_code, "bot")
    assert devices.poll("other", grant.device_code) == (Poll.INVALID, None)
    assert devices.poll("app", grant.device_code)[0] is Poll.APPROVED


def test_slow_down_is_off_at_first() -> None:
    """A client that asks each second gets its token on the real service."""
    clock = Clock()
    devices = flow(clock)
    grant = devices.begin("app", ())
    for second in range(3):
        clock.now_s = float(second)
        assert devices.poll("app", grant.device_code)[0] is Poll.PENDING


def test_slow_down_answers_who_asks_early_and_makes_the_interval_longer() -> None:
    """RFC 8628, section 3.5: five seconds more; the first question is never early, nor is one at the interval."""
    clock = Clock()
    devices = flow(clock)
    devices.slow_down = True
    grant = devices.begin("app", ())
    heard = []
    for moment in (0.0, 5.0, 6.0, 11.0, 26.0):
        clock.now_s = moment
        heard.append(devices.poll("app", grant.device_code)[0])
    assert heard == [Poll.PENDING, Poll.PENDING, Poll.SLOW_DOWN, Poll.SLOW_DOWN, Poll.PENDING]


def test_a_person_who_says_no_is_told_to_the_device_once() -> None:
    """Afterwards the code is gone."""
    devices = flow(Clock())
    grant = devices.begin("app", ())
    devices.deny(grant.user_code)
    assert devices.poll("app", grant.device_code)[0] is Poll.DENIED
    assert devices.poll("app", grant.device_code)[0] is Poll.INVALID


def test_open_requests_are_bounded_and_the_oldest_goes() -> None:
    """A device that never asks again costs no memory for ever."""
    devices = flow(Clock())
    first = devices.begin("app", ())
    for _ in range(GRANTS_MAX):
        devices.begin("app", ())
    assert devices.poll("app", first.device_code)[0] is Poll.INVALID
