"""File descriptors under virtual time: a selector without any, one with real ones in a fixed order, and their end.

`close_sockets_of` does to the real sockets of a crashed process what the kernel does: it closes them, and nobody in
the process is told.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Mapping, MutableMapping
from typing import Any

from simulator.errors import NotSimulatedError
from simulator.process import Process, process_of

Ready = list[tuple[selectors.SelectorKey, int]]


class OrderedSelector(selectors.DefaultSelector):
    """The platform's selector; events of one poll come in the order of registration, not in the kernel's."""

    def __init__(self) -> None:
        super().__init__()
        self._order: dict[int, int] = {}
        self._registrations = 0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Register as the base does, and remember the descriptor's place."""
        key = super().register(fileobj, events, data)
        self._registrations += 1
        self._order[key.fd] = self._registrations
        return key

    def select(self, timeout: float | None = None) -> Ready:
        """Wait at most `timeout` real seconds (None: as long as it takes)."""
        ready = super().select(timeout)
        if len(ready) > 1:
            ready.sort(key=lambda event: self._order[event[0].fd])
        return ready


class NoDescriptors(selectors.BaseSelector):
    """The selector of pure mode: refuses every file descriptor."""

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Raise NotSimulatedError: nothing real may get into a pure world."""
        raise NotSimulatedError(
            "a real file descriptor in pure virtual time; use MemoryNetwork or hybrid=True"
        )

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Raise KeyError, as for any descriptor that is not registered."""
        raise KeyError(fileobj)

    def select(self, timeout: float | None = None) -> Ready:
        """Return at once: there is nothing to wait for."""
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return the empty map."""
        return {}


def close_sockets_of(
    process: Process, selector: selectors.BaseSelector, transports: MutableMapping[int, Any]
) -> list[object]:
    """Close every registered socket whose callbacks belong to `process`; the kernel then sends FIN, or RST where data
    was left unread. Returns what must not be finalised while the world lasts.
    """
    kept: list[object] = []
    for key in list(selector.get_map().values()):
        handles = [handle for handle in key.data or () if handle is not None]
        if not any(process_of(handle) is process for handle in handles):
            continue
        # A listening or connecting socket is an argument of its callback; an open one belongs to a transport.
        sockets = [argument for handle in handles for argument in handle._args or ()]
        # Taken out, since the descriptor's number is free for the next socket from here on.
        transport = transports.pop(key.fd, None)
        if transport is not None:
            sockets.append(transport._sock)
            transport._sock = None  # or its finaliser complains about an unclosed transport
        selector.unregister(key.fd)
        kept += [handles, transport]
        for sock in sockets:
            if isinstance(sock, socket.socket):
                sock.close()
    return kept
