"""A fake Supabase: PostgREST's request language over an in-memory SQLite, with faults, for tests of any client.

    request ──▶ faces.py / sockets.py (faults of the network) ──▶ server.py (keys, routing, counters)
                    ──▶ query.py (what is asked) ──▶ engine.py (SQLite) or rpc.py (SQL functions) ──▶ answer

The tables come from real schema files (`schema.py`); errors are PostgREST's own words (`errors.py`).
"""
