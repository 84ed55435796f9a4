"""The keeper while something is wrong: Twitch is away, the account or the application is refused, the file is not as it should be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from byte_bot.auth.timing import KeeperTiming
from simulator.loop import current_loop, in_virtual_time
from tests.byte_bot.auth.small_twitch import (
    LIFETIME_S,
    LOGIN,
    SELDOM,
    MemoryTokenStore,
    SmallTwitch,
    keeping,
    stored,
)

HOUR_S = 3_600.0
TIMING = KeeperTiming()


def events(lines: list[Any], event: str) -> list[Any]:
    """The log's lines of one event."""
    return [line for line in lines if line["event"] == event]


@in_virtual_time()
async def test_while_twitch_is_away_the_token_goes_on_and_is_asked_about_seldom() -> None:
    """Said once, with full-jitter pauses of at most a minute; when it is back everything is as it should be."""
    twitch = SmallTwitch()
    pair = twitch.issue()
    with capture_logs() as lines:
        async with keeping(twitch, MemoryTokenStore(stored(pair)), timing=SELDOM) as place:
            await asyncio.sleep(LIFETIME_S - TIMING.refresh_before_s - 10)
            asked = len(twitch.asked)
            twitch.broken = httpx.ConnectError("refused")
            for _ in range(80):
                await asyncio.sleep(10)
                assert await place.access() == pair.access
            assert 800 / TIMING.backoff_max_s <= len(twitch.asked) - asked <= 120
            twitch.broken = None
            await asyncio.sleep(TIMING.backoff_max_s + SELDOM.look_s)
            assert await place.access() != pair.access
    (away,) = events(lines, "token_server_away")
    assert "refused" in away["why"]
    assert "goes on with its token until" in away["what_it_means"]
    assert len(events(lines, "token_server_reached")) == 1
    assert events(lines, "token_unusable") == []
    assert None not in place.heard


@in_virtual_time()
async def test_as_long_as_a_server_asks_is_waited() -> None:
    """Retry-After, up to the backoff's own limit of a minute."""
    twitch = SmallTwitch()
    async with keeping(twitch, MemoryTokenStore(stored(twitch.issue()))) as place:
        twitch.answer = httpx.Response(429, headers={"Retry-After": "45"})
        await place.keeper.rejected(await place.access())
        await asyncio.sleep(300)
    gaps = [later.at - before.at for before, later in zip(twitch.asked[1:], twitch.asked[2:], strict=False)]
    assert len(gaps) >= 3
    assert min(gaps) >= 45


@in_virtual_time()
async def test_a_start_does_not_wait_long_for_a_server_that_hangs() -> None:
    """The file says that the token is valid: the transport gets it, Twitch's word comes later."""
    twitch = SmallTwitch()
    twitch.delay_s = 1e6
    pair = twitch.issue()
    async with keeping(twitch, MemoryTokenStore(stored(pair)), start=False) as place:
        assert await place.access(TIMING.start_s + 0.1) == pair.access
        assert current_loop().time() == pytest.approx(TIMING.start_s, abs=0.1)


@in_virtual_time()
async def test_a_withdrawn_consent_is_said_and_a_new_token_waited_for() -> None:
    """What to do, at once and then every hour; sessions end; the new token is taken up by itself."""
    twitch = SmallTwitch()
    store = MemoryTokenStore(stored(twitch.issue()))
    with capture_logs() as lines:
        async with keeping(twitch, store, timing=SELDOM) as place:
            twitch.withdraw()
            await asyncio.sleep(HOUR_S + 5)
            assert await place.waits()
            assert place.keeper.waiting
            assert place.heard[-1] is None
            await asyncio.sleep(3 * HOUR_S)
            asked = len(twitch.asked)
            assert asked <= 2 + 2 * 4
            said = events(lines, "token_unusable")
            assert len(said) == 4
            assert "Invalid refresh token" in said[0]["why"]
            assert said[0]["what_to_do"].startswith(f"start `byte-bot login` as {LOGIN}")
            assert place.heard.count(None) == 1

            new = twitch.issue()
            waiting = asyncio.ensure_future(place.keeper.token())
            await asyncio.sleep(1)
            store.put(stored(new))
            assert (await asyncio.wait_for(waiting, SELDOM.look_s + 0.1)).access == new.access
            assert not place.keeper.waiting
            assert place.heard[-1] is not None
    assert len(events(lines, "token_works_again")) == 1


@in_virtual_time()
async def test_a_revoked_token_that_a_face_refuses_is_reported_at_once() -> None:
    """Not only at the next hourly look."""
    twitch = SmallTwitch()
    with capture_logs() as lines:
        async with keeping(twitch, MemoryTokenStore(stored(twitch.issue()))) as place:
            twitch.withdraw()
            await place.keeper.rejected(await place.access())
            await asyncio.sleep(0.1)
            assert len(events(lines, "token_unusable")) == 1
            assert place.heard[-1] is None


@in_virtual_time()
async def test_a_pair_that_another_process_traded_is_found_though_its_date_is_older() -> None:
    """The clock was set back in between: what is in the file is taken up when Twitch refuses ours."""
    twitch = SmallTwitch()
    pair = twitch.issue()
    store = MemoryTokenStore(stored(pair))
    async with keeping(twitch, store, timing=SELDOM) as place:
        theirs = twitch.issue()
        twitch.issued[pair.access] = replace(pair, refresh="")
        store.put(stored(theirs, obtained_at=1_000.0))
        await asyncio.sleep(LIFETIME_S - TIMING.refresh_before_s + 10)
        assert await place.access() != pair.access
        assert twitch.issued[await place.access()].ends_at > current_loop().time()


@in_virtual_time()
async def test_a_refresh_token_that_is_used_up_costs_nothing_before_the_token_ends() -> None:
    """The old token goes on while it is valid, which the log says; then the bot waits, and sessions may live on."""
    twitch = SmallTwitch()
    pair = twitch.issue()
    with capture_logs() as lines:
        async with keeping(twitch, MemoryTokenStore(stored(pair, refresh="used-up")), timing=SELDOM) as place:
            await asyncio.sleep(LIFETIME_S - TIMING.refresh_before_s + 10)
            assert await place.access() == pair.access
            (line,) = events(lines, "token_unusable")
            assert "goes on until 20" in line["what_it_means"]
            await asyncio.sleep(TIMING.refresh_before_s)
            assert await place.waits()
            assert [line["what_it_means"] for line in events(lines, "token_unusable")][1:] == [
                "the bot waits for a new token"
            ]
            await place.keeper.rejected(pair.access)  # a face noticed too
            await asyncio.sleep(5)
            assert None not in place.heard


@in_virtual_time()
async def test_a_wrong_client_secret_is_the_application_s_fault() -> None:
    """The variables to correct, and no new login."""
    twitch = SmallTwitch()
    twitch.secret = "right"
    with capture_logs() as lines:
        async with keeping(twitch, MemoryTokenStore(stored(twitch.issue())), secret="wrong") as place:
            await place.keeper.rejected(await place.access())
            await asyncio.sleep(HOUR_S / 2)
            (line,) = events(lines, "token_unusable")
            assert "invalid client secret" in line["why"]
            assert "TWITCH_CLIENT_SECRET" in line["what_to_do"]
            assert twitch.refreshes == 1


@in_virtual_time()
async def test_a_fresh_token_that_is_refused_is_validated_and_not_refreshed_again() -> None:
    """The fault is elsewhere: a face that says 401 all the time wears no tokens out."""
    twitch = SmallTwitch()
    with capture_logs() as lines:
        async with keeping(twitch, MemoryTokenStore(stored(twitch.issue()))) as place:
            for _ in range(10):
                await place.keeper.rejected(await place.access())
                await asyncio.sleep(TIMING.trust_s / 20)
            assert twitch.refreshes == 1
            assert await place.access()
    assert len(events(lines, "token_refused_though_valid")) == 9


@in_virtual_time()
async def test_a_fresh_token_that_ended_is_refreshed_all_the_same() -> None:
    """Twitch itself calls it invalid."""
    twitch = SmallTwitch()
    async with keeping(twitch, MemoryTokenStore(stored(twitch.issue()))) as place:
        for number in (1, 2):
            old = await place.access()
            twitch.expire(old)
            await place.keeper.rejected(old)
            assert await place.access() != old
            assert twitch.refreshes == number


@in_virtual_time()
async def test_a_token_without_the_scopes_is_not_refreshed_when_it_is_refused() -> None:
    """Refreshing brings no scopes: a human has to allow them, and Twitch is left in peace."""
    twitch = SmallTwitch()
    with capture_logs() as lines:
        async with keeping(twitch, MemoryTokenStore(stored(twitch.issue(scopes=("chat:read",))))) as place:
            await place.keeper.rejected(await place.access())
            await asyncio.sleep(HOUR_S / 2)
            assert place.keeper.waiting
            assert twitch.refreshes == 0
            assert len(twitch.asked) <= 3
    (line,) = events(lines, "token_unusable")
    assert "lacks chat:edit" in line["why"]


@in_virtual_time()
async def test_a_token_of_another_account_is_not_used() -> None:
    """The bot would not know its own messages: said with both names."""
    twitch = SmallTwitch()
    stranger = twitch.issue(login="somebody")
    with capture_logs() as lines:
        async with keeping(twitch, MemoryTokenStore(), given=stranger.access) as place:
            assert await place.waits()
            await asyncio.sleep(600)
    (line,) = events(lines, "token_unusable")
    assert line["why"] == "the token belongs to somebody, not to my_bot"
    assert "TWITCH_LOGIN" in line["what_to_do"]


@in_virtual_time()
async def test_a_file_of_another_bot_or_application_is_not_used() -> None:
    """Its tokens would be refused, or used up for somebody else."""
    for changes, name in (
        ({"login": "other_bot"}, "TWITCH_LOGIN"),
        ({"client_id": "other"}, "TWITCH_CLIENT_ID"),
    ):
        twitch = SmallTwitch()
        with capture_logs() as lines:
            async with keeping(twitch, MemoryTokenStore(stored(twitch.issue(), **changes))) as place:
                assert await place.waits()
        said = [line["why"] for line in events(lines, "token_unusable")]
        assert any(name in why for why in said)
        assert twitch.asked == []


@in_virtual_time()
async def test_a_file_that_is_refused_is_named_until_it_is_corrected() -> None:
    """Others may read it, say: after a chmod the bot goes on by itself."""
    twitch = SmallTwitch()
    pair = twitch.issue()
    store = MemoryTokenStore(stored(pair))
    store.broken = "the token's file F is open to others: chmod 600 F"
    with capture_logs() as lines:
        async with keeping(twitch, store) as place:
            assert await place.waits()
            assert "chmod 600 F" in events(lines, "token_unusable")[0]["why"]
            store.broken = ""
            store.put(stored(pair))
            await asyncio.sleep(TIMING.look_s + 0.1)
            assert await place.access() == pair.access
            assert not place.keeper.waiting


@in_virtual_time()
async def test_a_pair_that_cannot_be_written_is_used_and_written_later() -> None:
    """The disk is full: chat goes on, the log says what it may cost, and it is tried again."""
    twitch = SmallTwitch()
    store = MemoryTokenStore(stored(twitch.issue()))
    with capture_logs() as lines:
        async with keeping(twitch, store) as place:
            await asyncio.sleep(60)
            store.broken = "the token's file F cannot be written: no space left"
            old = await place.access()
            await place.keeper.rejected(old)
            new = await place.access()
            assert new != old
            (line,) = events(lines, "token_not_saved")
            assert "no space left" in line["why"]
            store.broken = ""
            await asyncio.sleep(TIMING.trust_s + TIMING.look_s)
            assert [token.access for token in store.saved] == [new]
            await asyncio.sleep(2 * TIMING.trust_s)
            assert len(store.saved) == 1


@in_virtual_time()
async def test_a_pair_that_could_not_be_written_never_replaces_a_newer_login() -> None:
    """Somebody logged in meanwhile: that is the token now."""
    twitch = SmallTwitch()
    store = MemoryTokenStore(stored(twitch.issue()))
    async with keeping(twitch, store) as place:
        await asyncio.sleep(60)
        store.broken = "full"
        await place.keeper.rejected(await place.access())
        await place.access()
        await asyncio.sleep(60)
        store.broken = ""
        new = twitch.issue()
        store.put(stored(new))
        await asyncio.sleep(2 * TIMING.trust_s)
        assert await place.access() == new.access
        assert store.saved == []


@in_virtual_time()
async def test_without_any_token_the_bot_waits_for_a_login() -> None:
    """A container is started first, and logged in from beside: it finds the token by itself."""
    twitch = SmallTwitch()
    store = MemoryTokenStore()
    with capture_logs() as lines:
        async with keeping(twitch, store) as place:
            assert await place.waits()
            store.put(stored(twitch.issue()))
            await asyncio.sleep(TIMING.look_s)
            assert await place.access()
    assert [line["why"] for line in events(lines, "token_unusable")] == ["there is no token yet"]


@in_virtual_time()
async def test_a_bare_token_that_ends_is_waited_for_too() -> None:
    """It cannot be refreshed, but `byte-bot login` can replace it."""
    twitch = SmallTwitch()
    store = MemoryTokenStore()
    pair = twitch.issue()
    with capture_logs() as lines:
        async with keeping(twitch, store, given=pair.access, timing=SELDOM) as place:
            assert await place.access() == pair.access
            await asyncio.sleep(LIFETIME_S + 5)
            assert await place.waits()
            assert "cannot be refreshed" in events(lines, "token_unusable")[-1]["why"]
            store.put(stored(twitch.issue()))
            await asyncio.sleep(SELDOM.look_s)
            assert await place.access() != pair.access
