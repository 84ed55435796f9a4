"""Conditions that somebody waits for, looked at once an instant: when all that happens at it has happened.

How it works. The loop calls `look` whenever it is about to move its clock. Who waits for a condition that holds then is woken, still
at that instant. So nothing is polled: an hour in which nothing happens costs nothing, and what happens is seen to the microsecond.

What it leaves out: a condition that holds within an instant only is not seen; one that depends on the clock alone
(``loop.time() > 5``) is seen when something happens next: what waits for an instant is `asyncio.sleep`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Watches:
    """Everybody who waits for a condition in one loop, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def until(self, condition: Callable[[], bool], within_s: float | None = None) -> bool:
        """Return at the end of the first instant at which ``condition()`` holds, the present one included.

        False if it does not within ``within_s`` virtual seconds (None: for ever). What the condition raises comes out here.
        """
        entry = (condition, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(within_s):
                await entry[1]
        except TimeoutError:
            return condition()
        finally:
            self._waiting.remove(entry)
        return True

    def look(self) -> bool:
        """Wake whoever waits for what holds now; say whether anybody was."""
        woken = False
        for condition, future in tuple(self._waiting):
            # Done, and still here: its task was cancelled or killed, or has not run since.
            if future.done():
                continue
            try:
                holds = condition()
            except Exception as error:
                # Looked at in the loop's name: it is theirs to hear who wait.
                future.set_exception(error)
                woken = True
            else:
                if holds:
                    future.set_result(None)
                    woken = True
        return woken
