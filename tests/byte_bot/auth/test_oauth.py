"""The client of the authorization server: what it sends, what answers mean, and that no error holds a secret."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable

import httpx
import pytest

from byte_bot.auth.errors import ClientRefused, LoginFailed, OAuthUnavailable, TokenRefused
from byte_bot.auth.oauth import TIMEOUT_S, DeviceCode, Grant, Pending, TwitchOAuth, Validation
from simulator.loop import current_loop, in_virtual_time
from tests.byte_bot.auth.small_twitch import CHAT_SCOPES, CLIENT_ID, LOGIN, URL, SmallTwitch, refusal

SECRET = "secretsecretsecretsecretsecret"
CODE = DeviceCode("d" * 40, "ABCDEFGH", "https://www.twitch.test/activate", 1800)


def oauth(twitch: SmallTwitch, secret: str = "") -> TwitchOAuth:
    """A client of ``twitch``."""
    return TwitchOAuth(twitch.client(), URL, CLIENT_ID, secret)


@in_virtual_time()
async def test_validate_tells_whose_a_token_is() -> None:
    """Login, id, scopes, seconds left."""
    twitch = SmallTwitch()
    found = await oauth(twitch).validate(twitch.issue().access)
    assert found == Validation(CLIENT_ID, LOGIN, "1234", CHAT_SCOPES, 14_400)


@in_virtual_time()
async def test_an_app_token_that_never_ends_is_read_too() -> None:
    """No login, scopes null, expires_in 0: as Twitch answers for those."""
    twitch = SmallTwitch()
    twitch.answer = httpx.Response(200, json={"client_id": CLIENT_ID, "scopes": None, "expires_in": 0})
    assert await oauth(twitch).validate("x") == Validation(CLIENT_ID)


@in_virtual_time()
async def test_a_refresh_gives_the_pair_that_replaces_the_old_one() -> None:
    """The rotated refresh token comes back; a public client sends no secret, a confidential one does."""
    twitch = SmallTwitch()
    old = twitch.issue()
    new = await oauth(twitch).refresh(old.refresh)
    assert new.refresh_token != old.refresh
    assert twitch.issued[new.access_token].refresh == new.refresh_token
    assert "client_secret" not in twitch.asked[-1].form
    twitch.secret = SECRET
    await oauth(twitch, SECRET).refresh(new.refresh_token)
    assert twitch.asked[-1].form["client_secret"] == SECRET


@in_virtual_time()
async def test_an_answer_without_a_refresh_token_keeps_the_old_one() -> None:
    """It was not rotated then."""
    twitch = SmallTwitch()
    twitch.answer = httpx.Response(200, json={"access_token": "a" * 30, "expires_in": 1})
    assert (await oauth(twitch).refresh("old")).refresh_token == "old"


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (400, "Invalid refresh token", TokenRefused),
        (401, "Unauthorized", TokenRefused),
        (400, "invalid client", ClientRefused),
        (400, "missing client id", ClientRefused),
        (403, "invalid client secret", ClientRefused),
    ],
)
@in_virtual_time()
async def test_a_refused_refresh_says_who_is_to_blame(
    status: int, message: str, error: type[Exception]
) -> None:
    """The account's consent, or the application: another thing to do."""
    twitch = SmallTwitch()
    twitch.answer = refusal(status, message)
    with pytest.raises(error, match=message):
        await oauth(twitch).refresh("old")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(429, headers={"Retry-After": "7"}), "answers 429"),
        (httpx.Response(503, html="<h1>sorry</h1>"), "answers 503"),
        (httpx.Response(302, headers={"Location": "https://elsewhere.test"}), "look at TWITCH_OAUTH_URL"),
        (httpx.Response(404, html="not here"), "look at TWITCH_OAUTH_URL"),
        (httpx.Response(200, html="<h1>hello</h1>"), "not as Twitch does"),
        (httpx.Response(200, json={"access_token": 5}), "not as Twitch does"),
        (httpx.Response(418, json=[]), "answers 418"),
    ],
)
@in_virtual_time()
async def test_an_answer_that_is_none_is_tried_again_later(answer: httpx.Response, words: str) -> None:
    """Nobody's token is to blame; what a server asks to wait is passed on."""
    twitch = SmallTwitch()
    twitch.answer = answer
    for ask in (oauth(twitch).validate, oauth(twitch).refresh):
        with pytest.raises(OAuthUnavailable, match=words) as caught:
            await ask("t" * 30)
        assert caught.value.retry_after_s == (7.0 if answer.status_code == 429 else None)


@in_virtual_time()
async def test_a_server_that_is_away_or_hangs_is_given_up() -> None:
    """The deadline covers everything, however the client's own are set."""
    twitch = SmallTwitch()
    twitch.broken = httpx.ConnectError("refused")
    with pytest.raises(OAuthUnavailable, match="refused"):
        await oauth(twitch).validate("x")
    twitch.broken, twitch.delay_s = None, 1e6
    began = current_loop().time()
    with pytest.raises(OAuthUnavailable, match="no answer within 10 s"):
        await oauth(twitch).refresh("x")
    assert current_loop().time() - began == TIMEOUT_S


async def ask_everything(client: TwitchOAuth, secret: str) -> list[Callable[[], Awaitable[object]]]:
    """Every request that sends something secret."""
    code = DeviceCode(secret, "ABCDEFGH", "https://www.twitch.test/activate", 1800)
    return [
        lambda: client.validate(secret),
        lambda: client.refresh(secret),
        lambda: client.redeem(code, CHAT_SCOPES),
        lambda: client.revoke(secret),
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 418, 503])
@in_virtual_time()
async def test_no_error_holds_a_secret(status: int) -> None:
    """Not even if the server, or the network's library, repeats what was sent."""
    token = "tokentokentokentokentokentoken"
    twitch = SmallTwitch()
    client = oauth(twitch, SECRET)
    for kind in ("answer", "broken"):
        twitch.answer = refusal(status, f"no {token} for {SECRET}") if kind == "answer" else None
        twitch.broken = httpx.ReadError(f"lost {token} {SECRET}") if kind == "broken" else None
        for ask in await ask_everything(client, token):
            with pytest.raises((TokenRefused, ClientRefused, OAuthUnavailable)) as caught:
                await ask()
            shown = "".join(traceback.format_exception(caught.value))
            assert token not in shown
            assert SECRET not in shown


@in_virtual_time()
async def test_the_device_flow_asks_as_twitch_documents_it() -> None:
    """`scopes`, not `scope`, in both requests; the grant type's long name."""
    twitch = SmallTwitch()
    client = oauth(twitch)
    code = await client.device_code(CHAT_SCOPES)
    assert (code.user_code, code.expires_in, code.interval) == ("ABCDEFGH", 1800, 5)
    assert twitch.asked[-1].form == {"client_id": CLIENT_ID, "scopes": "chat:edit chat:read"}
    assert await client.redeem(code, CHAT_SCOPES) is Pending.NOT_YET
    assert twitch.asked[-1].form == {
        "client_id": CLIENT_ID,
        "scopes": "chat:edit chat:read",
        "device_code": "d" * 40,
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
    }
    twitch.device_words = ""
    grant = await client.redeem(code, CHAT_SCOPES)
    assert isinstance(grant, Grant)
    assert grant.scope == CHAT_SCOPES


@in_virtual_time()
async def test_what_a_device_code_can_be_answered_with() -> None:
    """Twitch's words and RFC 8628's, which stand in `error` there."""
    twitch = SmallTwitch()
    client = oauth(twitch)
    twitch.answer = httpx.Response(400, json={"error": "slow_down"})
    assert await client.redeem(CODE, CHAT_SCOPES) is Pending.TOO_FAST
    for words in ("invalid device code", "expired_token", "access_denied"):
        twitch.answer = refusal(400, words)
        with pytest.raises(LoginFailed, match="start `byte-bot login` again"):
            await client.redeem(CODE, CHAT_SCOPES)
    twitch.answer = refusal(400, "invalid scope")
    with pytest.raises(ClientRefused, match="invalid scope"):
        await client.redeem(CODE, CHAT_SCOPES)


@in_virtual_time()
async def test_an_unknown_application_is_named() -> None:
    """With the variable to correct."""
    twitch = SmallTwitch()
    with pytest.raises(ClientRefused, match="correct TWITCH_CLIENT_ID"):
        await TwitchOAuth(twitch.client(), URL, "nobody").device_code(CHAT_SCOPES)


@in_virtual_time()
async def test_revoke_ends_a_token() -> None:
    """One that is not there is refused."""
    twitch = SmallTwitch()
    pair = twitch.issue()
    await oauth(twitch).revoke(pair.access)
    assert twitch.issued == {}
    with pytest.raises(TokenRefused, match="Invalid token"):
        await oauth(twitch).revoke(pair.access)


@in_virtual_time()
async def test_the_application_s_own_token() -> None:
    """Client credentials: a wrong secret is the application's fault."""
    twitch = SmallTwitch()
    twitch.secret = SECRET
    assert (await oauth(twitch, SECRET).app_token()).access_token
    with pytest.raises(ClientRefused, match="invalid client secret"):
        await oauth(twitch, "another").app_token()


def test_nothing_shows_its_secrets() -> None:
    """Neither the client nor what servers answer."""
    grant = Grant("accessaccess", "refreshrefresh", CHAT_SCOPES, 5)
    shown = f"{TwitchOAuth(httpx.AsyncClient(), URL, CLIENT_ID, SECRET)!r} {grant!r} {grant} {CODE!r}"
    for secret in (SECRET, "accessaccess", "refreshrefresh", "d" * 40):
        assert secret not in shown
