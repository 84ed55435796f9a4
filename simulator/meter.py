"""How much HTTP the bot has under way: a transport around the fake's transport that counts, and changes nothing."""

from __future__ import annotations

import httpx


class Meter:
    """Requests and saves under way now, and the most there ever were at once."""

    def __init__(self) -> None:
        self.requests_now = 0
        self.requests_at_once_max = 0
        self.saves_now = 0
        self.saves_at_once_max = 0
        self.requests_total = 0

    def process_died(self) -> None:
        """The client's process is gone, and with it whatever it waited for."""
        self.requests_now = self.saves_now = 0


class MeteredTransport(httpx.AsyncBaseTransport):
    """Counts what goes through ``inner`` in ``meter``."""

    def __init__(self, inner: httpx.AsyncBaseTransport, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on."""
        meter = self._meter
        is_save = request.url.path.endswith("byte_bot_save")
        meter.requests_total += 1
        meter.requests_now += 1
        meter.saves_now += is_save
        meter.requests_at_once_max = max(meter.requests_at_once_max, meter.requests_now)
        meter.saves_at_once_max = max(meter.saves_at_once_max, meter.saves_now)
        try:
            return await self._inner.handle_async_request(request)
        finally:
            meter.requests_now -= 1
            meter.saves_now -= is_save

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()
