"""Array types of the demo city."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
Array = NDArray[Any]
Colour = tuple[float, float, float]  # sRGB, 0..255
