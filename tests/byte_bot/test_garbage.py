"""The collector: what survives is not looked at again, and the setting is put back."""

from __future__ import annotations

import gc

from byte_bot.garbage import THRESHOLDS, frozen_survivors


def test_what_survives_a_full_collection_is_frozen() -> None:
    """The next full collection has nothing old to look at; behind the block full collections freeze nothing."""
    before = gc.get_threshold()
    with frozen_survivors():
        assert gc.get_threshold() == THRESHOLDS
        kept = [[number] for number in range(1000)]
        at_entry = gc.get_freeze_count()
        gc.collect(1)
        assert gc.get_freeze_count() <= at_entry, "young collections freeze nothing"
        gc.collect()
        assert gc.get_freeze_count() >= at_entry + len(kept)
    assert gc.get_threshold() == before
    gc.unfreeze()
    gc.collect()
    assert gc.get_freeze_count() == 0
