"""``byte-bot login``: what a human and a program see, and where the token goes; against a small Twitch in virtual time."""

from __future__ import annotations

import asyncio
import io
import json
import random
from pathlib import Path

import httpx
import pytest

from byte_bot.auth.errors import TokenFileRefused
from byte_bot.auth.oauth import DeviceCode
from byte_bot.auth.token_file import TokenFile
from byte_bot.auth.user_token import UserToken
from byte_bot.errors import SettingsError
from byte_bot.login import (
    JsonScreen,
    TextScreen,
    ends_in,
    login,
    login_for_real,
    outcome_as_fields,
    outcome_as_text,
)
from byte_bot.settings import Settings
from simulator.loop import START_UNIX_S, current_loop, in_virtual_time
from simulator.twitch.listener import WebListener
from simulator.twitch.state import TwitchState
from tests.byte_bot.auth.desk import CLIENT_ID as DESK_CLIENT_ID
from tests.byte_bot.auth.desk import Desk
from tests.byte_bot.auth.small_twitch import CLIENT_ID, LOGIN, URL, LoopClock, SmallTwitch

CODE = DeviceCode("d" * 40, "ABCDEFGH", "https://www.twitch.test/activate?device-code=ABCDEFGH", 1800)
TOKEN = UserToken(
    access="accessaccess",
    login=LOGIN,
    user_id="1234",
    scopes=("chat:read", "chat:edit"),
    expires_at=14_400.0,
    refresh="refreshrefresh",
)
SETTINGS = Settings(
    twitch_login=LOGIN,
    twitch_client_id=CLIENT_ID,
    twitch_oauth_url=URL,
    twitch_channel_logins=("lobby",),
)


class Terminal(io.StringIO):
    """A text that takes itself for a terminal."""

    def isatty(self) -> bool:
        """Always."""
        return True


@in_virtual_time()
async def test_the_token_lands_in_the_file(tmp_path: Path) -> None:
    """With every scope that the bot's transports need, and nothing secret on the screen."""
    twitch, out, progress = SmallTwitch(), io.StringIO(), io.StringIO()
    twitch.device_words = ""
    file = TokenFile(tmp_path / "new" / "my_bot.token.json")
    token = await login(
        SETTINGS,
        http=twitch.client(),
        file=file,
        clock=LoopClock(),
        screen=TextScreen(out, progress, LOGIN),
    )
    assert file.read() == token
    assert set(token.scopes) >= {"chat:read", "chat:edit", "user:read:chat", "user:write:chat", "user:bot"}
    shown = out.getvalue() + progress.getvalue()
    assert "https://www.twitch.test/activate?device-code=ABCDEFGH" in shown
    assert "ABCDEFGH" in shown
    for secret in (token.access, token.refresh, "d" * 40):
        assert secret not in shown + outcome_as_text(token, file.place, 0)
        assert secret not in json.dumps(outcome_as_fields(token, file.place))


@in_virtual_time()
async def test_a_file_that_cannot_be_written_is_said_before_anybody_opens_a_browser(tmp_path: Path) -> None:
    """A token that nobody can keep is not asked for."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    twitch = SmallTwitch()
    with pytest.raises(TokenFileRefused, match="cannot be written"):
        await login(
            SETTINGS,
            http=twitch.client(),
            file=TokenFile(tmp_path / "file" / "token.json"),
            clock=LoopClock(),
            screen=JsonScreen(io.StringIO()),
        )
    assert twitch.asked == []


@in_virtual_time()
async def test_a_refresh_under_way_is_not_met_half_way(tmp_path: Path) -> None:
    """The file's lock is waited for: the running bot's last write does not replace the new login."""
    twitch = SmallTwitch()
    twitch.device_words = ""
    file, bots = TokenFile(tmp_path / "a.json"), TokenFile(tmp_path / "a.json")

    async def refresh() -> None:
        async with bots.exclusive():
            await asyncio.sleep(9)
            bots.write(TOKEN)

    refreshing = asyncio.ensure_future(refresh())
    token = await login(
        SETTINGS, http=twitch.client(), file=file, clock=LoopClock(), screen=JsonScreen(io.StringIO())
    )
    await refreshing
    assert file.read() == token


def test_a_terminal_sees_a_line_that_counts_down() -> None:
    """Rewritten in place, and gone at the end."""
    progress = Terminal()
    screen = TextScreen(io.StringIO(), progress, LOGIN)
    screen.waiting(1799.6, "no answer")
    screen.waiting(61.2, "")
    assert "\rWaiting for it, 30:00 left; no answer, trying again (Ctrl-C gives up)" in progress.getvalue()
    assert "\rWaiting for it, 1:01 left (Ctrl-C gives up) " in progress.getvalue()
    assert "\n" not in progress.getvalue()
    screen.end()
    assert progress.getvalue().endswith(" \r")


def test_a_file_gets_one_line_and_not_thousands() -> None:
    """Only trouble is worth another."""
    progress = io.StringIO()
    screen = TextScreen(io.StringIO(), progress, LOGIN)
    for left_s in range(100, 0, -1):
        screen.waiting(left_s, "")
    screen.end()
    assert progress.getvalue() == "Waiting for it, 1:40 left (Ctrl-C gives up)\n"


def test_a_program_gets_an_object_a_line() -> None:
    """The code at once; the waiting is silent."""
    out = io.StringIO()
    screen = JsonScreen(out)
    screen.show(CODE)
    screen.waiting(5, "")
    screen.end()
    assert json.loads(out.getvalue()) == {
        "event": "code",
        "verification_uri": CODE.verification_uri,
        "user_code": "ABCDEFGH",
        "expires_in_s": 1800,
    }


def test_what_is_said_at_the_end() -> None:
    """Whose, what, until when, where."""
    assert outcome_as_text(TOKEN, "F", 0.0) == (
        "The token belongs to my_bot (id 1234), scopes chat:edit chat:read.\n"
        "It ends in 4 h 0 min; the bot renews it before.\n"
        "It is kept in F; a bot that runs takes it up by itself."
    )
    assert outcome_as_fields(TOKEN, "F") == {
        "login": "my_bot",
        "user_id": "1234",
        "scopes": ["chat:edit", "chat:read"],
        "expires_at": "1970-01-01T04:00:00.000000+00:00",
        "file": "F",
    }


@pytest.mark.parametrize(
    ("left_s", "words"),
    [
        (float("inf"), "never ends by itself"),
        (0.0, "has ended"),
        (59.0, "ends in 1 min"),
        (14_280.0, "ends in 3 h 58 min"),
        (5_184_000.0, "ends in 60 d 0 h"),
    ],
)
def test_when_a_token_ends_in_words(left_s: float, words: str) -> None:
    """Rounded to what a human wants to know."""
    assert ends_in(UserToken(access="a", login="b", expires_at=1000.0 + left_s), 1000.0) == words


def test_without_a_client_id_there_is_no_login() -> None:
    """The variable, where to get it, and which kind."""
    bare = Settings(twitch_login=LOGIN, twitch_token="a" * 30, twitch_channel_logins=("lobby",))
    with pytest.raises(SettingsError, match=r"TWITCH_CLIENT_ID is missing.*\n.*client type: public"):
        login_for_real(bare, JsonScreen(io.StringIO()))


@in_virtual_time(hybrid=True)
async def test_the_login_over_sockets(tmp_path: Path) -> None:
    """The bot's real HTTP client and the simulator's real listener on loopback: allowed after a while, kept, validated."""
    loop = current_loop()
    state = TwitchState(loop.time, random.Random(2), START_UNIX_S)
    state.add_user(LOGIN)
    desk = Desk(state)
    file = TokenFile(tmp_path / "my_bot.token.json")
    async with (
        WebListener(desk.asgi, {}, host="127.0.0.1") as listener,
        # Idle connections would age by the machine's clock.
        httpx.AsyncClient(verify=False, limits=httpx.Limits(keepalive_expiry=None)) as http,
    ):
        settings = SETTINGS.model_copy(
            update={"twitch_client_id": DESK_CLIENT_ID, "twitch_oauth_url": f"{listener.url}/oauth2"}
        )
        out = io.StringIO()
        screen = JsonScreen(out)
        waiting = asyncio.ensure_future(
            login(settings, http=http, file=file, clock=LoopClock(), screen=screen)
        )
        await asyncio.sleep(61)
        assert not waiting.done()
        desk.face.approve_device(json.loads(out.getvalue())["user_code"], LOGIN)
        token = await asyncio.wait_for(waiting, 30)
        assert file.read() == token
        assert state.credentials.valid(token.access) is not None
        assert desk.face.stats["device_pending"] >= 10
