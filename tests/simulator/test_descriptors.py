"""Real descriptors come in a fixed order, and pure mode has none."""

from __future__ import annotations

import selectors
import socket

import pytest

from simulator.descriptors import NoDescriptors, OrderedSelector
from simulator.errors import NotSimulatedError


def test_ready_descriptors_come_in_order_of_registration() -> None:
    """Not in the order of their numbers, nor of what arrived first."""
    pairs = [socket.socketpair() for _ in range(8)]
    selector = OrderedSelector()
    order = [5, 2, 7, 0, 3, 1, 6, 4]
    for index in order:
        selector.register(pairs[index][0], selectors.EVENT_READ, index)
    for _, writer in reversed(pairs):
        writer.send(b"x")
    assert [key.data for key, _ in selector.select(0)] == order
    selector.unregister(pairs[5][0])
    selector.register(pairs[5][0], selectors.EVENT_READ, 5)
    assert [key.data for key, _ in selector.select(0)] == [*order[1:], 5]
    selector.close()
    for pair in pairs:
        for end in pair:
            end.close()


def test_pure_mode_takes_no_descriptor() -> None:
    """Whatever wants to register one is told what to use instead."""
    selector = NoDescriptors()
    with pytest.raises(NotSimulatedError, match="MemoryNetwork or hybrid=True"):
        selector.register(0, selectors.EVENT_READ)
    with pytest.raises(KeyError):
        selector.unregister(0)
    assert selector.select(None) == []
    assert dict(selector.get_map()) == {}
