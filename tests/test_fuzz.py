"""A small share of `tests/fuzz.py`, the same files every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import fuzz


@pytest.mark.parametrize(("kind", "count"), [("pictures", 150), ("yaml", 60), ("checkpoints", 60)])
def test_broken_files_are_read_or_refused(tmp_path: Path, kind: str, count: int) -> None:
    valid = fuzz(kind, range(count), 0, tmp_path)
    assert 0 < valid < count  # neither harmless nor hopeless
