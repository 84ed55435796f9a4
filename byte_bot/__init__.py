"""Byte Bot: a Twitch chat bot that keeps chatting, and keeps what it was told, while its database is down.

Start with ``byte-bot --help``. To extend the bot, see :mod:`byte_bot.components.api`.
"""

from __future__ import annotations

__version__ = "0.1.0"
