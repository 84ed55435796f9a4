"""The search for a night that breaks the bot: many seeds, each a world of its own, judged, grouped, counted, played again."""
