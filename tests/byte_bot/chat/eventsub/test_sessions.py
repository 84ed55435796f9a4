"""EventSub sessions: every way in which they end, and how the next one comes."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.message import (
    ChannelJoined,
    ChatMessage,
    Disconnected,
)
from tests.byte_bot.chat.eventsub.fake_twitch import Place, joined_events, tell


@pytest.mark.parametrize("code", [4000, 4001, 4002, 4003, 4004, 4005, 4006, 4007])
def test_whatever_code_the_socket_is_closed_with_it_comes_back(code: int) -> None:
    """Each of Twitch's; TwitchIO gives up at 4001 and 4003 without a word."""

    async def story(place: Place) -> None:
        await asyncio.sleep(60.0)
        place.eventsub.close_all(code)
        (ended,) = await place.seen(Disconnected)
        assert str(code) in ended.reason
        await place.until(lambda: joined_events(place) == ["lobby", "lobby"])
        assert place.chat.connected
        place.state.say("lobby", "ana", "still there?")
        await place.seen(ChatMessage)

    tell(story)


def test_a_socket_that_is_cut_off_is_replaced() -> None:
    """Without a close frame."""

    async def story(place: Place) -> None:
        place.eventsub.disconnect_all()
        # Sooner than the watchdog would notice it.
        await place.seen(ChannelJoined, 2, within_s=5.0)
        assert len(place.subscriptions()) == 5

    tell(story)


def test_a_silent_socket_is_noticed_by_the_loops_clock() -> None:
    """Keepalives are lost: TwitchIO's watchdog reads the wall clock, which virtual time does not move."""

    async def story(place: Place) -> None:
        await asyncio.sleep(31.0)
        place.eventsub.mute_keepalives = True
        silent_from_s = place.loop.time()
        (ended,) = await place.seen(Disconnected)
        assert "nothing heard for 15 s" in ended.reason
        assert place.loop.time() - silent_from_s <= 27.0
        place.eventsub.mute_keepalives = False
        await place.seen(ChannelJoined, 2)

    tell(story)


def test_a_half_open_socket_is_noticed() -> None:
    """Neither side is told that the line is dead."""

    async def story(place: Place) -> None:
        place.eventsub.half_open_all()
        await place.seen(Disconnected)
        await place.seen(ChannelJoined, 2)

    tell(story)


def test_a_session_is_moved_without_a_gap() -> None:
    """What is said while the new socket is being opened comes over the old one; TwitchIO would not read it."""

    async def story(place: Place) -> None:
        place.eventsub.session_reconnect(30.0)
        for number in range(50):
            place.state.say("lobby", "ana", f"number {number}")
            await asyncio.sleep(0.0)
        await place.until(lambda: len(place.of(ChatMessage)) == 50)
        assert place.eventsub.stats["reconnects"] == 1
        await asyncio.sleep(40.0)
        assert place.of(Disconnected) == []
        assert joined_events(place) == ["lobby"], "the subscriptions moved with the session"
        assert place.eventsub.stats["closed_4004"] == 0
        place.state.say("lobby", "ana", "over the new one")
        await place.until(lambda: len(place.of(ChatMessage)) == 51)

    tell(story)


def test_what_comes_late_over_the_old_socket_is_heard() -> None:
    """Sent before the new socket was welcomed, and overtaken by the welcome: two lines are not in step."""

    async def story(place: Place) -> None:
        place.eventsub.reorder_probability = 1.0
        place.eventsub.session_reconnect(30.0)
        place.state.say("lobby", "ana", "late")
        await place.seen(ChatMessage)
        assert place.eventsub.stats["reconnects"] == 1

    tell(story)


def test_a_session_that_cannot_be_moved_is_replaced_when_twitch_ends_it() -> None:
    """The old socket stays for as long as Twitch lets it."""

    async def story(place: Place) -> None:
        place.eventsub.accepting = False
        place.eventsub.session_reconnect(5.0)
        await asyncio.sleep(4.0)
        place.state.say("lobby", "ana", "over the old one")
        await place.seen(ChatMessage)
        (ended,) = await place.seen(Disconnected)
        assert "4004" in ended.reason
        place.eventsub.accepting = True
        await place.seen(ChannelJoined, 2)

    tell(story)


def test_failed_attempts_are_paused() -> None:
    """Full jitter, as on IRC: a thousand bots must not come back in step."""

    async def story(place: Place) -> None:
        place.eventsub.accepting = False
        place.eventsub.disconnect_all()
        await asyncio.sleep(120.0)
        refused = place.eventsub.stats["connections_refused"]
        assert 4 < refused < 40
        place.eventsub.accepting = True
        await place.seen(ChannelJoined, 2, within_s=31.0)

    tell(story)


def test_without_the_watchdog_a_silent_socket_is_never_noticed() -> None:
    """TwitchIO's own would be of no use here; it is switched off by a patience without end."""

    async def story(place: Place) -> None:
        place.eventsub.mute_keepalives = True
        await asyncio.sleep(600.0)
        assert place.of(Disconnected) == []

    tell(story, limits=replace(EventSubLimits(), keepalive_grace_s=1e9))
