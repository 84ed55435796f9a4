"""Safeguard: the window of handled messages is journaled. Twitch may repeat a message to the process that comes after."""

from __future__ import annotations

from simulator.world import World, play
from tests.safeguards.journal_variants import NoWindow, application_on
from tests.safeguards.variants import broken


async def repeated_after_a_crash(world: World) -> None:
    """Twitch delivers a command, the process counts it, answers and dies; Twitch delivers it to the next one again."""
    world.start_bot()
    await world.joined()
    said = world.say("mod", "!count deaths +1")
    await world.until(lambda: world.chat.answer_to(said) is not None)
    world.crash_bot()
    world.start_bot()
    await world.joined()
    world.say("mod", "!count deaths +1", message_id=said)
    assert await world.ask("viewer", "!ping") == "Pong!"
    await world.converge()
    world.judge()


def test_the_next_process_passes_over_it() -> None:
    """With the window it counts once, and is answered once."""

    async def story(world: World) -> None:
        await repeated_after_a_crash(world)
        assert world.counter("lobby", "deaths") == 1

    play(story)


def test_without_it_a_repeated_message_counts_twice() -> None:
    """Without it the next process takes it for a new one; and no reply waited for it to be remembered."""

    async def story(world: World) -> None:
        await repeated_after_a_crash(world)
        assert world.counter("lobby", "deaths") == 2
        assert broken(world) == ["agreement", "answered_once", "gated", "remembers"]

    play(story, strict=False, application=application_on(NoWindow))
