"""Python's garbage collector during a simulated run.

The collector finalises abandoned asynchronous generators, and a finaliser runs code; left to itself it runs whenever
enough objects have been made, which differs from process to process. So it is off during a run, the loop collects at
fixed iterations, and what existed before the run is frozen: it is not looked at, which makes each collection cheap.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def garbage_held() -> Iterator[None]:
    """Within this block nothing is collected but by `gc.collect()`, and only what was made within it; may be nested."""
    enabled, frozen = gc.isenabled(), gc.get_freeze_count()
    if frozen and not enabled:  # nested, or held by the caller for reasons of its own
        yield
        return
    gc.disable()
    if not frozen:
        gc.freeze()
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()
        if enabled:
            gc.enable()
