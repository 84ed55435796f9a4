"""Measuring a Twitch bot on real sockets: the load, the fakes, the figures, the report."""
