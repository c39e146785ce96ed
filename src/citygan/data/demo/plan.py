"""Which day it is and how the street is laid out."""

from __future__ import annotations

import numpy as np

from . import world as w
from .types import Floats
from .world import PROFILE_COUNT, Eye, Light, Street

Generator = np.random.Generator
REACH_METRES = 60.0  # how far the camera drives at most
KINDS = ("downtown", "avenue", "residential", "outskirts")
KIND_SHARES = (0.34, 0.26, 0.24, 0.16)


def _colour(*values: float) -> Floats:
    return np.array(values, np.float32)


def light_of_day(rng: Generator) -> Light:
    """Sunny, overcast, hazy or evening light."""
    name = str(rng.choice(("sunny", "overcast", "hazy", "evening"), p=(0.42, 0.33, 0.12, 0.13)))
    azimuth = float(rng.uniform(-np.pi, np.pi))
    height = np.radians(float(rng.uniform(8, 18) if name == "evening" else rng.uniform(26, 60)))
    sun = np.array([np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)], np.float32)
    if abs(sun[0]) < 0.12:  # never exactly along the street
        sun[0] = 0.12 if sun[0] >= 0 else -0.12
        sun /= np.float32(np.linalg.norm(sun))
    looks: dict[str, tuple[Floats, ...]] = {
        # sun, sky light, haze, zenith, horizon
        "sunny": (
            _colour(1.75, 1.6, 1.36),
            _colour(0.62, 0.70, 0.84),
            _colour(0.62, 0.68, 0.76),
            _colour(0.16, 0.34, 0.72),
            _colour(0.72, 0.82, 0.95),
        ),
        "overcast": (
            _colour(0.16, 0.16, 0.16),
            _colour(1.12, 1.15, 1.2),
            _colour(0.66, 0.69, 0.72),
            _colour(0.62, 0.66, 0.72),
            _colour(0.95, 0.97, 1.0),
        ),
        "hazy": (
            _colour(0.65, 0.6, 0.5),
            _colour(0.92, 0.92, 0.9),
            _colour(0.80, 0.79, 0.76),
            _colour(0.55, 0.62, 0.70),
            _colour(0.98, 0.96, 0.90),
        ),
        "evening": (
            _colour(1.5, 0.92, 0.46),
            _colour(0.50, 0.52, 0.66),
            _colour(0.72, 0.54, 0.42),
            _colour(0.22, 0.30, 0.52),
            _colour(1.1, 0.74, 0.46),
        ),
    }
    sun_colour, sky, haze, zenith, horizon = looks[name]
    reach = {"sunny": (260, 600), "overcast": (160, 420), "hazy": (70, 140), "evening": (140, 360)}[name]
    clouds = {"sunny": (0.1, 0.6), "overcast": (0.85, 1.0), "hazy": (0.2, 0.7), "evening": (0.2, 0.75)}[name]
    warm = float(rng.normal(0, 0.025))
    return Light(
        name=name,
        sun=sun,
        sun_colour=sun_colour * np.float32(rng.uniform(0.85, 1.1)),
        sky_colour=sky * np.float32(rng.uniform(0.9, 1.08)),
        haze_colour=haze,
        haze_metres=float(rng.uniform(*reach)),
        zenith=zenith,
        horizon=horizon,
        clouds=float(rng.uniform(*clouds)),
        exposure=float(np.exp(rng.normal(-0.04 if name != "evening" else -0.1, 0.11))),
        warmth=_colour(1 + warm, 1.0, 1 - warm),
        daylight=0.2 if name == "evening" else (0.7 if name == "overcast" else 1.0),
        noise=float(rng.uniform(2.0, 3.2)),
    )


def street_plan(rng: Generator, kind: str) -> Street:
    """The plan of the ground of a street of some kind."""
    lanes = int(
        rng.choice(
            (1, 2, 3, 4),
            p={
                "downtown": (0.22, 0.56, 0.14, 0.08),
                "avenue": (0.0, 0.50, 0.2, 0.3),
                "residential": (0.25, 0.75, 0.0, 0.0),
                "outskirts": (0.0, 0.68, 0.16, 0.16),
            }[kind],
        )
    )
    lane_width = float(rng.uniform(2.6, 3.1)) + (0.6 if lanes == 1 else 0.0)
    chance = {"downtown": 0.5, "avenue": 0.5, "residential": 0.55, "outskirts": 0.15}[kind]
    parking = (bool(rng.random() < chance), bool(rng.random() < chance))
    half = tuple(lanes * lane_width / 2 + (2.1 if parking[k] else 0.3) for k in range(2))
    verge = tuple(
        float(rng.uniform(1.0, 2.2))
        if rng.random() < {"downtown": 0.08, "avenue": 0.5, "residential": 0.3, "outskirts": 0.6}[kind]
        else 0.0
        for _ in range(2)
    )
    walk = tuple(
        half[k] + verge[k] + float(rng.uniform(2.4, 5.0 if kind in ("downtown", "avenue") else 3.2)) for k in range(2)
    )
    crossing = float(rng.uniform(15, 48)) if rng.random() < 0.55 else None
    crossing_half = float(rng.uniform(3.2, 5.5))
    zebra = None
    if crossing is not None and rng.random() < 0.6:
        zebra = crossing - crossing_half - 4.0
    elif rng.random() < 0.2:
        zebra = float(rng.uniform(9, 30))
    tracks = None
    if rng.random() < 0.26 and kind != "residential" and lanes > 1:
        tracks = float(rng.choice((-1, 1))) * lane_width * 0.5 if lanes != 3 else 0.0
    median = float(rng.uniform(0.6, 1.1)) if lanes == 4 and tracks is None and rng.random() < 0.45 else 0.0
    return Street(
        curvature=float(rng.normal(0, 1 / 420)) if rng.random() < 0.6 else 0.0,
        lanes=lanes,
        lane_width=lane_width,
        road_half=(half[0], half[1]),
        parking=parking,
        tracks=tracks,
        median=median,
        verge=(verge[0], verge[1]),
        walk=(walk[0], walk[1]),
        crossing=crossing,
        crossing_half=crossing_half,
        zebra=zebra,
        lot_ground=np.full((2, PROFILE_COUNT), w.SIDEWALK, np.uint8),
        wear=float(rng.uniform(0.1, 0.9)),
        texture_shift=(float(rng.uniform(0, 1)), float(rng.uniform(0, 1))),
        solid_centre=bool(rng.random() < 0.3),
    )


def camera_drive(rng: Generator, street: Street) -> Eye:
    """Where the camera looks from and how it drives."""
    if street.lanes == 1:
        lateral = 0.0
    elif street.lanes == 3:
        lateral = street.lane_width
    elif street.lanes == 4:
        lateral = street.lane_width * float(rng.choice((0.5, 1.5)))
    else:
        lateral = street.lane_width * 0.5
    return Eye(
        lateral=lateral + float(rng.normal(0, 0.15)),
        height=float(rng.uniform(1.25, 1.75)),
        pitch=float(rng.normal(0, 0.012)),
        yaw=float(rng.normal(0.01, 0.10)),
        yaw_rate=float(rng.normal(0, 0.02)),
        speed=float(rng.uniform(0.25, 0.75)) if rng.random() > 0.1 else 0.0,
        reach=REACH_METRES,
        horizon=float(rng.uniform(0.45, 0.535)),
        bonnet=float(rng.uniform(0.05, 0.10)) if rng.random() < 0.4 else 0.0,
    )
