"""The keeper while Twitch plays along: start, hourly validation, refresh, the file; in virtual time."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from structlog.testing import capture_logs

from byte_bot.auth.timing import FINISH_S, KeeperTiming
from byte_bot.auth.user_token import UserToken
from simulator.loop import current_loop, in_virtual_time
from simulator.machine_clock import MachineClock
from simulator.trace import Trace
from tests.byte_bot.auth.small_twitch import (
    CHAT_SCOPES,
    LIFETIME_S,
    SELDOM,
    MemoryTokenStore,
    SmallTwitch,
    keeping,
    stored,
)
from tests.byte_bot.written_log import written_log

HOUR_S = 3_600.0
TIMING = KeeperTiming()


@in_virtual_time()
async def test_the_file_s_token_is_validated_at_the_start() -> None:
    """Once, before anybody gets it; what Twitch says of it is passed on."""
    twitch = SmallTwitch()
    pair = twitch.issue()
    async with keeping(twitch, MemoryTokenStore(stored(pair, scopes=())), start=False) as place:
        token = await place.keeper.token()
        assert (token.access, token.login, token.user_id, token.scopes) == (
            pair.access,
            "my_bot",
            "1234",
            CHAT_SCOPES,
        )
        assert token.expires_at == pytest.approx(current_loop().unix_time() + LIFETIME_S, abs=1)
        assert [asked.path for asked in twitch.asked] == ["validate"]


@in_virtual_time()
async def test_it_is_validated_every_hour() -> None:
    """As Twitch requires, also if nobody asks for it; a bare token with a client id too."""
    for given in (False, True):
        twitch = SmallTwitch()
        twitch.lifetime_s = 30 * 24 * HOUR_S
        pair = twitch.issue()
        store = MemoryTokenStore(None if given else stored(pair))
        began = current_loop().time()
        async with keeping(twitch, store, given=pair.access if given else "", timing=SELDOM):
            await asyncio.sleep(5.5 * HOUR_S)
        times = [asked.at - began for asked in twitch.asked]
        assert times == pytest.approx([hour * HOUR_S for hour in range(6)], abs=6 * SELDOM.look_s)
        assert {asked.path for asked in twitch.asked} == {"validate"}


@in_virtual_time()
async def test_it_is_refreshed_before_it_ends() -> None:
    """A quarter of an hour before; whoever asks at any time gets one that is valid."""
    twitch = SmallTwitch()
    pair = twitch.issue()
    async with keeping(twitch, MemoryTokenStore(stored(pair)), timing=SELDOM) as place:
        await asyncio.sleep(LIFETIME_S - TIMING.refresh_before_s - 10)
        assert await place.access() == pair.access
        await asyncio.sleep(20)
        assert twitch.refreshes == 1
        for _ in range(60):
            access = await place.access()
            assert twitch.issued[access].ends_at > current_loop().time()
            await asyncio.sleep(600)
        assert twitch.refreshes == pytest.approx(60 * 600 / (LIFETIME_S - TIMING.refresh_before_s), abs=2)


def jumping_clock() -> MachineClock:
    """A wall clock that can be put wrong."""
    loop = current_loop()
    return MachineClock(loop, Trace(loop.time))


@pytest.mark.parametrize("jump_s", [400 * 24 * HOUR_S, -400 * 24 * HOUR_S])
@in_virtual_time()
async def test_a_clock_that_jumps_ends_no_token(jump_s: float) -> None:
    """Neither while Twitch cannot be asked nor where nothing could be refreshed: Twitch is asked, and what it says counts."""
    for given in (False, True):
        twitch = SmallTwitch()
        pair = twitch.issue()
        store = MemoryTokenStore(None if given else stored(pair))
        clock = jumping_clock()
        async with keeping(twitch, store, given=pair.access if given else "", clock=clock) as place:
            assert await place.access() == pair.access
            twitch.broken = httpx.ConnectError("away")
            clock.jump(jump_s)
            await asyncio.sleep(60)
            assert await place.access() == pair.access
            twitch.broken = None
            await asyncio.sleep(120)
            asked = len(twitch.asked)
            await asyncio.sleep(600)
            assert await place.access() == pair.access
            assert twitch.refreshes == 0
            assert len(twitch.asked) == asked, "what Twitch says of the token is believed"


@in_virtual_time()
async def test_a_clock_that_was_set_back_does_not_hold_up_a_refresh() -> None:
    """By that clock the token has a year to live; whoever asks gets one that is valid."""
    twitch = SmallTwitch()
    pair = twitch.issue()
    clock = jumping_clock()
    async with keeping(twitch, MemoryTokenStore(stored(pair)), clock=clock, timing=SELDOM) as place:
        clock.jump(-365 * 24 * HOUR_S)
        for _ in range(40):
            access = await place.access()
            assert twitch.issued[access].ends_at > current_loop().time()
            await asyncio.sleep(600)
        assert 1 <= twitch.refreshes <= 3


@in_virtual_time()
async def test_a_short_life_is_refreshed_in_its_last_quarter() -> None:
    """Not all the time, as with a margin that is longer than the life."""
    twitch = SmallTwitch()
    twitch.lifetime_s = 400.0
    async with keeping(twitch, MemoryTokenStore(stored(twitch.issue()))):
        await asyncio.sleep(3_100)
    assert 9 <= twitch.refreshes <= 11


@in_virtual_time()
async def test_a_refused_token_is_refreshed_once_however_many_complain() -> None:
    """Single flight: ten faces say 401 at once, all get the same new token."""
    twitch = SmallTwitch()
    twitch.delay_s = 0.2
    async with keeping(twitch, MemoryTokenStore(stored(twitch.issue()))) as place:
        old = await place.access()
        twitch.expire(old)

        async def face() -> str:
            await place.keeper.rejected(old)
            return await place.access()

        new = await asyncio.gather(*(face() for _ in range(10)))
        assert twitch.refreshes == 1
        assert len(set(new)) == 1
        assert new[0] != old
        await place.keeper.rejected(old)
        await asyncio.sleep(10)
        assert twitch.refreshes == 1


@in_virtual_time()
async def test_a_face_that_is_cancelled_cuts_no_refresh_in_two() -> None:
    """The refresh is the keeper's: a connection that is given up meanwhile loses nothing."""
    twitch = SmallTwitch()
    store = MemoryTokenStore(stored(twitch.issue()))
    async with keeping(twitch, store) as place:
        old = await place.access()
        twitch.expire(old)
        twitch.delay_s = 1.0
        await place.keeper.rejected(old)
        with pytest.raises(TimeoutError):
            await place.access(0.5)
        await asyncio.sleep(1)
        assert [token.access for token in store.saved] == [await place.access()]


@in_virtual_time()
async def test_a_rotated_pair_is_written_down_before_anybody_gets_it() -> None:
    """Whatever happens to the process then, the refresh token that works is in the file."""
    twitch = SmallTwitch()
    store = MemoryTokenStore(stored(twitch.issue()))
    async with keeping(twitch, store) as place:
        old = await place.access()
        seen: list[tuple[str, str]] = []
        place.keeper.on_change(lambda token: seen.append(("told", token.access if token else "")))
        twitch.expire(old)
        await place.keeper.rejected(old)
        new = await place.access()
        seen.append(("given", new))
        assert store.token is not None
        assert store.saved == [store.token]
        assert (store.token.access, store.token.refresh) == (new, twitch.issued[new].refresh)
        assert seen == [("told", new), ("given", new)]

    class Told(MemoryTokenStore):
        """Looks, at the moment of saving, whether somebody has got the token already."""

        async def save(self, token: UserToken) -> None:
            await asyncio.sleep(1)
            assert place.heard[-1] is None or place.heard[-1].access != token.access
            await super().save(token)

    twitch = SmallTwitch()
    late = Told(stored(twitch.issue()))
    async with keeping(twitch, late) as place:
        old = await place.access()
        twitch.expire(old)
        await place.keeper.rejected(old)
        assert await place.access(2) == late.saved[0].access


@in_virtual_time()
async def test_the_end_of_the_bot_waits_for_a_refresh_under_way() -> None:
    """The old refresh token is worthless already: the new pair reaches the file."""
    twitch = SmallTwitch()
    store = MemoryTokenStore(stored(twitch.issue()))
    async with keeping(twitch, store) as place:
        old = await place.access()
        twitch.expire(old)
        twitch.delay_s = FINISH_S / 2
        await place.keeper.rejected(old)
        await asyncio.sleep(0.1)
    assert store.token is not None
    assert twitch.issued[store.token.access].refresh == store.token.refresh
    assert store.token.access != old


@in_virtual_time()
async def test_the_end_of_the_bot_does_not_wait_for_ever() -> None:
    """A server that hangs may cost the token, not the orderly end."""
    twitch = SmallTwitch()
    async with keeping(twitch, MemoryTokenStore(stored(twitch.issue()))) as place:
        old = await place.access()
        twitch.delay_s = 1e6
        await place.keeper.rejected(old)
        await asyncio.sleep(0.1)
        ending_at = current_loop().time()
    assert current_loop().time() - ending_at == pytest.approx(FINISH_S, abs=0.01)


@in_virtual_time()
async def test_what_another_process_got_is_taken_up_instead_of_refreshing() -> None:
    """Under the lock the file is looked at first: two bots that share it never trade the same refresh token."""
    twitch = SmallTwitch()
    store = MemoryTokenStore(stored(twitch.issue()))
    quiet = KeeperTiming(look_s=1e6)  # neither looks by itself
    async with keeping(twitch, store, timing=quiet) as one, keeping(twitch, store, timing=quiet) as other:
        old = await one.access()
        assert await other.access() == old
        twitch.expire(old)
        twitch.delay_s = 0.3
        await asyncio.gather(one.keeper.rejected(old), other.keeper.rejected(old))
        assert await one.access(2) == await other.access(2) != old
        assert twitch.refreshes == 1


@in_virtual_time()
async def test_a_login_while_the_bot_runs_is_taken_up_within_seconds() -> None:
    """With more scopes, say: the old token still worked. It is validated, and listeners hear of it."""
    twitch = SmallTwitch()
    store = MemoryTokenStore(stored(twitch.issue()))
    async with keeping(twitch, store) as place:
        await asyncio.sleep(100)
        new = twitch.issue(scopes=(*CHAT_SCOPES, "user:read:chat"))
        store.put(stored(new))
        await asyncio.sleep(TIMING.look_s + 0.1)
        assert await place.access() == new.access
        assert [token.access for token in place.heard if token][-1] == new.access
        assert twitch.count("validate") == 2


@in_virtual_time()
async def test_an_older_copy_of_the_file_is_not_taken_up() -> None:
    """Somebody put a backup back: the refresh token in it is used up."""
    twitch = SmallTwitch()
    store = MemoryTokenStore(stored(twitch.issue()))
    async with keeping(twitch, store) as place:
        assert store.token is not None
        backup = store.token
        await asyncio.sleep(100)
        await place.keeper.rejected(backup.access)
        new = await place.access()
        store.put(backup)
        await asyncio.sleep(10)
        assert await place.access() == new


@in_virtual_time()
async def test_the_file_goes_before_the_token_of_the_settings() -> None:
    """`byte-bot login` came later than whoever copied TWITCH_TOKEN, and its token can be renewed."""
    twitch = SmallTwitch()
    given, kept = twitch.issue(), twitch.issue()
    async with keeping(twitch, MemoryTokenStore(stored(kept)), given=given.access) as place:
        assert await place.access() == kept.access
    async with keeping(twitch, MemoryTokenStore(), given=given.access) as place:
        assert await place.access() == given.access


@in_virtual_time()
async def test_without_a_file_a_token_is_kept_in_memory() -> None:
    """No store: what was given is validated, and there is nothing to look at."""
    twitch = SmallTwitch()
    pair = twitch.issue()
    async with keeping(twitch, None, given=pair.access) as place:
        assert (await place.keeper.token()).user_id == "1234"


@in_virtual_time()
async def test_missing_scopes_are_said_with_what_does_not_work() -> None:
    """Once for a token, with what to do; the bot tries all the same."""
    twitch = SmallTwitch()
    with capture_logs() as lines:
        async with keeping(twitch, MemoryTokenStore(stored(twitch.issue(scopes=("chat:read",))))) as place:
            await place.access()
            await asyncio.sleep(600)
    (line,) = [line for line in lines if line["event"] == "token_lacks_scopes"]
    assert line["missing"] == "chat:edit (the bot can say nothing)"
    assert "byte-bot login" in line["what_to_do"]


@in_virtual_time()
async def test_the_file_s_pair_never_gets_into_the_log() -> None:
    """From the moment it was read; nobody has named it when the log was set up."""
    twitch = SmallTwitch()
    pair = twitch.issue()
    with written_log() as log:
        assert not log.hides(pair.access)
        async with keeping(twitch, MemoryTokenStore(stored(pair))) as place:
            await place.access()
            assert log.hides(pair.access, pair.refresh)


@pytest.mark.parametrize("kept", [True, False])
@in_virtual_time()
async def test_a_refreshed_pair_never_gets_into_the_log(kept: bool) -> None:
    """It comes from Twitch, not from the file: also where it cannot be written there."""
    twitch = SmallTwitch()
    store = MemoryTokenStore(stored(twitch.issue()))
    with written_log() as log:
        async with keeping(twitch, store) as place:
            old = await place.access()
            store.broken = "" if kept else "the disk is full"
            twitch.expire(old)
            await place.keeper.rejected(old)
            new = await place.access()
            assert new != old
            assert log.hides(new, twitch.issued[new].refresh)
