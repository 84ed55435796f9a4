"""Who hears an event that somebody sends by hand: of any type, with any data.

An event of a type that is about a channel may name that channel: it goes to all who subscribed to the type about it, in whatever version and as
whomever. Otherwise, or to be more exact, it comes with a condition, and goes to those whose own condition does not contradict it: what both
name is the same, and they share what the type is about. So one of `{"broadcaster_user_id", "reward_id"}` reaches who wants that reward and who
wants any, as on Twitch, and not who wants another one.

A type or version that is in no list (`eventsub_types`) is taken as it is told, with its condition: from then on it can be subscribed to, and
whoever did so before the second event gets that; a reset forgets it. What Twitch has
withdrawn stays so. Left out: whether the data are those of the type.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.twitch.eventsub_subscriptions import Subscription, SubscriptionBook
from simulator.twitch.eventsub_types import CHANNEL_FIELDS, EventType
from simulator.twitch.state import TwitchState


def addressees(
    book: SubscriptionBook,
    state: TwitchState,
    name: str,
    *,
    version: str = "",
    channel_login: str = "",
    condition: Mapping[str, str] | None = None,
) -> tuple[Subscription, ...]:
    """Return who hears an event of the type `name` (in a `version`, or in all), about a channel or a condition.

    Raises `ValueError` where that says nobody, in words; `UnknownName` for the channel.
    """
    versions = book.versions(name)
    if condition is None:
        _check_known(book, name, version, versions)
        if not any(field in CHANNEL_FIELDS for kind in versions.values() for field in kind.fields):
            raise ValueError(f"{name} is about no channel: give its condition, {_fields(versions)}")
        if not channel_login:
            raise ValueError(f"an event of {name} needs a channel, or a condition")
        channel_id = state.channel(channel_login).id
        heard = book.hearing(name, tuple((field, channel_id) for field in CHANNEL_FIELDS))
    else:
        if not version and versions:
            kinds = tuple(versions.values())
        elif version in versions:
            kinds = (versions[version],)
        else:
            kinds = (book.declare(name, version or "1", condition),) if condition else ()
        _check_condition(name, condition, kinds)
        about = tuple((field, value) for field, value in condition.items())
        heard = tuple(one for one in book.hearing(name, about) if _agree(one.condition, condition))
    return tuple(one for one in heard if version in ("", one.kind.version))


def _check_known(book: SubscriptionBook, name: str, version: str, versions: Mapping[str, EventType]) -> None:
    way_out = "with a condition any other can be sent"
    if not versions:
        raise ValueError(
            f"there is no EventSub type {name!r}; there are: {', '.join(book.type_names)}; {way_out}"
        )
    if version and version not in versions:
        raise ValueError(
            f"there is no version {version!r} of {name}; there are: {', '.join(versions)}; {way_out}"
        )


def _check_condition(name: str, condition: Mapping[str, str], kinds: tuple[EventType, ...]) -> None:
    if not condition:
        raise ValueError(f"the condition of {name} must say what it is about")
    known = {field: None for kind in kinds for field in (*kind.fields, *kind.optional)}
    if unknown := [field for field in condition if field not in known]:
        raise ValueError(f"the condition of {name} has no {unknown[0]!r}; it has: {', '.join(known)}")
    subjects = {field: None for kind in kinds for field in kind.subject_fields}
    if not subjects.keys() & condition.keys():
        raise ValueError(f"the condition of {name} must say {' or '.join(subjects)}")


def _fields(versions: Mapping[str, EventType]) -> str:
    return ", ".join({field: None for kind in versions.values() for field in (*kind.fields, *kind.optional)})


def _agree(subscribed: Mapping[str, str], sent: Mapping[str, str]) -> bool:
    return all(sent.get(field, value) == value for field, value in subscribed.items() if value)
