"""The conduits' part of a snapshot: taken, and put back.

What was taken while its sessions are connected is put back exactly, shards included; a shard whose session is gone comes back disabled, as
Twitch would have it. Subscriptions that were put back keep their ids. What a snapshot does not name goes: its subscriptions are
disabled, as those of a conduit that is deleted.

Left out: since when a conduit has been without an enabled shard (its 72 hours begin anew), and subscriptions that were disabled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from simulator.twitch.conduits import Conduit, Conduits, Shard
from simulator.twitch.snapshot_parts import ConduitPart, ConduitSubscriptionPart, ShardPart


def take_conduits(conduits: Conduits) -> list[ConduitPart]:
    """The conduits as they are now."""
    return [
        ConduitPart(
            id=conduit.id,
            client_id=conduit.client_id,
            shard_count=conduit.shard_count,
            shards=[
                ShardPart(
                    id=shard.index,
                    session_id=shard.session_id,
                    connected_at=shard.connected_at,
                    status=shard.status,
                    disconnected_at=shard.disconnected_at,
                )
                for _, shard in sorted(conduit.shards.items())
            ],
            subscriptions=[
                ConduitSubscriptionPart(
                    id=one.id,
                    type=one.kind.name,
                    version=one.kind.version,
                    condition=dict(one.condition),
                    created_at=one.created_at,
                )
                for one in conduits.subscriptions(conduit)
            ],
        )
        for conduit in conduits.everything()
    ]


def restore_conduits(conduits: Conduits, parts: Iterable[ConduitPart], sound: Callable[[str], bool]) -> None:
    """Make the conduits equal to these; `sound` says whether a session is connected."""
    for conduit in conduits.everything():
        conduits.remove(conduit)
    for part in parts:
        shards = {
            shard.id: Shard(
                shard.id, shard.session_id, shard.connected_at, shard.status, shard.disconnected_at
            )
            for shard in part.shards
        }
        conduit = Conduit(part.id or conduits.new_id(), part.client_id, part.shard_count, shards=shards)
        conduits.put_back(conduit, sound)
        for one in part.subscriptions:
            conduits.put_back_subscription(
                conduit, (one.type, one.version), one.condition, id_=one.id, created_at=one.created_at
            )
