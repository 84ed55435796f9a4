"""Token buckets: 800 points a minute, one bucket for an app and one for each of its users."""

from __future__ import annotations

from simulator.twitch.ratelimit import POINTS_MAX, PointBucket, RateBook


def test_a_bucket_gives_800_points_at_once_and_then_refuses() -> None:
    """The 801st call within the same moment is refused and costs nothing."""
    bucket = PointBucket()
    assert all(bucket.take(0.0).granted for _ in range(POINTS_MAX))
    refused = bucket.take(0.0)
    assert (refused.granted, refused.remaining, refused.full_in_s) == (False, 0, 60.0)


def test_a_bucket_refills_steadily_within_a_minute() -> None:
    """800 points a minute are one every 75 ms; after a minute of silence the bucket is full, not fuller."""
    bucket = PointBucket()
    for _ in range(POINTS_MAX):
        bucket.take(0.0)
    assert not bucket.take(0.0749).granted
    assert bucket.take(0.0751).granted
    assert bucket.take(120.0).remaining == POINTS_MAX - 1


def test_the_allowance_tells_when_the_bucket_is_full_again() -> None:
    """Two points spent are back after twice 75 ms."""
    bucket = PointBucket()
    bucket.take(0.0)
    assert abs(bucket.take(0.0).full_in_s - 0.15) < 1e-9


def test_apps_users_and_lanes_have_buckets_of_their_own() -> None:
    """What one spends leaves the others full."""
    book = RateBook(points_max=1)
    assert book.take("app", "", "", 0.0).granted
    assert book.take("app", "bot", "", 0.0).granted
    assert book.take("app", "bot", "chat/messages", 0.0).granted
    assert book.take("other", "bot", "", 0.0).granted
    assert not book.take("app", "bot", "", 0.0).granted


def test_a_book_that_forgets_has_full_buckets() -> None:
    """As on a Twitch that has just started."""
    book = RateBook(points_max=1)
    book.take("app", "", "", 0.0)
    book.forget()
    assert book.take("app", "", "", 0.0).granted
