"""People, riders and parked two-wheelers: where they are and how they move."""

from __future__ import annotations

import numpy as np

from . import cycles, people
from . import world as w
from .canvas import Canvas
from .texture import CLOTH
from .world import Builder, Eye, Street

Generator = np.random.Generator


def parked_two_wheeler(builder: Builder, rng: Generator, s: float, z: float, side: int, motor: bool) -> None:
    """A parked motorcycle or bicycle, from the side or obliquely."""
    class_id = w.MOTORCYCLE if motor else w.BICYCLE
    make = cycles.motorcycle if motor else cycles.bicycle
    heading = float(rng.choice((0.0, np.pi / 2))) + float(rng.normal(0, 0.5))
    owner = builder.add_object(s, z, heading, footprint=(0.9, 0.4, 0.6))
    canvas = make(rng, side=True)
    builder.add(
        owner,
        (-canvas.width / 2, 0, 0),
        (canvas.width, 0, 0),
        (0, canvas.height, 0),
        canvas,
        class_id,
        instance=builder.instance(class_id),
        two_sided=True,
        caster=True,
    )


def riders(builder: Builder, rng: Generator, street: Street, eye: Eye, sun_side: float) -> float:
    """Cyclists and motorcyclists under way, parked two-wheelers on the pavement; returns the z of who crosses."""
    blocked = float("inf")
    for motor, mean in ((False, 0.8), (True, 0.42)):
        class_id = w.MOTORCYCLE if motor else w.BICYCLE
        make = cycles.motorcycle if motor else cycles.bicycle
        for _ in range(int(rng.poisson(mean))):
            outfit = people.Outfit(rng)
            across = rng.random() < 0.3
            z = float(rng.uniform(6.5, 26))
            if across:
                sign = 1.0 if rng.random() < 0.5 else -1.0
                s, rate, z = float(rng.uniform(-3, 3)), (sign * 0.16, 0.0), max(z, 8.5)
                blocked = min(blocked, z)
            else:
                same = rng.random() < 0.7
                s = (street.lanes * street.lane_width / 2 - 0.6) * (1 if same else -1)
                rate, sign = (0.0, max(0.28, eye.speed) if same else -0.3), 1.0
            owner = builder.add_object(s, z, facing=True, rate=rate, footprint=(0.9 if across else 0.35, 0.5, 0.7))
            bike = make(rng, side=across)
            body = people.rider(rng, outfit, sun_side * sign, side=across, motor=motor)
            for canvas, thing, depth in ((bike, class_id, 0.04), (body, w.RIDER, 0.0)):
                builder.add(
                    owner,
                    (-sign * canvas.width / 2, 0.02, depth),
                    (sign * canvas.width, 0, 0),
                    (0, canvas.height, 0),
                    canvas,
                    thing,
                    instance=builder.instance(thing),
                    two_sided=True,
                    caster=True,
                    tile=CLOTH,
                )
        for _ in range(int(rng.poisson(0.8 if not motor else 0.3))):
            side = int(rng.random() < 0.6)
            sign = 1 if side else -1
            z = float(rng.uniform(5, 24))
            for k in range(1 if motor else int(rng.integers(1, 5))):
                parked_two_wheeler(builder, rng, sign * (street.walk[side] - 0.6), z + 0.9 * k, side, motor)
    return blocked


def pedestrians(builder: Builder, rng: Generator, street: Street, kind: str, sun_side: float) -> float:
    """People on the pavements and on the zebra crossing; returns the z of those who cross."""
    blocked = float("inf")
    mean = {"downtown": 11.0, "avenue": 8.5, "residential": 4.5, "outskirts": 3.5}[kind]
    crowd = [_wardrobe(rng, sun_side) for _ in range(6)]
    for _ in range(int(rng.poisson(mean))):
        side = int(rng.integers(2))
        sign = 1 if side else -1
        inner, outer = street.road_half[side] + street.verge[side] + 0.5, street.walk[side] - 0.4
        z = 4.2 + 38 * float(rng.random()) ** 1.6
        rate = 0.07 * float(rng.choice((-1, 1))) if rng.random() < 0.8 else 0.0
        person(builder, rng, crowd, sign * float(rng.uniform(inner, max(inner + 0.1, outer))), z, (0.0, rate))
    if street.zebra is not None:
        for _ in range(int(rng.poisson(1.6))):
            z = street.zebra + float(rng.uniform(0.5, 2.6))
            if z > 7:
                blocked = min(blocked, z)
                person(
                    builder,
                    rng,
                    crowd,
                    float(rng.uniform(-street.road_half[0], street.road_half[1])),
                    z,
                    (0.075 * float(rng.choice((-1, 1))), 0.0),
                )
    return blocked


def _wardrobe(rng: Generator, sun_side: float) -> list[tuple[Canvas, Canvas]]:
    """One person seen from the front, from behind and from the side: trunk and leg."""
    outfit = people.Outfit(rng)
    lower = people.leg(outfit, sun_side)
    return [(people.upper_body(rng, outfit, sun_side, facing), lower) for facing in (0, 1, 2)]


def person(
    builder: Builder,
    rng: Generator,
    crowd: list[list[tuple[Canvas, Canvas]]],
    s: float,
    z: float,
    rate: tuple[float, float],
) -> None:
    """A person on foot; the legs swing."""
    across = rate[0] != 0.0 or (rate[1] == 0.0 and rng.random() < 0.4)
    facing = 2 if across else (1 if rate[1] > 0 else 0)
    upper, lower = crowd[int(rng.integers(len(crowd)))][facing]
    flip = -1.0 if across and rate[0] < 0 else 1.0
    tall = float(rng.uniform(0.9, 1.06)) if rng.random() < 0.88 else float(rng.uniform(0.62, 0.8))
    owner = builder.add_object(s, z, facing=True, rate=rate, footprint=(0.4, 0.3, 0.75))
    instance = builder.instance(w.PERSON)
    moving = rate != (0.0, 0.0)
    phase = float(rng.uniform(0, 2 * np.pi))
    stride = (0.42 if across else 0.14) if moving else 0.04
    for k in (-1, 1):
        x = k * (0.02 if across else 0.085) * tall - flip * lower.width / 2 * tall
        builder.add(
            owner,
            (x, 0.0, 0.02 * k),
            (flip * lower.width * tall, 0, 0),
            (0, lower.height * tall, 0),
            lower,
            w.PERSON,
            instance=instance,
            two_sided=True,
            tile=CLOTH,
            caster=True,
            swing=(k * stride, phase),
        )
    builder.add(
        owner,
        (-flip * upper.width / 2 * tall, 0, -0.05),
        (flip * upper.width * tall, 0, 0),
        (0, upper.height * tall, 0),
        upper,
        w.PERSON,
        instance=instance,
        two_sided=True,
        tile=CLOTH,
        caster=True,
    )
