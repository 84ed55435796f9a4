"""Times, users, badges and fragments. Forms are those of Twitch's documentation and of payloads recorded by others."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from simulator.twitch.events import User
from simulator.twitch.eventsub_text import (
    badge_list,
    emote_positions,
    fragments,
    rfc3339,
    rfc3339_ms,
    user_fields,
)
from tests.simulator.twitch.rig import Clock, small_twitch

EMOTES = {"Kappa": "25", "FevziGG": "302976485"}
USERS = {"viewer23": User("49912639", "viewer23", "Viewer23")}


def test_timestamps_are_rfc3339_with_nanoseconds() -> None:
    """Nine digits and a Z, in UTC (documented example)."""
    assert rfc3339(1_689_778_611_616_329_898) == "2023-07-19T14:56:51.616329898Z"
    assert rfc3339_ms(1_594_836_971_170) == "2020-07-15T18:16:11.170000000Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000000000Z"


def test_a_user_is_three_fields() -> None:
    """Id, login and display name under one prefix; nobody is three nulls."""
    assert user_fields("target_", USERS["viewer23"]) == {
        "target_user_id": "49912639",
        "target_user_login": "viewer23",
        "target_user_name": "Viewer23",
    }
    assert set(user_fields("gifter_", None).values()) == {None}


def test_plain_text_is_one_fragment() -> None:
    """As in the documented example: type, text, and three nulls."""
    plain = {"type": "text", "text": "Hi chat", "cheermote": None, "emote": None, "mention": None}
    assert fragments("Hi chat", EMOTES, USERS) == [plain]
    assert fragments("", EMOTES, USERS) == []


def test_an_emote_is_a_fragment_between_texts() -> None:
    """The space before it belongs to the text (recorded: "This is a test Kappa")."""
    text, emote = fragments("This is a test Kappa", EMOTES, USERS)
    assert (text["type"], text["text"]) == ("text", "This is a test ")
    assert (emote["type"], emote["text"]) == ("emote", "Kappa")
    assert emote["emote"] == {"id": "25", "emote_set_id": "0", "owner_id": "0", "format": ["static"]}


def test_a_mention_names_an_account_that_exists() -> None:
    """Any case of the login; "@nobody" stays text."""
    mention, rest = fragments("@VIEWER23 and @nobody", EMOTES, USERS)
    assert mention["mention"] == {"user_id": "49912639", "user_name": "Viewer23", "user_login": "viewer23"}
    assert (rest["type"], rest["text"]) == ("text", " and @nobody")


def test_a_cheermote_needs_bits() -> None:
    """Prefix as written, amount, and the tier it reaches; without bits it is text."""
    first, text, second = fragments("Cheer1 hi cheer250", EMOTES, USERS, bits=251)
    assert first["cheermote"] == {"prefix": "Cheer", "bits": 1, "tier": 1}
    assert text["text"] == " hi "
    assert second["cheermote"] == {"prefix": "cheer", "bits": 250, "tier": 100}
    assert fragments("Cheer1", EMOTES, USERS)[0]["type"] == "text"


@given(st.text(alphabet=st.sampled_from("Kappa @viewer23cheer100é\t"), max_size=60), st.integers(0, 9))
def test_fragments_joined_are_the_text(text: str, bits: int) -> None:
    """Nothing is lost between them, and no two texts stand side by side."""
    cut = fragments(text, EMOTES, USERS, bits=bits)
    assert "".join(one["text"] for one in cut) == text
    kinds = [one["type"] for one in cut]
    assert not any(pair == ("text", "text") for pair in itertools.pairwise(kinds))


def test_emotes_of_a_resubscription_are_positions() -> None:
    """Code points, both ends inclusive (documented: "Love the stream! FevziGG" has 17 to 23); none is null."""
    assert emote_positions("Love the stream! FevziGG", EMOTES) == [
        {"begin": 17, "end": 23, "id": "302976485"}
    ]
    assert emote_positions("no emote", EMOTES) is None


def test_badges_are_those_of_irc() -> None:
    """Set and version; the months stand with the subscriber badge alone."""
    state = small_twitch(Clock())
    state.add_channel("alice", moderators=("mo",), subscribers={"mo": 14})
    state.user("mo").badges = ("premium/1",)
    assert badge_list(state.user("mo"), state.channel("alice")) == [
        {"set_id": "moderator", "id": "1", "info": ""},
        {"set_id": "subscriber", "id": "12", "info": "14"},
        {"set_id": "premium", "id": "1", "info": ""},
    ]
    assert badge_list(state.user("carol"), state.channel("alice")) == []
