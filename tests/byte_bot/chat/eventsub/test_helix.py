"""Helix's requests and failures, against the fake Helix on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from byte_bot.chat.errors import HelixRefused, HelixThrottled, HelixUnavailable
from byte_bot.chat.eventsub.helix import USER, Helix
from byte_bot.chat.eventsub.limits import EventSubLimits
from simulator.loop import current_loop, run
from simulator.machine_clock import MachineClock
from simulator.trace import Trace
from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from tests.byte_bot.chat.eventsub.fake_twitch import BOT, SCOPES, Place


class Desk:
    """The fake Twitch and a client of its Helix."""

    def __init__(self, place: Place, helix: Helix, held: list[float], clock: MachineClock) -> None:
        self.place = place
        self.helix = helix
        #: Until when messages were to be held, as Helix said.
        self.held = held
        #: The client's wall clock.
        self.clock = clock
        self.me = place.state.user(BOT).id

    def id(self, login: str) -> str:
        """The id of an account."""
        return self.place.state.user(login).id


class TheToken:
    """One token for everything."""

    def __init__(self, access: str) -> None:
        self._access = access

    async def access(self, kind: str) -> str:
        """The one that there is."""
        return self._access

    async def rejected(self, kind: str, access: str) -> bool:
        """Nothing can be done about it."""
        return False


def ask(
    story: Callable[[Desk], Awaitable[None]],
    *,
    scopes: tuple[str, ...] = SCOPES,
    url: str = "",
    limits: EventSubLimits | None = None,
) -> None:
    """Run a story with a client."""

    async def body() -> None:
        place, held, loop = Place(), list[float](), current_loop()
        clock = MachineClock(loop, Trace(loop.time))
        async with place.listener:
            helix = Helix(
                url or f"{place.listener.url}/helix",
                DEFAULT_CLIENT_ID,
                TheToken(place.new_token(*scopes).access),
                send_as=USER,
                clock=clock,
                limits=limits if limits is not None else EventSubLimits(),
                on_send_held=held.append,
            )
            async with helix:
                await story(Desk(place, helix, held, clock))

    run(body(), hybrid=True)


def test_ids_of_those_that_exist() -> None:
    """Who does not is left out."""

    async def story(desk: Desk) -> None:
        assert await desk.helix.user_ids(["lobby", "nobody", "arcade"]) == {
            "lobby": desk.id("lobby"),
            "arcade": desk.id("arcade"),
        }

    ask(story)


def test_the_moderated_channels_are_read_page_by_page() -> None:
    """More than one page holds."""

    async def story(desk: Desk) -> None:
        for number in range(120):
            desk.place.state.add_channel(f"channel_{number}", moderators=(BOT,))
        assert len(await desk.helix.moderated(desk.me)) == 120

    ask(story)


def test_consents_are_asked_ten_at_a_time_with_the_applications_token() -> None:
    """TwitchIO names no kind of token there; who has granted nothing has no scopes, who does not exist is left out."""

    async def story(desk: Desk) -> None:
        credentials = desk.place.state.credentials
        logins = [f"granter_{number}" for number in range(12)]
        for login in logins:
            desk.place.state.add_user(login)
        credentials.issue_user(DEFAULT_CLIENT_ID, logins[11], ("channel:bot",))
        asked: list[str] = []
        app = credentials.issue_app(DEFAULT_CLIENT_ID).access

        class Both:
            async def access(self, kind: str) -> str:
                asked.append(kind)
                return app

            async def rejected(self, kind: str, access: str) -> bool:
                raise AssertionError(f"{kind} was rejected")

        limits = EventSubLimits()
        helix = Helix(
            f"{desk.place.listener.url}/helix",
            DEFAULT_CLIENT_ID,
            Both(),
            send_as=USER,
            clock=desk.clock,
            limits=limits,
            on_send_held=lambda until_s: None,
        )
        async with helix:
            found = await helix.consents([*map(desk.id, logins), "1"])
        assert asked == ["app", "app"]
        assert len(found) == 12
        assert found[desk.id(logins[11])] == {"channel:bot"} and found[desk.id(logins[0])] == frozenset()

    ask(story)


def test_a_scope_that_is_missing_is_refused_with_twitchs_words() -> None:
    """Another try would get the same."""

    async def story(desk: Desk) -> None:
        with pytest.raises(HelixRefused, match="user:read:moderated_channels") as caught:
            await desk.helix.moderated(desk.me)
        assert caught.value.status == 401

    ask(story, scopes=("user:read:chat",))


def test_a_429_is_waited_for_until_its_reset() -> None:
    """No sooner, and a few times at most."""

    async def story(desk: Desk) -> None:
        desk.place.web.helix.rates.points_max = 2
        loop = asyncio.get_running_loop()
        for _ in range(2):
            await desk.helix.user_ids(["lobby"])
        began_s = loop.time()
        await desk.helix.user_ids(["lobby"])
        # An empty bucket of two points is full after 60 s; its first point comes after 30.
        assert loop.time() - began_s >= 30.0
        assert desk.helix.throttled == 1

    ask(story)


def test_a_429_without_end_is_given_up() -> None:
    """After a few resets."""

    async def story(desk: Desk) -> None:
        desk.place.web.helix_429_probability = 1.0
        with pytest.raises(HelixThrottled):
            await desk.helix.user_ids(["lobby"])
        assert desk.helix.throttled == EventSubLimits().throttles_max

    ask(story)


def test_a_limit_of_eventsub_is_no_matter_of_patience() -> None:
    """Its 429 leaves points in the bucket."""

    async def story(desk: Desk) -> None:
        condition = {"broadcaster_user_id": desk.id("lobby"), "user_id": desk.me}
        with pytest.raises(HelixRefused, match="session") as caught:
            await desk.helix.subscribe("channel.chat.message", "1", condition, "no-such-session")
        assert caught.value.status == 400
        assert desk.helix.throttled == 0

    ask(story)


def test_a_message_waits_for_nothing_and_says_until_when_none_may_leave() -> None:
    """The bucket of Send Chat Message is its own."""

    async def story(desk: Desk) -> None:
        loop = asyncio.get_running_loop()
        desk.place.web.helix.rates.points_max = 3
        desk.place.state.set_role("lobby", BOT, "moderator")
        for number in range(3):
            verdict = await desk.helix.say(desk.id("lobby"), desk.me, f"number {number}")
            assert verdict.message_id
        # The last place was taken: the next comes after a third of the minute.
        (until_s,) = desk.held
        assert until_s - loop.time() == pytest.approx(20.0, abs=1.0)
        began_s = loop.time()
        with pytest.raises(HelixThrottled) as caught:
            await desk.helix.say(desk.id("lobby"), desk.me, "too much")
        assert loop.time() == began_s
        assert caught.value.retry_at_s > began_s
        assert desk.held[-1] == caught.value.retry_at_s
        # Another bucket: nobody is kept waiting there.
        await desk.helix.user_ids(["lobby"])

    ask(story)


def test_a_clock_behind_twitchs_does_not_silence_the_bot() -> None:
    """By a clock that is a day late the bucket fills in a day; it is a minute."""

    async def story(desk: Desk) -> None:
        loop = asyncio.get_running_loop()
        desk.place.web.helix.rates.points_max = 2
        desk.place.state.set_role("lobby", BOT, "moderator")
        desk.clock.jump(-86_400.0)
        for number in range(2):
            await desk.helix.say(desk.id("lobby"), desk.me, f"number {number}")
        (until_s,) = desk.held
        assert until_s - loop.time() == pytest.approx(30.0, abs=1.0)
        with pytest.raises(HelixThrottled) as caught:
            await desk.helix.say(desk.id("lobby"), desk.me, "too much")
        assert caught.value.retry_at_s - loop.time() <= 60.0

    ask(story)


def test_a_503_is_tried_once_more() -> None:
    """By TwitchIO, as Twitch asks for it; the second one is an error."""

    async def story(desk: Desk) -> None:
        desk.place.web.helix_503_probability = 1.0
        with pytest.raises(HelixUnavailable, match="503") as caught:
            await desk.helix.user_ids(["lobby"])
        assert not caught.value.undelivered
        assert desk.place.web.stats["fault_503"] == 2

    ask(story)


def test_a_server_that_cannot_be_reached_has_got_nothing() -> None:
    """So the message may be said again."""

    async def story(desk: Desk) -> None:
        with pytest.raises(HelixUnavailable, match="cannot be reached") as caught:
            await desk.helix.say(desk.id("lobby"), desk.me, "hello")
        assert caught.value.undelivered

    # A port on which nobody listens: the kernel refuses.
    ask(story, url="http://127.0.0.1:9/helix")


def test_a_server_that_does_not_answer_may_have_got_it() -> None:
    """Within the deadline of a request."""

    async def story(desk: Desk) -> None:
        desk.place.web.helix_delay_s = 100.0
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(HelixUnavailable, match="does not answer") as caught:
            await desk.helix.say(desk.id("lobby"), desk.me, "hello")
        assert not caught.value.undelivered
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(10.0, abs=0.1)

    ask(story)


def test_a_subscription_that_is_gone_counts_as_deleted() -> None:
    """Twitch answers 404."""

    async def story(desk: Desk) -> None:
        await desk.helix.unsubscribe("00000000-0000-4000-8000-000000000000")

    ask(story)
