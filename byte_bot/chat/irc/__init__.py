"""Twitch's IRC: a pure line codec, a pure session, and the thin client that owns the socket."""
