"""What the stock supabase client must be able to do on every face, unmodified."""

from __future__ import annotations

import pytest
from postgrest.exceptions import APIError
from postgrest.types import CountMethod
from supabase import AsyncClient

EVENTS = [
    {
        "id": f"e{number}",
        "at": f"2026-01-01T00:00:0{number}Z",
        "kind": "odd" if number % 2 else "even",
        "data": {"n": number},
    }
    for number in range(6)
]


async def exercise(client: AsyncClient) -> None:
    """Insert, select, patch, upsert, delete, rpc, single, errors: with the answers a real project gives."""
    await _writes(client)
    await _reads(client)
    await _singles(client)
    await _functions(client)
    await _errors(client)


async def _writes(client: AsyncClient) -> None:
    inserted = await client.table("bot_events").insert(EVENTS).execute()
    assert [row["id"] for row in inserted.data] == [event["id"] for event in EVENTS]

    config = {"login": "somebody", "language": "pt-br"}
    (row,) = (await client.table("channels_config").insert(config).execute()).data
    assert (row["enabled"], row["paused"], row["prefix"], row["edit_no"]) == (True, False, None, 0)
    (row,) = (
        await client.table("channels_config").update({"paused": True}).eq("login", "somebody").execute()
    ).data
    assert row["paused"] is True

    merged = await client.table("channels_config").upsert({"login": "somebody", "prefix": "?"}).execute()
    assert (merged.data[0]["prefix"], merged.data[0]["language"]) == ("?", "pt-br")
    both = [{"login": "somebody", "prefix": "#"}, {"login": "other", "prefix": "$"}]
    ignored = (
        await client.table("channels_config")
        .upsert(both, ignore_duplicates=True, on_conflict="login")
        .execute()
    )
    assert [row["login"] for row in ignored.data] == ["other"]

    deleted = await client.table("channels_config").delete().in_("login", ["other", "no, body"]).execute()
    assert [row["login"] for row in deleted.data] == ["other"]


async def _reads(client: AsyncClient) -> None:
    events = client.table("bot_events")
    page = await events.select("id", count=CountMethod.exact).order("id", desc=True).limit(2).execute()
    assert (page.data, page.count) == ([{"id": "e5"}, {"id": "e4"}], 6)
    page = await events.select("id,n:data->n").in_("id", ["e1", "e3"]).order("id").execute()
    assert page.data == [{"id": "e1", "n": 1}, {"id": "e3", "n": 3}]
    page = await events.select("id").gt("id", "e2").neq("kind", "even").order("id").execute()
    assert page.data == [{"id": "e3"}, {"id": "e5"}]
    page = await events.select("id").or_("id.eq.e0,and(kind.eq.odd,id.lt.e2)").order("id").execute()
    assert page.data == [{"id": "e0"}, {"id": "e1"}]
    page = await events.select("id").not_.like("id", "e*").execute()
    assert page.data == []
    page = await events.select("id").order("id").range(4, 9).execute()
    assert page.data == [{"id": "e4"}, {"id": "e5"}]
    head = await events.select("*", count=CountMethod.exact, head=True).eq("kind", "odd").execute()
    assert (head.data, head.count) == ([], 3)


async def _singles(client: AsyncClient) -> None:
    configs = client.table("channels_config")
    one = await configs.select("login,paused").eq("login", "somebody").single().execute()
    assert one.data == {"login": "somebody", "paused": True}
    found = await configs.select("login").eq("login", "somebody").maybe_single().execute()
    assert found is not None
    assert found.data == {"login": "somebody"}
    assert await configs.select("login").eq("login", "nobody").maybe_single().execute() is None
    with pytest.raises(APIError) as caught:
        await configs.select("login").eq("login", "nobody").single().execute()
    assert (caught.value.code, caught.value.details) == ("PGRST116", "The result contains 0 rows")


async def _functions(client: AsyncClient) -> None:
    epoch = await client.rpc("byte_bot_take_epoch", {"p_holder": "test", "p_seen": 0}).execute()
    assert epoch.data == 1
    row = {"table": "component_state", "channel_id": "1", "key": "deaths", "version": 1, "data": {"total": 2},
           "tombstones": {}, "revision": 1, "edit_no": None}  # fmt: skip
    arguments = {"p_epoch": 1, "p_rows": [row], "p_patches": [], "p_history": [], "p_events": []}
    saved = await client.rpc("byte_bot_save", arguments).execute()
    assert saved.data == {"status": "ok", "epoch": 1, "saved": 1, "refused": []}
    stored = await client.table("component_state").select("data,revision").eq("channel_id", "1").execute()
    assert stored.data == [{"data": {"total": 2}, "revision": 1}]


async def _errors(client: AsyncClient) -> None:
    for request, code in (
        (client.table("bot_events").insert(EVENTS[0]), "23505"),
        (client.table("bot_events").insert({"id": "x", "nope": 1}), "PGRST204"),
        (client.table("nowhere").select("*"), "PGRST205"),
        (client.table("bot_events").select("nope"), "42703"),
        (client.table("channels_config").update({"language": "xx"}).eq("login", "somebody"), "23514"),
    ):
        with pytest.raises(APIError) as caught:
            await request.execute()
        assert caught.value.code == code
    with pytest.raises(APIError) as caught:
        await client.rpc("byte_bot_save", {"p_wrong": 1}).execute()
    assert caught.value.code == "PGRST202"
