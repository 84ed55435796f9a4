"""What a human has to do about the token: said in the log at once, again when it gets worse, then every hour, until it is settled.

A complaint has a subject (``token``, ``file``, ``application``); each has one at a time. What the bot can still do is part of what is
said: when the old token has run out too, that is news.
"""

from __future__ import annotations

import structlog
from msgspec import Struct

from byte_bot.auth.user_token import NEVER, UserToken
from byte_bot.clock import iso_utc

_log = structlog.get_logger(__name__)


class _Complaint(Struct):
    why: str
    what_to_do: str
    meaning: str = ""
    said_at: float = 0.0


class Complaints:
    """See the module's docstring; times are the loop's.

    Args:
        remind_s: seconds until a complaint is repeated.
    """

    def __init__(self, remind_s: float) -> None:
        self._remind_s = remind_s
        self._by_subject: dict[str, _Complaint] = {}

    def __bool__(self) -> bool:
        return bool(self._by_subject)

    def make(self, subject: str, why: str, what_to_do: str) -> None:
        """Complain about ``subject``; :meth:`say` brings it into the log."""
        known = self._by_subject.get(subject)
        if known is None or known.why != why:
            self._by_subject[subject] = _Complaint(why, what_to_do)

    def settle(self, *subjects: str) -> None:
        """These are as they should be; a line in the log if they were not."""
        settled = [subject for subject in subjects if self._by_subject.pop(subject, None) is not None]
        if settled:
            _log.info("token_works_again", settled=", ".join(settled))

    def say(self, now: float, usable: UserToken | None) -> None:
        """Write what is new, what has got worse, and what is due again.

        Args:
            now: the loop's time.
            usable: the token that the bot can go on with meanwhile.
        """
        meaning = f"the bot goes on until {until(usable)}" if usable else "the bot waits for a new token"
        for complaint in self._by_subject.values():
            if complaint.meaning != meaning or now >= complaint.said_at + self._remind_s:
                complaint.meaning, complaint.said_at = meaning, now
                _log.error(
                    "token_unusable",
                    why=complaint.why,
                    what_it_means=meaning,
                    what_to_do=complaint.what_to_do,
                )


def until(token: UserToken) -> str:
    """When a token ends, for a human."""
    return "Twitch refuses its token" if token.expires_at == NEVER else iso_utc(token.expires_at)
