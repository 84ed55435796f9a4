"""The device code flow: patience, its end, and whose token comes back; in virtual time."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from byte_bot.auth.device_flow import log_in
from byte_bot.auth.errors import ClientRefused, LoginFailed, OAuthUnavailable
from byte_bot.auth.oauth import DeviceCode, TwitchOAuth
from byte_bot.auth.user_token import UserToken
from simulator.loop import current_loop, in_virtual_time
from tests.byte_bot.auth.small_twitch import CHAT_SCOPES, CLIENT_ID, LOGIN, URL, LoopClock, SmallTwitch


class Screen:
    """Writes down what it is told, and can do something when the code is shown."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.waited: list[tuple[float, str]] = []

    def show(self, code: DeviceCode) -> None:
        """The code."""
        self.codes.append(f"{code.user_code} at {code.verification_uri}")

    def waiting(self, left_s: float, trouble: str) -> None:
        """How it stands."""
        self.waited.append((left_s, trouble))


async def flow(twitch: SmallTwitch, screen: Screen | None = None, client_id: str = CLIENT_ID) -> UserToken:
    """The whole flow."""
    oauth = TwitchOAuth(twitch.client(), URL, client_id)
    return await log_in(oauth, CHAT_SCOPES, login=LOGIN, screen=screen or Screen(), clock=LoopClock())


def redemptions(twitch: SmallTwitch) -> list[float]:
    """When the code was tried."""
    return [asked.at for asked in twitch.asked if "device_code" in asked.form]


@in_virtual_time()
async def test_a_human_allows_it_and_the_token_comes() -> None:
    """Code and address are shown, it is asked as often as Twitch wants, and Twitch says whose token it is."""
    twitch, screen = SmallTwitch(), Screen()
    waiting = asyncio.ensure_future(flow(twitch, screen))
    await asyncio.sleep(62)
    assert not waiting.done()
    twitch.device_words = ""
    token = await asyncio.wait_for(waiting, 5)
    assert screen.codes == ["ABCDEFGH at https://www.twitch.test/activate?device-code=ABCDEFGH"]
    assert redemptions(twitch) == pytest.approx([5.0 * number for number in range(1, 14)])
    assert (token.login, token.user_id, token.scopes) == (LOGIN, "1234", CHAT_SCOPES)
    assert twitch.issued[token.access].refresh == token.refresh
    assert token.expires_at == pytest.approx(current_loop().unix_time() + twitch.lifetime_s, abs=1)
    assert screen.waited[0] == (1800.0, "")
    assert [left for left, _ in screen.waited] == sorted((left for left, _ in screen.waited), reverse=True)


@in_virtual_time()
async def test_who_is_too_fast_slows_down() -> None:
    """RFC 8628 section 3.5: five seconds more, from then on."""
    twitch = SmallTwitch()
    twitch.device_words = "slow_down"
    waiting = asyncio.ensure_future(flow(twitch))
    await asyncio.sleep(31)
    assert redemptions(twitch) == pytest.approx([5, 15, 30])
    waiting.cancel()


@in_virtual_time()
async def test_nobody_comes() -> None:
    """The code's own end, with what to do; nothing hangs."""
    twitch = SmallTwitch()
    with pytest.raises(LoginFailed, match="nobody allowed it within 30 minutes"):
        await flow(twitch)
    assert current_loop().time() == pytest.approx(1800, abs=1)


@pytest.mark.parametrize(
    ("words", "said"), [("access_denied", "was denied"), ("invalid device code", "too old")]
)
@in_virtual_time()
async def test_a_refusal_ends_it_at_once(words: str, said: str) -> None:
    """Denied in the browser, or the code has been used."""
    twitch = SmallTwitch()
    twitch.device_words = words
    with pytest.raises(LoginFailed, match=said):
        await flow(twitch)
    assert current_loop().time() == pytest.approx(5, abs=0.1)


@in_virtual_time()
async def test_a_token_of_another_account_is_revoked() -> None:
    """The browser was logged in as somebody else: nobody's token is left lying about."""
    twitch = SmallTwitch()
    twitch.device_words, twitch.approved_by = "", "somebody"
    with pytest.raises(LoginFailed, match="logged in as somebody, not as my_bot"):
        await flow(twitch)
    assert twitch.issued == {}


@in_virtual_time()
async def test_a_server_that_is_away_meanwhile_is_waited_for() -> None:
    """The code is still good; what is wrong is shown."""
    twitch, screen = SmallTwitch(), Screen()
    waiting = asyncio.ensure_future(flow(twitch, screen))
    await asyncio.sleep(7)
    twitch.broken = httpx.ConnectError("refused")
    await asyncio.sleep(60)
    assert "refused" in screen.waited[-1][1]
    twitch.broken, twitch.device_words = None, ""
    assert (await asyncio.wait_for(waiting, 6)).login == LOGIN


@in_virtual_time()
async def test_a_token_that_was_allowed_survives_a_hiccup() -> None:
    """Whose it is cannot be asked at first; half a minute later it can, or the flow ends in words."""
    for outage_s, lost in ((20, False), (1e6, True)):
        twitch = SmallTwitch()
        waiting = asyncio.ensure_future(flow(twitch))
        await asyncio.sleep(1)
        twitch.device_words, twitch.delay_s = "", 1.0
        await asyncio.sleep(4.5)  # asked for after 5 s, the answer is on its way
        twitch.broken = httpx.ConnectError("refused")
        if lost:
            with pytest.raises(OAuthUnavailable, match="refused"):
                await waiting
        else:
            await asyncio.sleep(outage_s)
            twitch.broken = None
            assert (await waiting).login == LOGIN


@in_virtual_time()
async def test_an_unknown_application_is_said_before_anything_is_shown() -> None:
    """No code is shown that would lead nowhere."""
    screen = Screen()
    with pytest.raises(ClientRefused, match="invalid client"):
        await flow(SmallTwitch(), screen, client_id="nobody")
    assert screen.codes == []
