"""What stands beside a generator's input and output: edge maps, instance features, the following frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from citygan.config import Settings
from citygan.data.store import WHAT, PreparedSet, Split, evenly
from citygan.errors import DataError, UsageError
from citygan.models.features import FeatureEncoder, gather
from citygan.recipes.skeleton import Skeleton

CG2REAL = "cg2real"  # the recipe of S-Flow GAN and pix2pixHD


def arrays_beside(settings: Settings, data: PreparedSet, skeleton: Skeleton | None) -> list[str]:
    """The arrays that are learnt from besides what is shown and painted.

    Raises:
        DataError: The set lacks one, or has no pairs of frames.
        UsageError: A setting of another recipe.
    """
    split = data.split("train")
    found = []
    if settings.recipe != CG2REAL:
        of_cg2real = {
            "edges.shown": settings.edges.shown,
            "features.shown": settings.features.shown,
            "video.pairs": settings.video.pairs,
            "losses.lambda_fm": settings.losses.lambda_fm,
            "losses.lambda_vgg": settings.losses.lambda_vgg,
            "generator.global_share": settings.generator.global_share,
            "generator.local_share": settings.generator.local_share,
        }
        given = [key for key, value in of_cg2real.items() if value]
        if given:
            raise UsageError(
                f"of the recipe {CG2REAL}, and this is {settings.recipe}",
                where=", ".join(given),
                hint="citygan models lists those under S-Flow GAN, such as --model sflow",
            )
    if settings.dned.from_share is not None and skeleton is None:
        hint = "--set edges.shown=true, or dned.from_share=null"
        raise UsageError("an edge network without edges to show", where="dned.from_share", hint=hint)
    if skeleton is not None:
        found.append(skeleton.of)
    if settings.features.shown:
        if split.instance is None or split.photo is None or settings.output.array != "photo":
            hint = "--set features.shown=false goes without"
            raise DataError("instance features need photos and instance maps", where=data.path, hint=hint)
        found += ["photo", "instance", "label"] if split.label is not None else ["photo", "instance"]
    motion = [f"losses.{key}" for key in ("lambda_flow", "lambda_warp") if getattr(settings.losses, key) > 0]
    if not settings.video.pairs:
        if motion:
            hint = "--set video.pairs=true, as --model sflow-video"
            raise UsageError("motion is learnt from pairs of frames", where=", ".join(motion), hint=hint)
        return found
    if settings.generator.global_share > 0:
        raise UsageError(
            "flow is learnt from whole pictures, and the global generator alone paints smaller ones",
            where="generator.global_share",
            hint="Take 0, or train a model of pictures first and go on from it: --model sflow-video --init RUN",
        )
    if not split.pairs():
        why = (
            "no sequences" if not split.sequences() else "no two frames of a sequence with numbers one after the other"
        )
        hint = "A model of pictures learns from it: --model sflow"
        raise DataError(
            f"the split train has {why}, and this model learns from pairs of frames", where=data.path, hint=hint
        )
    if settings.losses.lambda_warp > 0 or settings.video.masked:
        if split.flow is None or split.occlusion is None:
            what = "losses.lambda_warp" if settings.losses.lambda_warp > 0 else "video.masked"
            hint = f"Prepare it with --flow, or --set {what}={'0' if 'lambda' in what else 'false'}"
            raise DataError(
                f"{what} needs the set's flow and occlusion, and there are none", where=data.path, hint=hint
            )
        found += ["flow", "occlusion"]
    return found


def skeleton_of(settings: Settings, data: PreparedSet) -> Skeleton | None:
    """The edge map that the generator is shown.

    Raises:
        DataError: The set lacks the pictures that it is learnt from.
    """
    edges = settings.edges
    if not edges.shown or settings.recipe != CG2REAL:
        return None
    if getattr(data.split("train"), edges.of) is None:
        hint = f"--set edges.of={'photo' if edges.of == 'source' else 'source'}, or --model sflow-labels, without edges"
        raise DataError(f"the split train has no {WHAT[edges.of]} to take edges from", where=data.path, hint=hint)
    network = settings.dned.from_share is not None
    return Skeleton(
        edges.of,
        edges.smoothing,
        edges.threshold,
        edges.kernel,
        network,
        settings.dned.input,
        settings.dned.concentration,
    )


def networks_beside(settings: Settings, skeleton: Skeleton | None, channels: int) -> dict[str, dict[str, Any]]:
    """Name and arguments of the networks beside generator and discriminator.

    Args:
        channels: C of the photos.
    """
    found = {}
    if skeleton is not None and skeleton.network:
        found["dned"] = {"name": "dned", "arguments": {"width": settings.dned.width}}
    if settings.features.shown:
        chosen = settings.features
        arguments = {"in_channels": channels, "features": chosen.channels}
        arguments |= {key: getattr(chosen, key) for key in ("width", "halvings", "clusters")}
        found["encoder"] = {"name": "features", "arguments": arguments}
    return found


def cluster_features(encoder: FeatureEncoder, split: Split, settings: Settings, device: torch.device) -> None:
    """Gathers the features of the training pictures' instances into the encoder's clusters, by class.

    Of label ids where the set has labels, else of one class for all.
    """
    assert split.photo is not None and split.instance is not None
    found = []
    for index in evenly(len(split), settings.features.pictures):
        photo = torch.from_numpy(np.array(split.photo[index])).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
        instance = torch.from_numpy(np.asarray(split.instance[index]).astype(np.int32)).to(device)[None]
        label = torch.zeros_like(instance)
        if split.label is not None:
            label = torch.from_numpy(np.array(split.label[index])).to(device)[None]
        with torch.inference_mode():
            features = encoder(photo[:, : encoder.first.in_channels], instance)
        found.append(gather(features, instance, label))
    encoder.cluster(found, settings.seed)
