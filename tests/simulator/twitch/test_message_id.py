"""Ids of messages."""

from __future__ import annotations

import random
import uuid

from hypothesis import given
from hypothesis import strategies as st

from simulator.twitch.message_id import new_message_id


@given(seed=st.integers(0, 2**64))
def test_an_id_is_the_uuid_of_version_4_that_the_standard_library_makes_of_the_same_bits(seed: int) -> None:
    """Also one that begins with zeros, or whose fixed bits were drawn otherwise."""
    ours, theirs = random.Random(seed), random.Random(seed)
    for _ in range(5):
        assert new_message_id(ours) == str(uuid.UUID(int=theirs.getrandbits(128), version=4))
