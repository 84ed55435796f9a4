"""Chat: what Twitch says to the bot and what the bot says to Twitch, whatever the wire in between."""
