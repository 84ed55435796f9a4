"""Deadlines and bounds of one IRC connection, each with where it comes from."""

from __future__ import annotations

import msgspec


class SessionLimits(msgspec.Struct, frozen=True):
    """What a session waits for and how long; times in seconds."""

    # Twitch welcomes within a fraction of a second; 10 is chosen for a bad line and a busy server.
    welcome_within_s: float = 10.0
    # Chosen: a dead socket is noticed within 40 s, at the cost of two small lines in a silent half minute.
    ping_idle_s: float = 30.0
    pong_within_s: float = 10.0
    # Clients wait 2 to 10 s for the answer to a JOIN; the longer one, because asking again costs a place in
    # the window.
    join_answer_s: float = 10.0
    join_attempts_max: int = 3
    # After ``join_attempts_max`` attempts. Chosen: a suspended channel costs one JOIN a minute.
    join_retry_s: float = 60.0
    # RFC 1459 section 2.3: 512 bytes with CR LF. Twitch takes more, but nothing promises how much.
    join_line_bytes_max: int = 510
