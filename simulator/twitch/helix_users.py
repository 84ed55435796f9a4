"""Helix about accounts and channels: Get Users, Get Authorization By User, Get and Modify Channel Information, Get Streams, Get Channel
Followers.

Source: dev.twitch.tv/docs/api/reference. Rules beyond those of `helix_call`:

- users: up to 100 ids and logins together, the token's user when none is named; `email` only with user:read:email; unknown ones are left out.
- authorizations: what up to 10 users have granted the app, to its own token; in the order asked for, unknown ids are left out.
- channels: unknown ids are left out. PATCH needs channel:manage:broadcast and the broadcaster's own token, at least one property, a
  title that is not empty, a category that exists ("0" and "" remove it), at most 10 tags of 1 to 25 letters and digits; `delay` is for partners.
- streams: those on the air, most viewers first; filters by user, game and language.
- followers: without moderator:read:followers, or for others than the broadcaster and moderators, only the total; asking about one user then
  is 401 with "missing scope moderator:read:followers" (recorded, twitchdev/issues 836).

Simplified: every account is as old as `ACCOUNT_CREATED`, has no picture of its own, no description, and is neither partner nor
affiliate; categories are the few of `GAMES` and those that a channel has. Left out: Update User, labels of content, who is branded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from simulator.twitch.events import Channel, LiveStream, User
from simulator.twitch.helix_call import IDS_MAX, Endpoints, HelixCall, may_moderate, rfc3339, user_fields
from simulator.twitch.scopes import shown_scopes
from simulator.twitch.state import TwitchState
from simulator.twitch.stream_life import StreamLife
from simulator.twitch.web_exchange import Answer, Refused

ACCOUNT_CREATED = "2016-12-14T20:32:28Z"  # the date in the reference's example
PROFILE_IMAGE = "https://static-cdn.jtvnw.net/user-default-pictures-uv/cdd517fe-def4-11e9-948e-784f43822e80-profile_image-300x300.png"
# Ids and names as the reference and Twitch's directory have them.
GAMES: Mapping[str, str] = {
    "21779": "League of Legends",
    "27471": "Minecraft",
    "33214": "Fortnite",
    "32982": "Grand Theft Auto V",
    "26936": "Music",
    "494131": "Little Nightmares",
    "509658": "Just Chatting",
    "509660": "Art",
    "509670": "Science & Technology",
    "1469308723": "Software and Game Development",
}
AUTHORIZATIONS_MAX = 10
TAGS_MAX = 10
TAG_CHARS_MAX = 25

_TAG = re.compile(r"[^\W_]+")


class HelixUsers:
    """The endpoints, over one state; changes of a channel go through `life`."""

    def __init__(self, state: TwitchState, life: StreamLife) -> None:
        self._state = state
        self._life = life

    def endpoints(self) -> Endpoints:
        """Return the table of this area."""
        return {
            ("GET", "users"): self._users,
            ("GET", "authorization/users"): self._authorizations,
            ("GET", "channels"): self._channels,
            ("PATCH", "channels"): self._modify_channel,
            ("GET", "streams"): self._streams,
            ("GET", "channels/followers"): self._followers,
        }

    # -- accounts -----------------------------------------------------------------------------------------------------------------

    def _users(self, call: HelixCall) -> Answer:
        ids, logins = call.many("id"), call.many("login")
        if len(ids) + len(logins) > IDS_MAX:
            raise Refused(
                400, "The request exceeded the maximum allowed number of id and/or login query parameters."
            )
        if not ids and not logins:
            if call.me is None:
                raise Refused(
                    400,
                    "Must provide an ID, Login or OAuth Token",
                )
            return Answer(body={"data": [self._user(call.me, call)]})
        found = [call.directory.user(one) for one in ids]
        found += [self._state.users.get(one.lower()) for one in logins]
        distinct = {user.id: user for user in found if user is not None}
        return Answer(body={"data": [self._user(user, call) for user in distinct.values()]})

    def _authorizations(self, call: HelixCall) -> Answer:
        client_id, ids = call.as_app(), call.many("user_id", largest=AUTHORIZATIONS_MAX)
        if not ids:
            call.required("user_id")
        granted = self._state.credentials.consents
        data = []
        for user in filter(None, map(call.directory.user, ids)):
            scopes = granted.get((client_id, user.login))
            data.append(
                {
                    **user_fields(user),
                    "scopes": shown_scopes(scopes or ()),
                    "has_authorized": scopes is not None,
                }
            )
        return Answer(body={"data": data})

    def _user(self, user: User, call: HelixCall) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "id": user.id,
            "login": user.login,
            "display_name": user.display_name,
            "type": user.user_type,
            "broadcaster_type": "",
            "description": "",
            "profile_image_url": PROFILE_IMAGE,
            "offline_image_url": "",
            "view_count": 0,
            "created_at": ACCOUNT_CREATED,
        }
        if call.me is user and call.token.has_scope("user:read:email"):
            shown["email"] = f"{user.login}@example.com"
        return shown

    # -- channels -----------------------------------------------------------------------------------------------------------------

    def _channels(self, call: HelixCall) -> Answer:
        call.required("broadcaster_id")
        rooms = [call.directory.channel(one) for one in dict.fromkeys(call.many("broadcaster_id"))]
        return Answer(body={"data": [_channel(room) for room in rooms if room is not None]})

    def _modify_channel(self, call: HelixCall) -> Answer:
        room = call.as_broadcaster("channel:manage:broadcast")
        body = call.request.json
        title, language = _text(body, "title"), _text(body, "broadcaster_language")
        game_id, tags = _text(body, "game_id"), _tags(body)
        if not body:
            raise Refused(400, "The request must update at least one property.")
        if "delay" in body:
            raise Refused(400, "the broadcaster is not partnered, failed to set delay")
        if title == "":
            raise Refused(400, "The title field may not contain an empty string.")
        if game_id is not None:
            game_id = "" if game_id == "0" else game_id
            names = {**GAMES, **{one.game_id: one.game_name for one in self._state.channels.values()}, "": ""}
            if game_id not in names:
                raise Refused(400, "invalid game_id")
            self._life.update(
                room.login, title=title, game_id=game_id, game_name=names[game_id], language=language
            )
        else:
            self._life.update(room.login, title=title, language=language)
        if tags is not None:
            room.tags = tags
        return Answer(204)

    # -- broadcasts ---------------------------------------------------------------------------------------------------------------

    def _streams(self, call: HelixCall) -> Answer:
        if call.text("type") not in ("", "all", "live"):
            raise Refused(400, "The value in the type query parameter is not valid.")
        ids, logins = call.many("user_id"), tuple(one.lower() for one in call.many("user_login"))
        games, languages = call.many("game_id"), call.many("language")
        page = call.page()
        live = [
            (room, room.stream)
            for room in self._state.channels.values()
            if room.stream is not None
            and not room.suspended
            and (not (ids or logins) or room.id in ids or room.login in logins)
            and (not games or room.game_id in games)
            and (not languages or room.language in languages)
        ]
        live.sort(key=lambda pair: (-pair[1].viewer_count, pair[1].started_ms, pair[1].id))
        shown, pagination = page.cut(live)
        data = [_stream(room, stream) for room, stream in shown]
        return Answer(body={"data": data, "pagination": pagination})

    # -- followers ----------------------------------------------------------------------------------------------------------------

    def _followers(self, call: HelixCall) -> Answer:
        room = call.channel(call.required("broadcaster_id"))
        page, user_id = call.page(), call.text("user_id")
        held = call.token.has_scope("moderator:read:followers")
        allowed = held and call.me is not None and may_moderate(room, call.me)
        if not allowed:
            if user_id:
                raise Refused(401, "missing scope moderator:read:followers")
            return Answer(body={"total": len(room.followers), "data": [], "pagination": {}})
        # Newest first; who followed before anybody wrote it down comes last.
        when = {login: room.followed_ms.get(login, 0) for login in room.followers}
        users = [self._state.users[login] for login in sorted(when, key=lambda one: (-when[one], one))]
        if user_id:
            users = [user for user in users if user.id == user_id]
        shown, pagination = page.cut(users)
        data = [{**user_fields(user), "followed_at": rfc3339(when[user.login])} for user in shown]
        return Answer(body={"total": len(room.followers), "data": data, "pagination": pagination})


def _channel(room: Channel) -> dict[str, Any]:
    return {
        "broadcaster_id": room.id,
        "broadcaster_login": room.login,
        "broadcaster_name": room.owner.display_name,
        "broadcaster_language": room.language,
        "game_id": room.game_id,
        "game_name": room.game_name,
        "title": room.title,
        "delay": 0,
        "tags": list(room.tags),
        "content_classification_labels": [],
        "is_branded_content": False,
    }


def _stream(room: Channel, stream: LiveStream) -> dict[str, Any]:
    return {
        "id": stream.id,
        **user_fields(room.owner),
        "game_id": room.game_id,
        "game_name": room.game_name,
        "type": "live",
        "title": room.title,
        "tags": list(room.tags),
        "viewer_count": stream.viewer_count,
        "started_at": rfc3339(stream.started_ms),
        "language": room.language,
        "thumbnail_url": f"https://static-cdn.jtvnw.net/previews-ttv/live_user_{room.login}-{{width}}x{{height}}.jpg",
        "tag_ids": [],
        "is_mature": False,
    }


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(400, f'The parameter "{name}" was malformed: the value must be a string')
    return value


def _tags(body: Mapping[str, Any]) -> tuple[str, ...] | None:
    tags = body.get("tags")
    if tags is None:
        return None
    if not isinstance(tags, list) or len(tags) > TAGS_MAX:
        raise Refused(400, "The list in the tags field exceeds the maximum number of tags allowed.")
    for tag in tags:
        if not isinstance(tag, str) or not tag:
            raise Refused(400, "A tag in the tags field is empty.")
        if len(tag) > TAG_CHARS_MAX:
            raise Refused(400, "A tag in the tags field exceeds the maximum length allowed.")
        if not _TAG.fullmatch(tag):
            raise Refused(400, "A tag in the tags field contains special characters or spaces.")
    return tuple(tags)
