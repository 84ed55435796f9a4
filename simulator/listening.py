"""What listens while its context is entered: the one place that enters and leaves.

A subclass opens what it needs in `_listen`, each onto `_resources`, which gives everything back in reverse order at the end, and also when
opening fails half-way (a port is taken), so that nothing is left listening.
"""

from __future__ import annotations

import abc
import contextlib
from types import TracebackType
from typing import Self


class Listening(abc.ABC):
    """See the module's docstring."""

    def __init__(self) -> None:
        self._resources = contextlib.AsyncExitStack()

    @abc.abstractmethod
    async def _listen(self) -> None:
        """Open everything onto `_resources`."""

    async def __aenter__(self) -> Self:
        try:
            await self._listen()
        except BaseException:
            await self._resources.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()
