"""Scripts that a scenario file can name: what happens in a night beside its crowds and faults, in an order no timeline can say.

A script gets the world: a human who changes one number in a row must see the row first, and what happens on Twitch beside chat
is neither a crowd nor a fault. What can be said as data stands in the file. Scripts of tests are given to a ``Scenario`` in
Python and have no name here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulator.scenario import Script

if TYPE_CHECKING:
    from simulator.world import World

#: Seconds between two edits of `edit_by_hand`.
EDIT_EVERY_S = 7.0
#: Seconds until the `hype_train` departs, and between its first and its fastest gifts.
DEPARTURE_S, SLOWEST_S, FASTEST_S = 15.0, 1.0, 0.1
GIFTS = 60
#: When a row is poisoned and corrected; above the highest epoch that the bot believes, 2**54.
POISONED_S, CORRECTED_S, EPOCH_OF_THE_DUMP = 12.0, 40.0, 2**54 + 1
#: When the bot gets a new token.
NEW_TOKEN_S = 35.0
#: How often somebody looks whether the bot has written that it needs a new login.
LOOKS_EVERY_S = 7.0


async def edit_by_hand(world: World) -> None:
    """A human keeps changing rows of the first two channels: a counter of their own, the vibe, a pause, the language."""
    channels = world.scenario.channels[:2]
    for number in range(1, int(world.scenario.duration_s / EDIT_EVERY_S)):
        await asyncio.sleep(EDIT_EVERY_S)
        channel_id = world.channels[channels[number % len(channels)]]
        where = {"channel_id": channel_id}
        counters = world.stored("component_state", channel_id, "counters")
        if counters is not None:
            values = {**counters.get("values", {}), "falls": number}
            world.supabase.human_update(
                "component_state", {**where, "key": "counters"}, {"data": {**counters, "values": values}}
            )
        stream = world.stored("channel_state", channel_id)
        if stream is not None:
            world.supabase.human_update(
                "channel_state", where, {"data": {**stream, "vibe": f"edit {number}"}}
            )
        world.supabase.human_update(
            "channels_config",
            {"login": channels[0]},
            {"paused": number % 4 == 0, "language": "pt-br" if number % 2 else "en"},
        )
    world.supabase.human_update("channels_config", {"login": channels[0]}, {"paused": False})


async def hype_train(world: World) -> None:
    """Subscriptions, gifts and cheers come faster and faster in the first channel, and at the end another stream's raid."""
    channel, twitch = world.scenario.channels[0], world.twitch
    await asyncio.sleep(DEPARTURE_S)
    for number in range(1, GIFTS + 1):
        await asyncio.sleep(max(FASTEST_S, SLOWEST_S - number / 50))
        match number % 3:
            case 0:
                twitch.subscribe(channel, f"rider_{number}", months=1 + number % 12, text="choo choo")
            case 1:
                world.life.cheer(channel, f"rider_{number}", 100 * number, "for the train")
            case _:
                world.life.gift(channel, f"rider_{number}", (f"guest_{number}", f"guest_{number + 1}"))
    twitch.raid(channel, "another_stream", viewers=300)


async def poisoned_row(world: World) -> None:
    """Somebody restores a dump: the first channel's quotes have an epoch that no bot can overtake, until a human enters them anew."""
    channel_id = world.channels[world.scenario.channels[0]]
    where = {"channel_id": channel_id, "key": "quotes"}
    await asyncio.sleep(POISONED_S)
    # Past the trigger that guards the stamps, which is for humans in the table editor.
    statement = "UPDATE component_state SET epoch = ? WHERE channel_id = ? AND key = ?"
    world.supabase.engine.connection.execute(statement, (EPOCH_OF_THE_DUMP, *where.values()))
    await asyncio.sleep(CORRECTED_S - POISONED_S)
    row = world.supabase.view("component_state")[channel_id, "quotes"]
    world.supabase.human_delete("component_state", where)
    kept = {name: row[name] for name in ("version", "data", "tombstones")}
    world.supabase.human_insert("component_state", {**where, **kept})


async def new_token(world: World) -> None:
    """Some time after the bot's token has run out a human gives it a new one, which takes a new start."""
    await asyncio.sleep(NEW_TOKEN_S)
    world.twitch.grant_token(world.faces.settings()["twitch_token"], world.bot_login)
    if world.bot_runs:
        await world.restart_bot()
    else:
        world.start_bot()


async def log_in_anew(world: World) -> None:
    """Somebody who looks at the bot's log now and then plays `byte-bot login` when its token cannot be renewed any more."""
    while (left_s := world.scenario.duration_s - world.loop.time()) > 0:
        await asyncio.sleep(min(LOOKS_EVERY_S, left_s))
        world.faces.log_in_if_needed()


SCRIPTS: Mapping[str, Script] = {
    script.__name__: script for script in (edit_by_hand, hype_train, log_in_anew, new_token, poisoned_row)
}
