"""Helix's rate limits as pure objects: token buckets that refill steadily, one for each app and one for each app and user.

Facts (dev.twitch.tv/docs/api/guide, rate limits): a request costs points, 1 unless its endpoint says otherwise; calls with an app
token draw from the app's bucket, calls with a user token from a bucket of that app and user; a bucket holds 800 points and refills within
a minute; the answer tells `Ratelimit-Limit`, `Ratelimit-Remaining` and `Ratelimit-Reset` (Unix second at which the bucket is full
again). Send Chat Message has a bucket of its own; its size is not published and is taken to be the same.

Times are seconds of any steady clock, passed in and never going back. Left out: endpoints that cost more than one point, limits by address.
"""

from __future__ import annotations

from dataclasses import dataclass

POINTS_MAX = 800  # documented
POINTS_WINDOW_S = 60.0  # documented: points a minute

# The refill is a sum of fractions: a point that is there but for a rounding counts.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a bucket said: whether the call may happen, and what the headers tell. `full_in_s` counts from the call."""

    granted: bool
    limit: int
    remaining: int
    full_in_s: float


class PointBucket:
    """A token bucket of `points_max` points that an empty one regains within `window_s` seconds."""

    def __init__(self, points_max: int = POINTS_MAX, window_s: float = POINTS_WINDOW_S) -> None:
        self._max = points_max
        self._per_s = points_max / window_s
        self._points = float(points_max)
        self._at_s = float("-inf")

    def take(self, now_s: float, cost: int = 1) -> Allowance:
        """Spend points if there are enough; a refused call costs nothing."""
        if self._at_s > float("-inf"):
            self._points = min(self._max, self._points + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        granted = self._points + _ROUNDING >= cost
        if granted:
            self._points = max(0.0, self._points - cost)
        missing = self._max - self._points
        return Allowance(granted, self._max, int(self._points + _ROUNDING), missing / self._per_s)


class RateBook:
    """Every bucket of one fake Twitch, made when first asked for: as many as apps, and users of apps, that call.

    `points_max` may be changed until the first call, for tests that want to reach the limit soon.
    """

    def __init__(self, points_max: int = POINTS_MAX, window_s: float = POINTS_WINDOW_S) -> None:
        self.points_max = points_max
        self.window_s = window_s
        self._buckets: dict[tuple[str, str, str], PointBucket] = {}

    def take(self, client_id: str, login: str, lane: str, now_s: float) -> Allowance:
        """Spend a point of the app (`login` empty) or of the app and user; `lane` names an endpoint's own bucket, or is ""."""
        key = (client_id, login, lane)
        if key not in self._buckets:
            self._buckets[key] = PointBucket(self.points_max, self.window_s)
        return self._buckets[key].take(now_s)

    def forget(self) -> None:
        """Fill every bucket, as on a Twitch that has just started."""
        self._buckets.clear()
