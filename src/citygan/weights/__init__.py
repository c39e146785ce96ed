"""Weights as public implementations save them: read, recognised, mapped onto our modules, and back."""

from citygan.weights.fitting import refit
from citygan.weights.formats import FORMATS
from citygan.weights.layouts import Imported, import_state_dict
from citygan.weights.reading import read_state_dict, read_weights
from citygan.weights.row import Format

__all__ = ["FORMATS", "Format", "Imported", "import_state_dict", "read_state_dict", "read_weights", "refit"]
