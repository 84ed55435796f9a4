"""The state of a fake Twitch as one JSON value: taken, written by hand, put back.

A `Snapshot` holds users, channels with roles, bans, modes and stream, apps, tokens and consents, and conduits with their subscriptions. `take` makes one
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
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from simulator.twitch.credentials import NEVER_EXPIRES, App, CredentialBook, Token
from simulator.twitch.events import Channel, LiveStream, RoomModes, User
from simulator.twitch.snapshot_parts import (
    AppPart,
    ChannelPart,
    ConsentPart,
    LivePart,
    ModesPart,
    Snapshot,
    TokenPart,
    UserPart,
)
from simulator.twitch.state import TwitchState

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
        consents=_consents(credentials),
    )  # fmt: skip


def _consents(credentials: CredentialBook) -> list[ConsentPart]:
    """What was granted and no token shows any more."""
    found: list[ConsentPart] = []
    for (client_id, login), scopes in credentials.consents.items():
        shown = [
            scope
            for token in credentials.tokens.values()
            if (token.client_id, token.login) == (client_id, login)
            for scope in token.scopes
        ]
        if left := [scope for scope in scopes if scope not in shown]:
            found.append(ConsentPart(login=login, client_id=client_id, scopes=left))
    return found


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
    for consent in snapshot.consents:
        credentials.consent(consent.client_id, state.add_user(consent.login).login, consent.scopes)


def restore(state: TwitchState, snapshot: Snapshot) -> None:
    """Make the state equal to the snapshot: what it does not name goes. Objects that stay are changed, not replaced.

    Faces that hold connections of what goes must have let them go before (see `gone`).
    """
    users, channels = gone(state, snapshot)
    for login in channels:
        del state.channels[login]
    for login in users:
        del state.users[login]
    state.credentials.clear()
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
    yield from (consent.login for consent in snapshot.consents)


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
