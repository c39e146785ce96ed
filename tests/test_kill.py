"""SIGKILL at any moment: old or new, never torn; and a resume ends where the undisturbed run ends, bit for bit.

`python tests/fuzz.py --kills 10 --crashes` does it in full.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.killing import can_trace, crash_save, kill_training


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    kill_training(tmp_path, kills=3, seed=1)


def test_a_checkpoint_is_the_old_or_the_new_one_at_every_crash_point(tmp_path: Path) -> None:
    reason = can_trace()
    if reason is not None:
        pytest.skip(reason)
    points = [("mkdir", 1), ("write", 2), ("fsync", 4), ("rename", 1), ("rename", 2), ("renameat2", 1), ("unlinkat", 2)]
    assert crash_save(tmp_path, points) == len(points)
