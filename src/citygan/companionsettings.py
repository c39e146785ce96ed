"""Settings of what stands beside a generator's input and output: edges, instance features, the following frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from citygan.ranges import check

# the Laplacian's edges, chosen by looking at photos and at both renderings of the demo city (docs/edges.md)
SMOOTHING, THRESHOLD, KERNEL = 1.25, 5.0, 1
CONCENTRATION = 3.0  # of the draws around the edge network's fusion weights, chosen by looking (docs/edges.md)


@dataclass(frozen=True, kw_only=True)
class EdgeSettings:
    """The edge map that the generator is shown beside its input (S-Flow GAN, sections 2.2.2 and 3.2)."""

    shown: bool = False
    """Adds a channel with an edge map: a Laplacian's, or behind `dned.from_share` the edge network's."""
    of: Literal["photo", "source"] = "photo"
    """The pictures whose edges are learnt from: the photos, as in the paper, or the set's source pictures."""
    smoothing: float = SMOOTHING
    """Standard deviation in pixels of the Gaussian before the Laplacian; 0 is none."""
    threshold: float = THRESHOLD
    """Grey levels that the Laplacian must exceed, above or below 0."""
    kernel: int = KERNEL
    """1 or 3: the Laplacian's `ksize` in OpenCV."""
    jitter: float = 0.0
    """In training each picture's threshold is multiplied by a factor from 1/(1 + this) to 1 + this, so that how dense
    edges are does not tell the light and contrast of the photo; 0 is off."""

    def __post_init__(self) -> None:
        check(
            (0.0 <= self.smoothing <= 16.0, "edges.smoothing", self.smoothing, "from 0 (none) to 16"),
            (0.0 <= self.threshold <= 2040.0, "edges.threshold", self.threshold, "from 0 to 2040"),
            (self.kernel in (1, 3), "edges.kernel", self.kernel, "1 or 3"),
            (0.0 <= self.jitter <= 9.0, "edges.jitter", self.jitter, "from 0 (off) to 9"),
        )


@dataclass(frozen=True, kw_only=True)
class DnedSettings:
    """The edge network, DNED, which learns beside the generator (S-Flow GAN, section 3.2)."""

    from_share: float | None = None
    """Share of the steps after which the generator is shown the network's edges; null: never, and there is none."""
    width: int = 64
    """Filters of its first stage; 64 is VGG-16's, which its trunk is."""
    input: Literal["edges", "photo"] = "edges"
    """What it is shown: the Laplacian's edges, as in the paper, or the picture they are of, as HED is."""
    balanced: bool = True
    """Edges and the rest weigh the same in its loss, picture by picture, as in HED."""
    concentration: float = CONCENTRATION
    """Of the Dirichlet distribution around its fusion weights from which samples draw theirs; larger is closer."""

    def __post_init__(self) -> None:
        share = self.from_share is None or 0.0 <= self.from_share <= 1.0
        check(
            (share, "dned.from_share", self.from_share, "from 0 to 1, or null"),
            (1 <= self.width <= 1024, "dned.width", self.width, "from 1 to 1024"),
            (0.0 < self.concentration < math.inf, "dned.concentration", self.concentration, "above 0"),
        )


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """The instance features that the generator is shown beside its input (pix2pixHD, section 3.4)."""

    shown: bool = False
    """Adds what an encoder makes of every instance of the photo; the set must have instance maps."""
    channels: int = 3
    """Features of an instance."""
    width: int = 16
    """Filters of the encoder's first layer."""
    halvings: int = 4
    """Times the encoder halves the photo."""
    clusters: int = 10
    """Groups into which each class's features are gathered, one of which an instance gets at test time."""
    pictures: int = 1000
    """Training pictures, evenly chosen, whose features are gathered for that."""

    def __post_init__(self) -> None:
        ranges = {"channels": 64, "width": 256, "halvings": 8, "clusters": 256, "pictures": 10**6}
        check(
            *((1 <= (v := getattr(self, key)) <= most, f"features.{key}", v, f"from 1 to {most}")
              for key, most in ranges.items())
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """Learning from pairs of neighbouring frames (S-Flow GAN, section 3.3)."""

    pairs: bool = False
    """Every picture of a batch comes with the frame after it; both are generated, each by itself."""
    masked: bool = False
    """Leaves out pixels that have no correspondence in the next frame (the set must have been prepared with flow)."""
    window: int = 15
    """Farneback's flow: side in pixels of the window over which motion is taken to be one."""
    gaussian: bool = True
    """Farneback's flow: whether the middle of that window weighs most; a plain mean over all of it is steadier."""
    levels: int = 3
    """Farneback's flow: times the picture is made smaller to find large motions."""

    def __post_init__(self) -> None:
        check(
            (3 <= self.window <= 255, "video.window", self.window, "from 3 to 255"),
            (0 <= self.levels <= 8, "video.levels", self.levels, "from 0 to 8"),
        )
