"""The named models: each a difference from the defaults, with what it reproduces.

A preset is one row. `settings` is what differs from the defaults of `citygan.config`; `quick` is laid over that for a
narrow, small, short run that two CPU cores finish in minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from citygan.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Preset:
    """One named model.

    Attributes:
        task: What it is listed under.
        summary: What it is.
        source: Paper, section, table, row.
        settings, quick: What differs from the defaults, and from that in its quick form.
        direction: Of the published side-by-side pairs: which half becomes which.
        from_weights: Whether it starts from trained weights, and has the networks that these are of.
        builds_on: The models from whose runs it goes on, with their networks and what these are shown.
    """

    task: str
    summary: str
    source: str
    settings: Mapping[str, Any]
    quick: Mapping[str, Any]
    direction: str | None = None
    from_weights: bool = False
    builds_on: tuple[str, ...] = ()


# what makes any of them narrow and short enough for two CPU cores
_QUICK: Mapping[str, Any] = {
    "generator": {"width": 16},
    "discriminator": {"width": 16},
    "optimizer": {"schedule": "linear"},
    "train": {"steps": 4000, "ema": 0.998},
}
# the Cityscapes study left augmentation out of its results (section II.C.4)
PLAIN: Mapping[str, Any] = {"augment": {"jitter": 1.0, "mirror": False}}
_LABELS = "labels or pictures to photos"
_PAINT = "photos to labels (painted)"
_TASKS = "other translations of pictures"
_STUDY = "Cityscapes study"  # Ortega Pinto and Romero Romero


def _task(
    summary: str,
    where: str,
    *,
    epochs: float,
    batch: int,
    jitter: bool = False,
    mirror: bool = False,
    direction: str | None = None,
    task: str = _TASKS,
    **more: Mapping[str, Any],
) -> Preset:
    """One of the tasks of pix2pix's section 6.2, with its epochs, batch and augmentation."""
    augment = {"jitter": 286 / 256 if jitter else 1.0, "mirror": mirror}
    return Preset(
        task=task,
        summary=summary,
        source=f"pix2pix, {where}",
        settings={"augment": augment, "train": {"epochs": epochs, "batch": batch}, **more},
        quick={**_QUICK, "train": {**_QUICK["train"], "batch": 1}},
        direction=direction,
    )


_SFLOW_TASK = "labels and edges to photos (S-Flow GAN)"
# what the paper does not tell is as in pix2pixHD's public code
_HD: Mapping[str, Any] = {
    "recipe": "cg2real",
    "input": {"array": "label", "encoding": "onehot"},
    "augment": {"jitter": 1.0, "mirror": True},
    "generator": {"name": "resnet", "blocks": 9, "halvings": 4, "norm": "instance", "dropout": 0.0},
    "discriminator": {"name": "multiscale", "scales": 1, "norm": "instance"},
    "losses": {"adversarial": "least-squares", "lambda_l1": 0.0, "lambda_fm": 10.0, "lambda_vgg": 10.0},
    "optimizer": {"schedule": "linear"},
}
_SFLOW: Mapping[str, Any] = {**_HD, "edges": {"shown": True}, "dned": {"from_share": 0.25}}
_PUBLIC: Mapping[str, Any] = {**_HD, "input": {**_HD["input"], "instance_edges": True}}
# nothing is to be fetched, so L1 has to stand in the place of the perceptual loss, with pix2pix's weight; a small U-Net
# paints several times as fast as residual blocks, and by resizing, since feature matching brings its checkerboards out
_QUICK_HD: Mapping[str, Any] = {
    "generator": {"name": "unet", "width": 16, "blocks": 9, "halvings": None, "upsample": "nearest"},
    "discriminator": {"width": 16},
    "dned": {"width": 4},
    # noise and how dense edges are would tell the photo's light, which a graphics rendering's edges do not know
    "edges": {"smoothing": 2.0, "threshold": 3.0, "jitter": 3.0},
    "losses": {"lambda_vgg": 0.0, "lambda_l1": 100.0},
    "weights": {"vgg16": "random"},
    "optimizer": {"rate": 5e-4},
    "train": {"steps": 2000, "ema": 0.998},
}
_PICTURE_MODELS = ("sflow", "sflow-multiscale", "sflow-laplacian", "sflow-labels", "pix2pixhd", "pix2pixhd-global")


def _sflow(summary: str, source: str, settings: Mapping[str, Any], quick: Mapping[str, Any] = _QUICK_HD) -> Preset:
    return Preset(task=_SFLOW_TASK, summary=summary, source=source, settings=settings, quick=quick)


_SEGMENT = "photos to labels (segmenters)"
# Chen et al. and Zhao et al.: random scale from half to twice, mirroring, SGD, poly
_SEGMENTER: Mapping[str, Any] = {
    "recipe": "segmenter",
    "inference": "running",
    "augment": {"jitter": 1.0, "mirror": True, "scale_min": 0.5, "scale_max": 2.0},
    "optimizer": {"name": "sgd", "rate": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "schedule": "poly"},
    "train": {"batch": 8, "epochs": 100.0},
}
# narrow ones with random trunks: Adam is what learns in so few steps
_QUICK_SEGMENTER: Mapping[str, Any] = {
    "augment": {"jitter": 1.0, "scale_min": 0.5, "scale_max": 1.0, "crop": 96},
    "optimizer": {"name": "adam", "rate": 2e-3, "beta1": 0.9, "weight_decay": 0.0, "schedule": "poly"},
    "train": {"steps": 400, "batch": 4, "checkpoint_every_steps": 200, "sample_every_steps": 200},
}

PRESETS: dict[str, Preset] = {
    "pix2pix": Preset(
        task=_LABELS,
        summary="U-Net, 70x70 PatchGAN, cGAN + 100 L1",
        source="pix2pix, sections 3 and 6.1; table 1, row L1+cGAN",
        settings={},
        quick=_QUICK,
    ),
    "pix2pix-mse": Preset(
        task=_LABELS,
        summary="pix2pix with mean squared error in the place of cross-entropy, without augmentation",
        source=f"{_STUDY}, section II.C.1; table I, row Baseline Model with MSE",
        settings={**PLAIN, "losses": {"adversarial": "least-squares-sigmoid"}},
        quick=_QUICK,
    ),
    "pix2pix-alpha50": Preset(
        task=_LABELS,
        summary="pix2pix with 50 L1, without augmentation",
        source=f"{_STUDY}, section II.C.1 (alpha = 50, not in table I)",
        settings={**PLAIN, "losses": {"lambda_l1": 50.0}},
        quick=_QUICK,
    ),
    "pix2pix-alpha75": Preset(
        task=_LABELS,
        summary="pix2pix with 75 L1, without augmentation",
        source=f"{_STUDY}, section II.C.1 (alpha = 75, not in table I)",
        settings={**PLAIN, "losses": {"lambda_l1": 75.0}},
        quick=_QUICK,
    ),
    "pix2pix-deeplab": Preset(
        task=_LABELS,
        summary="pretrained trunks: DeepLabV3's as generator, ResNet-18 as discriminator; without augmentation",
        source=f"{_STUDY}, section II.C.2; table I, row Pre-trained from pytorch",
        settings={**PLAIN, "generator": {"name": "deeplabv3"}, "discriminator": {"name": "resnet18"}},
        quick={**_QUICK, "weights": {"deeplabv3_resnet50": "random", "resnet18": "random"}},
    ),
    "pix2pix-finetune": Preset(
        task=_LABELS,
        summary="published U-Net and PatchGAN (--init FILE), trained on as pix2pix-mse; without augmentation",
        source=f"{_STUDY}, section II.C.2; table I, row Pre-trained from literature",
        settings={**PLAIN, "losses": {"adversarial": "least-squares-sigmoid"}},
        quick={"optimizer": {"schedule": "linear"}, "train": {"steps": 400, "ema": 0.998}},
        from_weights=True,
    ),
    "enhanced": Preset(
        task=_LABELS,
        summary="U-Net with a norm after every convolution, without augmentation",
        source=f"{_STUDY}, section II.C.3; table I, row Enhanced baseline model",
        settings={**PLAIN, "generator": {"name": "enhanced"}},
        quick=_QUICK,
    ),
    "enhanced-mse": Preset(
        task=_LABELS,
        summary="the enhanced U-Net with mean squared error in the place of cross-entropy, without augmentation",
        source=f"{_STUDY}, section III; table I, row Enhanced baseline model with MSE",
        settings={
            **PLAIN,
            "generator": {"name": "enhanced"},
            "losses": {"adversarial": "least-squares-sigmoid"},
        },
        quick=_QUICK,
    ),
    "photo-to-labels": _task(
        "photo in, label map in its class colours out, scored as classification",
        "sections 4.6 and 6.2; table 6, row L1+cGAN",
        epochs=200,
        batch=1,
        jitter=True,
        mirror=True,
        task=_PAINT,
        input={"array": "photo"},
        output={"array": "label"},
    ),
    "facades": _task(
        "architectural labels to photos",
        "section 6.2; figure 14",
        epochs=200,
        batch=1,
        jitter=True,
        mirror=True,
        direction="BtoA",
    ),
    "maps": _task(
        "aerial photos to maps, or back; trained at 256x256, tested at 512x512",
        "sections 4.1, 4.5 and 6.2; table 4",
        epochs=200,
        batch=1,
        jitter=True,
        mirror=True,
        direction="AtoB",
    ),
    "edges2shoes": _task("edges to photos of shoes", "section 6.2; figure 17", epochs=15, batch=4, direction="AtoB"),
    "edges2handbags": _task(
        "edges to photos of handbags", "section 6.2; figure 16", epochs=15, batch=4, direction="AtoB"
    ),
    "day2night": _task(
        "photos by day to the same by night", "section 6.2; figure 15", epochs=17, batch=4, jitter=True, mirror=True
    ),
    "colourisation": _task(
        "photos from their lightness alone: L in, a and b out (Lab)",
        "sections 4.5 and 6.2; table 5",
        epochs=6,
        batch=4,
        mirror=True,
        input={"array": "photo", "encoding": "lightness"},
        output={"encoding": "ab"},
    ),
    "thermal": _task("thermal pictures to photos", "section 6.2; figure 20", epochs=10, batch=4),
    "inpainting": _task(
        "photos without their centre to whole ones",
        "section 6.2; figure 19",
        epochs=25,
        batch=4,
        input={"array": "photo", "encoding": "hole"},
    ),
    "sflow": _sflow(
        "labels and edges, first the Laplacian's, then the edge network's (DNED); one discriminator",
        "S-Flow GAN, sections 3.1 and 3.2; tables 1 to 3, rows Ours and Ours-img",
        _SFLOW,
    ),
    "sflow-multiscale": _sflow(
        "sflow judged by discriminators at three scales",
        "S-Flow GAN, section 3.2, figure 4",
        {**_SFLOW, "discriminator": {**_HD["discriminator"], "scales": 3}},
    ),
    "sflow-laplacian": _sflow(
        "sflow without the edge network: the Laplacian's edges to the end",
        "S-Flow GAN, section 3.2, the first stage alone",
        {**_SFLOW, "dned": {"from_share": None}},
    ),
    "sflow-labels": _sflow(
        "sflow without edges: labels alone",
        "S-Flow GAN, equation 2 in the place of equation 3",
        _HD,
    ),
    "sflow-video": Preset(
        task=_SFLOW_TASK,
        summary="a trained picture model (--init RUN) goes on with pairs of frames and the flow loss",
        source="S-Flow GAN, section 3.3; table 3, row Ours-vid",
        settings={
            **_SFLOW,
            "video": {"pairs": True},
            "losses": {**_HD["losses"], "lambda_flow": 1.0},
            "train": {"epochs": 40.0},
        },
        # in so few steps the flow loss alone brings texture that moves, and as much unsteadiness as it takes away
        quick={
            **_QUICK_HD,
            "losses": {**_QUICK_HD["losses"], "lambda_flow": 4.0, "lambda_warp": 15.0},
            "video": {"gaussian": False},
            "train": {"steps": 400, "ema": 0.99, "checkpoint_every_steps": 200, "sample_every_steps": 200},
        },
        builds_on=_PICTURE_MODELS,
    ),
    "pix2pixhd": _sflow(
        "labels, instance edges and instance features; coarse to fine, in three phases; for 2048x1024",
        "pix2pixHD, sections 3.1 to 3.4; S-Flow GAN, tables 1 to 3, row Pix2pixHD",
        {
            **_PUBLIC,
            "features": {"shown": True},
            "generator": {
                "name": "local-enhancer",
                "width": 32,
                "norm": "instance",
                "dropout": 0.0,
                "global_share": 200 / 300,
                "local_share": 10 / 300,
            },
            "discriminator": {**_HD["discriminator"], "scales": 3},
            "optimizer": {"schedule": "linear", "decay_share": 50 / 300},
            "train": {"epochs": 300.0},
        },
        {
            **_QUICK_HD,
            "generator": {"width": 8, "blocks": 3, "halvings": 2, "local_blocks": 1},
            "features": {"width": 8, "halvings": 3, "pictures": 100},
        },
    ),
    "pix2pixhd-global": _sflow(
        "labels and instance edges; the global generator alone; for 1024x512",
        "pix2pixHD, sections 3.1 to 3.3",
        {**_PUBLIC, "discriminator": {**_HD["discriminator"], "scales": 2}},
    ),
    "unet-seg": Preset(
        task=_SEGMENT,
        summary="a small U-Net, from nothing fetched",
        source="after Ronneberger et al., U-Net",
        settings={
            **_SEGMENTER,
            "optimizer": {"name": "adam", "rate": 2e-3, "beta1": 0.9, "schedule": "poly"},
            "segmenter": {"name": "unet-seg", "width": 32},
        },
        quick={
            **_QUICK_SEGMENTER,
            "segmenter": {"width": 16},
            # pictures of 128x128 nearly whole, at the scale they are used at: on CamVid, one seed and as many pixels,
            # a little above crops of 96 at 0.75 to 1.5; half the pixels at 0.5 to 1 were far below both
            "augment": {**_QUICK_SEGMENTER["augment"], "scale_min": 1.0, "scale_max": 1.4, "crop": 128},
            "train": {
                **_QUICK_SEGMENTER["train"],
                "steps": 600,
                "checkpoint_every_steps": 300,
                "sample_every_steps": 300,
            },
        },
    ),
    "fcn8s": Preset(
        task=_SEGMENT,
        summary="FCN-8s on VGG-16, the segmenter of pix2pix's FCN-score",
        source="Long et al., FCN; pix2pix, section 4.2",
        settings={
            **_SEGMENTER,
            "segmenter": {"name": "fcn8s"},
            "optimizer": {**_SEGMENTER["optimizer"], "rate": 1e-3, "weight_decay": 5e-4},
        },
        quick={**_QUICK_SEGMENTER, "segmenter": {"width": 8}, "weights": {"vgg16": "random"}},
    ),
    "deeplabv3": Preset(
        task=_SEGMENT,
        summary="torchvision's DeepLabV3 on ResNet-50",
        source="Chen et al., DeepLabV3, section 4.1",
        settings={
            **_SEGMENTER,
            "segmenter": {"name": "deeplabv3"},
            "optimizer": {**_SEGMENTER["optimizer"], "rate": 7e-3},
        },
        quick={
            **_QUICK_SEGMENTER,
            "weights": {"deeplabv3_resnet50": "random"},
            "augment": {**_QUICK_SEGMENTER["augment"], "crop": 64},
            "train": {**_QUICK_SEGMENTER["train"], "steps": 100, "batch": 4, "checkpoint_every_steps": 100},
        },
    ),
    "pspnet": Preset(
        task=_SEGMENT,
        summary="segmentation-models-pytorch's PSPNet on ResNet-50",
        source="Zhao et al., PSPNet, section 5.1",
        settings={**_SEGMENTER, "segmenter": {"name": "pspnet"}},
        quick={
            **_QUICK_SEGMENTER,
            "segmenter": {"backbone": "resnet18"},
            "weights": {"resnet18": "random"},
            "augment": {**_QUICK_SEGMENTER["augment"], "crop": 64},
            "train": {**_QUICK_SEGMENTER["train"], "steps": 200, "checkpoint_every_steps": 100},
        },
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UsageError: There is none; the names are listed, the nearest first.
    """
    if name in PRESETS:
        return PRESETS[name]
    hint = f"{did_you_mean(name, PRESETS)}There are: {', '.join(sorted(PRESETS))}"
    raise UsageError(f"no model named '{name}'", where="--model", hint=hint)
