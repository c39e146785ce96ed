"""Public state dicts load into our modules and compute what the public code computed."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from citygan.errors import DamagedError
from citygan.weights import import_state_dict, read_state_dict


@pytest.mark.parametrize("name", ["junyanz_unet_256", "znxlwm_generator", "junyanz_patchgan_70"])
def test_reference_weights_reproduce_the_stored_output(shared: Path, name: str) -> None:
    folder = shared / "reference-weights"
    imported = import_state_dict(read_state_dict(folder / f"{name}.pth"))
    network = imported.build().eval()
    stored = np.load(folder / f"{name}.npz")
    with torch.inference_mode():
        output = network(torch.from_numpy(stored["input"]))
    assert np.abs(output.numpy() - stored["output0"]).max() < 1e-4


def test_unknown_keys_are_refused_with_a_list(shared: Path) -> None:
    tensors = read_state_dict(shared / "reference-weights" / "junyanz_patchgan_70.pth")
    tensors["model.99.weight"] = torch.zeros(1)
    with pytest.raises(DamagedError, match=r"unknown: model\.99\.weight"):
        import_state_dict(tensors)
    with pytest.raises(DamagedError, match="no known format has these keys: a, b"):
        import_state_dict({"a": torch.zeros(1), "b": torch.zeros(1)})


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("bomb"),))  # type: ignore[return-value]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".png"])
def test_a_pickle_that_would_run_code_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / f"evil{suffix}"
    file.write_bytes(pickle.dumps({"model.0.weight": _Bomb()}, protocol=2))
    with pytest.raises(DamagedError, match="was not run"):
        read_state_dict(file)
    torch.save({"model.0.weight": _Bomb()}, file)
    with pytest.raises(DamagedError, match="was not run"):
        read_state_dict(file)
    assert not (tmp_path / "bomb").exists()


def test_what_is_not_a_state_dict_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    for content in (b"", b"PK\x03\x04torn", b"hello", b"\x80\x02."):
        file.write_bytes(content)
        with pytest.raises(DamagedError):
            read_state_dict(file)
    torch.save([1, 2], file)
    with pytest.raises(DamagedError, match="named tensors"):
        read_state_dict(file)
    with pytest.raises(DamagedError, match="no such file"):
        read_state_dict(tmp_path / "none.pth")
