"""Settings from the environment and ``.env``: defaults, all problems at once, no secret shown."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.errors import SettingsError
from byte_bot.settings import Settings, load_settings

TOKEN = "abcdefghijklmnopqrstuvwxyz0123"
KEY = "sb_secret_0123456789abcdef"
MINIMAL = {"TWITCH_LOGIN": "my_bot", "TWITCH_TOKEN": f"oauth:{TOKEN}", "TWITCH_CHANNEL_LOGINS": "my_channel"}
SUPABASE = {"SUPABASE_URL": "https://abc.supabase.co", "SUPABASE_KEY": KEY}


def load(**changes: str | None) -> Settings:
    """The settings of MINIMAL with changes; None takes a variable away."""
    merged = {**MINIMAL, **changes}
    return load_settings({name: value for name, value in merged.items() if value is not None}, None)


def problems(**changes: str | None) -> list[str]:
    """The lines of the error, without its heading."""
    with pytest.raises(SettingsError) as caught:
        load(**changes)
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines()[1:]]


def test_three_settings_are_enough() -> None:
    """Everything else has a default, and there is no database then."""
    settings = load()
    assert settings.twitch_login == "my_bot"
    assert settings.twitch_token.get_secret_value() == TOKEN
    assert settings.twitch_channel_logins == ("my_channel",)
    assert not settings.has_database
    assert settings.twitch_chat_mode == "irc"
    assert settings.twitch_rate_tier == "normal"
    assert (settings.twitch_irc_host, settings.twitch_irc_port, settings.twitch_irc_tls) == (
        "irc.chat.twitch.tv",
        6697,
        True,
    )
    assert (settings.default_language, settings.default_prefix) == ("en", "!")
    assert (settings.log_level, settings.log_format) == ("info", "console")
    assert (settings.bot_owners, settings.components) == ((), ())
    assert (settings.flush_interval_s, settings.load_hold_s, settings.handler_timeout_s) == (2.0, 0.25, 0.25)
    assert (settings.database_timeout_s, settings.config_refresh_s, settings.context_idle_s) == (
        5.0,
        60.0,
        7200.0,
    )
    assert (settings.status_interval_s, settings.history_rows_max) == (60.0, 10_000)


def test_every_setting_can_be_set() -> None:
    """Each variable arrives at the attribute of its name, in its type."""
    settings = load(
        **SUPABASE,
        TWITCH_CHANNEL_LOGINS="#One, two one",
        TWITCH_RATE_TIER="Verified",
        TWITCH_IRC_HOST="127.0.0.1",
        TWITCH_IRC_PORT="16667",
        TWITCH_IRC_TLS="off",
        BOT_OWNERS="@Me",
        COMPONENTS="my_bot.deaths polls",
        DEFAULT_LANGUAGE="pt_BR",
        DEFAULT_PREFIX="?",
        LOG_LEVEL="WARN",
        LOG_FORMAT="JSON",
        STATUS_INTERVAL_S="0",
        FLUSH_INTERVAL_S="0.5",
        LOAD_HOLD_S="0",
        HANDLER_TIMEOUT_S="1",
        DATABASE_TIMEOUT_S="2.5",
        CONFIG_REFRESH_S="5",
        CONTEXT_IDLE_S="60",
        HISTORY_ROWS_MAX="10",
    )
    assert settings.has_database
    assert settings.supabase_url == "https://abc.supabase.co"
    assert settings.supabase_key.get_secret_value() == KEY
    assert settings.twitch_channel_logins == ("one", "two")
    assert settings.twitch_rate_tier == "verified"
    assert (settings.twitch_irc_host, settings.twitch_irc_port, settings.twitch_irc_tls) == (
        "127.0.0.1",
        16667,
        False,
    )
    assert settings.bot_owners == ("me",)
    assert settings.components == ("my_bot.deaths", "polls")
    assert (settings.default_language, settings.default_prefix) == ("pt-br", "?")
    assert (settings.log_level, settings.log_format) == ("warning", "json")
    assert (settings.status_interval_s, settings.flush_interval_s, settings.load_hold_s) == (0.0, 0.5, 0.0)
    assert (settings.handler_timeout_s, settings.database_timeout_s) == (1.0, 2.5)
    assert (settings.config_refresh_s, settings.context_idle_s, settings.history_rows_max) == (5.0, 60.0, 10)


def test_nothing_set_names_everything_that_is_missing() -> None:
    """A newcomer's first run: each missing variable with what it is and an example."""
    lines = problems(TWITCH_LOGIN=None, TWITCH_TOKEN=None, TWITCH_CHANNEL_LOGINS=None)
    assert [line.split()[0] for line in lines] == ["TWITCH_LOGIN", "TWITCH_TOKEN", "TWITCH_CHANNEL_LOGINS"]
    assert lines[0] == (
        "TWITCH_LOGIN is missing: the login of the bot's own Twitch account. Example: TWITCH_LOGIN=my_bot"
    )
    assert "chat:read and chat:edit" in lines[1]
    assert "without Supabase it is the only list of channels" in lines[2]


def test_all_problems_are_reported_at_once() -> None:
    """One run names every mistake, those over two variables too."""
    lines = problems(
        TWITCH_LOGIN="my bot",
        TWITCH_TOKEN="two words",
        TWITCH_CHAT_MODE="eventsub",
        TWITCH_RATE_TIER="gold",
        TWITCH_IRC_PORT="70000",
        TWITCH_IRC_TLS="maybe",
        SUPABASE_KEY="sb_publishable_1",
        COMPONENTS="a/b",
        DEFAULT_LANGUAGE="fr",
        DEFAULT_PREFIX="too long",
        LOG_LEVEL="loud",
        FLUSH_INTERVAL_S="0",
        HISTORY_ROWS_MAX="many",
    )
    named = [line.split()[0].rstrip(":") for line in lines]
    assert sorted(named) == sorted(
        [
            *(
                "SUPABASE_KEY",
                "SUPABASE_KEY",
                "TWITCH_LOGIN",
                "TWITCH_TOKEN",
                "TWITCH_CHAT_MODE",
                "TWITCH_RATE_TIER",
            ),
            *(
                "TWITCH_IRC_PORT",
                "TWITCH_IRC_TLS",
                "COMPONENTS",
                "DEFAULT_LANGUAGE",
                "DEFAULT_PREFIX",
                "LOG_LEVEL",
            ),
            *("FLUSH_INTERVAL_S", "HISTORY_ROWS_MAX"),
        ]
    )


def test_a_wrong_number_is_quoted_with_its_limit_and_default() -> None:
    """The line names the object, the value, the limit and the way out."""
    (line,) = problems(FLUSH_INTERVAL_S="99")
    assert line.startswith(
        "FLUSH_INTERVAL_S is '99', which is wrong: input should be less than or equal to 60 "
    )
    assert line.endswith("(seconds between saves to the database; leave it out for 2.0).")


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e9", "two", ""])
def test_a_number_out_of_bounds_never_gets_in(value: str) -> None:
    """Not a number, infinity, negative and huge are refused; an empty variable is as if it were not there."""
    if value:
        assert len(problems(FLUSH_INTERVAL_S=value)) == 1
    else:
        assert load(FLUSH_INTERVAL_S=value).flush_interval_s == 2.0


def test_eventsub_is_announced_for_later() -> None:
    """The mode that does not exist yet is refused with words of its own."""
    (line,) = problems(TWITCH_CHAT_MODE="EventSub")
    assert "comes with a later release" in line
    assert "write 'irc' or leave it out" in line


def test_supabase_is_both_or_neither() -> None:
    """Half of the pair is an error that names the other half; also when one of them is wrong in itself."""
    assert problems(SUPABASE_URL="https://abc.supabase.co") == [
        "SUPABASE_KEY is missing, but SUPABASE_URL is set: set both, or neither to run without a database."
    ]
    assert problems(SUPABASE_KEY=KEY) == [
        "SUPABASE_KEY is set, but SUPABASE_URL is not: set both, or neither to run without a database."
    ]
    assert [line.split()[0] for line in problems(SUPABASE_URL="nonsense")] == ["SUPABASE_URL", "SUPABASE_KEY"]


def test_with_supabase_the_channels_may_come_from_there() -> None:
    """The list of the environment is then only an addition."""
    settings = load(**SUPABASE, TWITCH_CHANNEL_LOGINS=None)
    assert settings.twitch_channel_logins == ()
    assert settings.has_database


def test_a_publishable_key_is_refused() -> None:
    """With it the bot would see an empty database and 200 answers."""
    (line,) = problems(**{**SUPABASE, "SUPABASE_KEY": "sb_publishable_xyz"})
    assert line.startswith("SUPABASE_KEY is the publishable key")
    assert "use the secret key" in line


def test_port_and_tls_must_match_twitchs() -> None:
    """A TLS handshake on a plain port only hangs, so it is said beforehand; other hosts are free."""
    assert "TWITCH_IRC_TLS is on, but Twitch's port 6667" in problems(TWITCH_IRC_PORT="6667")[0]
    assert "TWITCH_IRC_TLS is off, but Twitch's port 6697" in problems(TWITCH_IRC_TLS="false")[0]
    assert load(TWITCH_IRC_TLS="false", TWITCH_IRC_PORT="6667").twitch_irc_port == 6667
    assert load(TWITCH_IRC_HOST="localhost", TWITCH_IRC_PORT="6667").twitch_irc_tls


@pytest.mark.parametrize("host", ["irc://x", "a b", "user@host", "x/y"])
def test_the_host_is_only_a_name(host: str) -> None:
    """Scheme, path and user belong elsewhere."""
    (line,) = problems(TWITCH_IRC_HOST=host)
    assert "write a host name only" in line


@pytest.mark.parametrize("prefix", ["/", "a b", "/me", "123456"])
def test_an_unusable_prefix_is_refused(prefix: str) -> None:
    """Twitch keeps what begins with a slash for itself, and the table holds five characters."""
    assert problems(DEFAULT_PREFIX=prefix)[0].startswith("DEFAULT_PREFIX is ")


def test_case_of_names_does_not_matter() -> None:
    """twitch_login is TWITCH_LOGIN."""
    assert (
        load_settings({name.lower(): value for name, value in MINIMAL.items()}, None).twitch_login == "my_bot"
    )


def test_a_misspelt_variable_is_pointed_out() -> None:
    """Variables that begin like ours and resemble one get a warning, the rest of the environment none."""
    said: list[str] = []
    strange = {
        "TWITCH_CHANNELS_LOGIN": "x",
        "FLUSH_INTERVAL": "1",
        "TWITCH_X": "x",
        "PATH": "x",
        "DATABASE_URL": "x",
    }
    load_settings({**MINIMAL, **strange}, None, warn=said.append)
    assert said == [
        "FLUSH_INTERVAL is set, but there is no such setting: did you mean FLUSH_INTERVAL_S?",
        "TWITCH_CHANNELS_LOGIN is set, but there is no such setting: did you mean TWITCH_CHANNEL_LOGINS?",
    ]


def test_a_missing_setting_mentions_the_misspelt_one() -> None:
    """The error itself shows where the value went."""
    lines = problems(TWITCH_TOKEN=None, TWITCH_TOKENS="x", TWITCH_CHANNEL_LOGINS=None, TWITCH_CHANNELS="x")
    assert lines[0].startswith(
        "TWITCH_TOKEN is missing (TWITCH_TOKENS is set: misspelt?): a user access token"
    )
    assert lines[1].startswith(
        "TWITCH_CHANNEL_LOGINS is missing (TWITCH_CHANNELS is set: misspelt?): without"
    )


def test_with_a_client_id_no_token_is_needed() -> None:
    """`byte-bot login` gets one; the rest has defaults."""
    settings = load(TWITCH_TOKEN=None, TWITCH_CLIENT_ID="abc0123", TWITCH_CLIENT_SECRET=" 'shh' ")
    assert settings.asks_twitch
    assert settings.twitch_client_secret.get_secret_value() == "shh"
    assert settings.secrets == ("shh",)
    assert (settings.twitch_token_file, settings.twitch_oauth_url) == ("", "https://id.twitch.tv/oauth2")
    assert not load().asks_twitch


def test_the_application_s_settings_are_checked() -> None:
    """All at once, each with the way out, the secret not shown."""
    lines = problems(
        TWITCH_CLIENT_ID="my app",
        TWITCH_CLIENT_SECRET="two words",
        TWITCH_OAUTH_URL="http://id.twitch.tv/oauth2",
    )
    assert lines[0].startswith("TWITCH_CLIENT_ID is 'my app', no client id")
    assert lines[1].startswith("TWITCH_CLIENT_SECRET is empty or holds characters")
    assert lines[2].startswith("TWITCH_OAUTH_URL begins with http://, which would send tokens in clear")
    assert "two words" not in "\n".join(lines)
    assert problems(TWITCH_CLIENT_SECRET="shh")[0].startswith(
        "TWITCH_CLIENT_SECRET is set, but TWITCH_CLIENT_ID"
    )
    (line,) = problems(TWITCH_TOKEN=None)
    assert "set TWITCH_CLIENT_ID instead" in line


def test_secrets_are_never_shown() -> None:
    """Neither in the object's text nor in any error, also when a secret stands under another name."""
    settings = load(**SUPABASE)
    assert settings.secrets == (TOKEN, KEY)
    for text in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())):
        assert TOKEN not in text
        assert KEY not in text
    assert "twitch_token=Redacted('[redacted]')" in repr(settings)
    swapped = "\n".join(
        problems(TWITCH_LOGIN=f"oauth:{TOKEN}", SUPABASE_URL=KEY, SUPABASE_KEY="https://abc.supabase.co")
    )
    assert TOKEN not in swapped
    assert KEY not in swapped


@given(st.sampled_from(sorted(Settings.model_fields)), st.text(min_size=1, max_size=60))
def test_any_text_gives_settings_or_a_settings_error(field: str, text: str) -> None:
    """No value of any variable brings another exception out, and what gets in keeps its bounds."""
    try:
        settings = load(**{field.upper(): text})
    except SettingsError:
        return
    assert settings.twitch_token.get_secret_value().isascii()
    assert all(math.isfinite(value) for value in settings.model_dump().values() if isinstance(value, float))


def test_settings_are_frozen_and_reject_unknown_names() -> None:
    """Read once: nothing changes them later, and a programmer's typo is no setting."""
    settings = load()
    with pytest.raises(pydantic.ValidationError):
        settings.twitch_login = "other"
    arguments: dict[str, Any] = {"twitch_login": "a", "twitch_token": "b", "twitch_channel_logins": ("c",)}
    assert Settings(**arguments).twitch_channel_logins == ("c",)
    with pytest.raises(pydantic.ValidationError):
        Settings(**{**arguments, "twitch_channels": ("c",)})


def test_built_from_arguments_they_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulation replays the same on every machine."""
    monkeypatch.setenv("DEFAULT_PREFIX", "?")
    assert (
        Settings(
            twitch_login="a", twitch_token=pydantic.SecretStr("b"), twitch_channel_logins=("c",)
        ).default_prefix
        == "!"
    )


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without arguments: os.environ, and .env of the working directory where there is one."""
    monkeypatch.chdir(tmp_path)
    for name, value in MINIMAL.items():
        monkeypatch.setenv(name, value)
    assert load_settings().default_prefix == "!"
    (tmp_path / ".env").write_text("DEFAULT_PREFIX=?\n", encoding="utf-8")
    assert load_settings().default_prefix == "?"


def test_env_file_is_read_below_the_environment(tmp_path: Path) -> None:
    """Comments, quotes, export and blanks as everywhere; the environment wins, unless it is empty."""
    file = tmp_path / "bot.env"
    file.write_text(
        "# the bot\nexport TWITCH_LOGIN=file_bot\nTWITCH_TOKEN='oauth:abc' # a comment\n"
        'TWITCH_CHANNEL_LOGINS = "one, two"\nDEFAULT_PREFIX=?\nLOG_LEVEL=debug\nSUPABASE_URL=\nSUPABASE_KEY=\n',
        encoding="utf-8",
    )
    settings = load_settings({"TWITCH_LOGIN": "env_bot", "LOG_LEVEL": ""}, file)
    assert settings.twitch_login == "env_bot"
    assert settings.twitch_token.get_secret_value() == "abc"
    assert settings.twitch_channel_logins == ("one", "two")
    assert (settings.default_prefix, settings.log_level) == ("?", "debug")
    assert not settings.has_database


def test_env_file_of_windows_is_read(tmp_path: Path) -> None:
    """A byte order mark and CR LF do not become part of names and values."""
    file = tmp_path / ".env"
    lines = "\r\n".join(f"{name}={value}" for name, value in MINIMAL.items())
    file.write_bytes(b"\xef\xbb\xbf" + lines.encode() + b"\r\n")
    assert load_settings({}, file).twitch_login == "my_bot"


def test_env_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Absent though asked for, a directory (Docker makes one of a missing mount), or UTF-16 (PowerShell's echo)."""
    with pytest.raises(SettingsError, match=r"there is no file .*nope"):
        load_settings({}, tmp_path / "nope")
    with pytest.raises(SettingsError, match="is a directory"):
        load_settings({}, tmp_path)
    strange = tmp_path / "utf16.env"
    strange.write_bytes("TWITCH_LOGIN=ação".encode("utf-16"))
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load_settings({}, strange)


def test_the_heading_says_that_no_file_was_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Started in the wrong folder, the bot finds no .env: that is said."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        SettingsError, match=r"^3 settings are missing or wrong \(no settings in '\.env' here\):"
    ):
        load_settings({})
