"""The networks that metrics look at pictures with: those of lpips and torch-fidelity, and what they were filled with.

The packages compute; where their weights come from is settled here. Nothing is downloaded and nothing is unpickled:
files hold tensors or are refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from citygan.devices import pick_device
from citygan.errors import DamagedError, DataError, MachineError
from citygan.metrics.metric import Features, Memory, Setup
from citygan.metrics.pairs import UInt8, digest_of, shape_text
from citygan.train.checkpoint import load_network
from citygan.weightfiles import Found, find_weights
from citygan.weights import read_state_dict

SEED = 0  # of random weights
LPIPS_NETS = {"alex": ("alexnet", 31), "vgg": ("vgg16", 16)}  # weights, least side in pixels
LPIPS_VERSION = "0.1"
FEATURE = "2048"  # the layer of torch-fidelity's InceptionV3 that FID and KID are defined on
_AHEAD = 4096  # features of pictures kept in memory: far more than are measured at a time


class Distance:
    """The perceptual distance of the lpips package.

    Args:
        net: `alex` or `vgg`.

    Attributes:
        protocol: What its distances depend on.
    """

    def __init__(self, net: str, setup: Setup) -> None:
        name, self.smallest = LPIPS_NETS[net]
        package = _import("lpips")
        found = find_weights(name, setup.weights)
        self.device = pick_device(setup.device)
        linear = Path(package.__file__).parent / "weights" / f"v{LPIPS_VERSION}" / f"{net}.pth"
        with _seeded(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision's, on how the package calls it
            network = package.LPIPS(net=net, version=LPIPS_VERSION, pnet_rand=True, verbose=False)
        if found.path is not None:
            published = _read(found.path)
            keys = {_key_in_trunk(key): key for key in network.net.state_dict()}
            # of torchvision's whole classifier the convolutions alone
            load_network(
                network.net, {keys[key]: tensor for key, tensor in published.items() if key in keys}, found.path
            )
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.protocol = {
            "reference": f"lpips {version('lpips')}, version {LPIPS_VERSION}",
            "network": net,
            "weights_name": found.name,
            "weights": _said(found),
            "weights_sha256": found.sha256,
            "linear_sha256": hashlib.sha256(linear.read_bytes()).hexdigest(),
            "input": "RGB, -1 to 1, at the pictures' size",
            "torch": torch.__version__,
            "device": self.device.type,
        }
        self._lock = threading.Lock()  # torch has the cores for one picture at a time

    def __call__(self, one: UInt8, other: UInt8) -> float:
        """Of two pictures, uint8 [H, W, C]: 0 for equal ones; symmetric.

        Raises:
            DataError: They are smaller than the network can take, or the distance is not finite.
        """
        x, y = (_colours(picture, self.device).float().div_(127.5).sub_(1) for picture in (one, other))
        _check_size(one, self.smallest)
        with self._lock, torch.inference_mode():
            return _finite(float(self.network(x, y)))


class Inception:
    """The features of torch-fidelity's InceptionV3, each picture's computed once.

    Attributes:
        protocol: What they depend on.
    """

    def __init__(self, setup: Setup) -> None:
        package = _import("torch_fidelity")
        found = find_weights("inception", setup.weights)
        self.device = pick_device(setup.device)
        network = _inception()
        if found.path is None:
            with _seeded():
                _init(network)
        else:
            load_network(network, _read(found.path), found.path)
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.protocol = {
            "reference": f"torch-fidelity {package.__version__}",
            "network": f"inception-v3-compat, features {FEATURE}",
            "weights_name": found.name,
            "weights": _said(found),
            "weights_sha256": found.sha256,
            "input": "RGB, 0 to 255, resized to 299x299 as TensorFlow 1 does",
            "torch": torch.__version__,
            "device": self.device.type,
        }
        self._memory: Memory = setup.memory
        self._kept = setup.memory.read(self.protocol)
        self._real: Features = {}
        self._known: Features = {}
        self._lock = threading.Lock()

    def __call__(self, picture: UInt8, *, real: bool = False) -> npt.NDArray[np.float32]:
        """The features of a picture, uint8 [H, W, C], float32 [2048].

        Args:
            real: It is one of the real pictures, whose features are kept for the next evaluation.

        Raises:
            DataError: They are not finite.
        """
        digest = digest_of(picture)
        with self._lock:
            feature = self._known.get(digest)
            if feature is None:
                feature = self._kept.get(digest)
            if feature is None:
                with torch.inference_mode():
                    feature = self.network(_colours(picture, self.device))[0][0].cpu().numpy()
                if not np.isfinite(feature).all():
                    raise DataError("the network's features of it are not finite")
            self._known[digest] = feature
            while len(self._known) > _AHEAD:
                del self._known[next(iter(self._known))]
            if real:
                self._real[digest] = feature
        return feature

    def finish(self) -> None:
        """Keeps the features of the real pictures, where any is new."""
        if self._real.keys() - self._kept.keys():
            self._memory.write(self.protocol, self._real)


def distance(net: str, setup: Setup) -> Distance:
    """The distance of that network, one for all metrics of an evaluation."""
    return setup.shared(f"lpips {net}", lambda: Distance(net, setup))


def inception(setup: Setup) -> Inception:
    """The features, one extractor for all metrics of an evaluation."""
    return setup.shared("inception", lambda: Inception(setup))


# filling them


def _import(name: str) -> Any:
    try:
        if name == "lpips":
            import lpips

            return lpips
        import torch_fidelity

        return torch_fidelity
    except ModuleNotFoundError as problem:
        brings = "pip install 'citygan[metrics]' brings it"
        raise MachineError(f"the package {problem.name} is missing", hint=brings) from problem


def _inception() -> nn.Module:
    """torch-fidelity's extractor, not filled yet: what its constructor would download or unpickle is left out."""
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    class Extractor(theirs.FeatureExtractorInceptionV3):
        filled = False

        def load_state_dict(self, *arguments: Any, **more: Any) -> Any:
            return super().load_state_dict(*arguments, **more) if self.filled else None

    fetch = theirs.load_state_dict_from_url
    theirs.load_state_dict_from_url = lambda *arguments, **more: {}
    try:
        network = Extractor("inception-v3-compat", [FEATURE])
    finally:
        theirs.load_state_dict_from_url = fetch
    network.filled = True
    return network


def _init(network: nn.Module) -> None:
    """Random weights under which the features neither vanish nor explode (He et al.)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        yield


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file.

    Raises:
        DamagedError: It holds something else, or values that are not finite.
    """
    tensors = read_state_dict(path)
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise DamagedError(f"{key} holds values that are not finite", where=path)
    return tensors


def _key_in_trunk(key: str) -> str:
    """`slice2.3.weight`, as lpips cuts a trunk up, to torchvision's `features.3.weight`."""
    return f"features.{key.partition('.')[2]}"


def _said(found: Found) -> str:
    return f"random, seed {SEED}" if found.path is None else found.path.name


# pictures


def _colours(picture: UInt8, device: torch.device) -> Tensor:
    """uint8 [H, W], [H, W, 1] or [H, W, 3] -> uint8 [1, 3, H, W]."""
    height, width = picture.shape[:2]
    pixels = torch.from_numpy(np.array(picture)).reshape(height, width, -1).permute(2, 0, 1)
    return pixels.expand(3, -1, -1)[None].contiguous().to(device)


def _check_size(picture: UInt8, smallest: int) -> None:
    if min(picture.shape[:2]) < smallest:
        raise DataError(
            f"a picture {shape_text(picture)} is smaller than the {smallest}x{smallest} that the network takes"
        )


def _finite(value: float) -> float:
    if not np.isfinite(value):
        raise DataError("the network's distance is not finite")
    return value
