"""Helix about chat: Send Chat Message, Get Chatters, Get and Update Chat Settings, Send Chat Announcement.

Source: dev.twitch.tv/docs/api/reference unless said otherwise. Rules beyond those of `helix_call`:

- messages: parameters in the query, in the body, or in both (clients differ; the body wins). A user token is the sender's and has
  user:write:chat ("User access token requires the user:write:chat scope.", recorded); an app's token needs user:write:chat and user:bot
  from the sender, and channel:bot from the broadcaster unless the sender moderates there, else 401 (recorded, TwitchIO 521). More than
  500 characters: 422. A reply to an id that is neither a recent message nor formed like an id: 400. Then the message goes through the
  same `ChatRules` as one from IRC; a refusal is 200 with `is_sent: false` and a `drop_reason`, whose codes are `DROP_CODES`.
- a text that begins with a command, "/foo" or ".foo": with more words only those are sent, alone it is "msg_rejected"; "/me text" is an
  action (recorded, twitchdev/issues 1019).
- chatters: who is in the room, for its moderators; `occupants` tells who is connected.
- settings: anybody may read, moderators see the delay of chat as well; a wait of 3 to 120 s, follows of 0 to 129,600 min, a delay of 2, 4 or
  6 s; defaults 30 s and 0 min. The delay is remembered and shown, not carried out.
- announcements: one every two seconds a moderator and channel (429), five colours, 500 characters, longer ones are cut.

Left out: `for_source_only` beyond its refusal for user tokens, pinning, shared chat, emotes, badges, colours, shoutouts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from simulator.twitch.events import Channel, User
from simulator.twitch.helix_call import Endpoints, HelixCall, may_moderate, user_fields
from simulator.twitch.limits import SlidingWindow
from simulator.twitch.notices import notice_text
from simulator.twitch.rules import ChatRules, Refusal
from simulator.twitch.state import TwitchState
from simulator.twitch.web_exchange import Answer, Refused

TEXT_CHARS_MAX = 500  # documented
SLOW_S = (3, 120, 30)  # documented: smallest, largest, default
FOLLOWED_MIN = (0, 129_600, 0)
DELAYS_S = (2, 4, 6)
ANNOUNCEMENT_WINDOW_S = 2.0  # documented: one every two seconds
COLORS = ("blue", "green", "orange", "purple", "primary")

# What `ChatRules` calls a refusal -> the code of the drop reason. Twitch publishes no list and says that codes change (twitchdev/issues
# 962); these were seen in the logs of public bots. A refusal that is not here keeps the id of its IRC notice.
DROP_CODES: Mapping[str, str] = {
    "empty": "msg_rejected",
    "ignored": "rate_limited",
    "msg_banned": "user_banned",
    "msg_channel_suspended": "channel_suspended",
    "msg_duplicate": "msg_duplicate",
    "msg_emoteonly": "emote_only_mode",
    "msg_followersonly": "followers_only_mode",
    "msg_followersonly_zero": "followers_only_mode",
    "msg_r9k": "unique_mode",
    "msg_ratelimit": "rate_limited",
    "msg_rejected": "msg_rejected",
    "msg_rejected_mandatory": "channel_settings",
    "msg_slowmode": "slow_mode",
    "msg_subsonly": "subs_only_mode",
    "msg_timedout": "user_timed_out",
    "over_limit": "rate_limited",
    "unrecognized_cmd": "msg_rejected",
}
# Words that differ from those of IRC: recorded for a rejected message and for a timeout, by analogy for a ban.
DROP_WORDS: Mapping[str, str] = {
    "msg_rejected": "Your message is being checked by mods and has not been sent.",
    "rate_limited": notice_text("msg_ratelimit"),
    "user_banned": "You are banned from talking in the room.",
    "user_timed_out": "You are timed out from talking in the room.",
}

_COMMAND = re.compile(r"[/.]([A-Za-z]\w*)(?:\s+(.*))?", re.DOTALL)
_MESSAGE_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class HelixChat:
    """The endpoints, over one state and the rules that IRC obeys too.

    `occupants` returns the logins that are connected to a channel, which only the face knows that holds the connections.
    """

    def __init__(self, state: TwitchState, rules: ChatRules) -> None:
        self._state = state
        self._rules = rules
        self._delays_s: dict[str, int] = {}  # by channel
        self._announced: dict[tuple[str, str], SlidingWindow] = {}  # as many as moderators that announce
        self.occupants: Callable[[str], Iterable[str]] = _nobody

    def endpoints(self) -> Endpoints:
        """Return the table of this area."""
        return {
            ("POST", "chat/messages"): self._send,
            ("GET", "chat/chatters"): self._chatters,
            ("GET", "chat/settings"): self._settings,
            ("PATCH", "chat/settings"): self._update_settings,
            ("POST", "chat/announcements"): self._announce,
        }

    # -- messages -----------------------------------------------------------------------------------------------------------------

    def _send(self, call: HelixCall) -> Answer:
        given = {name: values[0] for name, values in call.request.query.items()} | dict(call.request.json)
        sender, room = self._sender(call, given)
        text = _needed(given, "message")
        if len(text) > TEXT_CHARS_MAX:
            raise Refused(422, "The message is too large.")
        reply_to = given.get("reply_parent_message_id") or ""
        if not isinstance(reply_to, str) or not (
            not reply_to or _MESSAGE_ID.fullmatch(reply_to) or self._state.recent_message(reply_to)
        ):
            raise Refused(400, "The ID in reply_parent_message_id is not valid.")
        ruling = self._rules.judge(sender, room, _without_command(text), reply_to)
        if ruling.refusal is not None:
            return Answer(body={"data": [_dropped(ruling.refusal)]})
        message = self._state.publish(
            room, sender, ruling.text, reply_to=reply_to, is_action=ruling.is_action
        )
        sent = {"message_id": message.id, "is_sent": True, "drop_reason": None}
        return Answer(body={"data": [sent]})

    def _sender(self, call: HelixCall, given: Mapping[str, Any]) -> tuple[User, Channel]:
        """Return who speaks and where, if the token may."""
        if call.me is not None and not call.token.has_scope("user:write:chat"):
            raise Refused(401, "User access token requires the user:write:chat scope.")
        broadcaster_id, sender_id = _needed(given, "broadcaster_id"), _needed(given, "sender_id")
        if call.me is not None and sender_id != call.me.id:
            raise Refused(
                401, "The ID in sender_id must match the user ID found in the request's OAuth token."
            )
        if call.me is not None and given.get("for_source_only") is not None:
            raise Refused(400, "Cannot set for_source_only if User Access Token is used.")
        room, sender = call.channel(broadcaster_id), call.user(sender_id, "sender_id")
        if call.me is None and not call.app_may(sender, room, "user:write:chat"):
            raise Refused(401, _APP_MAY_NOT.format(scope="user:write:chat"))
        return sender, room

    # -- who is there ---------------------------------------------------------------------------------------------------------------

    def _chatters(self, call: HelixCall) -> Answer:
        room, _ = call.as_moderator("moderator:read:chatters")
        page = call.page(default=100, largest=1_000)
        logins = dict.fromkeys([*self.occupants(room.login), *room.viewers])
        users = [self._state.users[login] for login in logins if login in self._state.users]
        shown, pagination = page.cut(users)
        data = [user_fields(user) for user in shown]
        return Answer(body={"data": data, "pagination": pagination, "total": len(users)})

    # -- settings -------------------------------------------------------------------------------------------------------------------

    def _settings(self, call: HelixCall) -> Answer:
        room = call.channel(call.required("broadcaster_id"))
        moderator_id = call.text("moderator_id")
        if not moderator_id:
            return Answer(body={"data": [_shown(room)]})
        scopes = ("moderator:read:chat_settings", "moderator:manage:chat_settings")
        if call.me is None or moderator_id != call.me.id or not call.token.has_scope(*scopes):
            return Answer(body={"data": [_shown(room)]})
        if not may_moderate(room, call.me):
            return Answer(body={"data": [_shown(room)]})
        return Answer(body={"data": [_shown(room) | self._delay(room)]})

    def _update_settings(self, call: HelixCall) -> Answer:
        room, moderator = call.as_moderator("moderator:manage:chat_settings")
        body, modes = call.request.json, room.modes
        slow_s = _duration(body, "slow_mode", "slow_mode_wait_time", SLOW_S)
        followed_min = _duration(body, "follower_mode", "follower_mode_duration", FOLLOWED_MIN)
        delay_s = _delay_of(body)
        self._state.set_modes(
            room.login,
            emote_only=_changed(_flag(body, "emote_mode"), modes.emote_only),
            followers_only=_changed(-1 if followed_min is False else followed_min, modes.followers_only),
            r9k=_changed(_flag(body, "unique_chat_mode"), modes.r9k),
            slow_s=_changed(0 if slow_s is False else slow_s, modes.slow_s),
            subs_only=_changed(_flag(body, "subscriber_mode"), modes.subs_only),
        )
        if delay_s is not None:
            self._delays_s[room.login] = delay_s
        shown = _shown(room) | self._delay(room) | {"moderator_id": moderator.id}
        return Answer(body={"data": [shown]})

    def _delay(self, room: Channel) -> dict[str, Any]:
        delay_s = self._delays_s.get(room.login, 0)
        return {
            "non_moderator_chat_delay": bool(delay_s),
            "non_moderator_chat_delay_duration": delay_s or None,
        }

    # -- announcements --------------------------------------------------------------------------------------------------------------

    def _announce(self, call: HelixCall) -> Answer:
        if call.me is None:
            room = call.channel(call.required("broadcaster_id"))
            moderator = call.user(call.required("moderator_id"), "moderator_id")
            if not call.app_may(moderator, room, "moderator:manage:announcements"):
                raise Refused(401, _APP_MAY_NOT.format(scope="moderator:manage:announcements"))
        else:
            room, moderator = call.as_moderator("moderator:manage:announcements")
        text = call.request.json.get("message")
        if not isinstance(text, str):
            raise Refused(400, "The message field in the request's body is required.")
        # A line break would end the IRC line that carries the announcement.
        text = " ".join(re.sub(r"[\r\n\0\x01]", " ", text).split())[:TEXT_CHARS_MAX]
        if not text:
            raise Refused(400, "The message field may not contain an empty string.")
        color = call.request.json.get("color") or "primary"
        if color not in COLORS:
            raise Refused(400, "The specified color is not valid.")
        window = self._announced.setdefault(
            (room.login, moderator.login), SlidingWindow(1, ANNOUNCEMENT_WINDOW_S)
        )
        if not window.take(self._state.now_s()):
            raise Refused(429, "The sender has exceeded the number of announcements they may send.")
        self._state.announce(room.login, moderator.login, text, color=color.upper())
        return Answer(204)


_APP_MAY_NOT = (
    "App access token requires the {scope} and user:bot scopes from the sender, "
    "and the channel:bot scope from the broadcaster or moderator status."
)


def _nobody(_: str) -> Iterable[str]:
    return ()


def _needed(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if value is None or value == "":
        raise Refused(400, f'Missing required parameter "{name}"')
    if not isinstance(value, str):
        raise Refused(400, f'The parameter "{name}" was malformed: the value must be a string')
    return value


def _without_command(text: str) -> str:
    """Return what Twitch posts of a text that begins with a command other than /me."""
    found = _COMMAND.fullmatch(text)
    if found is None or (found[1] == "me" and found[2]):
        return text
    return found[2] or ""


def _dropped(refusal: Refusal) -> dict[str, Any]:
    code = DROP_CODES.get(refusal.reason, refusal.reason)
    words = DROP_WORDS.get(code) or refusal.text
    return {"message_id": "", "is_sent": False, "drop_reason": {"code": code, "message": words}}


def _shown(room: Channel) -> dict[str, Any]:
    modes = room.modes
    return {
        "broadcaster_id": room.id,
        "slow_mode": modes.slow_s > 0,
        "slow_mode_wait_time": modes.slow_s or None,
        "follower_mode": modes.followers_only >= 0,
        "follower_mode_duration": modes.followers_only if modes.followers_only >= 0 else None,
        "subscriber_mode": modes.subs_only,
        "emote_mode": modes.emote_only,
        "unique_chat_mode": modes.r9k,
    }


def _flag(body: Mapping[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused(400, f'The parameter "{name}" was malformed: the value must be a boolean')
    return value


def _duration(body: Mapping[str, Any], switch: str, name: str, bounds: tuple[int, int, int]) -> int | None:
    """Return the value to set, False to switch the mode off, None to leave it."""
    wanted, value = _flag(body, switch), body.get(name)
    smallest, largest, default = bounds
    if value is None:
        return default if wanted else wanted
    if not wanted:
        raise Refused(400, f"To set {name}, the {switch} field must be set to true.")
    if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= largest:
        raise Refused(400, f"The value in {name} must be in the range {smallest} through {largest}.")
    return value


def _delay_of(body: Mapping[str, Any]) -> int | None:
    """Return the delay to set in seconds, 0 for none, None to leave it."""
    wanted, value = _flag(body, "non_moderator_chat_delay"), body.get("non_moderator_chat_delay_duration")
    if wanted and value not in DELAYS_S:
        raise Refused(400, "The value in non_moderator_chat_delay_duration must be 2, 4 or 6.")
    if not wanted and value is not None:
        raise Refused(400, "To set the duration, the non_moderator_chat_delay field must be set to true.")
    return value if wanted else None if wanted is None else 0


def _changed(wanted: Any, present: Any) -> Any:
    """Return what is wanted if that is a change, None otherwise: a setting that stays as it is tells nobody."""
    return None if wanted is None or wanted == present else wanted
