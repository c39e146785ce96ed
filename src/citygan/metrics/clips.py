"""`fvd`: the Fréchet distance of clips of video by the features of I3D (Unterthiner et al., arXiv 1812.01717).

A sequence is cut into clips of 16 frames, one after the other without overlap; what is left at its end is left out.
The features are I3D's logits for Kinetics-400, and the arithmetic is that of `fid`. torch is imported when the row is
started.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from citygan.errors import DataError
from citygan.metrics.figures import Figure, Mean
from citygan.metrics.metric import Frame, Metric, Setup, not_started
from citygan.metrics.pairs import UInt8, check_pair
from citygan.metrics.perceptual import Float32, frechet_distance

FRAMES = 16
SIDE = 224
USUAL_CLIPS = 2048  # that published figures are of (Skorokhodov et al., StyleGAN-V, CVPR 2022)
RESIZED = f"{SIDE}x{SIDE}, bilinear, half-pixel centres, not smoothed first"

Shrunk = tuple[Frame | None, Float32, Float32]
"""What is measured of a frame: its place, and it and the real one at 224x224, float32 [224, 224, 3], 0 to 255."""


def start_fvd(row: Metric, setup: Setup) -> Metric:
    """Makes the row ready.

    Raises:
        MachineError: The weights of I3D, or the package torch-fidelity, are not there.
        DamagedError: The weights are another network's, damaged, or a program.
    """
    from citygan.metrics.networks import clips

    features = clips(setup)
    protocol = {**row.protocol, **features.protocol}
    return replace(row, measure=shrink, gather=lambda: TwoClipSets(features), protocol=protocol)


def shrink(fake: UInt8, real: UInt8, *, frame: Frame | None) -> Shrunk | None:
    """A frame and the real one as I3D takes them; None of a single picture."""
    check_pair(fake, real)
    return None if frame is None else (frame, _resized(fake), _resized(real))


class TwoClipSets:
    """FVD of frames that come in order: 38 MB at most are kept of them, and 3 KB a clip.

    Args:
        features: Of a clip, float32 [16, 224, 224, 3].
    """

    def __init__(self, features: Any) -> None:
        self._features = features
        self._sets: tuple[list[Float32], list[Float32]] = ([], [])
        self._clip: list[Shrunk] = []
        self._longest = 0

    def add(self, measured: Shrunk) -> None:
        """Takes in a frame; one that does not follow the last one begins a clip."""
        frame = measured[0]
        last = self._clip[-1][0] if self._clip else None
        if last is not None and frame != (last[0], last[1] + 1):
            self._clip = []
        self._clip.append(measured)
        self._longest = max(self._longest, len(self._clip))
        if len(self._clip) == FRAMES:
            fake, real = np.stack([shrunk[1] for shrunk in self._clip]), np.stack([shrunk[2] for shrunk in self._clip])
            self._sets[0].append(self._features(fake))
            self._sets[1].append(self._features(real, real=True))
            self._clip = []

    def figure(self) -> Figure:
        """`mean`, and `n` clips; `warning` with few.

        Raises:
            DataError: Fewer than two clips.
        """
        count = len(self._sets[0])
        if not count:
            what = f"a clip needs {FRAMES} frames in a row, and there are {self._longest} at the most"
            raise DataError(what, hint="Score longer sequences")
        if count < 2:
            raise DataError("1 clip has no distribution: at least 2 are needed", hint="Score more sequences")
        fake, real = (np.stack(features) for features in self._sets)
        few = f"{count} clips are fewer than {USUAL_CLIPS}: FVD is biased upwards, compare it at this count alone"
        return {
            "mean": frechet_distance(fake, real),
            "std": None,
            "n": count,
            "reason": "one figure over the set: no std",
            "warning": few if count < USUAL_CLIPS else None,
        }


def _resized(picture: UInt8) -> Float32:
    """uint8 [H, W], [H, W, 1] or [H, W, 3] -> float32 [224, 224, 3]."""
    import torch
    import torch.nn.functional as F

    height, width = picture.shape[:2]
    x = torch.from_numpy(np.array(picture)).reshape(height, width, -1).permute(2, 0, 1)[None].float()
    x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False)[0].expand(3, -1, -1)
    return np.ascontiguousarray(x.permute(1, 2, 0).numpy())


FVD = Metric(
    name="fvd",
    unit="",
    better="lower",
    range="0 up, 0 for equal sets",
    source="Unterthiner et al. 2018, I3D",
    scope="set",
    measure=not_started,
    gather=Mean,
    parts=("warning",),
    needs=("frame",),
    protocol={
        "figure": "Frechet distance of the features' normal distributions",
        "clips": f"{FRAMES} frames each, without overlap; what is left of a sequence is left out",
    },
    start=start_fvd,
)
