"""The state of a fake Twitch as one JSON value: taken, written by hand, put back.

A `Snapshot` holds users, channels with roles, bans, modes and stream, apps and tokens, and conduits with their subscriptions. `take` makes one
of a `TwitchState`, `restore` makes the state equal to one, and what was taken is restored exactly; the conduits, which the state does not
know, are `conduit_snapshot`'s. A seed file (`simulator/seed_file.py`) is one written by hand,
which `apply` puts on top of what is there. All checks are the model's: unknown keys, wrong types and values that Twitch would not have
are refused before anything is changed.

Times are relative, so that a snapshot means the same later: a timeout has seconds left, a token seconds to live (none: for ever);
only what Twitch itself shows as a date (`started_ms`, followed since) is Unix milliseconds, with 0 for "now".

Left out: messages (they are history, not state), limits used up, connections, what was subscribed to on them, pending device codes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from simulator.twitch.conduits import CONDUITS_MAX, SHARDS_MAX
from simulator.twitch.credentials import (
    ALL_SCOPES,
    DEFAULT_CLIENT_ID,
    NEVER_EXPIRES,
    App,
    CredentialBook,
    Token,
)
from simulator.twitch.events import Channel, LiveStream, RoomModes, User
from simulator.twitch.eventsub_subscriptions import ENABLED
from simulator.twitch.eventsub_types import subscribable
from simulator.twitch.notices import NOTICE_TEXTS
from simulator.twitch.state import TOKEN_PREFIX, TwitchState


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
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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
    """Everything; see the module's docstring."""

    users: list[UserPart] = Field(default_factory=list)
    channels: list[ChannelPart] = Field(default_factory=list)
    apps: list[AppPart] = Field(default_factory=list)
    tokens: list[TokenPart] = Field(default_factory=list)
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


# -- taking -----------------------------------------------------------------------------------------------------------------------


def take(state: TwitchState) -> Snapshot:
    """The state as it is now."""
    now_s = state.now_s()
    credentials = state.credentials
    return Snapshot(
        users=[
            UserPart(
                login=user.login,
                id=user.id,
                display_name=user.display_name,
                color=user.color,
                verified=user.verified,
                turbo=user.turbo,
                badges=list(user.badges),
                user_type=user.user_type,  # type: ignore[arg-type]  # checked by the model
                emote_sets=user.emote_sets,
            )
            for user in state.users.values()
        ],
        channels=[_channel_part(channel, now_s) for channel in state.channels.values()],
        apps=[
            AppPart(client_id=app.client_id, secret=app.secret, name=app.name, redirect_uris=list(app.redirect_uris))
            for app in credentials.apps.values()
        ],
        tokens=[
            TokenPart(
                token=token.access,
                login=token.login,
                client_id=token.client_id,
                scopes=list(token.scopes),
                refresh_token=token.refresh if credentials.can_refresh(token) else "",
                lifetime_s=None if token.expires_s == math.inf else max(0.0, token.expires_s - now_s),
            )
            for token in credentials.tokens.values()
        ],
    )  # fmt: skip


def _channel_part(channel: Channel, now_s: float) -> ChannelPart:
    stream, modes = channel.stream, channel.modes
    return ChannelPart(
        login=channel.login,
        title=channel.title,
        game_id=channel.game_id,
        game_name=channel.game_name,
        language=channel.language,
        moderators=list(channel.moderators),
        vips=list(channel.vips),
        subscribers=dict(channel.subscribers),
        followers={login: channel.followed_ms.get(login, 0) for login in channel.followers},
        banned=[login for login, until_s in channel.bans.items() if until_s == math.inf],
        timeouts={
            login: until_s - now_s for login, until_s in channel.bans.items() if now_s < until_s < math.inf
        },
        refusals=dict(channel.refusals),
        granted_bots=list(channel.granted_bots),
        viewers=list(channel.viewers),
        chatted=list(channel.chatted),
        suspended=channel.suspended,
        modes=ModesPart(
            emote_only=modes.emote_only,
            followers_only=modes.followers_only,
            r9k=modes.r9k,
            slow_s=modes.slow_s,
            subs_only=modes.subs_only,
        ),
        live=None
        if stream is None
        else LivePart(id=stream.id, started_ms=stream.started_ms, viewer_count=stream.viewer_count),
    )


# -- putting back -----------------------------------------------------------------------------------------------------------------


def apply(state: TwitchState, snapshot: Snapshot) -> None:
    """Add what the snapshot names, or change what is there to it; everything else stays as it is. Tells no face."""
    for part in snapshot.users:
        _apply_user(state, part)
    for channel in snapshot.channels:
        _apply_channel(state, channel)
    credentials = state.credentials
    apps = {**credentials.apps, **{app.client_id: _app(app) for app in snapshot.apps}}
    tokens = {access: _as_it_is(credentials, token) for access, token in credentials.tokens.items()}
    tokens |= {token.token: _token(state, token) for token in snapshot.tokens}
    credentials.load(apps.values(), tokens.values())


def restore(state: TwitchState, snapshot: Snapshot) -> None:
    """Make the state equal to the snapshot: what it does not name goes. Objects that stay are changed, not replaced.

    Faces that hold connections of what goes must have let them go before (see `gone`).
    """
    users, channels = gone(state, snapshot)
    for login in channels:
        del state.channels[login]
    for login in users:
        del state.users[login]
    state.credentials.load((), ())
    apply(state, snapshot)
    # In the snapshot's order, and in the same dictionaries, which faces hold.
    for user in snapshot.users:
        state.users[user.login] = state.users.pop(user.login)
    for channel in snapshot.channels:
        state.channels[channel.login] = state.channels.pop(channel.login)


def gone(state: TwitchState, snapshot: Snapshot) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The logins of the users and of the channels that `restore` would remove."""
    users = dict.fromkeys(_named(snapshot))
    channels = {channel.login: None for channel in snapshot.channels}
    return (
        tuple(login for login in state.users if login not in users),
        tuple(login for login in state.channels if login not in channels),
    )


def _named(snapshot: Snapshot) -> Iterable[str]:
    """Every login that the snapshot names, as a user or within a channel or a token."""
    yield from (user.login for user in snapshot.users)
    for channel in snapshot.channels:
        yield channel.login
        for part in (
            channel.moderators,
            channel.vips,
            channel.banned,
            channel.granted_bots,
            channel.viewers,
            channel.chatted,
        ):
            yield from part
        for mapping in (channel.subscribers, channel.followers, channel.timeouts, channel.refusals):
            yield from mapping
    yield from (token.login for token in snapshot.tokens if token.login)


def _apply_user(state: TwitchState, part: UserPart) -> User:
    user = state.add_user(part.login, user_id=part.id)
    if part.id and part.id != user.id:
        user.id = part.id
        if part.login in state.channels:
            state.channels[part.login].id = part.id
    user.display_name = part.display_name or part.login
    user.color = part.color
    user.verified = part.verified
    user.turbo = part.turbo
    user.badges = tuple(part.badges)
    user.user_type = part.user_type
    user.emote_sets = part.emote_sets
    return user


def _apply_channel(state: TwitchState, part: ChannelPart) -> None:
    channel, now_s, now_ms = state.add_channel(part.login), state.now_s(), state.now_ms()

    def made(logins: Iterable[str]) -> dict[str, None]:
        return {state.add_user(login).login: None for login in logins}

    channel.title, channel.language = part.title, part.language
    channel.game_id, channel.game_name = part.game_id, part.game_name
    channel.moderators, channel.vips = made(part.moderators), made(part.vips)
    channel.granted_bots, channel.viewers, channel.chatted = (
        made(part.granted_bots),
        made(part.viewers),
        made(part.chatted),
    )
    made((*part.subscribers, *part.refusals, *part.timeouts))
    channel.subscribers, channel.refusals = dict(part.subscribers), dict(part.refusals)
    channel.followers = made(part.followers)
    channel.followed_ms = {login: since_ms or now_ms for login, since_ms in part.followers.items()}
    channel.bans = dict.fromkeys(made(part.banned), math.inf)
    channel.bans |= {login: now_s + left_s for login, left_s in part.timeouts.items()}
    channel.suspended = part.suspended
    channel.modes = RoomModes(**part.modes.model_dump())
    live = part.live
    channel.stream = (
        None
        if live is None
        else LiveStream(
            live.id or f"4{channel.id}",  # any number will do, and this one is drawn from nothing
            live.started_ms or now_ms,
            live.viewer_count,
        )
    )


def _app(part: AppPart) -> App:
    return App(part.client_id, part.secret, part.name or part.client_id, tuple(part.redirect_uris))


def _token(state: TwitchState, part: TokenPart) -> Token:
    if part.login:
        state.add_user(part.login)
    return Token(
        part.token,
        "user" if part.login else "app",
        part.client_id,
        part.login,
        tuple(part.scopes) if part.login else (),
        NEVER_EXPIRES if part.lifetime_s is None else state.now_s() + part.lifetime_s,
        part.refresh_token,
    )


def _as_it_is(credentials: CredentialBook, token: Token) -> Token:
    """The token without a refresh token that has been used up, which loading would bring back to life."""
    return token if credentials.can_refresh(token) else replace(token, refresh="")


def to_json(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot as JSON that `Snapshot.model_validate` reads back."""
    return snapshot.model_dump(mode="json")
