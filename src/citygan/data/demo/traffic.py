"""What stands and moves in a street: poles, lights, signs, vehicles, two-wheelers, people."""

from __future__ import annotations

import numpy as np

from . import long_vehicles, things, vehicles
from . import world as w
from .canvas import Canvas
from .crowd import parked_two_wheeler, pedestrians, riders
from .texture import PLAIN
from .vehicles import Face
from .world import Builder, Eye, Street

Generator = np.random.Generator


def _upright(
    builder: Builder,
    s: float,
    z: float,
    canvas: Canvas,
    class_id: int,
    *,
    base: float = 0.0,
    facing: bool = False,
    depth: float = 0.0,
    heading: float = 0.0,
    instance: int | None = None,
    caster: bool = False,
    tile: int = PLAIN,
    rate: tuple[float, float] = (0, 0),
    footprint: tuple[float, float, float] = (0.0, 0.0, 0.0),
    owner: int | None = None,
) -> int:
    """A cut-out that stands on the ground at (s, z)."""
    if owner is None:
        owner = builder.add_object(s, z, heading, facing=facing, rate=rate, footprint=footprint)
    builder.add(
        owner,
        (-canvas.width / 2, base, depth),
        (canvas.width, 0, 0),
        (0, canvas.height, 0),
        canvas,
        class_id,
        instance=instance,
        two_sided=True,
        caster=caster,
        tile=tile,
    )
    return owner


def furnish(builder: Builder, rng: Generator, street: Street, kind: str) -> None:
    """Lamps, signs, traffic lights, bins, boxes."""
    lamps = [
        things.lamp(rng, float(rng.uniform(6, 8.5)), reach, float(rng.uniform(0.13, 0.2))) for reach in (1.8, -1.8)
    ]
    step = float(rng.uniform(17, 28))
    start = float(rng.uniform(4, 14))
    for k, z in enumerate(np.arange(start, 140, step)):
        side = k % 2
        if street.crossing is not None and abs(z - street.crossing) < street.crossing_half + 1:
            continue
        sign = 1 if side else -1
        _upright(
            builder, sign * (street.road_half[side] + 0.5), float(z), lamps[side], w.POLE, facing=True, caster=True
        )
    for _ in range(int(rng.integers(2, 7))):  # signs on posts
        side = int(rng.random() < 0.65)
        z = float(rng.uniform(7, 45)) if rng.random() < 0.8 else float(rng.uniform(45, 80))
        sign_post(builder, rng, (1 if side else -1) * (street.road_half[side] + float(rng.uniform(0.4, 0.9))), z)
    if street.crossing is not None:
        if rng.random() < 0.72:
            near, far = street.crossing - street.crossing_half - 1.5, street.crossing + street.crossing_half + 1.5
            state = int(rng.choice((0, 1, 2), p=(0.4, 0.1, 0.5)))
            left, right = -street.road_half[0] - 0.6, street.road_half[1] + 0.6
            for s, z in ((right, near), (left, near), (right, far), (left, far)):
                light_post(builder, rng, s, z, state, street)
    elif rng.random() < 0.15:
        light_post(builder, rng, street.road_half[1] + 0.6, float(rng.uniform(9, 25)), 2, street)
    for _ in range(int(rng.integers(0, 4))):
        side = int(rng.integers(2))
        s = (1 if side else -1) * (street.walk[side] - 0.5)
        _upright(
            builder,
            s,
            float(rng.uniform(6, 40)),
            things.bin_or_box(rng),
            w.STATIC if rng.random() < 0.6 else w.DYNAMIC,
            facing=True,
            footprint=(0.6, 0.4, 0.6),
        )
    if rng.random() < 0.35:  # bollards
        side = int(rng.integers(2))
        bollard = things.post(0.95, 0.16)
        for z in np.arange(rng.uniform(4, 8), rng.uniform(16, 40), 1.8):
            _upright(
                builder,
                (1 if side else -1) * (street.road_half[side] + 0.35),
                float(z),
                bollard,
                w.POLE,
                facing=True,
                caster=True,
            )


def sign_post(builder: Builder, rng: Generator, s: float, z: float) -> None:
    """One or two signs on a post."""
    height = float(rng.uniform(2.4, 3.2))
    owner = _upright(builder, s, z, things.post(height, 0.1), w.POLE, heading=float(rng.normal(0, 0.1)), caster=True)
    for k in range(1 + int(rng.random() < 0.3)):
        canvas = things.sign(rng)
        _upright(builder, s, z, canvas, w.SIGN, base=height - 0.8 * (k + 1), depth=-0.06, owner=owner, caster=True)


def light_post(builder: Builder, rng: Generator, s: float, z: float, state: int, street: Street) -> None:
    """A traffic light beside the road, and at times a second one on an arm above it."""
    owner = _upright(builder, s, z, things.post(3.3, 0.16), w.POLE, caster=True)
    lights = things.traffic_light(rng, state)
    _upright(builder, s, z, lights, w.LIGHT, base=2.2, depth=-0.12, owner=owner, caster=True)
    if rng.random() < 0.4:
        reach = -np.sign(s) * min(3.5, street.road_half[1] * 0.6)
        post = things.post(5.6, 0.18)
        owner = _upright(builder, s, z, post, w.POLE)
        arm = Canvas(abs(reach), 0.16, 20.0, post.base)
        builder.add(owner, (min(reach, 0.0), 5.4, 0), (abs(reach), 0, 0), (0, 0.16, 0), arm, w.POLE, two_sided=True)
        builder.add(owner, (reach - 0.25, 4.7, -0.1), (0.5, 0, 0), (0, 1.15, 0), lights, w.LIGHT, two_sided=True)


def _vehicle(
    builder: Builder,
    faces: list[Face],
    class_id: int,
    s: float,
    z: float,
    heading: float,
    rate: tuple[float, float],
    half: tuple[float, float],
) -> None:
    owner = builder.add_object(s, z, heading, rate=rate, footprint=(half[0] + 0.25, half[1] + 0.25, 0.9))
    instance = builder.instance(class_id)
    for k, face in enumerate(faces):
        builder.add(
            owner,
            face.origin,
            face.right,
            face.up,
            face.canvas,
            class_id,
            instance=instance,
            caster=k in (0, 2, 4, 6, 8),
        )


def populate(
    builder: Builder, rng: Generator, street: Street, kind: str, eye: Eye, daylight: float, sun_side: float
) -> float:
    """Vehicles and people. Returns the z of the nearest one that crosses the camera's way, infinity if none does."""
    blocked = [float("inf")]
    models = [vehicles.car(rng, daylight) for _ in range(6)]
    half_car = (0.9, 2.2)
    taken: list[tuple[float, float, float]] = []  # s, z0, z1 of what stands on the road

    def free(s: float, z0: float, z1: float) -> bool:
        return all(abs(s - o) > 2.6 or z1 < a or z0 > b for o, a, b in taken)

    def put_long(what: str, class_id: int, s: float, z: float, heading: float, rate: tuple[float, float]) -> None:
        faces, length = long_vehicles.long_vehicle(rng, what, daylight)
        if free(s, z - length / 2 - 1.5, z + length / 2 + 1.5):
            taken.append((s, z - length / 2 - 1.5, z + length / 2 + 1.5))
            _vehicle(builder, faces, class_id, s, z, heading, rate, (1.25, length / 2))

    lanes = [(-street.lanes / 2 + 0.5 + k) * street.lane_width for k in range(street.lanes)]
    ours, theirs = [s for s in lanes if s > 0.5], [s for s in lanes if s < 0.5]
    if street.lanes == 1:
        ours = theirs = lanes
    density = {"downtown": 1.0, "avenue": 1.0, "residential": 0.45, "outskirts": 0.7}[kind]
    own_lane = [s for s in ours if abs(s - eye.lateral) < street.lane_width / 2]

    def travelling(speed: float) -> tuple[float, bool]:
        """A lane and whether it is ours."""
        side = bool(rng.random() < 0.5) or street.lanes == 1
        choices = ours if side else theirs
        return float(choices[int(rng.integers(len(choices)))]), side

    if street.tracks is not None and rng.random() < 0.9:
        s = street.tracks
        toward = s < 0 or rng.random() < 0.3
        z = float(rng.uniform(24, 55))
        put_long("train", w.TRAIN, s, z, np.pi if toward else 0.0, (0.0, -0.35 if toward else max(0.45, eye.speed)))
    for what, class_id, chance in (("bus", w.BUS, 0.28), ("truck", w.TRUCK, 0.42)):
        if rng.random() < chance:
            if rng.random() < 0.35 and any(street.parking):
                side = 1 if street.parking[1] and (rng.random() < 0.6 or not street.parking[0]) else 0
                s = (1 if side else -1) * (street.road_half[side] - 1.25)
                put_long(what, class_id, s, float(rng.uniform(15, 40)), 0.0 if side else np.pi, (0, 0))
            else:
                s, same = travelling(0.5)
                z = float(rng.uniform(14, 42))
                put_long(what, class_id, s, z, 0.0 if same else np.pi, (0, max(0.4, eye.speed) if same else -0.45))
    for side in (0, 1):  # parked cars
        if not street.parking[side]:
            continue
        s = (1 if side else -1) * (street.road_half[side] - 1.05)
        full = float(rng.uniform(0.55, 1.0))
        z = float(rng.uniform(-4, 5))
        while z < 95:
            gap = street.crossing is not None and abs(z - street.crossing) < street.crossing_half + 6
            at_zebra = street.zebra is not None and -3 < z - street.zebra < 6
            if rng.random() < full and not gap and not at_zebra and free(s, z - 2.4, z + 2.4):
                taken.append((s, z - 2.4, z + 2.4))
                faces = models[int(rng.integers(len(models)))]
                turned = np.pi if (side == 0) != (rng.random() < 0.1) else 0.0
                _vehicle(
                    builder,
                    faces,
                    w.CAR,
                    s + float(rng.normal(0, 0.06)),
                    z,
                    turned + float(rng.normal(0, 0.015)),
                    (0, 0),
                    half_car,
                )
            elif rng.random() < 0.16 and not gap and not at_zebra and free(s, z - 1.2, z + 1.2):
                parked_two_wheeler(builder, rng, s, z, side, rng.random() < 0.6)
            z += float(rng.uniform(5.2, 6.4))
    for _ in range(int(rng.poisson(4.6 * density))):  # moving cars
        s, same = travelling(0.6)
        z = 8 + 62 * float(rng.random()) ** 1.3
        if same and s in own_lane:
            z = max(z, 11.0)
        if free(s, z - 5, z + 5):
            taken.append((s, z - 5, z + 5))
            speed = max(eye.speed, 0.3) * float(rng.uniform(1.0, 1.2)) if same else -float(rng.uniform(0.3, 0.7))
            _vehicle(builder, models[int(rng.integers(6))], w.CAR, s, z, 0.0 if same else np.pi, (0, speed), half_car)
    if street.crossing is not None:
        for _ in range(int(rng.poisson(0.7))):  # cars in the side street
            sign = float(rng.choice((-1, 1)))
            s, z = float(rng.uniform(-14, 14)), street.crossing + sign * street.crossing_half * 0.45
            if free(s, z - 3, z + 3):
                _vehicle(
                    builder, models[int(rng.integers(6))], w.CAR, s, z, sign * np.pi / 2, (sign * 0.15, 0), half_car
                )
                blocked.append(z - 1.0)
    blocked.append(riders(builder, rng, street, eye, sun_side))
    blocked.append(pedestrians(builder, rng, street, kind, sun_side))
    return min(blocked)
