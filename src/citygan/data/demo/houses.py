"""Houses: a painted front, side walls, a roof, and what stands on it."""

from __future__ import annotations

import numpy as np

from . import facades
from . import world as w
from .canvas import Canvas, Paint
from .texture import BRICK, PLASTER, ROOF
from .world import Builder


def building(
    builder: Builder,
    rng: np.random.Generator,
    kind: str,
    place: tuple[float, float, float],
    extent: tuple[float, float, float],
    *,
    daylight: float,
    shops: bool = False,
    cheap: bool = False,
) -> None:
    """A house of `extent` (width, height, depth) metres in a street of some kind.

    `place` is (s, z, heading): the middle of its front, which is seen looking along the heading. A cheap house is front
    and roof alone, for the distance.
    """
    s, z, heading = place
    width, height, depth = extent
    add = builder.add
    weights = {
        "downtown": (0.2, 0.25, 0.2, 0.15, 0.2),
        "avenue": (0.2, 0.3, 0.15, 0.1, 0.25),
        "residential": (0.4, 0.45, 0.0, 0.0, 0.15),
        "outskirts": (0.25, 0.3, 0.35, 0.1, 0.0),
    }[kind]
    style = str(rng.choice(facades.STYLES, p=weights))
    paint = facades.wall_paint(rng, style)
    tile = facades.FACADE_TILE[style]
    front = facades.facade(
        rng,
        style,
        paint,
        width,
        height,
        shops=shops,
        daylight=daylight,
        ppm=facades.NEAR_PPM if z - width / 2 < facades.FAR_METRES and not cheap else facades.FAR_PPM,
    )
    owner = builder.add_object(s, z, heading)
    add(owner, (-width / 2, 0, 0), (width, 0, 0), (0, height, 0), front, w.BUILDING, tile=tile)
    pitched = style in ("brick", "plaster", "old") and height < 15 and rng.random() < 0.8
    rise = float(rng.uniform(2.0, 3.8)) if pitched else 0.0
    side = facades.gable(rng, paint, depth, height, rise)
    if not cheap:
        add(owner, (-width / 2, 0, depth), (0, 0, -depth), (0, height + rise, 0), side, w.BUILDING, tile=tile)
        add(owner, (width / 2, 0, 0), (0, 0, depth), (0, height + rise, 0), side, w.BUILDING, tile=tile)
    if pitched:
        slope = facades.roof(rng, width, float(np.hypot(depth / 2, rise)))
        add(
            owner,
            (-width / 2, height, 0),
            (width, 0, 0),
            (0, rise, depth / 2),
            slope,
            w.BUILDING,
            tile=ROOF,
            two_sided=True,
        )
        if rng.random() < 0.7:
            x = float(rng.uniform(-width / 3, width / 3))
            stack = Canvas(0.8, 2.0, 16.0, Paint((120, 84, 70), (180, 90, 90), 180))
            foot = (x, height + rise * 0.5, depth * 0.35)
            add(owner, foot, (0.8, 0, 0), (0, 2.0, 0), stack, w.BUILDING, tile=BRICK, two_sided=True)
    elif rng.random() < 0.5 and not cheap:  # set-back attic or lift house
        x, wide = float(rng.uniform(-width / 3, 0)), width / 3
        attic = Canvas(wide, 2.6, 10.0, paint.times(0.85))
        attic.rect(0.5, 0.6, wide - 0.5, 1.9, Paint((60, 70, 80), (120, 190, 236), 10))
        add(owner, (x, height, 2.0), (wide, 0, 0), (0, 2.6, 0), attic, w.BUILDING, tile=PLASTER, two_sided=True)
