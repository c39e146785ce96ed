"""Many devices: one process each, started by ``torchrun``, that average their gradients.

The wrapper of PyTorch (DDP) fits neither a backward pass to chosen parameters nor two passes of a discriminator with
batch norm; one flat all-reduce of a group's gradients before its step does the same work.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Ranks:
    """This process among all.

    Attributes:
        rank: 0 to size - 1; rank 0 alone writes.
        size: Processes in all.
        local: Number of the process on its machine, which names its device.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def ask_every(self) -> int:
        """Steps between the messages that carry a wish to stop: on GPUs each makes the host wait for the device."""
        return 10 if self.size > 1 and dist.get_backend() == "nccl" else 1

    @property
    def first(self) -> bool:
        """Whether this one writes files and progress."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its mean over the ranks, in one message."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def largest(self, value: int) -> int:
        """The largest of the ranks' values: how one rank's wish to stop reaches all."""
        if self.size == 1:
            return value
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        box = torch.tensor([value], device=device)
        dist.all_reduce(box, op=dist.ReduceOp.MAX)
        return int(box.item())

    def tell(self, path: Path | None) -> Path:
        """The first rank's path, on every rank."""
        box = [path]
        if self.size > 1:
            dist.broadcast_object_list(box, 0)
        assert box[0] is not None
        return box[0]

    def share(self, networks: Iterable[nn.Module]) -> None:
        """Gives every rank the first one's weights and buffers."""
        if self.size > 1:
            for network in networks:
                for tensor in [*network.parameters(), *network.buffers()]:
                    dist.broadcast(tensor.data, 0)

    def average_statistics(self, networks: Iterable[nn.Module]) -> None:
        """Averages the running statistics of norms, which each rank gathered from its own pictures."""
        for network in networks:
            self.average([buffer for buffer in network.buffers() if buffer.is_floating_point()])

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            dist.barrier()


def join(device: torch.device) -> Ranks:
    """Joins the ranks that ``torchrun`` started; alone otherwise."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Ranks()
    if not dist.is_initialized():
        if device.type == "cuda":
            dist.init_process_group("nccl", device_id=device)
        else:
            dist.init_process_group("gloo")
    return Ranks(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))


def leave() -> None:
    """Ends the communication."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
