"""Every named model and every row of every study against its paper, by tables written by hand.

The tables say in dotted settings what differs from the defaults, as the papers have it (where they leave
something open, as it was settled); the code is not asked. A new named model or row fails until it stands here too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from citygan.config import Layer, Settings, resolve
from citygan.data.store import PreparedSet
from citygan.presets import PRESETS
from citygan.study.papers import paper_tables
from citygan.study.planning import Options, judge_of, settings_of
from citygan.study.rows import STUDIES
from citygan.yamlfile import flat
from tests.tiny import prepared_set

# pix2pix, sections 3.2, 3.3, 4 and 6: what a run is that says nothing
DEFAULTS: dict[str, Any] = {
    "model": "pix2pix", "recipe": "pix2pix", "init": None, "inference": "auto",
    "input.array": "auto", "input.encoding": "colour", "input.instance_edges": False,
    "output.array": "photo", "output.encoding": "colour",
    "augment.jitter": 286 / 256, "augment.mirror": True,
    "augment.scale_min": 1.0, "augment.scale_max": 1.0, "augment.crop": None, "augment.class_crops": 1,
    "augment.brightness": 0.0, "augment.contrast": 0.0, "augment.saturation": 0.0, "augment.hue": 0.0,
    "augment.gain": 0.0, "augment.bias": 0.0, "augment.gamma": 0.0,
    "generator.name": "unet", "generator.width": 64, "generator.depth": None, "generator.dropout": 0.5,
    "generator.skips": True, "generator.norm": "batch", "generator.upsample": "transposed",
    "discriminator.name": "patchgan", "discriminator.width": 64, "discriminator.receptive_field": 70,
    "discriminator.norm": "batch", "discriminator.conditional": True, "discriminator.shared_pass": False,
    "losses.lambda_gan": 1.0, "losses.lambda_l1": 100.0, "losses.adversarial": "cross-entropy",
    "losses.reconstruction": "l1",
    "optimizer.name": "adam", "optimizer.rate": 2e-4, "optimizer.beta1": 0.5, "optimizer.beta2": 0.999,
    "optimizer.weight_decay": 0.0, "optimizer.schedule": "constant",
    "train.epochs": 200.0, "train.steps": None, "train.batch": 1, "train.accumulate": 1,
    "train.precision": "float32", "train.ema": 0.0,
}  # fmt: skip

# the Cityscapes study left augmentation out of its results (section II.C.4)
STILL: dict[str, Any] = {"augment.jitter": 1.0, "augment.mirror": False}
SQUARES: dict[str, Any] = {"losses.adversarial": "least-squares-sigmoid"}
# random scale from half to twice, mirroring, SGD with momentum, poly
SEGMENTER: dict[str, Any] = {
    "recipe": "segmenter", "inference": "running",
    "augment.jitter": 1.0, "augment.scale_min": 0.5, "augment.scale_max": 2.0,
    "optimizer.name": "sgd", "optimizer.rate": 0.01, "optimizer.weight_decay": 1e-4, "optimizer.schedule": "poly",
    "train.batch": 8, "train.epochs": 100.0,
}  # fmt: skip
ADAM: dict[str, Any] = {
    **{key: value for key, value in SEGMENTER.items() if not key.startswith("optimizer.")},
    "optimizer.rate": 2e-3,
    "optimizer.beta1": 0.9,  # Adam's own
    "optimizer.schedule": "poly",
}

# section 6.2: mirroring only; L is given, a and b are made
COLOURED: dict[str, Any] = {
    "augment.jitter": 1.0, "train.epochs": 6.0, "train.batch": 4,
    "input.array": "photo", "input.encoding": "lightness", "output.encoding": "ab",
}  # fmt: skip

MODELS: dict[str, dict[str, Any]] = {
    "pix2pix": {},
    "pix2pix-mse": {**STILL, **SQUARES},
    "pix2pix-alpha50": {**STILL, "losses.lambda_l1": 50.0},
    "pix2pix-alpha75": {**STILL, "losses.lambda_l1": 75.0},
    "pix2pix-deeplab": {**STILL, "generator.name": "deeplabv3", "discriminator.name": "resnet18"},
    "enhanced": {**STILL, "generator.name": "enhanced"},
    "enhanced-mse": {**STILL, "generator.name": "enhanced", **SQUARES},
    "pix2pix-finetune": {**STILL, **SQUARES},
    # pix2pix, section 6.2: epochs, batch, jitter and mirroring of each task
    "photo-to-labels": {"input.array": "photo", "output.array": "label"},
    "facades": {},
    "maps": {},
    "edges2shoes": {**STILL, "train.epochs": 15.0, "train.batch": 4},
    "edges2handbags": {**STILL, "train.epochs": 15.0, "train.batch": 4},
    "day2night": {"train.epochs": 17.0, "train.batch": 4},
    "colourisation": COLOURED,
    "thermal": {**STILL, "train.epochs": 10.0, "train.batch": 4},
    "inpainting": {
        **STILL, "train.epochs": 25.0, "train.batch": 4, "input.array": "photo", "input.encoding": "hole",
    },
    "unet-seg": {**ADAM, "segmenter.width": 32},
    "fcn8s": {**SEGMENTER, "segmenter.name": "fcn8s", "optimizer.rate": 1e-3, "optimizer.weight_decay": 5e-4},
    "deeplabv3": {**SEGMENTER, "segmenter.name": "deeplabv3", "optimizer.rate": 7e-3},
    "pspnet": {**SEGMENTER, "segmenter.name": "pspnet"},
}  # fmt: skip
# which half of the published side-by-side pairs becomes which
DIRECTIONS = {"facades": "BtoA", "maps": "AtoB", "edges2shoes": "AtoB", "edges2handbags": "AtoB"}

PAINTED: dict[str, Any] = {"model": "photo-to-labels", "input.array": "photo", "output.array": "label"}
L1: dict[str, Any] = {"losses.lambda_gan": 0.0}
GAN: dict[str, Any] = {"losses.lambda_l1": 0.0}
BLIND: dict[str, Any] = {"discriminator.conditional": False}
SEVERED: dict[str, Any] = {"generator.skips": False}
TEN: dict[str, Any] = {"train.batch": 10}
MIRRORED: dict[str, Any] = {"augment.jitter": 1.0}
SCALED: dict[str, Any] = {**MIRRORED, "augment.scale_max": 1.5}

# S-Flow GAN, sections 3.1 to 3.3, and pix2pixHD, sections 3.1 to 3.4, with its public code where those say nothing
HD: dict[str, Any] = {
    "recipe": "cg2real", "input.array": "label", "input.encoding": "onehot", "augment.jitter": 1.0,
    "generator.name": "resnet", "generator.norm": "instance", "generator.dropout": 0.0,
    "discriminator.name": "multiscale", "discriminator.norm": "instance", "losses.adversarial": "least-squares",
    "losses.lambda_l1": 0.0, "losses.lambda_fm": 10.0, "losses.lambda_vgg": 10.0, "optimizer.schedule": "linear",
}  # fmt: skip
ONE: dict[str, Any] = {**HD, "discriminator.scales": 1, "generator.halvings": 4}
EDGES: dict[str, Any] = {**ONE, "edges.shown": True, "dned.from_share": 0.25}
# it goes on in the second stage, from the first step on
PAIRS: dict[str, Any] = {
    **EDGES, "model": "sflow-video", "dned.from_share": 0.0, "video.pairs": True, "train.epochs": 40.0,
}  # fmt: skip

# study: row: title, the paper's row, what differs from the defaults; None: nothing is trained
ROWS: dict[str, dict[str, tuple[str, str | None, dict[str, Any] | None]]] = {
    "pix2pix-losses": {
        "l1": ("L1", "L1", L1),
        "gan": ("GAN", "GAN", {**GAN, **BLIND}),
        "cgan": ("cGAN", "cGAN", GAN),
        "l1-gan": ("L1+GAN", "L1+GAN", BLIND),
        "l1-cgan": ("L1+cGAN", "L1+cGAN", {}),
        "photos": ("Ground truth", "Ground truth", None),
    },
    "pix2pix-generators": {
        "encoder-decoder-l1": ("Encoder-decoder (L1)", "Encoder-decoder (L1)", {**SEVERED, **L1, **TEN}),
        "encoder-decoder-l1-cgan": ("Encoder-decoder (L1+cGAN)", "Encoder-decoder (L1+cGAN)", {**SEVERED, **TEN}),
        "unet-l1": ("U-net (L1)", "U-net (L1)", {**L1, **TEN}),
        "unet-l1-cgan": ("U-net (L1+cGAN)", "U-net (L1+cGAN)", TEN),
    },
    "pix2pix-receptive-fields": {
        "field-1": ("1x1", "1x1", {"discriminator.name": "pixelgan"}),
        "field-16": ("16x16", "16x16", {"discriminator.receptive_field": 16}),
        "field-70": ("70x70", "70x70", {}),
        "field-286": ("286x286", "286x286", {"discriminator.receptive_field": 286}),
    },
    "photo-to-labels": {
        "l1": ("L1", "L1", {**PAINTED, **L1}),
        "cgan": ("cGAN", "cGAN", {**PAINTED, **GAN}),
        "l1-cgan": ("L1+cGAN", "L1+cGAN", PAINTED),
    },
    "colour": {
        "l1": ("L1", "L1", L1),
        "cgan": ("cGAN", "cGAN", GAN),
        "l1-cgan": ("L1+cGAN", "L1+cGAN", {}),
        "pixelgan": ("PixelGAN", "PixelGAN", {"discriminator.name": "pixelgan"}),
    },
    "cityscapes-ssim": {
        "baseline": ("Baseline Model", "Baseline Model", STILL),
        "baseline-mse": (
            "Baseline Model with MSE", "Baseline Model with MSE", {**STILL, **SQUARES, "model": "pix2pix-mse"}
        ),
        "deeplab": (
            "Pre-trained from pytorch", "Pre-trained from pytorch",
            {**STILL, "generator.name": "deeplabv3", "discriminator.name": "resnet18", "model": "pix2pix-deeplab"},
        ),
        "literature": (
            "Pre-trained from literature", "Pre-trained from literature",
            {**STILL, **SQUARES, "model": "pix2pix-finetune"},
        ),
        "enhanced": (
            "Enhanced baseline model", "Enhanced baseline model",
            {**STILL, "generator.name": "enhanced", "model": "enhanced"},
        ),
        "enhanced-mse": (
            "Enhanced baseline model with MSE", "Enhanced baseline model with MSE",
            {**STILL, "generator.name": "enhanced", **SQUARES, "model": "enhanced-mse"},
        ),
    },
    "alpha": {
        "alpha-50": ("alpha = 50", None, {**STILL, "losses.lambda_l1": 50.0, "model": "pix2pix-alpha50"}),
        "alpha-75": ("alpha = 75", None, {**STILL, "losses.lambda_l1": 75.0, "model": "pix2pix-alpha75"}),
        "alpha-100": ("alpha = 100", "Baseline Model", STILL),
    },
    "schedule": {
        "epochs-100": ("100 epochs", None, {**STILL, "train.epochs": 100.0}),
        "epochs-200": ("200 epochs", "Baseline Model", STILL),
        "epochs-400": ("400 epochs", None, {**STILL, "train.epochs": 400.0}),
    },
    "augmentation": {
        "none": ("none", "Baseline Model", STILL),
        "mirror": ("mirror", None, MIRRORED),
        "jitter": ("jitter (enlarged and cropped)", None, {"augment.mirror": False}),
        "jitter-mirror": ("jitter and mirror, as pix2pix", None, {}),
        "colour-jitter": (
            "mirror and colour jitter, as the study", None,
            {**MIRRORED, "augment.brightness": 0.2, "augment.contrast": 0.2, "augment.saturation": 0.2,
             "augment.hue": 0.2, "augment.colour_of": "both"},
        ),
        "photometric": (
            "photometric change of the photo alone", None,
            {**MIRRORED, "augment.gain": 0.1, "augment.bias": 0.05, "augment.gamma": 0.1},
        ),
        "class-crops": ("class-aware crops", None, {**SCALED, "augment.class_crops": 8}),
        "scale-jitter": ("scale jitter", None, SCALED),
    },
    "amt": {
        "l1": ("L1", "L1", L1),
        "l1-cgan": ("L1+cGAN", "L1+cGAN", {}),
        "colourisation": ("Colourisation", "Ours", COLOURED | {"model": "colourisation"}),
    },
    "sflow": {
        "pix2pix": ("Pix2pix", "Pix2pix", {}),
        "pix2pixhd": (
            "Pix2pixHD", "Pix2pixHD",
            {**HD, "model": "pix2pixhd", "input.instance_edges": True, "features.shown": True,
             "generator.name": "local-enhancer", "generator.width": 32, "generator.global_share": 2 / 3,
             "generator.local_share": 1 / 30, "optimizer.decay_share": 1 / 6,
             "train.epochs": 300.0},
        ),
        "vid2vid": ("Vid2vid", None, None),
        "sflow-labels": ("S-Flow pictures, labels alone", None, {**ONE, "model": "sflow-labels"}),
        "sflow": ("S-Flow pictures", "Ours", {**EDGES, "model": "sflow"}),
        "sflow-of-photo": ("S-Flow pictures, edges: target photo", None, {**EDGES, "model": "sflow"}),
        "sflow-longer": ("S-Flow pictures, trained on without flow", None, PAIRS),
        "sflow-video": ("S-Flow video", None, {**PAIRS, "losses.lambda_flow": 1.0}),
        "sflow-video-of-photo": ("S-Flow video, edges: target photo", None, {**PAIRS, "losses.lambda_flow": 1.0}),
        "photos": ("Oracle", "Oracle", None),
    },
}  # fmt: skip

# rows whose figure stands in another table than the study's: that, and its column
ELSEWHERE = {"amt colourisation": ("pix2pix-table-5", "labelled_real")}

# study: the paper's table, and of its columns here: title, metric, the figure of it, split, the paper's column
FCN = [
    ("per-pixel acc.", "fcn-score", ("pixel_accuracy",), "val", "pixel_accuracy"),
    ("per-class acc.", "fcn-score", ("class_accuracy",), "val", "class_accuracy"),
    ("class IoU", "fcn-score", ("class_iou", "mean"), "val", "class_iou"),
]
SSIM = [
    ("SSIM train", "ssim", ("mean",), "train", "train"),
    ("SSIM validation", "ssim", ("mean",), "val", "val"),
    ("SSIM test", "ssim", ("mean",), "test", "test"),
]
SFLOW = [
    ("pixel acc.", "fcn-score", ("pixel_accuracy",), "val", "pixel_accuracy"),
    ("pixel acc. on Synthia", "printed", ("mean",), "val", "pixel_accuracy"),
    ("mIoU", "fcn-score", ("class_iou", "mean"), "val", "mean_iou"),
    ("mIoU on Synthia", "printed", ("mean",), "val", "mean_iou"),
    ("FID", "fid", ("mean",), "val", "fid"),
    ("FVD", "fvd", ("mean",), "val", "fvd"),
]
COLUMNS: dict[str, tuple[str, list[tuple[str, str, tuple[str, ...], str, str]]]] = {
    "pix2pix-losses": ("pix2pix-table-1", FCN),
    "pix2pix-generators": ("pix2pix-table-2", FCN),
    "pix2pix-receptive-fields": ("pix2pix-table-3", FCN),
    "photo-to-labels": (
        "pix2pix-table-6",
        [
            ("per-pixel acc.", "miou", ("pixel_accuracy",), "val", "pixel_accuracy"),
            ("per-class acc.", "miou", ("class_accuracy",), "val", "class_accuracy"),
            ("class IoU", "miou", ("mean",), "val", "class_iou"),
        ],
    ),
    "colour": ("pix2pix-figure-7", [(f"intersection {x}", "colour", (x,), "val", x) for x in ("L", "a", "b")]),
    "cityscapes-ssim": ("cityscapes-table-1", SSIM),
    "alpha": ("cityscapes-table-1", SSIM),
    "schedule": ("cityscapes-table-1", SSIM),
    "augmentation": ("cityscapes-table-1", SSIM),
    "sflow": ("sflow-table-1", SFLOW),
    "amt": ("pix2pix-table-4", [("taken for real [%]", "real-or-fake", ("mean",), "val", "map_to_photo")]),
}

MODELS |= {
    "sflow": EDGES,
    "sflow-multiscale": {key: value for key, value in EDGES.items() if key != "discriminator.scales"},
    "sflow-laplacian": {key: value for key, value in EDGES.items() if key != "dned.from_share"},
    "sflow-labels": ONE,
    "sflow-video": {**EDGES, "video.pairs": True, "train.epochs": 40.0, "losses.lambda_flow": 1.0},
    "pix2pixhd": {
        **{key: value for key, value in HD.items() if key != "generator.name"},
        "input.instance_edges": True, "features.shown": True, "generator.name": "local-enhancer",
        "generator.width": 32, "generator.global_share": 200 / 300, "generator.local_share": 10 / 300,
        "optimizer.decay_share": 50 / 300, "train.epochs": 300.0,
    },
    "pix2pixhd-global": {**ONE, "input.instance_edges": True, "discriminator.scales": 2},
}  # fmt: skip


def _differing(settings: Settings) -> dict[str, Any]:
    """What differs from the defaults, but for where it lies."""
    usual = flat(Settings().to_dict())
    return {key: value for key, value in flat(settings.to_dict()).items() if value != usual[key] and key != "data"}


def test_the_defaults_are_pix2pix() -> None:
    found = flat(Settings().to_dict())
    assert {key: found[key] for key in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("name", PRESETS)
def test_every_named_model_is_that_of_its_paper(name: str) -> None:
    assert name in MODELS, f"a new named model: write into MODELS, from its paper, what '{name}' changes"
    settings = resolve([Layer(name, {"model": name, **PRESETS[name].settings})])[0]
    named = {} if name == "pix2pix" else {"model": name}
    assert _differing(settings) == MODELS[name] | named


def test_no_named_model_is_lacking() -> None:
    assert not MODELS.keys() - PRESETS.keys()
    assert {name: row.direction for name, row in PRESETS.items() if row.direction is not None} == DIRECTIONS
    assert [name for name, row in PRESETS.items() if row.from_weights] == ["pix2pix-finetune"]


@pytest.mark.parametrize("name", STUDIES)
def test_every_row_of_a_study_is_that_of_its_paper(name: str) -> None:
    assert name in ROWS, f"a new study: write into ROWS and COLUMNS, from its paper, what '{name}' compares"
    study, told = STUDIES[name], ROWS[name]
    assert [row.name for row in study.rows] == list(told), "a new or missing row: write it into ROWS, from its paper"
    for row in study.rows:
        title, paper, differs = told[row.name]
        assert (row.title, row.paper) == (title, paper)
        assert row.elsewhere == ELSEWHERE.get(f"{name} {row.name}")
        # as in table 5 (section 4.1), where colour is given to the very photo that it is compared with
        assert row.same_input == (row.name == "colourisation")
        assert (row.reference or row.printed is not None) == (differs is None)
        if differs is not None:
            settings = settings_of(study, row, Options("tiny", False))
            assert _differing(settings) == differs, row.name


@pytest.mark.parametrize("name", STUDIES)
def test_every_column_of_a_study_is_that_of_its_papers_table(name: str) -> None:
    study = STUDIES[name]
    found = [(c.title, c.metric, c.part, c.split, c.paper) for c in study.columns if c.paper is not None]
    assert (study.table, found) == COLUMNS[name]
    assert all(c.split == "val" or c.split in c.title for c in study.columns)


def test_rows_that_go_by_a_papers_name_have_its_figures() -> None:
    for study in STUDIES.values():
        assert study.paper is not None
        for row in study.rows:
            if row.title in study.paper.rows:
                assert row.paper == row.title
    of_paper = {name: set(study.paper.rows) for name, study in STUDIES.items() if study.paper is not None}
    whole = ("pix2pix-losses", "pix2pix-generators", "pix2pix-receptive-fields", "photo-to-labels", "colour",
             "cityscapes-ssim", "amt")  # fmt: skip
    for name in whole:
        rows = {row.paper for row in STUDIES[name].rows if row.elsewhere is None}
        assert rows == of_paper[name], f"{name} has every row of the paper's table"


def test_a_tables_figures_come_from_the_row_and_column_of_its_own() -> None:
    study = STUDIES["pix2pix-losses"]
    figures = [[study.paper_figure(row, column) for column in study.columns[:3]] for row in study.rows]
    assert figures == [
        [0.42, 0.15, 0.11], [0.22, 0.05, 0.01], [0.57, 0.22, 0.16], [0.64, 0.20, 0.15], [0.66, 0.23, 0.17],
        [0.80, 0.26, 0.21],
    ]  # fmt: skip
    assert len(paper_tables()) == 11


def test_the_figures_of_sflow_come_from_three_tables() -> None:
    study = STUDIES["sflow"]
    shown = [column for column in study.columns if column.paper is not None]
    found = {
        row.name: figures for row in study.rows if any(figures := [study.paper_figure(row, column) for column in shown])
    }
    # accuracy, the same on Synthia, mIoU, the same on Synthia, FID, FVD
    assert found == {
        "pix2pix": [0.7279, 0.54, 0.5324, 0.36, 116.69, None],
        "pix2pixhd": [0.81, 0.79944, 0.67, 0.55955, 71.21, None],
        "vid2vid": [None, None, None, None, 154.36, 0.706],
        "sflow": [0.83, None, 0.69, 0.740040, 69.25, None],
        "sflow-video": [None, None, None, None, 69.81, 0.326],
        "photos": [0.86, 0.913132, 0.701, 0.8419, None, None],
    }
    assert study.where == "S-Flow GAN, section 4; table 1, table 2, table 3"


def test_only_rows_from_published_weights_start_from_them() -> None:
    found = {f"{study.name} {row.name}" for study in STUDIES.values() for row in study.rows if row.from_weights}
    assert found == {"cityscapes-ssim literature"}


@pytest.mark.parametrize(
    ("table", "side", "enlarge"), [("cityscapes", 256, "2048x1024"), ("cityscapes", 32, None), ("camvid11", 256, None)]
)
def test_the_judge_is_pix2pix_own_and_in_the_quick_form_a_small_one(
    tmp_path: Path, table: str, side: int, enlarge: str | None
) -> None:
    """FCN-8s; that of Cityscapes at 256x256 saw its photos enlarged to the size of the labels (section 4.2's code)."""
    data = PreparedSet.open(prepared_set(tmp_path / "set", train=1, val=1, size=(side, side), table=table))
    found = {}
    for quick in (False, True):
        job = judge_of(STUDIES["pix2pix-losses"], Options("tiny", quick), data)
        assert job is not None
        found[quick] = job.settings
    protocol = {} if enlarge is None else {"segmenter.enlarge": enlarge}
    assert _differing(found[False]) == MODELS["fcn8s"] | {"model": "fcn8s"} | protocol
    assert found[True].segmenter.name == "unet-seg" and found[True].quick and found[True].segmenter.enlarge is None


def test_where_steps_are_given_a_longer_schedule_has_more_of_them() -> None:
    study = STUDIES["schedule"]
    quick = [settings_of(study, row, Options("tiny", True)).train.steps for row in study.rows]
    told = [
        settings_of(study, row, Options("tiny", False, assigned=("train.steps=5",))).train.steps for row in study.rows
    ]
    assert (quick, told) == ([800, 1600, 3200], [5, 10, 20])
