"""Entering and leaving: what was opened is given back, whatever happens."""

from __future__ import annotations

import pytest

from simulator.listening import Listening


class House(Listening):
    """Opens two doors, or fails at the second."""

    def __init__(self, *, stuck: bool = False) -> None:
        super().__init__()
        self._stuck = stuck
        self.happened: list[str] = []

    async def _listen(self) -> None:
        for door in ("front", "back"):
            if self._stuck and door == "back":
                raise OSError("stuck")
            self.happened.append(f"{door} opened")
            self._resources.callback(self.happened.append, f"{door} closed")


async def live_in(house: House) -> None:
    """Enter, look, and fail."""
    async with house as entered:
        assert entered is house
        assert house.happened == ["front opened", "back opened"]
        raise ValueError("fire")


async def test_what_was_opened_is_closed_at_the_end_in_reverse_order() -> None:
    """Also when the body of the context fails."""
    house = House()
    with pytest.raises(ValueError, match="fire"):
        await live_in(house)
    assert house.happened[2:] == ["back closed", "front closed"]


async def test_what_fails_half_way_leaves_nothing_open() -> None:
    """The failure comes out after everything is closed."""
    house = House(stuck=True)
    with pytest.raises(OSError, match="stuck"):
        await live_in(house)
    assert house.happened == ["front opened", "front closed"]
