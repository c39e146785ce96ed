"""The instance feature encoder of pix2pixHD (Wang et al., section 3.4).

A small encoder-decoder looks at the real photo, and each instance gets the mean of what it finds there. The generator,
shown these few numbers beside the labels, learns to paint an instance in their style. After the training the vectors of
all instances of the training set are clustered by class; to translate labels alone each instance takes one of its
class's clusters by chance.

The network is c7s1-16, d32, d64, d128, d256, u128, u64, u32, u16, c7s1-3 in the words of `citygan.models.resnet`: its
residual network without blocks, which is how the public code numbers the layers too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from citygan.models.layers import Norm, check_sides, init_normal
from citygan.models.resnet import Residual

INSTANCE_IDS = 65536  # all that a uint16 can be
LABEL_IDS = 256  # and a uint8
SMALLEST_SHARE = 1 / 64  # of a picture: the public code's 0.5 of a 32nd
TRIES = 20  # of k-means, from other beginnings; the best counts


@dataclass(frozen=True)
class Instances:
    """The instances of some pictures, in any order.

    Attributes:
        vectors: [M, C] float32, their features.
        classes: [M] int64, their label ids, 0 to 255.
        shares: [M] float32, which part of its picture each covers: above 0, up to 1.
    """

    vectors: Tensor
    classes: Tensor
    shares: Tensor


class FeatureEncoder(Residual):
    """Photos and instances to features that are the same all over an instance.

    Args:
        in_channels: C of the photo.
        features: C of what it finds: 3 are the published ones.
        width: Filters of the first layer; they double with each halving.
        norm: `batch`, `instance` (the public code's default) or `none`.
        bias: As `ResNet`; the public code saves all.
        halvings: Times the picture is halved.
        clusters: At most so many vectors of a class are kept for `draw`.

    Attributes:
        clusters: [256, clusters, features] float32, by label id; 0 beyond those a class has, and before `cluster`.
        counts: [256] int64, how many each class has; 0 for those that were never seen.

    Shape:
        photo [N, in_channels, H, W] in [-1, 1], instance [N, H, W] whole numbers from 0 to 65,535
        -> [N, features, H, W] in (-1, 1)
    """

    fewest_blocks = 0
    clusters: Tensor
    counts: Tensor

    def __init__(
        self,
        in_channels: int = 3,
        features: int = 3,
        width: int = 16,
        norm: Norm = "instance",
        bias: Literal["needed", "output", "all"] = "all",
        halvings: int = 4,
        clusters: int = 10,
    ) -> None:
        inside = bias == "all" or (bias == "needed" and norm == "none")
        super().__init__(in_channels, width, 0, 0.0, norm, bias=inside, halvings=halvings)
        if clusters < 1:
            raise ValueError(f"expected at least one cluster a class, got {clusters}")
        self.output = nn.Conv2d(width, features, 7, padding=3, padding_mode="reflect")
        self.register_buffer("clusters", torch.zeros(LABEL_IDS, clusters, features))
        self.register_buffer("counts", torch.zeros(LABEL_IDS, dtype=torch.int64))
        init_normal(self)

    def forward(self, photo: Tensor, instance: Tensor) -> Tensor:
        check_sides(photo, self.multiple, smallest=4)  # the 7x7 convolutions reflect three pixels
        found: Tensor = self.output(self.maps(photo))
        return pool(found.tanh(), instance)

    @torch.no_grad()
    def cluster(self, gathered: Iterable[Instances], seed: int = 0, smallest_share: float = SMALLEST_SHARE) -> None:
        """Fills `clusters` and `counts`: the centres that k-means finds among the vectors of each class.

        As in the public code, which leaves small instances out (`encode_features.py`); a class that has none but
        those is taken for never seen. Equal input and seed give equal clusters.

        Args:
            gathered: What `gather` found in the pictures of the training set.
            smallest_share: An instance counts if it covers more of its picture.
        """
        from scipy.cluster.vq import kmeans

        pieces = [(each.vectors[big], each.classes[big]) for each in gathered for big in [each.shares > smallest_share]]
        vectors = torch.cat([vectors for vectors, _ in pieces]).double().cpu()
        classes = torch.cat([classes for _, classes in pieces]).cpu()
        self.clusters.zero_()
        self.counts.zero_()
        for label in classes.unique().tolist():
            chosen = vectors[classes == label].numpy()
            wanted = min(len(chosen), self.clusters.shape[1])
            centres, _ = kmeans(chosen, wanted, iter=TRIES, seed=seed)  # fewer than wanted where vectors are equal
            self.clusters[label, : len(centres)] = torch.from_numpy(centres).to(self.clusters)
            self.counts[label] = len(centres)

    def draw(self, instance: Tensor, label: Tensor, seed: int) -> Tensor:
        """Features for label maps without a photo: for each instance one of its class's clusters, by chance.

        Which one depends on the seed and the instance's id alone, not on the picture: an instance that keeps its id
        through a sequence keeps its looks, and no picture depends on its neighbours in a batch.

        Args:
            instance: [N, H, W] whole numbers from 0 to 65,535.
            label: [N, H, W] label ids from 0 to 255.
            seed: Decides.

        Returns:
            [N, features, H, W] float32; 0 where the class was never seen.
        """
        chance = torch.randint(2**31, (INSTANCE_IDS,), generator=torch.Generator().manual_seed(seed))
        chance = chance.to(self.clusters.device)[instance.long()]  # [N, H, W]
        label = label.long()
        drawn = self.clusters[label, chance % self.counts[label].clamp(min=1)]  # [N, H, W, C]
        return drawn.permute(0, 3, 1, 2).contiguous()


def pool(features: Tensor, instance: Tensor) -> Tensor:
    """The mean over each instance of each picture, at each of its pixels.

    Args:
        features: [N, C, H, W].
        instance: [N, H, W] whole numbers from 0 to 65,535.

    Returns:
        [N, C, H, W]: exactly the same at all pixels of an instance.

    Raises:
        ValueError: Maps and instances differ in size.
    """
    count, channels, height, width = features.shape
    if instance.shape != (count, height, width):
        raise ValueError(f"expected instances {(count, height, width)}, got {tuple(instance.shape)}")
    # a place for every id that may be: what is added up has the same shape whatever the picture
    first = torch.arange(count, device=instance.device)[:, None, None] * INSTANCE_IDS
    place = (instance.long() + first).flatten()  # [N * H * W]
    # single precision loses 1 % where a hundred thousand equal numbers are added one by one; MPS has no other
    exact = torch.float32 if features.device.type == "mps" else torch.float64
    values = features.permute(0, 2, 3, 1).reshape(-1, channels).to(exact)  # [N * H * W, C]
    sums = values.new_zeros(count * INSTANCE_IDS, channels).index_add(0, place, values)
    pixels = values.new_zeros(count * INSTANCE_IDS).index_add(0, place, values.new_ones(len(place)))
    means = (sums / pixels.clamp(min=1)[:, None]).index_select(0, place)
    return means.to(features.dtype).view(count, height, width, channels).permute(0, 3, 1, 2)


@torch.no_grad()
def gather(features: Tensor, instance: Tensor, label: Tensor) -> Instances:
    """What `cluster` needs of some pictures.

    Args:
        features: [N, C, H, W], what the encoder gave for them.
        instance: [N, H, W] whole numbers from 0 to 65,535.
        label: [N, H, W] label ids from 0 to 255. Where an instance has several, its class is that of most of its
            pixels, and of equally many the highest.

    Returns:
        Each instance of each picture once.
    """
    count, channels, height, width = features.shape
    first = torch.arange(count, device=instance.device)[:, None, None] * INSTANCE_IDS
    _, of_pixel, pixels = (instance.long() + first).flatten().unique(return_inverse=True, return_counts=True)
    flat = features.permute(0, 2, 3, 1).reshape(-1, channels).float()
    vectors = flat.new_empty(len(pixels), channels)
    vectors[of_pixel] = flat  # equal all over an instance
    both, votes = (of_pixel * LABEL_IDS + label.long().flatten()).unique(return_counts=True)
    ranked = votes * LABEL_IDS + both % LABEL_IDS  # the most votes first, then the highest label
    best = ranked.new_zeros(len(pixels)).scatter_reduce(0, both // LABEL_IDS, ranked, "amax")
    return Instances(vectors, best % LABEL_IDS, pixels / (height * width))
