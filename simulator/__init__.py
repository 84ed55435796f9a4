"""A fake Twitch, a fake Supabase, virtual time and faults, for any Twitch bot.

Nothing here knows `byte_bot`, except `world.py`, `cli.py` and what they need. A world is one seed: the loop
(`loop.py`) owns its time, `rng.py` its randomness, `network.py` its connections, `trace.py` its fingerprint.
"""
