"""Where the shared material lies, and how tests skip without it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).resolve().parents[2] / "shared"

torch.set_num_threads(1)  # tests run side by side


@pytest.fixture
def shared() -> Path:
    """The folder with real data, reference weights and the peer, beside the project."""
    if not SHARED.is_dir():
        pytest.skip("../shared (real data, reference weights) is not here")
    return SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if "cuda" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))
