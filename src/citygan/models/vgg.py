"""VGG (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition") as features.

Stages of 3x3 convolutions, each followed by a ReLU, and a max-pool of stride 2 after each stage; keys, shapes and
arithmetic are torchvision's, so its published weights fit width 64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from citygan.models.layers import check_sides
from citygan.models.trunk import PUBLISHED_WIDTH, ImageNetInput, fill, without

WIDENING = (1, 2, 4, 8, 8)  # filters of each stage, in those of the first
VGG16 = (2, 2, 3, 3, 3)  # convolutions of each stage
TO_RELU5_1 = (2, 2, 4, 4, 1)  # of VGG-19 what leads to relu5_1
SLICES = (1, 6, 11, 20, 29)  # of its layers relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
BEYOND = (30, 32, 34)  # conv5_2, conv5_3, conv5_4


def stages(
    convolutions: Sequence[int], width: int = PUBLISHED_WIDTH, *, margin: int = 1, ceil: bool = False
) -> nn.Sequential:
    """The layers of a VGG, numbered as torchvision's `features`, with random weights (He et al.).

    Args:
        convolutions: Of each stage.
        width: Filters of the first stage.
        margin: Zeros around the picture before the first convolution.
        ceil: Whether a pool keeps what is left over of odd sides.
    """
    layers = nn.Sequential()
    before = 3
    for count, widening in zip(convolutions, WIDENING, strict=True):
        for _ in range(count):
            layers.append(nn.Conv2d(before, width * widening, 3, padding=1 if len(layers) else margin))
            layers.append(nn.ReLU(inplace=True))
            before = width * widening
        layers.append(nn.MaxPool2d(2, 2, ceil_mode=ceil))
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layers


class VGG19(nn.Module):
    """Photos to what VGG-19 sees in them: its maps behind relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1.

    It is never trained: no gradient reaches its weights, though one goes through it to the picture.

    Args:
        width: Filters of the first stage; published weights are for 64.
        normalise: Whether the picture is brought to the mean and deviation of ImageNet's, which the weights were
            trained with. pix2pixHD's public code does not: it shows [-1, 1] as it is, and its weight of the
            perceptual term is for that; so this is the default.

    Attributes:
        pretrained: Whose published weights it takes (a row of `citygan.weightfiles.WEIGHTS`).

    Shape:
        [N, 3, H, W] in [-1, 1], sides from 16; one channel, grey, is taken for all three.
        -> five maps [N, C, H', W'] >= 0: C = width * 1, 2, 4, 8, 8; sides H / 1, 2, 4, 8, 16, rounded down
    """

    pretrained = "vgg19"

    def __init__(self, width: int = PUBLISHED_WIDTH, *, normalise: bool = False) -> None:
        super().__init__()
        self.published_shape = width == PUBLISHED_WIDTH
        self.input = ImageNetInput() if normalise else nn.Identity()
        self.features = stages(TO_RELU5_1, width)[:-1]
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.shape[1] not in (1, 3):
            raise ValueError(f"expected pictures of 1 or 3 channels, got {x.shape[1]}")
        check_sides(x, 1, smallest=16)
        x = self.input(x.expand(-1, 3, -1, -1))
        maps = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in SLICES:
                maps.append(x)
        return tuple(maps)

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Fills it from torchvision's VGG-19, of which it needs what lies before relu5_1.

        Raises:
            ValueError: They do not fit.
        """
        beyond = [f"features.{i}." for i in BEYOND]
        fill(self, without(tensors, "classifier.", *beyond), keep=("input.",))
