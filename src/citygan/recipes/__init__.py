"""How each family learns, each by name in a table."""

from __future__ import annotations

from citygan.recipes.base import Recipe, Update
from citygan.recipes.pix2pix import Pix2Pix

RECIPES: dict[str, type[Pix2Pix]] = {"pix2pix": Pix2Pix}

__all__ = ["RECIPES", "Recipe", "Update"]
