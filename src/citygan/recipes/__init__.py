"""How each family learns, each by name in a table."""

from __future__ import annotations

from citygan.recipes.base import Recipe, Update
from citygan.recipes.cg2real import CG2Real
from citygan.recipes.pix2pix import Pix2Pix
from citygan.recipes.segmenter import Segmentation

RECIPES: dict[str, type[Recipe]] = {"pix2pix": Pix2Pix, "cg2real": CG2Real, "segmenter": Segmentation}

__all__ = ["RECIPES", "Recipe", "Update"]
