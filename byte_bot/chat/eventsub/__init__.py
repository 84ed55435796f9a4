"""Twitch's EventSub: chat comes as events over a WebSocket and is answered through Helix, by way of TwitchIO 3."""
