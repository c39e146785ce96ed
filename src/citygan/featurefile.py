"""Features of a prepared set's real pictures, kept in its folder from one evaluation to the next.

    data/NAME/features/SPLIT-HASH.safetensors     the hash is of all that the features depend on besides the pictures

Features are found by the sha256 of a picture's pixels, so those of other pictures are never taken for them. What
cannot be read or written is computed again, and nothing is said.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from citygan.errors import CityganError, DamagedError
from citygan.files import clean_temporaries, read_bytes, write_bytes
from citygan.metrics.metric import Features


class FeatureFile:
    """Where the features of a split's photos are kept (see `citygan.metrics.metric.Memory`).

    Args:
        folder: Of the prepared set.
        split: Its name.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self._folder = folder / "features"
        self._split = split

    def path(self, protocol: Mapping[str, Any]) -> Path:
        """The file of features by a protocol."""
        digest = hashlib.sha256(json.dumps(protocol, sort_keys=True).encode("utf-8")).hexdigest()
        return self._folder / f"{self._split}-{digest[:16]}.safetensors"

    def read(self, protocol: Mapping[str, Any]) -> Features:
        """What was kept; nothing from a file that is not as it was written."""
        from safetensors.numpy import load

        path = self.path(protocol)
        if not path.is_file():
            return {}
        try:
            tensors = load(read_bytes(path, error=DamagedError))
            digests, features = tensors["digests"], tensors["features"]
            whole = tensors["sha256"].tobytes() == _checksum(digests, features)
            fits = digests.shape == (len(features), 32) and features.dtype == np.float32 and features.ndim == 2
        except Exception:  # whatever a damaged file leads to: it is only a copy of what can be computed
            return {}
        return {d.tobytes(): f for d, f in zip(digests, features, strict=True)} if whole and fits else {}

    def write(self, protocol: Mapping[str, Any], features: Features) -> None:
        """Keeps them, where the folder may be written."""
        from safetensors.numpy import save

        ordered = sorted(features)  # whichever thread was first, the same pictures make the same file
        digests = np.frombuffer(b"".join(ordered), np.uint8).reshape(-1, 32)
        values = np.stack([features[digest] for digest in ordered])
        checksum = np.frombuffer(_checksum(digests, values), np.uint8)
        data = save({"digests": digests, "features": values, "sha256": checksum})
        with contextlib.suppress(CityganError):
            clean_temporaries(self._folder)
            write_bytes(self.path(protocol), data)


def _checksum(digests: npt.NDArray[Any], features: npt.NDArray[Any]) -> bytes:
    digest = hashlib.sha256(np.ascontiguousarray(digests).data)
    digest.update(np.ascontiguousarray(features).data)
    return digest.digest()
