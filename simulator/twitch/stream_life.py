"""Verbs about the broadcast and its community: on and off the air, title and category, follows, cheers, gifted subscriptions.

They change the `TwitchState` they are given and emit what every face may tell, as the verbs of the state itself do. A raid or an own
subscription is a verb of the state, because chat shows it. Amounts are whole numbers; tiers are Twitch's "1000", "2000", "3000".
"""

from __future__ import annotations

import random

from simulator.twitch.events import Channel, ChannelUpdated, Followed, LiveStream, StreamChanged
from simulator.twitch.state import TwitchState


class StreamLife:
    """The verbs, for one state; `rng` draws stream ids."""

    def __init__(self, state: TwitchState, rng: random.Random) -> None:
        self._state = state
        self._rng = rng

    def go_live(self, channel: str, *, viewer_count: int = 0) -> LiveStream:
        """Put the channel on the air; the same stream goes on if it is there. Raises `UnknownName`."""
        room = self._state.channel(channel)
        if room.stream is None:
            stream_id = str(self._rng.randrange(10_000_000_000, 100_000_000_000))
            room.stream = LiveStream(stream_id, self._state.now_ms(), viewer_count)
            self._state.emit(StreamChanged(room, room.stream, live=True, sent_ms=self._state.now_ms()))
        return room.stream

    def go_offline(self, channel: str) -> None:
        """End the broadcast, if there is one. Raises `UnknownName`."""
        room = self._state.channel(channel)
        ended, room.stream = room.stream, None
        if ended is not None:
            self._state.emit(StreamChanged(room, ended, live=False, sent_ms=self._state.now_ms()))

    def update(
        self,
        channel: str,
        *,
        title: str | None = None,
        game_id: str | None = None,
        game_name: str | None = None,
        language: str | None = None,
    ) -> Channel:
        """Change what the channel shows about itself; None leaves one as it is. Raises `UnknownName`."""
        room = self._state.channel(channel)
        before = (room.title, room.game_id, room.game_name, room.language)
        room.title = room.title if title is None else title
        room.game_id = room.game_id if game_id is None else game_id
        room.game_name = room.game_name if game_name is None else game_name
        room.language = room.language if language is None else language
        if (room.title, room.game_id, room.game_name, room.language) != before:
            self._state.emit(ChannelUpdated(room, self._state.now_ms()))
        return room

    def follow(self, channel: str, login: str) -> None:
        """Let the account, which is made when new, follow the channel; following twice tells nobody."""
        room, user = self._state.channel(channel), self._state.add_user(login)
        if user.login not in room.followers:
            room.followers[user.login] = None
            room.followed_ms[user.login] = self._state.now_ms()
            self._state.emit(Followed(room, user, self._state.now_ms()))

    def cheer(self, channel: str, login: str, bits: int, text: str = "") -> str:
        """Let the account cheer with a message ("Cheer100 text"); return the message's id. Raises `ValueError` below 1 bit."""
        if bits < 1:
            raise ValueError(f"a cheer has at least one bit, got {bits}")
        return self._state.say(channel, login, f"Cheer{bits} {text}".strip(), bits=bits)

    def gift(self, channel: str, login: str, recipients: tuple[str, ...], *, tier: str = "1000") -> None:
        """Let the account give subscriptions to the recipients: one notice for a gift of several, and one for each."""
        if not recipients:
            raise ValueError("a gift needs at least one recipient")
        state = self._state
        room, giver = state.channel(channel), state.add_user(login)
        at = f"Tier {tier[0]}"
        together: dict[str, str] = {}
        if len(recipients) > 1:
            together["community-gift-id"] = str(self._rng.randrange(10**18, 10**19))
            words = (
                f"{giver.display_name} is gifting {len(recipients)} {at} Subs to {room.login}'s community!"
            )
            params = {"mass-gift-count": str(len(recipients)), "sub-plan": tier, **together}
            state.notice(room, giver, "submysterygift", words, "", params)
        for name in recipients:
            receiver = state.add_user(name)
            room.subscribers.setdefault(receiver.login, 1)
            params = {
                "gift-months": "1",
                "months": "1",
                "recipient-display-name": receiver.display_name,
                "recipient-id": receiver.id,
                "recipient-user-name": receiver.login,
                "sub-plan-name": f"Channel Subscription ({room.login})",
                "sub-plan": tier,
                **together,
            }
            words = f"{giver.display_name} gifted a {at} sub to {receiver.display_name}!"
            state.notice(room, giver, "subgift", words, "", params)
