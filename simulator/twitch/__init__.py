"""Fake Twitch: one shared state (users, channels, tokens, bans) behind faces that speak Twitch's protocols; see `state` and `irc`."""

from __future__ import annotations
