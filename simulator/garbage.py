"""Python's garbage collector during a simulated run.

The collector finalises abandoned asynchronous generators, and a finaliser runs code; left to itself it runs whenever
enough objects have been made, which differs from process to process. So it is off during a run, the loop collects at
fixed iterations, and what existed before the run is frozen: it is not looked at, which makes each collection cheap.

So what one run leaves behind, the next one freezes: whoever plays many collects in between.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from contextvars import ContextVar

# Whether the running code is within a block.  The collector would tell by walking over every frozen object, which takes some
# 10 ms each time that a loop is started, many times as long as what a small world does.
_HELD: ContextVar[bool] = ContextVar("garbage_held", default=False)


@contextlib.contextmanager
def garbage_held() -> Iterator[None]:
    """Within this block nothing is collected but by `gc.collect()`, and only what was made within it; may be nested."""
    if _HELD.get():  # nested
        yield
        return
    enabled, frozen = gc.isenabled(), gc.get_freeze_count()
    gc.disable()
    if not frozen:  # or by the caller, for reasons of its own
        gc.freeze()
    held = _HELD.set(True)
    try:
        yield
    finally:
        _HELD.reset(held)
        if not frozen:
            gc.unfreeze()
        if enabled:
            gc.enable()


def collect_garbage() -> None:
    """Free what runs have left behind; between two of them, not within one."""
    gc.collect()
