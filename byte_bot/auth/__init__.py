"""Who the bot is at Twitch: its user token, how it is got, kept, refreshed and given up."""
