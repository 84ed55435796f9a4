"""One tree of random streams for one seed.

Every consumer of randomness draws from a stream of its own name, so that one more draw in one place leaves all
others as they were: `SeedTree(7).stream("audience")`. A stream's seed is the BLAKE2b hash of the path of names
from the root, each preceded by its length ("a" then "bc" differs from "ab" then "c"), so it is the same in every
process, on every machine, under any PYTHONHASHSEED.

The tree has no state: the same name always gives a new generator at the *start* of the same sequence. Keep the
generator; do not ask twice. What restarts (a bot's process) asks for `child(f"boot-{n}")`, or it would draw again
the ids it has already used.
"""

from __future__ import annotations

import hashlib
import random

_DIGEST_BYTES = 16  # 128 bits: streams of one sweep never collide, and random.Random takes any integer


class SeedTree:
    """A node of the tree; the root is made from the seed that the user sees."""

    __slots__ = ("_key", "path", "seed")

    def __init__(self, seed: int) -> None:
        """Make the root of the tree of `seed`, any integer."""
        self.seed = seed
        self.path: tuple[str, ...] = ()
        self._key = hashlib.blake2b(str(seed).encode("ascii"), digest_size=_DIGEST_BYTES).digest()

    def child(self, name: str) -> SeedTree:
        """Return the subtree called `name`; its streams are independent of those of this node."""
        node = SeedTree.__new__(SeedTree)
        node.seed = self.seed
        node.path = (*self.path, name)
        node._key = self._derive(b"child", name)
        return node

    def stream(self, name: str) -> random.Random:
        """Return a new generator at the start of the stream called `name`."""
        return random.Random(self.integer(name))

    def integer(self, name: str) -> int:
        """Return the 128-bit integer that belongs to `name`, for what wants a seed and not a generator."""
        return int.from_bytes(self._derive(b"stream", name), "big")

    def _derive(self, kind: bytes, name: str) -> bytes:
        encoded = name.encode("utf-8")
        digest = hashlib.blake2b(self._key, digest_size=_DIGEST_BYTES)
        # A stream and a child of the same name must differ, hence the kind.
        digest.update(kind + len(encoded).to_bytes(4, "big") + encoded)
        return digest.digest()

    def __repr__(self) -> str:
        return f"SeedTree(seed={self.seed}, path={'/'.join(self.path) or '-'})"
