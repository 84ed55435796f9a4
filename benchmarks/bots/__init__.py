"""Three small Twitch bots that count in a Supabase table, as people write them; the difference is when they save."""
