"""Done when: a chat client that nobody here wrote asks, and the shipped bot answers, all of it through real sockets.

The client is ``irc`` from the package index, unmodified; ``byte-sim serve`` and ``byte-bot run`` are processes of their
own. Neither side can have been fitted to the other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from irc.client import Event, Reactor

from tests.clients.programs import POLL_S, Fakes, bot, until


class Chatter:
    """A person at that client: what arrived, and ways to wait for more of it."""

    def __init__(self, fakes: Fakes, login: str) -> None:
        self._events: list[Event] = []
        self._reactor = Reactor()
        self._reactor.add_global_handler("all_events", lambda _, event: self._events.append(event))
        self.connection = self._reactor.server()
        token = fakes.twitch["moderators"][login]
        self.connection.connect(fakes.irc["host"], fakes.irc["port"], login, password=token)

    def until(self, kind: str, **fields: Any) -> Event:
        """Wait for the first event of this kind with these fields that was not waited for yet."""

        def look() -> Event | None:
            self._reactor.process_once(timeout=POLL_S)
            for event in self._events:
                if event.type == kind and all(
                    getattr(event, name) == value for name, value in fields.items()
                ):
                    self._events.remove(event)
                    return event
            return None

        return until(look, f"{kind} {fields}")

    def close(self) -> None:
        """Leave."""
        self.connection.disconnect("bye")


def test_an_unmodified_client_asks_and_the_shipped_bot_answers(fakes: Fakes, tmp_path: Path) -> None:
    """It logs in to byte-sim serve, joins, says "!count deaths +1", and reads the answer of byte-bot run."""
    with bot(tmp_path, fakes.variables()):
        fakes.wait_for_bot()
        room, moderator = f"#{fakes.channel}", Chatter(fakes, "mod_1")
        try:
            moderator.until("endofmotd")
            moderator.connection.cap("REQ", "twitch.tv/tags")
            moderator.connection.join(room)
            moderator.until("join", target=room)

            moderator.connection.privmsg(room, "!count deaths +1")
            answer = moderator.until("pubmsg", target=room)
            assert (answer.source.nick, answer.arguments[0]) == (fakes.twitch["login"], "@mod_1 deaths: 1")
            tags = {tag["key"]: tag["value"] for tag in answer.tags}
            assert tags["reply-parent-user-login"] == "mod_1"

            moderator.connection.privmsg(room, "!count deaths +1")
            assert moderator.until("pubmsg").arguments[0] == "@mod_1 deaths: 2"
        finally:
            moderator.close()
        until(
            lambda: fakes.stored("counters") == {"values": {"deaths": 2}} or None, "the count in the database"
        )
