"""The one state behind every face of the fake Twitch: users, channels, tokens, roles, bans, and what was said.

Verbs change it (`add_user`, `say`, `timeout`, `raid`, …) and emit a happening, which each attached face delivers to the connections
it holds. What a client sends goes through `publish`, after its face has asked `rules`. Observers see every message that went through.

Randomness is injected. Ids of users, of the audience's messages and of the clients' messages come from separate streams, so a bot
that says one thing more does not change the ids of everything the audience says after it. Time is the injected `time_source` (seconds
of the loop's clock); `unix_start` turns it into Twitch's milliseconds.

Bounded: the transcript, and the messages that can be replied to or deleted, keep the newest; the oldest go and are counted. Left
out: AutoMod, shared chat, whispers, hype trains. Verbs about the broadcast are in `stream_life`; apps and tokens in `credentials`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from simulator.twitch.archive import Archive
from simulator.twitch.credentials import ALL_SCOPES, DEFAULT_CLIENT_ID, NEVER_EXPIRES, CredentialBook
from simulator.twitch.events import (
    BanLifted,
    Channel,
    ChatCleared,
    ChatSaid,
    Face,
    Happening,
    MessageDeleted,
    ModeratorChanged,
    Noticed,
    ReplyParent,
    RoomChanged,
    SentMessage,
    User,
    ViewerCame,
)
from simulator.twitch.message_id import new_message_id

TOKEN_PREFIX = "oauth:"


class UnknownName(LookupError):
    """A verb names a user, channel or message that this Twitch does not have."""


class TwitchState:
    """The state of one fake Twitch; not safe for threads, used from one loop."""

    def __init__(
        self,
        time_source: Callable[[], float],
        rng: random.Random,
        unix_start: float,
        *,
        archive: Archive | None = None,
    ) -> None:
        """Start empty. `time_source` gives seconds of the loop's clock, `unix_start` is the Unix time (s) of its zero."""
        self._time_source = time_source
        self._unix_start = unix_start
        self._id_rng = random.Random(rng.getrandbits(64))
        self._audience_rng = random.Random(rng.getrandbits(64))
        self._client_rng = random.Random(rng.getrandbits(64))
        self._faces: list[Face] = []
        self._observers: list[Callable[[SentMessage], None]] = []
        self._archive = archive if archive is not None else Archive()
        self._user_ids: dict[str, None] = {}
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.credentials = CredentialBook(time_source, random.Random(rng.getrandbits(64)))
        self.emotes: dict[str, str] = {"Kappa": "25", "LUL": "425618"}

    @property
    def transcript(self) -> list[SentMessage]:
        """The messages that clients sent and that went through, oldest first."""
        return self._archive.transcript

    # -- time -----------------------------------------------------------------------------------------------------------------

    def now_s(self) -> float:
        """Return the loop's time in seconds."""
        return self._time_source()

    def now_ms(self) -> int:
        """Return the Unix time in whole milliseconds, as in `tmi-sent-ts`."""
        return round((self._unix_start + self._time_source()) * 1_000)

    # -- who is there -----------------------------------------------------------------------------------------------------------

    def add_user(
        self,
        login: str,
        *,
        display_name: str = "",
        user_id: str = "",
        color: str = "",
        verified: bool = False,
        badges: tuple[str, ...] = (),
    ) -> User:
        """Add an account, or return the one there is; the id is drawn unless given."""
        login = login.lower()
        if login not in self.users:
            chosen = user_id or self._new_user_id()
            self._user_ids[chosen] = None
            self.users[login] = User(
                id=chosen,
                login=login,
                display_name=display_name or login,
                color=color,
                verified=verified,
                badges=badges,
            )
        return self.users[login]

    def _new_user_id(self) -> str:
        while True:
            candidate = str(self._id_rng.randrange(10_000_000, 1_000_000_000))
            if candidate not in self._user_ids:
                return candidate

    def add_channel(
        self,
        login: str,
        *,
        channel_id: str = "",
        moderators: tuple[str, ...] = (),
        vips: tuple[str, ...] = (),
        subscribers: Mapping[str, int] | None = None,
    ) -> Channel:
        """Add a channel and its broadcaster, with roles given by login (made when new); `subscribers` maps to months."""
        owner = self.add_user(login, user_id=channel_id)
        channel = self.channels.setdefault(owner.login, Channel(owner.id, owner.login, owner))
        channel.moderators.update(dict.fromkeys(self.add_user(name).login for name in moderators))
        channel.vips.update(dict.fromkeys(self.add_user(name).login for name in vips))
        for name, months in (subscribers or {}).items():
            channel.subscribers[self.add_user(name).login] = months
        return channel

    def grant_token(self, token: str, login: str) -> None:
        """Let `token` (with or without "oauth:") act as the account, which is made when new: every scope, for ever."""
        access, user = token.removeprefix(TOKEN_PREFIX), self.add_user(login)
        self.credentials.issue_user(
            DEFAULT_CLIENT_ID, user.login, (ALL_SCOPES,), lifetime_s=NEVER_EXPIRES, access=access
        )

    def revoke_token(self, token: str) -> None:
        """Refuse the token from the next login on; connections that are logged in stay."""
        self.credentials.revoke(token.removeprefix(TOKEN_PREFIX))

    def user_of_token(self, token: str) -> User | None:
        """Return whose token this is (without "oauth:"), or None."""
        found = self.credentials.valid(token)
        return self.users[found.login] if found is not None and found.kind == "user" else None

    def user(self, login: str) -> User:
        """Return the account; raises `UnknownName`."""
        try:
            return self.users[login.lower()]
        except KeyError:
            raise UnknownName(f"no user {login!r}; add_user first") from None

    def channel(self, login: str) -> Channel:
        """Return the channel, with or without '#'; raises `UnknownName`."""
        try:
            return self.channels[login.removeprefix("#").lower()]
        except KeyError:
            raise UnknownName(f"no channel {login!r}; add_channel first") from None

    def set_role(self, channel: str, login: str, role: str | None) -> None:
        """Make the account "moderator" or "vip" of the channel, or neither (None); Twitch allows one of the two at a time."""
        if role not in ("moderator", "vip", None):
            raise ValueError(f"role {role!r} is neither 'moderator', 'vip' nor None")
        room, user = self.channel(channel), self.add_user(login)
        was_moderator = user.login in room.moderators
        room.moderators.pop(user.login, None)
        room.vips.pop(user.login, None)
        if role is not None:
            (room.moderators if role == "moderator" else room.vips)[user.login] = None
        if was_moderator is not (role == "moderator"):
            self.emit(ModeratorChanged(room, user, not was_moderator, self.now_ms()))

    def viewer_joins(self, channel: str, login: str) -> None:
        """Put a viewer without a connection into the room."""
        room, user = self.channel(channel), self.add_user(login)
        if user.login not in room.viewers:
            room.viewers[user.login] = None
            self.emit(ViewerCame(room, user.login, here=True))

    def viewer_leaves(self, channel: str, login: str) -> None:
        """Take a viewer without a connection out of the room."""
        room, user = self.channel(channel), self.user(login)
        if room.viewers.pop(user.login, "absent") is None:
            self.emit(ViewerCame(room, user.login, here=False))

    # -- faces and observers ------------------------------------------------------------------------------------------------------

    def attach(self, face: Face) -> None:
        """Deliver everything that happens from now on to a face, in the order of attaching."""
        self._faces.append(face)

    def on_message(self, observer: Callable[[SentMessage], None]) -> Callable[[], None]:
        """Call `observer` with every message that went through (see `from_client`); returns a function that stops it."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def emit(self, happening: Happening) -> None:
        """Deliver a happening to every face; for the verbs of `stream_life` and of this class."""
        for face in self._faces:
            face(happening)

    # -- messages ---------------------------------------------------------------------------------------------------------------

    def say(
        self,
        channel: str,
        login: str,
        text: str,
        *,
        message_id: str | None = None,
        reply_to: str = "",
        is_action: bool = False,
        bits: int = 0,
    ) -> str:
        """Let the audience say something (no limits apply) and return the message id; unknown authors are made.

        The same `message_id` twice is the duplicate that Twitch may deliver. Raises `UnknownName` for the channel, `ValueError`
        for a text with CR, LF or NUL.
        """
        if "\r" in text or "\n" in text or "\0" in text:
            raise ValueError(f"a chat text cannot have CR, LF or NUL: {text!r}")
        room, user = self.channel(channel), self.add_user(login)
        return self._post(
            room,
            user,
            text,
            message_id=message_id or new_message_id(self._audience_rng),
            reply_to=reply_to,
            is_action=is_action,
            from_client=False,
            bits=bits,
        ).id

    def publish(
        self,
        channel: Channel,
        user: User,
        text: str,
        *,
        reply_to: str = "",
        is_action: bool = False,
        client_nonce: str = "",
        origin: object | None = None,
    ) -> SentMessage:
        """Post what a client sent and a face accepted: transcript, observers, delivery to all but `origin`."""
        return self._post(
            channel,
            user,
            text,
            message_id=new_message_id(self._client_rng),
            reply_to=reply_to,
            is_action=is_action,
            from_client=True,
            client_nonce=client_nonce,
            origin=origin,
        )

    def _post(
        self,
        channel: Channel,
        user: User,
        text: str,
        *,
        message_id: str,
        reply_to: str,
        is_action: bool,
        from_client: bool,
        client_nonce: str = "",
        origin: object | None = None,
        bits: int = 0,
    ) -> SentMessage:
        parent = self._parent(channel, reply_to)
        message = SentMessage(
            at_s=self.now_s(),
            channel=channel.login,
            login=user.login,
            text=text,
            reply_to=reply_to if parent is not None else "",
            id=message_id,
            is_action=is_action,
            from_client=from_client,
        )
        self._archive.add(message, parent.message if parent is not None else None)
        first = user.login not in channel.chatted
        channel.chatted[user.login] = None
        shown = self.mention(channel, reply_to) + text
        self.emit(
            ChatSaid(channel, user, message, shown, self.now_ms(), first, parent, client_nonce, origin, bits)
        )
        for observer in tuple(self._observers):
            observer(message)
        return message

    def _parent(self, channel: Channel, reply_to: str) -> ReplyParent | None:
        """Find the message a reply answers; an unknown one makes it an ordinary message."""
        message = self._answered(channel, reply_to)
        if message is None:
            return None
        root = self._archive.thread_root(message)
        return ReplyParent(message, self.users[message.login], root.id, self.users[root.login])

    def mention(self, channel: Channel, reply_to: str) -> str:
        """Return what Twitch puts before the text of a reply, "@Name " (seen in recorded lines), or nothing."""
        message = self._answered(channel, reply_to)
        return "" if message is None else f"@{self.users[message.login].display_name} "

    def _answered(self, channel: Channel, reply_to: str) -> SentMessage | None:
        message = self._archive.find(reply_to) if reply_to else None
        return message if message is not None and message.channel == channel.login else None

    def said_before(self, channel: Channel, text: str) -> bool:
        """Say whether a recent message of the channel has exactly this text (unique-chat mode)."""
        return self._archive.said_in(channel.login, text)

    def recent_message(self, message_id: str) -> SentMessage | None:
        """Return one of the recent messages, or None."""
        return self._archive.find(message_id)

    # -- moderation ---------------------------------------------------------------------------------------------------------------

    def timeout(
        self, channel: str, login: str, duration_s: int, *, moderator: str = "", reason: str = ""
    ) -> None:
        """Silence the account for whole seconds and remove its messages from view."""
        room, user = self.channel(channel), self.add_user(login)
        room.bans[user.login] = self.now_s() + duration_s
        self.emit(ChatCleared(room, self.now_ms(), user, duration_s, self._actor(room, moderator), reason))

    def ban(self, channel: str, login: str, *, moderator: str = "", reason: str = "") -> None:
        """Silence the account until `unban`."""
        room, user = self.channel(channel), self.add_user(login)
        room.bans[user.login] = float("inf")
        self.emit(ChatCleared(room, self.now_ms(), user, None, self._actor(room, moderator), reason))

    def unban(self, channel: str, login: str, *, moderator: str = "") -> None:
        """End a ban or a timeout; chat shows nothing."""
        room, user = self.channel(channel), self.add_user(login)
        if room.bans.pop(user.login, 0.0) > self.now_s():
            self.emit(BanLifted(room, user, self._actor(room, moderator), self.now_ms()))

    def _actor(self, channel: Channel, moderator: str) -> User:
        return self.add_user(moderator) if moderator else channel.owner

    def clear_chat(self, channel: str) -> None:
        """Remove every message from view."""
        self.emit(ChatCleared(self.channel(channel), self.now_ms()))

    def delete_message(self, message_id: str) -> None:
        """Delete one recent message; raises `UnknownName`."""
        message = self._archive.forget(message_id)
        if message is None:
            raise UnknownName(f"no message {message_id!r} among the {self._archive.recent_max} newest")
        self.emit(MessageDeleted(self.channel(message.channel), self.now_ms(), message))

    def refuse_messages(self, channel: str, login: str, notice_id: str | None) -> None:
        """Answer every message of the account in the channel with this NOTICE id (see `notices`); None ends it."""
        room, user = self.channel(channel), self.add_user(login)
        if notice_id is None:
            room.refusals.pop(user.login, None)
        else:
            room.refusals[user.login] = notice_id

    def suspend_channel(self, channel: str, suspended: bool = True) -> None:
        """Suspend the channel, or end it: joins and messages get msg_channel_suspended."""
        self.channel(channel).suspended = suspended

    def grant_channel_bot(self, channel: str, login: str) -> None:
        """Grant `channel:bot` to the account: the channel no longer counts among its 100."""
        self.channel(channel).granted_bots[self.add_user(login).login] = None

    def set_modes(
        self,
        channel: str,
        *,
        emote_only: bool | None = None,
        followers_only: int | None = None,
        r9k: bool | None = None,
        slow_s: int | None = None,
        subs_only: bool | None = None,
    ) -> None:
        """Change chat modes (`followers_only` in minutes, -1 off; `slow_s` in seconds, 0 off); None leaves one as it is."""
        room = self.channel(channel)
        changed: dict[str, str] = {}
        if emote_only is not None:
            room.modes.emote_only, changed["emote-only"] = emote_only, str(int(emote_only))
        if followers_only is not None:
            room.modes.followers_only, changed["followers-only"] = followers_only, str(followers_only)
        if r9k is not None:
            room.modes.r9k, changed["r9k"] = r9k, str(int(r9k))
        if slow_s is not None:
            room.modes.slow_s, changed["slow"] = slow_s, str(slow_s)
        if subs_only is not None:
            room.modes.subs_only, changed["subs-only"] = subs_only, str(int(subs_only))
        if changed:
            self.emit(RoomChanged(room, changed))

    # -- notices to the room --------------------------------------------------------------------------------------------------------

    def subscribe(
        self, channel: str, login: str, *, months: int = 1, plan: str = "1000", text: str = ""
    ) -> None:
        """Let the account subscribe for its `months`-th month; `plan` is "1000", "2000", "3000" or "Prime"."""
        room, user = self.channel(channel), self.add_user(login)
        room.subscribers[user.login] = months
        how = "with Twitch Prime" if plan == "Prime" else f"at Tier {plan[0]}"
        system = f"{user.display_name} subscribed {how}."
        if months > 1:
            system += f" They've subscribed for {months} months!"
        params = {
            "cumulative-months": str(months),
            "months": "0",
            "should-share-streak": "0",
            "sub-plan-name": f"Channel Subscription ({room.login})",
            "sub-plan": plan,
        }
        self.notice(room, user, "sub" if months == 1 else "resub", system, text, params)

    def raid(self, channel: str, login: str, viewers: int) -> None:
        """Let the account's stream raid the channel with this many viewers."""
        room, user = self.channel(channel), self.add_user(login)
        params = {
            "displayName": user.display_name,
            "login": user.login,
            "profileImageURL": "https://static-cdn.jtvnw.net/jtv_user_pictures/none-profile_image-70x70.png",
            "viewerCount": str(viewers),
        }
        self.notice(
            room, user, "raid", f"{viewers} raiders from {user.display_name} have joined!", "", params
        )

    def announce(self, channel: str, login: str, text: str, *, color: str = "PRIMARY") -> None:
        """Post an announcement; `color` is PRIMARY, BLUE, GREEN, ORANGE or PURPLE."""
        room, user = self.channel(channel), self.add_user(login)
        self.notice(room, user, "announcement", "", text, {"color": color})

    def notice(
        self, channel: Channel, user: User, kind: str, system_text: str, text: str, params: Mapping[str, str]
    ) -> None:
        """Post a USERNOTICE of the kind `kind` (Twitch's msg-id); for the verbs of `stream_life` and of this class."""
        notice_id = new_message_id(self._audience_rng)
        self.emit(Noticed(channel, user, kind, notice_id, self.now_ms(), system_text, text, params))
