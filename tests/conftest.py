"""Where the shared material lies, and how tests skip without it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch

from tests.street import Street, build_town, copy

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


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the prepared set `tiny`, `labels/` and a trained run `a`: to be copied, not changed."""
    path = tmp_path_factory.mktemp("town")
    with contextlib.chdir(path), pytest.MonkeyPatch.context() as patch:
        patch.setattr("citygan.report._curves", lambda lines: "")  # most of a tiny run's time
        return build_town(path)


@pytest.fixture
def street(town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Street:
    """A copy of the town, and the current folder."""
    path = copy(town, tmp_path / "street")
    monkeypatch.chdir(path)
    monkeypatch.setattr("citygan.report._curves", lambda lines: "")
    for name in ("CITYGAN_DATA_HOME", "CITYGAN_RUNS_HOME", "CITYGAN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return Street(path)
