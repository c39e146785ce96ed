"""Array types of the demo city.

The names say what is in an array; the stubs of NumPy and OpenCV cannot follow float32 through arithmetic.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[Any]  # float32
Doubles: TypeAlias = NDArray[Any]  # float64
Bytes: TypeAlias = NDArray[Any]  # uint8
Ints: TypeAlias = NDArray[Any]  # int32
Bools: TypeAlias = NDArray[Any]
Colour: TypeAlias = tuple[float, float, float]  # sRGB, 0..255
