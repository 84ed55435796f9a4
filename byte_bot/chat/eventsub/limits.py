"""Deadlines and bounds of EventSub and Helix, each with where it comes from."""

from __future__ import annotations

import msgspec


class EventSubLimits(msgspec.Struct, frozen=True):
    """What the transport waits for, how long, and how much of it Twitch allows; times in seconds."""

    # dev.twitch.tv/docs/eventsub/handling-websocket-events: per client id and user 3 sockets, 300 subscriptions on each.
    sockets_max: int = 3
    subscriptions_per_socket_max: int = 300
    # dev.twitch.tv/docs/chat/#rate-limits: chats at once, where the account is neither moderator nor was granted channel:bot.
    unmoderated_chats_max: int = 100

    # The least that Twitch offers (10 to 600): a dead socket is noticed soonest.
    keepalive_s: int = 10
    # Chosen: a keepalive that is this late has been lost; an ordinary line delays it by far less.
    keepalive_grace_s: float = 5.0
    # How often the watchdog looks. Chosen: cheap, and short against the deadline it watches.
    watchdog_tick_s: float = 1.0
    # TCP, TLS, HTTP upgrade and the welcome. Chosen: three SYN retransmissions (1 + 2 + 4 s) fit, and Twitch's welcome.
    connect_timeout_s: float = 15.0
    close_timeout_s: float = 1.0
    # How long the old socket is still read once the new one is welcomed. Chosen: two lines are not in step, and a lost packet is sent
    # again within a second; Twitch leaves the old one open for 30 s after it asked.
    linger_s: float = 2.0

    # One request to Helix, from connecting to the last byte. Chosen: a reply may be 15 s old at most.
    helix_timeout_s: float = 10.0
    # A 429 without a Ratelimit-Reset, or with one that lies, is waited for this long. Helix's bucket refills within a minute.
    throttle_default_s: float = 1.0
    throttle_max_s: float = 60.0
    # How often one request waits for its bucket before it is given up.
    throttles_max: int = 3

    # How often a token that nobody has validated yet is looked at again. Chosen: the authorization server was away a moment ago.
    validated_look_s: float = 1.0

    # Revoked ids remembered until the answer that tells whose they are. All that an account can have: 3 x 300.
    revoked_max: int = 900

    # GET /users takes so many logins.
    resolve_max: int = 100
    # Channels whose subscriptions are being made at once. Chosen: 180 channels in about a minute of Helix's points, and a
    # new session has its first subscription well within Twitch's 10 s.
    asks_max: int = 4
    # As the IRC transport does with a JOIN: three attempts, then one a minute.
    join_attempts_max: int = 3
    join_again_s: float = 5.0
    join_retry_s: float = 60.0
    # How often the list of channels where the bot is moderator is read. Chosen: a promotion counts within ten minutes even
    # in a channel where the bot says nothing (its own messages tell it at once).
    moderated_refresh_s: float = 600.0

    # Upper bounds of the pauses between attempts (full jitter), and how long a session must live to count as good; as for IRC.
    reconnect_base_s: float = 1.0
    reconnect_max_s: float = 30.0
    stable_after_s: float = 30.0

    # Ids of notifications remembered. Twitch repeats one within seconds; chosen above ten seconds of the busiest chats.
    seen_max: int = 5_000
