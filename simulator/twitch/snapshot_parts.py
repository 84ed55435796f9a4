"""What a snapshot of a fake Twitch holds, as models that check it: users, channels, apps, tokens, consents, conduits.

Unknown keys, wrong types and values that Twitch would not have are refused, each with its place, before anything is changed. A seed file
(`simulator/seed_file.py`) is one written by hand; `snapshot` and `conduit_snapshot` take them and put them back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from simulator.twitch.conduits import CONDUITS_MAX, SHARDS_MAX
from simulator.twitch.credentials import ALL_SCOPES, DEFAULT_CLIENT_ID
from simulator.twitch.eventsub_subscriptions import ENABLED
from simulator.twitch.eventsub_types import subscribable
from simulator.twitch.notices import NOTICE_TEXTS
from simulator.twitch.state import TOKEN_PREFIX


def _bare(value: object) -> object:
    return value.removeprefix(TOKEN_PREFIX) if isinstance(value, str) else value


def _since_now(value: object) -> object:
    return dict.fromkeys(value, 0) if isinstance(value, list) else value


Login = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,25}$")]
Letters = Annotated[str, BeforeValidator(_bare), StringConstraints(pattern=r"^[\x21-\x7e]{1,200}$")]
UserId = Annotated[str, StringConstraints(pattern=r"^[0-9]{0,20}$")]

_SLOW_S_MAX = 120  # documented: 3 to 120 seconds; 0 is off
_FOLLOWERS_MIN_MAX = 129_600  # documented: three months
_TIMEOUT_S_MAX = 1_209_600  # documented: two weeks


class _Part(BaseModel):
    # Built when the first snapshot is read: that takes a tenth of a second, and most programs read none.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class UserPart(_Part):
    """An account; an empty `id` is drawn."""

    login: Login
    id: UserId = ""
    display_name: str = ""
    color: Annotated[str, StringConstraints(pattern=r"^(#[0-9A-Fa-f]{6})?$")] = ""
    verified: bool = False
    turbo: bool = False
    badges: list[str] = Field(default_factory=list)
    user_type: Literal["", "admin", "global_mod", "staff"] = ""
    emote_sets: str = "0"


class ModesPart(_Part):
    """Chat modes, in the units of their names; `followers_only` in minutes, -1 off."""

    emote_only: bool = False
    followers_only: int = Field(default=-1, ge=-1, le=_FOLLOWERS_MIN_MAX)
    r9k: bool = False
    slow_s: int = Field(default=0, ge=0, le=_SLOW_S_MAX)
    subs_only: bool = False


class LivePart(_Part):
    """A broadcast on the air; an empty `id` is drawn, `started_ms` 0 is now."""

    id: UserId = ""
    started_ms: int = Field(default=0, ge=0)
    viewer_count: int = Field(default=0, ge=0)


class ChannelPart(_Part):
    """A channel, which is made for a user of the same login; whoever is named in it is made when new."""

    login: Login
    title: str = ""
    game_id: str = ""
    game_name: str = ""
    language: str = "en"
    moderators: list[Login] = Field(default_factory=list)
    vips: list[Login] = Field(default_factory=list)
    subscribers: dict[Login, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)  # login -> months
    followers: Annotated[dict[Login, Annotated[int, Field(ge=0)]], BeforeValidator(_since_now)] = Field(
        default_factory=dict
    )  # login -> Unix milliseconds, 0 now; a list of logins means now
    banned: list[Login] = Field(default_factory=list)
    timeouts: dict[Login, Annotated[float, Field(gt=0, le=_TIMEOUT_S_MAX)]] = Field(default_factory=dict)
    refusals: dict[Login, str] = Field(default_factory=dict)  # login -> NOTICE id
    granted_bots: list[Login] = Field(default_factory=list)
    viewers: list[Login] = Field(default_factory=list)
    chatted: list[Login] = Field(default_factory=list)
    suspended: bool = False
    modes: ModesPart = Field(default_factory=ModesPart)
    live: LivePart | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ChannelPart:
        both = [login for login in self.moderators if login in self.vips]
        if both:
            raise ValueError(f"{both[0]} is both moderator and vip; Twitch allows one of the two")
        for login, notice_id in self.refusals.items():
            if notice_id not in NOTICE_TEXTS:
                raise ValueError(f"refusals: {login} has {notice_id!r}; allowed: {', '.join(NOTICE_TEXTS)}")
        return self


class AppPart(_Part):
    """A registered application; without a secret it is a public client."""

    client_id: Letters
    secret: str = ""
    name: str = ""
    redirect_uris: list[str] = Field(default_factory=lambda: ["http://localhost:3000"])


class TokenPart(_Part):
    """A token, of a user or (without a `login`) of an app; `lifetime_s` None is for ever, an empty `refresh_token` none."""

    token: Letters
    login: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{0,25}$")] = ""
    client_id: Letters = DEFAULT_CLIENT_ID
    scopes: list[str] = Field(default_factory=lambda: [ALL_SCOPES])
    refresh_token: str = ""
    lifetime_s: Annotated[float, Field(ge=0)] | None = None


class ConsentPart(_Part):
    """What an account has granted an app, beyond the scopes of the tokens that there are."""

    login: Login
    client_id: Letters = DEFAULT_CLIENT_ID
    scopes: list[str]


class ShardPart(_Part):
    """A shard that has had a transport; it is enabled as long as its session is connected."""

    id: int = Field(ge=0, lt=SHARDS_MAX)
    session_id: str
    connected_at: str = ""
    status: str = ENABLED
    disconnected_at: str = ""


class ConduitSubscriptionPart(_Part):
    """A subscription on a conduit, which is put back without asking who may; an empty `id` is drawn."""

    type: str
    version: str = "1"
    condition: dict[str, str]
    id: str = ""
    created_at: str = ""

    @model_validator(mode="after")
    def _known(self) -> ConduitSubscriptionPart:
        if (self.type, self.version) not in subscribable():
            raise ValueError(f"there is no type {self.type!r} in version {self.version!r}")
        return self


class ConduitPart(_Part):
    """A conduit of an app; an empty `id` is drawn."""

    id: str = ""
    client_id: Letters = DEFAULT_CLIENT_ID
    shard_count: int = Field(ge=1, le=SHARDS_MAX)
    shards: list[ShardPart] = Field(default_factory=list)
    subscriptions: list[ConduitSubscriptionPart] = Field(default_factory=list)

    @model_validator(mode="after")
    def _within(self) -> ConduitPart:
        _unique("shards", "id", (str(shard.id) for shard in self.shards))
        above = [shard.id for shard in self.shards if shard.id >= self.shard_count]
        if above:
            raise ValueError(f"shard {above[0]} is outside: the conduit has {self.shard_count}")
        return self


class Snapshot(_Part):
    """Everything; see the module's docstring. Times are relative, see `snapshot`."""

    users: list[UserPart] = Field(default_factory=list)
    channels: list[ChannelPart] = Field(default_factory=list)
    apps: list[AppPart] = Field(default_factory=list)
    tokens: list[TokenPart] = Field(default_factory=list)
    consents: list[ConsentPart] = Field(default_factory=list)
    conduits: list[ConduitPart] = Field(default_factory=list)

    @model_validator(mode="after")
    def _each_once(self) -> Snapshot:
        _unique("users", "login", (user.login for user in self.users))
        _unique("users", "id", (user.id for user in self.users if user.id))
        _unique("channels", "login", (channel.login for channel in self.channels))
        _unique("apps", "client_id", (app.client_id for app in self.apps))
        _unique("tokens", "token", (token.token for token in self.tokens))
        _unique("conduits", "id", (conduit.id for conduit in self.conduits if conduit.id))
        for client_id, held in Counter(conduit.client_id for conduit in self.conduits).items():
            if held > CONDUITS_MAX:
                raise ValueError(f"conduits: {client_id} has {held}; Twitch allows {CONDUITS_MAX}")
        return self


def _unique(part: str, key: str, values: Iterable[str]) -> None:
    seen: dict[str, None] = {}
    for value in values:
        if value in seen:
            raise ValueError(f"{part}: two have the {key} {value!r}")
        seen[value] = None
