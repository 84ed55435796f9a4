"""Helix about moderation: moderators, bans and timeouts, deleting messages.

Source: dev.twitch.tv/docs/api/reference unless said otherwise. Rules beyond those of `helix_call`:

- moderators: read with moderation:read or channel:manage:moderators, changed with the latter, by the broadcaster; "user is already a mod",
  "user is not a mod" (recorded by Chatterino); a VIP has to lose that first (422), a banned account cannot become one; ten changes of each
  kind in ten seconds (429).
- channels: those a user moderates, for that user, with user:read:moderated_channels.
- bans: moderator:manage:banned_users; a timeout lasts 1 s to two weeks, a reason has at most 500 characters; a timeout may be changed, a ban
  not; nobody bans the broadcaster or themselves, and only the broadcaster a moderator, who then is none any more. "The user specified in the
  user_id field is already banned." and its like are recorded by Chatterino.
- banned: the broadcaster's list, with who did it and why, whichever face it came through.
- chat: moderator:manage:chat_messages; 403 "You don't have permission to perform that action." (recorded, twitchdev/issues 659); messages of
  the broadcaster or of other moderators stay, those older than six hours too; without an id the room is cleared.

Left out: AutoMod, blocked terms, unban requests, warnings, shield mode, VIPs; that a moderator who was timed out becomes one again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.twitch.events import BanLifted, Channel, ChatCleared, Happening, User
from simulator.twitch.helix_call import Endpoints, HelixCall, may_moderate, rfc3339, user_fields
from simulator.twitch.limits import SlidingWindow
from simulator.twitch.state import TwitchState
from simulator.twitch.web_exchange import Answer, Refused

TIMEOUT_S_MAX = 1_209_600  # documented: two weeks
REASON_CHARS_MAX = 500  # documented
DELETABLE_S = 6 * 3_600.0  # documented
CHANGES_MAX = 10  # documented: moderators added, or removed, in ten seconds
CHANGES_WINDOW_S = 10.0


@dataclass(frozen=True, slots=True)
class _Ban:
    """How a ban or timeout came about, which the state itself does not keep."""

    created_ms: int
    moderator: User
    reason: str


class HelixModeration:
    """The endpoints, over one state, which it also watches: the list of bans tells about those of every face."""

    def __init__(self, state: TwitchState) -> None:
        self._state = state
        self._bans: dict[
            tuple[str, str], _Ban
        ] = {}  # by channel and login; as many as accounts that were ever banned
        self._changes: dict[tuple[str, str], SlidingWindow] = {}  # by channel and kind of change
        state.attach(self._watch)

    def endpoints(self) -> Endpoints:
        """Return the table of this area."""
        return {
            ("GET", "moderation/moderators"): self._moderators,
            ("POST", "moderation/moderators"): self._add_moderator,
            ("DELETE", "moderation/moderators"): self._remove_moderator,
            ("GET", "moderation/channels"): self._moderated,
            ("POST", "moderation/bans"): self._ban,
            ("DELETE", "moderation/bans"): self._unban,
            ("GET", "moderation/banned"): self._banned,
            ("DELETE", "moderation/chat"): self._delete,
        }

    def _watch(self, happening: Happening) -> None:
        if isinstance(happening, ChatCleared) and happening.target is not None:
            moderator = happening.moderator or happening.channel.owner
            key = (happening.channel.login, happening.target.login)
            self._bans[key] = _Ban(happening.sent_ms, moderator, happening.reason)
        elif isinstance(happening, BanLifted):
            self._bans.pop((happening.channel.login, happening.user.login), None)

    # -- moderators -----------------------------------------------------------------------------------------------------------------

    def _moderators(self, call: HelixCall) -> Answer:
        room = call.as_broadcaster("moderation:read", "channel:manage:moderators")
        page, wanted = call.page(), call.many("user_id")
        users = [self._state.users[login] for login in room.moderators]
        shown, pagination = page.cut([user for user in users if not wanted or user.id in wanted])
        return Answer(body={"data": [user_fields(user) for user in shown], "pagination": pagination})

    def _add_moderator(self, call: HelixCall) -> Answer:
        room = call.as_broadcaster("channel:manage:moderators")
        user = call.user(call.required("user_id"))
        if user.login in room.moderators or user.login == room.login:
            raise Refused(400, "user is already a mod")
        if user.login in room.vips:
            raise Refused(
                422,
                "The user in user_id is a VIP. To make them a moderator, you must first remove them as a VIP.",
            )
        if self._is_banned(room, user):
            raise Refused(
                400, "The user in user_id cannot become a moderator because they're banned from the channel."
            )
        self._count_change(room, "added")
        self._state.set_role(room.login, user.login, "moderator")
        return Answer(204)

    def _remove_moderator(self, call: HelixCall) -> Answer:
        room = call.as_broadcaster("channel:manage:moderators")
        user = call.user(call.required("user_id"))
        if user.login not in room.moderators:
            raise Refused(400, "user is not a mod")
        self._count_change(room, "removed")
        self._state.set_role(room.login, user.login, None)
        return Answer(204)

    def _count_change(self, room: Channel, kind: str) -> None:
        window = self._changes.setdefault((room.login, kind), SlidingWindow(CHANGES_MAX, CHANGES_WINDOW_S))
        if not window.take(self._state.now_s()):
            raise Refused(
                429, f"The broadcaster has {kind} too many moderators within {CHANGES_WINDOW_S:g} seconds."
            )

    def _moderated(self, call: HelixCall) -> Answer:
        me = call.user_with("user:read:moderated_channels")
        if call.required("user_id") != me.id:
            raise Refused(401, "The ID in user_id must match the user ID found in the request's OAuth token.")
        rooms = [room for room in self._state.channels.values() if me.login in room.moderators]
        shown, pagination = call.page().cut(rooms)
        data = [user_fields(room.owner, "broadcaster") for room in shown]
        return Answer(body={"data": data, "pagination": pagination})

    # -- bans -----------------------------------------------------------------------------------------------------------------------

    def _ban(self, call: HelixCall) -> Answer:
        room, moderator = call.as_moderator("moderator:manage:banned_users")
        data = call.request.json.get("data")
        if not isinstance(data, Mapping) or not isinstance(data.get("user_id"), str) or not data["user_id"]:
            raise Refused(400, 'Missing required parameter "user_id"')
        user = call.user(data["user_id"])
        duration_s, reason = data.get("duration"), data.get("reason") or ""
        if not isinstance(reason, str) or len(reason) > REASON_CHARS_MAX:
            raise Refused(400, "The text in the reason field is too long.")
        if duration_s is not None and not _is_duration(duration_s):
            raise Refused(400, "The value in the duration field is not valid.")
        if room.bans.get(user.login) == math.inf:
            raise Refused(400, "The user specified in the user_id field is already banned.")
        if user.login in (room.login, moderator.login) or (
            user.login in room.moderators and moderator.login != room.login
        ):
            what = "banned" if duration_s is None else "put in a timeout"
            raise Refused(400, f"The user specified in the user_id field may not be {what}.")
        if duration_s is None:
            self._state.ban(room.login, user.login, moderator=moderator.login, reason=reason)
        else:
            self._state.timeout(room.login, user.login, duration_s, moderator=moderator.login, reason=reason)
        if user.login in room.moderators:
            self._state.set_role(room.login, user.login, None)
        now_ms = self._state.now_ms()
        done = {
            "broadcaster_id": room.id,
            "moderator_id": moderator.id,
            "user_id": user.id,
            "created_at": rfc3339(now_ms),
            "end_time": None if duration_s is None else rfc3339(now_ms + duration_s * 1_000),
        }
        return Answer(body={"data": [done]})

    def _unban(self, call: HelixCall) -> Answer:
        room, moderator = call.as_moderator("moderator:manage:banned_users")
        user = call.user(call.required("user_id"))
        if not self._is_banned(room, user):
            raise Refused(400, "The user in the user_id query parameter is not banned.")
        self._state.unban(room.login, user.login, moderator=moderator.login)
        return Answer(204)

    def _banned(self, call: HelixCall) -> Answer:
        room = call.as_broadcaster("moderation:read", "moderator:manage:banned_users")
        page, wanted = call.page(), call.many("user_id")
        users = [self._state.users[login] for login in room.bans]
        users = [user for user in users if self._is_banned(room, user) and (not wanted or user.id in wanted)]
        shown, pagination = page.cut(users)
        data = [self._shown(room, user) for user in shown]
        return Answer(body={"data": data, "pagination": pagination})

    def _shown(self, room: Channel, user: User) -> dict[str, Any]:
        ends_s = room.bans[user.login]
        # A ban from before this face was there has no history: the broadcaster did it, now.
        ban = self._bans.get((room.login, user.login)) or _Ban(self._state.now_ms(), room.owner, "")
        left_ms = 0 if ends_s == math.inf else round((ends_s - self._state.now_s()) * 1_000)
        return {
            **user_fields(user),
            "expires_at": rfc3339(self._state.now_ms() + left_ms) if left_ms else "",
            "created_at": rfc3339(ban.created_ms),
            "reason": ban.reason,
            **user_fields(ban.moderator, "moderator"),
        }

    def _is_banned(self, room: Channel, user: User) -> bool:
        return room.bans.get(user.login, 0.0) > self._state.now_s()

    # -- messages -------------------------------------------------------------------------------------------------------------------

    def _delete(self, call: HelixCall) -> Answer:
        words = "You don't have permission to perform that action."
        room, moderator = call.as_moderator("moderator:manage:chat_messages", words=words)
        message_id = call.text("message_id")
        if not message_id:
            self._state.clear_chat(room.login)
            return Answer(204)
        message = self._state.recent_message(message_id)
        if message is None or message.channel != room.login:
            raise Refused(404, "The ID in message_id was not found.")
        if self._state.now_s() - message.at_s > DELETABLE_S:
            raise Refused(404, "The specified message was created more than 6 hours ago.")
        author = self._state.users[message.login]
        if author is not moderator and author.login == room.login:
            raise Refused(400, "You may not delete the broadcaster's messages.")
        if author is not moderator and moderator.login != room.login and may_moderate(room, author):
            raise Refused(400, "You may not delete another moderator's messages.")
        self._state.delete_message(message_id)
        return Answer(204)


def _is_duration(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= TIMEOUT_S_MAX
