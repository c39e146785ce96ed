"""The layouts that are recognised, in the order in which they are tried: a row each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from citygan.data.layouts.readers import (
    is_camvid,
    is_camvid32,
    is_cityscapes,
    is_cityscapes_sequence,
    is_folders,
    is_labels,
    is_pairs,
    is_photos,
    is_pix2pixhd,
    read_camvid,
    read_camvid32,
    read_cityscapes,
    read_cityscapes_sequence,
    read_folders,
    read_labels,
    read_pairs,
    read_photos,
    read_pix2pixhd,
)
from citygan.data.layouts.rendered import (
    is_gta5,
    is_synthia,
    is_synthia_seqs,
    read_gta5,
    read_synthia,
    read_synthia_seqs,
)
from citygan.data.layouts.sorting import Sorted
from citygan.data.layouts.tree import Tree
from citygan.data.layouts.types import Found


@dataclass(frozen=True)
class Layout:
    """One layout: what it looks like, whether a folder is one, and its reader."""

    looks_like: str
    recognise: Callable[[Tree, list[Sorted]], bool]
    read: Callable[[Tree, list[Sorted], bool], Found]


LAYOUTS: dict[str, Layout] = {
    "cityscapes": Layout(
        "leftImg8bit/SPLIT/CITY/*_leftImg8bit.png and gtFine/SPLIT/CITY/*_gtFine_labelIds.png",
        is_cityscapes,
        read_cityscapes,
    ),
    "cityscapes-sequence": Layout(
        "leftImg8bit_sequence/SPLIT/CITY/*_leftImg8bit.png", is_cityscapes_sequence, read_cityscapes_sequence
    ),
    "camvid": Layout("train/, trainannot/, val/, valannot/, test/, testannot/", is_camvid, read_camvid),
    "camvid32": Layout("701_StillsRaw_full/*.png and LabeledApproved_full/*_L.png", is_camvid32, read_camvid32),
    "synthia": Layout("RGB/*.png and GT/LABELS/*.png (SYNTHIA-RAND-CITYSCAPES)", is_synthia, read_synthia),
    "synthia-seqs": Layout(
        "SYNTHIA-SEQS-*/RGB/Stereo_*/Omni_*/*.png and GT/LABELS/Stereo_*/Omni_*/*.png",
        is_synthia_seqs,
        read_synthia_seqs,
    ),
    "gta5": Layout("images/00001.png and labels/00001.png, in Cityscapes' palette or colours", is_gta5, read_gta5),
    "pix2pixhd": Layout("train_label/, train_inst/, train_img/ and test_*/", is_pix2pixhd, read_pix2pixhd),
    "folders": Layout("labels/ and photos/ (or the like) with the same names", is_folders, read_folders),
    "pairs": Layout("train/, val/, test/ with pictures of two sides, twice as wide as high", is_pairs, read_pairs),
    "labels": Layout("label maps alone", is_labels, read_labels),
    "photos": Layout("photos alone", is_photos, read_photos),
}

# those that tell label maps from other files by their names
WITH_LABELS = ("cityscapes", "camvid", "camvid32", "synthia", "synthia-seqs", "pix2pixhd")
# those whose own test split has no labels, or empty ones: a server keeps them
SECRET_TEST = ("cityscapes", "cityscapes-sequence")
# those in which a photo of one colour is a frame that was not rendered
RENDERED = ("synthia", "synthia-seqs", "gta5")
# what is left where the folders tell nothing
ALONE = ("labels", "photos")


def telling() -> list[str]:
    """The layouts whose folders tell what is in them."""
    return [name for name in LAYOUTS if name not in ALONE]


def recognise(tree: Tree, files: list[Sorted], among: Iterable[str] | None = None) -> str | None:
    """The first layout that a folder has, of all or of some; None where it has none."""
    names = LAYOUTS if among is None else among
    return next((name for name in names if files and LAYOUTS[name].recognise(tree, files)), None)
