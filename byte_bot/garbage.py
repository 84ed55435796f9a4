"""How garbage is collected: in steps that chat does not notice, however many channels there are.

How it works. Python's collector looks at young objects often and at all of them now and then; with 100,000 channels in
RAM that is a few million objects and a stall of more than a second (measured: 2.6 s at boot). Nearly all of them are
rows that live as long as their channel and are freed by their reference counts. So whatever survives a full collection
is *frozen*: the next one looks only at what is new, and comes before that is much.

Left out: finding a cycle that became garbage after it was frozen. What makes some is the end of a connection: tens of
kilobytes, a few times a day. Simulated worlds do not use this: there the simulator decides when garbage is collected.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Mapping

#: A full collection after about 700 x 5 x 3 new objects that stay: measured on a busy machine with cold caches, looking
#: at 25,000 takes 15 to 35 ms, so at these a third of that.
THRESHOLDS = (700, 5, 3)


@contextlib.contextmanager
def frozen_survivors() -> Iterator[None]:
    """Within this block, and as long as the process lives, what survives a full collection is not looked at again.

    It stays frozen at the end: one more look at everything would only keep the process from ending.
    """
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    gc.freeze()  # what was imported: tens of thousands of objects that stay
    gc.callbacks.append(_on_collection)
    try:
        yield
    finally:
        gc.callbacks.remove(_on_collection)
        gc.set_threshold(*before)


def _on_collection(phase: str, info: Mapping[str, int]) -> None:
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()
