"""id.twitch.tv: each grant, each refusal in Twitch's words, validate, revoke, the browser's way."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from simulator.twitch.credentials import APP_TOKEN_LIFETIME_S, DEFAULT_CLIENT_ID
from simulator.twitch.device_flow import UnknownUserCode
from simulator.twitch.oauth import CODE_LIFETIME_S, CODES_MAX, DEVICE_GRANT
from simulator.twitch.scopes import KNOWN_SCOPES
from simulator.twitch.state import UnknownName
from tests.simulator.twitch.http_rig import PUBLIC_URL, SECRET, WebDesk, refusal

APP = {"client_id": DEFAULT_CLIENT_ID, "client_secret": SECRET}
REDIRECT = "http://localhost:3000"
AUTHORIZE = {
    "client_id": DEFAULT_CLIENT_ID,
    "redirect_uri": REDIRECT,
    "response_type": "code",
    "scope": "chat:read user:bot",
    "state": "c3ab8aa609ea11e793ae92361f002671",
}


# -- token: who asks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({}, (400, "missing grant type")),
        ({"grant_type": "password"}, (400, "unsupported grant type")),
        ({"grant_type": "client_credentials"}, (400, "missing client id")),
        ({"grant_type": "client_credentials", "client_id": "x"}, (400, "invalid client")),
        (
            {"grant_type": "client_credentials", "client_id": DEFAULT_CLIENT_ID},
            (400, "missing client secret"),
        ),
        (
            {"grant_type": "client_credentials", "client_id": DEFAULT_CLIENT_ID, "client_secret": "x"},
            (403, "invalid client secret"),
        ),
    ],
)
async def test_a_token_is_refused_to_who_does_not_say_which_app_it_is(
    form: dict[str, str], expected: tuple[int, str]
) -> None:
    """Status and message, and nothing else in the JSON."""
    answer = await WebDesk().oauth("token", **form)
    assert refusal(answer) == expected
    assert list(answer.json()) == ["status", "message"]


async def test_client_credentials_give_an_app_token_without_a_refresh_token() -> None:
    """About 60 days; parameters in the query work too, as twitchio sends them."""
    desk = WebDesk()
    answer = await desk.ask("POST", "/oauth2/token", params={**APP, "grant_type": "client_credentials"})
    body = answer.json()
    assert sorted(body) == ["access_token", "expires_in", "token_type"]
    assert (body["expires_in"], body["token_type"]) == (APP_TOKEN_LIFETIME_S, "bearer")
    token = desk.state.credentials.valid(body["access_token"])
    assert token is not None
    assert token.kind == "app"


async def test_a_public_client_gets_no_app_token() -> None:
    """It has no secret to show."""
    desk = WebDesk()
    desk.state.credentials.add_app("tool", client_id="public", secret="")
    answer = await desk.oauth("token", grant_type="client_credentials", client_id="public", client_secret="")
    assert refusal(answer) == (403, "invalid client secret")


# -- authorization code -------------------------------------------------------------------------------------------------------------


async def test_authorize_sends_the_browser_back_with_code_scope_and_state() -> None:
    """The signed-in account agrees at once; the code gives a user token with the scopes, once."""
    desk = WebDesk()
    desk.face.oauth.signed_in_login = "bot"
    answer = await desk.ask("GET", "/oauth2/authorize", params=AUTHORIZE)
    assert answer.status_code == 302
    address = urlsplit(answer.headers["location"])
    assert f"{address.scheme}://{address.netloc}" == REDIRECT
    back = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert back["state"] == AUTHORIZE["state"]
    assert back["scope"] == "chat:read user:bot"
    form = {**APP, "grant_type": "authorization_code", "code": back["code"], "redirect_uri": REDIRECT}
    body = (await desk.oauth("token", **form)).json()
    assert sorted(body) == ["access_token", "expires_in", "refresh_token", "scope", "token_type"]
    assert (body["scope"], body["expires_in"]) == (["chat:read", "user:bot"], 14_400)
    assert desk.state.user_of_token(body["access_token"]) is desk.state.user("bot")
    assert refusal(await desk.oauth("token", **form)) == (400, "Invalid authorization code")


async def test_a_code_expires_and_belongs_to_its_app_and_its_address() -> None:
    """Each of the three is refused; the right one still works afterwards."""
    desk = WebDesk()
    other = desk.state.credentials.add_app("other")

    async def code() -> str:
        answer = await desk.ask("GET", "/oauth2/authorize", params={**AUTHORIZE, "login": "bot"})
        return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]

    form = {**APP, "grant_type": "authorization_code", "code": await code(), "redirect_uri": REDIRECT}
    others = {**form, "client_id": other.client_id, "client_secret": other.secret}
    assert refusal(await desk.oauth("token", **others)) == (400, "Invalid authorization code")
    elsewhere = {**form, "redirect_uri": "http://localhost:4000"}
    assert refusal(await desk.oauth("token", **elsewhere))[0] == 400
    assert (await desk.oauth("token", **form)).status_code == 200
    form["code"] = await code()
    desk.clock.now_s += CODE_LIFETIME_S
    assert refusal(await desk.oauth("token", **form)) == (400, "Invalid authorization code")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"client_id": "x"}, "invalid client"),
        ({"redirect_uri": "http://evil.test"}, "Parameter redirect_uri does not match registered URI"),
        ({"response_type": ""}, "missing response type"),
        ({"response_type": "id_token"}, "invalid response type"),
        ({"scope": "chat:reed"}, "invalid scope requested: 'chat:reed'"),
    ],
)
async def test_authorize_refuses_what_is_not_registered_or_not_known(
    changed: dict[str, str], message: str
) -> None:
    """And never sends the browser to an address that is not the app's."""
    answer = await WebDesk().ask("GET", "/oauth2/authorize", params={**AUTHORIZE, "login": "bot", **changed})
    assert refusal(answer) == (400, message)


async def test_authorize_asks_who_sits_at_the_browser() -> None:
    """A page whose form repeats the request with a login; all accounts are offered."""
    answer = await WebDesk().ask("GET", "/oauth2/authorize", params=AUTHORIZE)
    assert answer.status_code == 200
    assert all(f'value="{login}"' in answer.text for login in ("alice", "bot", "carol"))
    assert AUTHORIZE["state"] in answer.text


async def test_the_implicit_flow_puts_a_token_behind_the_hash() -> None:
    """response_type=token, for programs in a browser."""
    desk = WebDesk()
    wanted = {**AUTHORIZE, "response_type": "token", "login": "bot"}
    answer = await desk.ask("GET", "/oauth2/authorize", params=wanted)
    back = parse_qs(urlsplit(answer.headers["location"]).fragment)
    assert desk.state.user_of_token(back["access_token"][0]) is desk.state.user("bot")
    assert back["state"] == [AUTHORIZE["state"]]


async def test_codes_nobody_trades_in_are_bounded() -> None:
    """The oldest goes."""
    desk = WebDesk()
    wanted = {**AUTHORIZE, "login": "bot"}
    answer = await desk.ask("GET", "/oauth2/authorize", params=wanted)
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    for _ in range(CODES_MAX):
        await desk.ask("GET", "/oauth2/authorize", params=wanted)
    form = {**APP, "grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    assert refusal(await desk.oauth("token", **form)) == (400, "Invalid authorization code")


# -- refresh ------------------------------------------------------------------------------------------------------------------------


async def test_refreshing_rotates_the_refresh_token() -> None:
    """A new pair with the same scopes; the refresh token that was sent is used up, the old access token lives on."""
    desk = WebDesk()
    old = desk.state.credentials.issue_user(DEFAULT_CLIENT_ID, "bot", ("chat:read",))
    form = {**APP, "grant_type": "refresh_token", "refresh_token": old.refresh}
    body = (await desk.oauth("token", **form)).json()
    assert body["scope"] == ["chat:read"]
    assert body["refresh_token"] != old.refresh
    assert body["access_token"] != old.access
    assert desk.state.credentials.valid(old.access) is old
    assert refusal(await desk.oauth("token", **form)) == (400, "Invalid refresh token")


async def test_an_expired_token_can_be_refreshed_and_a_disconnected_app_cannot() -> None:
    """Expiry ends the access token, the person's will ends both."""
    desk = WebDesk()
    token = desk.state.credentials.issue_user(DEFAULT_CLIENT_ID, "bot", ("chat:read",))
    desk.state.credentials.expire(token.access)
    body = (await desk.oauth("token", **APP, grant_type="refresh_token", refresh_token=token.refresh)).json()
    desk.state.credentials.disconnect(DEFAULT_CLIENT_ID, "bot")
    form = {**APP, "grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    assert refusal(await desk.oauth("token", **form)) == (400, "Invalid refresh token")


async def test_an_app_with_a_secret_must_send_it_to_refresh_and_a_public_one_has_none() -> None:
    """Both ways of the device flow's documentation."""
    desk = WebDesk()
    book = desk.state.credentials
    public = book.add_app("tool", client_id="public", secret="")
    confidential = book.issue_user(DEFAULT_CLIENT_ID, "bot", ())
    form = {"grant_type": "refresh_token", "client_id": DEFAULT_CLIENT_ID}
    answer = await desk.oauth("token", **form, refresh_token=confidential.refresh)
    assert refusal(answer) == (400, "missing client secret")
    mine = book.issue_user(public.client_id, "bot", ())
    form["client_id"] = public.client_id
    assert (await desk.oauth("token", **form, refresh_token=mine.refresh)).status_code == 200


async def test_a_refresh_token_that_a_client_encoded_in_the_query_arrives_whole() -> None:
    """twitchio sends it there, with '+' and '%' encoded."""
    desk = WebDesk()
    desk.state.credentials.issue_user(DEFAULT_CLIENT_ID, "bot", (), refresh="a+b%c/d=")
    query = {**APP, "grant_type": "refresh_token", "refresh_token": "a+b%c/d="}
    assert (await desk.ask("POST", "/oauth2/token", params=query)).status_code == 200


# -- device flow ----------------------------------------------------------------------------------------------------------------------


async def begin(desk: WebDesk) -> dict[str, str]:
    answer = await desk.oauth("device", client_id=DEFAULT_CLIENT_ID, scopes="chat:read user:bot")
    body: dict[str, str] = answer.json()
    return body


async def test_the_device_flow_gives_code_address_and_interval() -> None:
    """The documented fields and numbers; the address has the code in it."""
    body = await begin(WebDesk())
    assert sorted(body) == ["device_code", "expires_in", "interval", "user_code", "verification_uri"]
    assert (body["expires_in"], body["interval"]) == (1_800, 5)
    assert body["verification_uri"] == f"{PUBLIC_URL}/activate?public=true&device-code={body['user_code']}"


async def test_the_device_hears_pending_until_somebody_approves() -> None:
    """No secret is needed; then a token with the scopes of the request; the code works once."""
    desk = WebDesk()
    body = await begin(desk)
    form = {
        "client_id": DEFAULT_CLIENT_ID,
        "scopes": "chat:read user:bot",
        "device_code": body["device_code"],
        "grant_type": DEVICE_GRANT,
    }
    assert refusal(await desk.oauth("token", **form)) == (400, "authorization_pending")
    desk.face.approve_device(body["user_code"], "Bot")
    token = (await desk.oauth("token", **form)).json()
    assert token["scope"] == ["chat:read", "user:bot"]
    assert desk.state.user_of_token(token["access_token"]) is desk.state.user("bot")
    assert refusal(await desk.oauth("token", **form)) == (400, "invalid device code")


async def test_the_device_flow_refuses_wrong_expired_and_missing_codes() -> None:
    """In Twitch's words."""
    desk = WebDesk()
    body = await begin(desk)
    form = {"client_id": DEFAULT_CLIENT_ID, "grant_type": DEVICE_GRANT}
    assert refusal(await desk.oauth("token", **form)) == (400, "missing device_code")
    assert refusal(await desk.oauth("token", **form, device_code="x")) == (400, "invalid device code")
    desk.clock.now_s = 1_800.0
    answer = await desk.oauth("token", **form, device_code=body["device_code"])
    assert refusal(answer) == (400, "invalid device code")


async def test_slow_down_and_denial_reach_the_device() -> None:
    """RFC 8628's words, where Twitch documents none."""
    desk = WebDesk()
    desk.face.oauth.devices.slow_down = True
    body = await begin(desk)
    form = {"client_id": DEFAULT_CLIENT_ID, "grant_type": DEVICE_GRANT, "device_code": body["device_code"]}
    assert refusal(await desk.oauth("token", **form)) == (400, "authorization_pending")
    assert refusal(await desk.oauth("token", **form)) == (400, "slow_down")
    desk.face.deny_device(body["user_code"])
    assert refusal(await desk.oauth("token", **form)) == (400, "access_denied")


async def test_a_person_approves_on_the_page_at_the_verification_address() -> None:
    """The page shows the app and the scopes; posting its form approves."""
    desk = WebDesk()
    body = await begin(desk)
    page = await desk.ask("GET", body["verification_uri"].removeprefix(PUBLIC_URL))
    assert page.status_code == 200
    assert "user:bot" in page.text
    form = {"user_code": body["user_code"], "login": "bot"}
    assert "Authorized" in (await desk.ask("POST", "/activate", data=form)).text
    token = {"client_id": DEFAULT_CLIENT_ID, "grant_type": DEVICE_GRANT, "device_code": body["device_code"]}
    assert (await desk.oauth("token", **token)).status_code == 200


async def test_the_page_tells_about_codes_and_accounts_that_do_not_exist() -> None:
    """Nothing is approved; without a code it asks for one."""
    desk = WebDesk()
    code = (await begin(desk))["user_code"]
    assert (await desk.ask("GET", "/activate")).status_code == 200
    assert (await desk.ask("GET", "/activate?device-code=WRONG")).status_code == 404
    nobody = await desk.ask("POST", "/activate", data={"user_code": code, "login": "nobody"})
    assert nobody.status_code == 404
    assert "nobody" in nobody.text
    with pytest.raises(UnknownName, match="nobody"):
        desk.face.approve_device(code, "nobody")
    with pytest.raises(UnknownUserCode, match="WRONG"):
        desk.face.approve_device("WRONG", "bot")


# -- validate, revoke, userinfo -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["OAuth", "Bearer"])
async def test_validate_takes_both_schemes_and_tells_who_and_how_long(scheme: str) -> None:
    """The documented fields of a user token."""
    desk = WebDesk()
    token = desk.token("bot", "chat:read")
    desk.clock.now_s = 400.0
    answer = await desk.ask("GET", "/oauth2/validate", headers={"Authorization": f"{scheme} {token}"})
    assert answer.json() == {
        "client_id": DEFAULT_CLIENT_ID,
        "login": "bot",
        "scopes": ["chat:read"],
        "user_id": desk.id("bot"),
        "expires_in": 14_000,
    }


async def test_validate_shows_an_app_token_without_a_user() -> None:
    """No login, no user_id, null scopes."""
    desk = WebDesk()
    answer = await desk.ask("GET", "/oauth2/validate", headers={"Authorization": f"OAuth {desk.app_token()}"})
    assert answer.json() == {"client_id": DEFAULT_CLIENT_ID, "scopes": None, "expires_in": 5_184_000}


async def test_validate_shows_a_token_for_everything_that_never_expires() -> None:
    """All scopes by name, and 0 seconds, as the real service writes it."""
    desk = WebDesk()
    desk.state.grant_token("for-ever", "bot")
    headers = {"Authorization": "OAuth for-ever"}
    body = (await desk.ask("GET", "/oauth2/validate", headers=headers)).json()
    assert body["expires_in"] == 0
    assert body["scopes"] == list(KNOWN_SCOPES)


async def test_validate_refuses_missing_unknown_expired_and_revoked_tokens() -> None:
    """401, in Twitch's words."""
    desk = WebDesk()
    assert refusal(await desk.ask("GET", "/oauth2/validate")) == (401, "missing authorization token")
    expired, revoked = desk.token("bot"), desk.token("carol")
    desk.state.credentials.expire(expired)
    desk.state.credentials.revoke(revoked)
    for letters in ("x", expired, revoked):
        answer = await desk.ask("GET", "/oauth2/validate", headers={"Authorization": f"OAuth {letters}"})
        assert refusal(answer) == (401, "invalid access token")


async def test_revoke_ends_a_token_and_answers_without_a_body() -> None:
    """Its refresh token dies too; a second time there is nothing to revoke."""
    desk = WebDesk()
    token = desk.state.credentials.issue_user(DEFAULT_CLIENT_ID, "bot", ())
    answer = await desk.oauth("revoke", client_id=DEFAULT_CLIENT_ID, token=token.access)
    assert (answer.status_code, answer.content) == (200, b"")
    assert desk.state.credentials.valid(token.access) is None
    assert desk.state.credentials.refresh(DEFAULT_CLIENT_ID, token.refresh) is None
    again = await desk.oauth("revoke", client_id=DEFAULT_CLIENT_ID, token=token.access)
    assert refusal(again) == (400, "Invalid token")


async def test_revoke_refuses_unknown_apps_and_other_apps_tokens() -> None:
    """404 for the app, 400 for the token."""
    desk = WebDesk()
    other = desk.state.credentials.add_app("other")
    token = desk.token("bot")
    assert refusal(await desk.oauth("revoke", client_id="x", token=token)) == (404, "client does not exist")
    answer = await desk.oauth("revoke", client_id=other.client_id, token=token)
    assert refusal(answer) == (400, "Invalid token")
    assert refusal(await desk.oauth("revoke", token=token)) == (400, "missing client id")


async def test_userinfo_needs_openid_and_tells_the_claims() -> None:
    """Subject and issuer are those of OIDC."""
    desk = WebDesk()
    headers = {"Authorization": f"Bearer {desk.token('bot', 'openid')}"}
    body = (await desk.ask("GET", "/oauth2/userinfo", headers=headers)).json()
    assert (body["sub"], body["preferred_username"]) == (desk.id("bot"), "Bot")
    assert body["exp"] - body["iat"] == 14_400
    without = {"Authorization": f"Bearer {desk.token('bot', 'chat:read')}"}
    assert refusal(await desk.ask("GET", "/oauth2/userinfo", headers=without))[0] == 401


# -- the official mock's shortcut -----------------------------------------------------------------------------------------------------


async def test_the_official_mocks_authorize_gives_a_user_token() -> None:
    """twitch-cli: POST /auth/authorize with grant_type=user_token, as twitchAPI and twurple use it in tests."""
    desk = WebDesk()
    query = {**APP, "grant_type": "user_token", "user_id": desk.id("bot"), "scope": "chat:read"}
    body = (await desk.ask("POST", "/auth/authorize", params=query)).json()
    assert desk.state.user_of_token(body["access_token"]) is desk.state.user("bot")
    for changed, message in [
        ({"user_id": "1"}, "User ID invalid"),
        ({"client_secret": "x"}, "Client ID/Secret invalid"),
        ({"scope": "x"}, "Invalid scopes requested"),
        ({"grant_type": "x"}, "missing required parameter"),
    ]:
        answer = await desk.ask("POST", "/auth/authorize", params={**query, **changed})
        assert refusal(answer) == (400, message)


async def test_what_was_asked_is_counted() -> None:
    """By grant, and what devices heard."""
    desk = WebDesk()
    await desk.oauth("token", **APP, grant_type="client_credentials")
    body = await begin(desk)
    await desk.oauth(
        "token", client_id=DEFAULT_CLIENT_ID, grant_type=DEVICE_GRANT, device_code=body["device_code"]
    )
    assert desk.face.stats == {"tokens_given_client_credentials": 1, "device_begun": 1, "device_pending": 1}


async def test_tokens_can_be_made_to_live_shorter() -> None:
    """For tests of refreshing: seconds, for every user token handed out from then on."""
    desk = WebDesk()
    desk.face.oauth.user_token_lifetime_s = 30.0
    old = desk.state.credentials.issue_user(DEFAULT_CLIENT_ID, "bot", ())
    body = (await desk.oauth("token", **APP, grant_type="refresh_token", refresh_token=old.refresh)).json()
    assert body["expires_in"] == 30
