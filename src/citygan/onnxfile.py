"""A network as an ONNX model, checked with onnxruntime before anybody gets it."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from citygan.errors import MachineError
from citygan.models.layers import test_time

TOLERANCE = 1e-4
LARGEST = 65536  # side in pixels
KEY = "citygan"  # entry of the model's metadata


def to_onnx(network: nn.Module, channels: int, record: str, where: Path) -> tuple[bytes, str]:
    """The model `input` [N, C, H, W] -> `output`, both float32, by running statistics and without dropout.

    A network with several outputs, such as a discriminator of several scales, has `output0`, `output1` and so on.

    Any N; any H and W that the network takes, or only 256x256 (or the next that it takes) where it cannot be exported
    otherwise.

    Args:
        channels: C.
        record: Kept in the model's metadata.

    Returns:
        The file's bytes, and what it is in words.

    Raises:
        MachineError: A package is missing, the exporter fails, or onnxruntime computes something else.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            hint = "pip install 'citygan[onnx]'"
            raise MachineError(f"the package {package} is missing, which ONNX needs", hint=hint)
    multiple, smallest = int(getattr(network, "multiple", 1)), int(getattr(network, "smallest", 1))
    least = max(-(-max(smallest, 8) // multiple), 1)  # multiples in the smallest picture
    network = network.eval().requires_grad_(False)
    with test_time(network, statistics="running", dropout_seed=None), torch.no_grad():
        try:
            model = _model(network, channels, multiple, least, free=True)
            sides = [(multiple * least, multiple * (least + 1)), (multiple * (least + 2), multiple * least)]
            what = f"ONNX, any batch, sides from {multiple * least} in multiples of {multiple}"
        except Exception:  # the exporter has a hundred ways to say that a size is not free
            least = max(least, 256 // multiple)
            side = multiple * least
            try:
                model = _model(network, channels, multiple, least, free=False)
            except Exception as problem:
                text = " ".join(str(problem).split())[:200]
                raise MachineError(f"PyTorch cannot export this network ({text})", where=where) from problem
            sides, what = [(side, side)], f"ONNX, any batch, {side}x{side} alone"
        model.metadata_props.add(key=KEY, value=record)
        data: bytes = model.SerializeToString()
        worst = _difference(network, data, channels, sides)
    if not worst <= TOLERANCE:
        raise MachineError(
            f"onnxruntime computes something else: {worst:.1e} away, {TOLERANCE:.0e} is allowed; nothing was written",
            where=where,
        )
    return data, f"{what}; at most {worst:.1e} from ours in onnxruntime"


def _model(network: nn.Module, channels: int, multiple: int, least: int, *, free: bool) -> Any:
    """The ModelProto; `free`: of any size."""
    dim = torch.export.Dim

    def side(name: str) -> Any:
        steps = dim(name, min=least, max=LARGEST // multiple)
        return steps if multiple == 1 else multiple * steps

    sides = {2: side("height"), 3: side("width")} if free else {}
    # sizes of 1 and equal sizes would be taken for fixed ones
    example = torch.zeros(2, channels, multiple * (least + 1), multiple * (least + (2 if free else 1)))
    if not free:
        example = torch.zeros(2, channels, multiple * least, multiple * least)
    count = len(_outputs(network, example[:1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)  # the exporter's, about its own passes
        try:
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=["input"],
                output_names=["output"] if count == 1 else [f"output{i}" for i in range(count)],
                dynamic_shapes=({0: dim("batch", min=1, max=1024), **sides},),
                external_data=False,
            )
        finally:
            logging.disable(level)
    assert program is not None
    return program.model_proto


def _difference(network: nn.Module, data: bytes, channels: int, sides: list[tuple[int, int]]) -> float:
    """The largest between our output and onnxruntime's, for random input of several batches and sizes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    random = torch.Generator().manual_seed(0)
    worst = 0.0
    for batch, (height, width) in enumerate(sides, 1):
        x = torch.rand(batch, channels, height, width, generator=random) * 2 - 1
        found = [torch.from_numpy(array) for array in session.run(None, {"input": x.numpy()})]
        for theirs, ours in zip(found, _outputs(network, x), strict=True):
            worst = max(worst, float("inf") if theirs.shape != ours.shape else float((theirs - ours).abs().max()))
    return worst


def _outputs(network: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    found = network(x)
    return (found,) if isinstance(found, torch.Tensor) else tuple(found)
