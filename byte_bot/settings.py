"""The bot's settings: one frozen object, read once, checked at once.

How it works. :func:`load_settings` takes the process's environment and a ``.env`` file (the environment wins; an empty
variable counts as absent; upper or lower case does not matter), keeps what names a field of :class:`Settings`, and
validates. Validators see the fields declared above theirs, which is how rules over two variables are reported together
with everything else: a newcomer gets the whole list in one go, each line with the variable, what is wrong and the way
out. :class:`Settings` itself reads nothing from outside, so that a test or a simulation which builds one depends on its
arguments alone.

A field's ``description`` is what error messages say about it, and its ``examples`` what they show
(:mod:`byte_bot.setting_problems`); :mod:`byte_bot.env_file` reads environment and file.

Left out: settings per channel (language, prefix, pause) live in the table ``channels_config``; here are only their
defaults. Nothing is read again while the bot runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import structlog
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from byte_bot.env_file import DEFAULT_ENV_FILE, named_values, read_env_file
from byte_bot.errors import SettingsError
from byte_bot.setting_problems import misspelt, problem_lines
from byte_bot.setting_values import (
    Redacted,
    client_id_of,
    key_problems,
    login_of,
    logins_of,
    lower,
    modules_of,
    project_url,
    redacted,
    service_url,
    shown,
    tidy,
    token_of,
    words,
)

# Twitch's ports (dev.twitch.tv/docs/chat/irc): a TLS handshake on a plain port, or the reverse, only hangs.
_TWITCH_TLS_PORTS: Final = frozenset({443, 6697})
_TWITCH_PLAIN_PORTS: Final = frozenset({80, 6667})

_SECRET_FIELDS: Final = frozenset({"twitch_client_secret", "twitch_token", "supabase_key"})

Text: TypeAlias = Annotated[str, BeforeValidator(tidy)]
Secret: TypeAlias = Annotated[SecretStr, AfterValidator(redacted)]
Words: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(words)]
Flag: TypeAlias = Annotated[bool, BeforeValidator(lower)]
Count: TypeAlias = Annotated[int, BeforeValidator(tidy)]
Seconds: TypeAlias = Annotated[float, BeforeValidator(tidy)]


class Settings(BaseSettings):
    """Everything the bot can be told from outside. Times are in seconds; names end in their unit.

    Build it with :func:`load_settings`, or directly from keyword arguments (checked the same way; pydantic's
    ``ValidationError`` is raised then, which shows no values).
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", case_sensitive=False, hide_input_in_errors=True, validate_default=True
    )

    # Supabase stands first: the rule "some channel to join" below needs to know whether it is there.
    supabase_url: Text = Field(
        default="",
        description="the address of the Supabase project; empty: the bot runs without a database",
        examples=["https://abcdefghijkl.supabase.co"],
    )
    supabase_key: Secret = Field(
        default=SecretStr(""),
        description="the project's secret key (Supabase dashboard, Project Settings, API keys)",
        examples=["sb_secret_..."],
    )

    twitch_login: Text = Field(description="the login of the bot's own Twitch account", examples=["my_bot"])
    # The application stands before the token: the rule "some token" below needs to know whether it is there.
    twitch_client_id: Text = Field(
        default="",
        description="the id of the application in Twitch's developer console; with it the bot renews its token by itself",
        examples=["abcdefghijklmnopqrstuvwxyz0123"],
    )
    twitch_client_secret: Secret = Field(
        default=SecretStr(""),
        description="the application's secret; empty for a public application",
    )
    twitch_token: Secret = Field(
        default=SecretStr(""),
        description="a user access token of the bot's account with the scopes chat:read and chat:edit",
        examples=["oauth:abc123..."],
    )
    twitch_token_file: Text = Field(
        default="",
        description="where `byte-bot login` keeps the token, or a folder for it; empty: the user's data directory",
        examples=["/data/my_bot.token.json"],
    )
    twitch_oauth_url: Text = Field(
        default="https://id.twitch.tv/oauth2",
        description="Twitch's authorization server",
        examples=["https://id.twitch.tv/oauth2"],
    )
    twitch_channel_logins: Words = Field(
        default=(),
        description="the channels to join, separated by commas; never left because of what the database says",
        examples=["my_channel,a_friend"],
    )
    twitch_chat_mode: Annotated[Literal["irc"], BeforeValidator(lower)] = Field(
        default="irc", description="how the bot talks to Twitch", examples=["irc"]
    )
    twitch_rate_tier: Annotated[Literal["normal", "verified"], BeforeValidator(lower)] = Field(
        default="normal",
        description="verified only if Twitch has verified the bot: otherwise Twitch silences it",
        examples=["normal"],
    )
    twitch_messages_per_30s: Count = Field(
        default=0,
        ge=0,
        description="messages in 30 s that Twitch granted the account beyond its tier; 0 = the tier's",
    )
    twitch_channel_messages_per_30s: Count = Field(
        default=0,
        ge=0,
        description="the same for one channel in which the bot is moderator, VIP or broadcaster; 0 = the tier's",
    )
    twitch_irc_host: Text = Field(
        default="irc.chat.twitch.tv", description="the chat server", examples=["irc.chat.twitch.tv"]
    )
    twitch_irc_port: Count = Field(
        default=6697, ge=1, le=65_535, description="the chat server's port", examples=["6697"]
    )
    twitch_irc_tls: Flag = Field(default=True, description="whether that port speaks TLS", examples=["true"])

    bot_owners: Words = Field(
        default=(), description="logins that may use owner commands in every channel", examples=["my_channel"]
    )
    components: Words = Field(
        default=(), description="modules with components of your own", examples=["my_bot.deaths,my_bot.polls"]
    )
    default_language: Annotated[Literal["en", "pt-br"], BeforeValidator(lower)] = Field(
        default="en", description="the language of channels that chose none", examples=["pt-br"]
    )
    default_prefix: Text = Field(
        default="!",
        min_length=1,
        max_length=5,  # the table channels_config allows as much
        description="what a command starts with in channels that chose nothing else",
        examples=["!"],
    )

    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(lower)] = (
        Field(default="info", description="the least important line that is logged", examples=["info"])
    )
    log_format: Annotated[Literal["console", "json"], BeforeValidator(lower)] = Field(
        default="console", description="lines for people, or one JSON object a line", examples=["console"]
    )
    status_interval_s: Seconds = Field(
        default=60.0, ge=0, le=86_400, description="seconds between status lines in the log; 0 = none"
    )

    # Chosen: a Supabase save of 500 rows took 14 ms, so 2 s is far from busy and loses little time after a crash.
    flush_interval_s: Seconds = Field(
        default=2.0, ge=0.1, le=60, description="seconds between saves to the database"
    )
    # Chosen: a quarter of a second is the longest pause in chat that nobody notices.
    load_hold_s: Seconds = Field(
        default=0.25,
        ge=0,
        le=10,
        description="seconds the first message of an unknown channel waits for its load",
    )
    handler_timeout_s: Seconds = Field(
        default=0.25, ge=0.01, le=10, description="seconds a command may take before it is rolled back"
    )
    # Chosen: Supabase's own statement timeout is 8 s; 5 s leaves room in the 8 s of an orderly shutdown.
    database_timeout_s: Seconds = Field(
        default=5.0,
        ge=0.1,
        le=60,
        description="seconds until a request to the database is given up and retried",
    )
    config_refresh_s: Seconds = Field(
        default=60.0, ge=1, le=3_600, description="seconds between looks at the table channels_config"
    )
    context_idle_s: Seconds = Field(
        default=7_200.0,
        ge=1,
        le=604_800,
        description="seconds without chat until a channel's state leaves memory",
    )
    # Chosen: about 3 MB of RAM, a quarter of an hour of a busy channel during an outage.
    history_rows_max: Count = Field(
        default=10_000,
        ge=0,
        le=1_000_000,
        description="chat lines kept while the database is away, then the oldest go",
    )

    journal_path: Text = Field(
        default="",
        description="the journal's file, or a folder for it; empty: the user's data directory",
        examples=["/data/my_bot.journal"],
    )
    durability: Annotated[Literal["process", "power", "off"], BeforeValidator(lower)] = Field(
        default="process",
        description="what a confirmed change survives: the end of the process, a power cut too, or nothing",
        examples=["process"],
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only arguments: what the machine's environment holds must not leak into a test or a replay."""
        return (init_settings,)

    @property
    def has_database(self) -> bool:
        """True if Supabase is set; otherwise the bot runs as in an outage without end."""
        return bool(self.supabase_url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be printed, for the log's redaction."""
        values = (self.twitch_token, self.twitch_client_secret, self.supabase_key)
        return tuple(value.get_secret_value() for value in values if value)

    @property
    def asks_twitch(self) -> bool:
        """True if the bot speaks to Twitch's authorization server; with a bare token for IRC it does not."""
        return bool(self.twitch_client_id) or self.twitch_chat_mode != "irc"

    @field_validator("supabase_url")
    @classmethod
    def _check_supabase_url(cls, value: str) -> str:
        return project_url(value) if value else value

    @field_validator("supabase_key")
    @classmethod
    def _check_supabase_key(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        key = value.get_secret_value()
        problems = list(key_problems(key)) if key else []
        # A URL that is there but wrong is missing from info.data: then it counts as set.
        url = info.data.get("supabase_url", "wrong")
        if key and not url:
            problems.append("is set, but SUPABASE_URL is not: set both, or neither to run without a database")
        if url and not key:
            problems.append(
                "is missing, but SUPABASE_URL is set: set both, or neither to run without a database"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return value

    @field_validator("twitch_login")
    @classmethod
    def _check_login(cls, value: str) -> str:
        return login_of(value)

    @field_validator("twitch_token")
    @classmethod
    def _check_token(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if value:
            return Redacted(token_of(value.get_secret_value()))
        # A client id that is there but wrong is missing from info.data: then it counts as set.
        if not info.data.get("twitch_client_id", "wrong"):
            raise ValueError(
                "is missing: a user access token of the bot's account with the scopes chat:read and chat:edit (or set "
                "TWITCH_CLIENT_ID instead and get a token that the bot renews with `byte-bot login`)"
            )
        return value

    @field_validator("twitch_client_id")
    @classmethod
    def _check_client_id(cls, value: str) -> str:
        return client_id_of(value) if value else value

    @field_validator("twitch_client_secret")
    @classmethod
    def _check_client_secret(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if value and not info.data.get("twitch_client_id", "wrong"):
            raise ValueError("is set, but TWITCH_CLIENT_ID is not: set the id too, or neither")
        return Redacted(token_of(value.get_secret_value())) if value else value

    @field_validator("twitch_oauth_url")
    @classmethod
    def _check_oauth_url(cls, value: str) -> str:
        return service_url(value)

    @field_validator("twitch_channel_logins")
    @classmethod
    def _check_channels(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not value and info.data.get("supabase_url", "wrong") == "":
            raise ValueError("is missing: without Supabase it is the only list of channels to join")
        return logins_of(value)

    @field_validator("twitch_chat_mode", mode="before")
    @classmethod
    def _check_chat_mode(cls, value: object) -> object:
        if lower(value) == "eventsub":
            raise ValueError("is 'eventsub', which comes with a later release: write 'irc' or leave it out")
        return value

    @field_validator("twitch_irc_host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        if not value or re.search(r"[\s/@]", value):
            raise ValueError(f"is {shown(value)}: write a host name only, without scheme, port or path")
        return value

    @field_validator("twitch_irc_tls")
    @classmethod
    def _check_tls(cls, value: bool, info: ValidationInfo) -> bool:
        host, port = info.data.get("twitch_irc_host", ""), info.data.get("twitch_irc_port", 0)
        if host.endswith("twitch.tv"):
            if not value and port in _TWITCH_TLS_PORTS:
                raise ValueError(
                    f"is off, but Twitch's port {port} speaks TLS only: use port 6667, or better leave TLS on"
                )
            if value and port in _TWITCH_PLAIN_PORTS:
                raise ValueError(f"is on, but Twitch's port {port} speaks no TLS: use TWITCH_IRC_PORT=6697")
        return value

    @field_validator("bot_owners")
    @classmethod
    def _check_owners(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return logins_of(value)

    @field_validator("components")
    @classmethod
    def _check_components(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return modules_of(value)

    @field_validator("default_language", mode="before")
    @classmethod
    def _check_language(cls, value: object) -> object:
        return value.replace("_", "-") if isinstance(value, str) else value

    @field_validator("default_prefix")
    @classmethod
    def _check_prefix(cls, value: str) -> str:
        if re.search(r"\s", value) or value.startswith("/"):
            raise ValueError(
                f"is {shown(value)}: no blanks, and not '/', which Twitch takes for its own commands"
            )
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _check_level(cls, value: object) -> object:
        return "warning" if lower(value) == "warn" else value


def load_settings(
    env: Mapping[str, str] | None = None,
    env_file: Path | str | None = DEFAULT_ENV_FILE,
    *,
    warn: Callable[[str], None] | None = None,
) -> Settings:
    """Read and check the settings.

    Args:
        env: the environment; None takes the process's own.
        env_file: a ``.env`` file, whose values the environment overrides. The default may be absent, a file named by
            the caller may not; None reads no file.
        warn: called with a sentence for each variable that looks like a misspelt setting; None logs it.

    Raises:
        SettingsError: something is missing or wrong; the message has a line for each, without secrets.
    """
    values = named_values(env, env_file)
    known = {name: value for name, value in values.items() if name in Settings.model_fields}
    typos = misspelt(values, Settings.model_fields)
    for typo, meant in typos.items():
        (warn or _log_warning)(f"{typo} is set, but there is no such setting: did you mean {meant}?")
    try:
        return Settings.model_validate(known)
    except ValidationError as error:
        problems = [
            line
            for details in error.errors()
            for line in problem_lines(details, Settings.model_fields, _SECRET_FIELDS, typos)
        ]
        where = (
            ""
            if not env_file or read_env_file(env_file)
            else f" (no settings in {os.fspath(env_file)!r} here)"
        )
        heading = f"{len(problems)} setting{'s are' if len(problems) > 1 else ' is'} missing or wrong{where}:"
        # "from None": pydantic's own text is in another language than ours, and it might show values.
        raise SettingsError("\n".join([heading, *(f"  - {line}" for line in problems)])) from None


def _log_warning(sentence: str) -> None:
    structlog.get_logger(__name__).warning(sentence)
