"""The study of S-Flow GAN: its tables 1 to 3 as rows, with what the paper leaves out to tell what does the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from citygan.study.parts import PRINTED, Column, Row, Study

CITYSCAPES, SYNTHIA, FRECHET = "sflow-table-1", "sflow-table-2", "sflow-table-3"
NO_FLOW: Mapping[str, Any] = {"losses": {"lambda_flow": 0.0, "lambda_warp": 0.0}}
# costs are measured at 256x256, one thread: seconds a picture by those of the quick `pix2pix`; a pair is two pictures
SFLOW = Study(
    name="sflow",
    title="S-Flow GAN: edges, and steady video",
    source="S-Flow GAN, section 4",
    table=CITYSCAPES,
    rows=(
        Row("pix2pix", "Pix2pix", paper="Pix2pix"),
        Row("pix2pixhd", "Pix2pixHD", "pix2pixhd", paper="Pix2pixHD", needs=("instance",), cost=2.0),
        Row("vid2vid", "Vid2vid", in_tables={FRECHET: "Vid2vid"}, printed="it makes each frame from those that it made "
            "before, and no such model is here: the paper's figures alone"),
        Row("sflow-labels", "S-Flow pictures, labels alone", "sflow-labels", cost=1.3),
        Row("sflow", "S-Flow pictures", "sflow", paper="Ours", in_tables={FRECHET: "Ours-img"}, cost=1.8),
        Row("sflow-of-photo", "S-Flow pictures, edges: target photo", "sflow", scores="sflow", edges_of="photo"),
        Row("sflow-longer", "S-Flow pictures, trained on without flow", "sflow-video", overrides=NO_FLOW,
            starts_from="sflow", needs=("pairs",), cost=1.8),
        Row("sflow-video", "S-Flow video", "sflow-video", in_tables={FRECHET: "Ours-vid"}, starts_from="sflow",
            needs=("pairs",), cost=2.1),
        Row("sflow-video-of-photo", "S-Flow video, edges: target photo", "sflow-video", scores="sflow-video",
            edges_of="photo", needs=("pairs",)),
        Row("photos", "Oracle", paper="Oracle", reference=True),
    ),
    columns=(
        Column("pixel acc.", "fcn-score", ("pixel_accuracy",), paper="pixel_accuracy"),
        Column("pixel acc. on Synthia", PRINTED, paper="pixel_accuracy", table=SYNTHIA),
        Column("mIoU", "fcn-score", ("class_iou", "mean"), paper="mean_iou"),
        Column("mIoU on Synthia", PRINTED, paper="mean_iou", table=SYNTHIA),
        Column("FID", "fid", paper="fid", table=FRECHET),
        Column("FVD", "fvd", paper="fvd", table=FRECHET),
        Column("SSIM", "ssim"),
        Column("L1 [grey levels]", "l1"),
        Column("warp error [grey levels]", "warp-error"),
        Column("flicker [grey levels]", "flicker"),
        Column("sharpness [grey levels a pixel]", "sharpness"),
    ),
    notes=(
        "SSIM and L1 reward blur, and so do warp error and flicker: read them beside sharpness, which is the mean "
        "magnitude of the gradient, and beside the oracle's",
        "'S-Flow video' goes on from the run 'S-Flow pictures' of the same seed. 'S-Flow pictures, trained on without "
        "flow' does the same for as many steps of as many pairs of frames, with a flow weight of 0: what differs "
        "between the two is equation 8",
        "'S-Flow pictures, labels alone' is what the edges are worth: the same networks without them",
        "The paper judges by PSPNet; here the segmenter is the study's own",
        "The paper does not say what edges were taken from where it scored; of Cityscapes there is no rendering",
    ),
    minutes=20,
)  # fmt: skip
