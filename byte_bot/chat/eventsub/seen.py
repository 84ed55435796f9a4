"""Which notifications were handled already: EventSub delivers each at least once, with the same ``message_id``. Pure.

TwitchIO hands every copy on. The window is bounded: the oldest id is forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict


class SeenWindow:
    """The ids of the newest ``ids_max`` notifications (at least 1)."""

    def __init__(self, ids_max: int) -> None:
        assert ids_max >= 1
        self._ids_max = ids_max
        self._ids: OrderedDict[str, None] = OrderedDict()
        #: Copies turned away.
        self.repeated = 0

    def __len__(self) -> int:
        return len(self._ids)

    def is_new(self, message_id: str) -> bool:
        """Whether this is the first notification of that id; it is remembered from now on."""
        if message_id in self._ids:
            self.repeated += 1
            return False
        self._ids[message_id] = None
        if len(self._ids) > self._ids_max:
            self._ids.popitem(last=False)
        return True
