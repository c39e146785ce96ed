"""The layout of a scene: what kind of street, which day, what stands along it."""

from __future__ import annotations

import dataclasses

import numpy as np

from . import facades, plants, traffic
from . import world as w
from .canvas import Canvas
from .houses import building
from .plan import KIND_SHARES, KINDS, camera_drive, light_of_day, street_plan
from .texture import LEAVES
from .types import Colour
from .world import PROFILE_COUNT, PROFILE_START, PROFILE_STEP, Builder, World

Generator = np.random.Generator
STREET_METRES = 150.0  # how far the street is built up
CLEARANCE_METRES = 5.5  # what the camera keeps from whoever crosses its way


def _slice(z0: float, z1: float) -> slice:
    first = int((z0 - PROFILE_START) / PROFILE_STEP)
    return slice(max(first, 0), max(int((z1 - PROFILE_START) / PROFILE_STEP), 0))


class Layout:
    """Fills a Builder with everything along one street."""

    def __init__(self, seed: int, scene: int) -> None:
        streams = [np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, scene, k]))) for k in range(6)]
        plan, day, self.houses, self.green, self.small, self.movers = streams
        self.kind = str(plan.choice(KINDS, p=KIND_SHARES))
        self.street = street_plan(plan, self.kind)
        self.light = light_of_day(day)
        self.builder = Builder()
        self.sun_side = 1.0 if self.light.sun[0] > 0 else -1.0
        self.skyline = np.zeros((2, PROFILE_COUNT), np.float32)
        base = {"downtown": (0.0, 0.3), "avenue": (0.0, 1.2), "residential": (2.2, 5.0), "outskirts": (2.2, 6.5)}[
            self.kind
        ]
        self.setback = (float(plan.uniform(*base)), float(plan.uniform(*base)))
        self.facade = tuple(self.street.walk[k] + self.setback[k] for k in range(2))
        greens: tuple[Colour, ...] = ((70, 98, 44), (84, 106, 48), (58, 86, 46), (120, 110, 46), (150, 104, 44))
        self.leaf = greens[int(plan.choice(5, p=(0.34, 0.28, 0.22, 0.09, 0.07)))]
        self.foliage = float(plan.choice((0.0, 0.25), p=(0.8, 0.2)))
        self.trees = [
            plants.tree(self.green, float(h), self._leaf(), self.sun_side, bare=self.foliage)
            for h in self.green.uniform(5.5, 12.5, 5)
        ]
        self.plan_rng = plan

    def _leaf(self) -> Colour:
        shade = float(self.green.normal(1.0, 0.1))
        r, g, b = (float(np.clip(c * shade + self.green.normal(0, 4), 8, 220)) for c in self.leaf)
        return (r, g, b)

    def railing(self) -> None:
        """A railing or guard rail between carriageway and pavement, in some streets."""
        rng = self.green
        for side in (0, 1):
            if rng.random() < {"downtown": 0.2, "avenue": 0.25, "residential": 0.12, "outskirts": 0.5}[self.kind]:
                z0 = float(rng.uniform(4, 14))
                z1 = z0 + float(rng.uniform(8, 30))
                if self.street.crossing is not None:
                    z1 = min(z1, self.street.crossing - self.street.crossing_half - 4.0)
                if self.street.zebra is not None:
                    z1 = min(z1, self.street.zebra - 0.5)
                self.border(side, (1 if side else -1) * (self.street.road_half[side] + 0.3), z0, z1, "fence")

    def _heading(self, side: int) -> float:
        return np.pi / 2 if side else -np.pi / 2

    def _free(self, z0: float, z1: float) -> bool:
        street = self.street
        if street.crossing is None:
            return True
        margin = street.crossing_half + 2.6
        return z1 < street.crossing - margin or z0 > street.crossing + margin

    def row(self, side: int) -> None:
        """One side of the street: houses, gardens, parks, walls."""
        rng, sign, day = self.houses, (1 if side else -1), self.light.daylight
        house = {"downtown": 0.95, "avenue": 0.86, "residential": 0.82, "outskirts": 0.52}[self.kind]
        tall = {"downtown": (15, 30), "avenue": (13, 27), "residential": (6.5, 11.5), "outskirts": (7, 17)}[self.kind]
        z = float(rng.uniform(-16, -8))
        typical = float(rng.uniform(*tall))
        while z < STREET_METRES:
            width = float(rng.uniform(9, 16) if self.kind == "residential" else rng.uniform(11, 24))
            if not self._free(z, z + width):
                assert self.street.crossing is not None
                limit = self.street.crossing - self.street.crossing_half - 3.0
                if limit - z > 7:
                    width = limit - z
                else:
                    z = self.street.crossing + self.street.crossing_half + 3.0
                    continue
            if rng.random() < house:
                height = float(np.clip(typical * np.exp(rng.normal(0, 0.22)), 4.8, 34))
                depth = float(rng.uniform(8, 14))
                shops = self.setback[side] < 1.5 and rng.random() < 0.65
                place = (sign * self.facade[side], z + width / 2, self._heading(side))
                building(self.builder, rng, self.kind, place, (width, height, depth), daylight=day, shops=shops)
                self.skyline[side, _slice(z, z + width)] = height
                if self.setback[side] > 2.0:
                    self.street.lot_ground[side, _slice(z, z + width)] = w.TERRAIN
                    self.front(side, z, z + width)
                gap = {"residential": (1.5, 6), "outskirts": (2, 10), "avenue": (0, 1.5), "downtown": (0, 0.3)}[
                    self.kind
                ]
                z += width + float(rng.uniform(*gap))
            else:
                self.park(side, z, z + width)
                z += width

    def front(self, side: int, z0: float, z1: float) -> None:
        """What closes a front garden: fence, wall, hedge or nothing; and what grows there."""
        sign = 1 if side else -1
        s = sign * (self.street.walk[side] + 0.15)
        self.border(side, s, z0, z1, self.green.choice(("fence", "wall", "hedge", "none"), p=(0.36, 0.27, 0.24, 0.13)))
        if self.green.random() < 0.42:
            tree = self.trees[int(self.green.integers(5))]
            self.plant(
                tree, sign * (self.street.walk[side] + self.setback[side] * 0.6), float(self.green.uniform(z0, z1))
            )

    def border(self, side: int, s: float, z0: float, z1: float, what: str) -> None:
        """A fence, wall or hedge along the street from z0 to z1."""
        length = z1 - z0 - 0.1
        if what == "none" or length < 2:
            return
        owner = self.builder.add_object(s, (z0 + z1) / 2, self._heading(side))
        origin, right = (-length / 2, 0.0, 0.0), (length, 0.0, 0.0)
        if what == "hedge":
            height = float(self.green.uniform(0.9, 2.3))
            canvas = plants.bush(self.green, length, height, self._leaf(), hedge=bool(self.green.random() < 0.6))
            self.builder.add(
                owner, origin, right, (0, height, 0.25), canvas, w.VEGETATION, tile=LEAVES, two_sided=True, caster=True
            )
            ends = plants.bush(self.green, 1.0, height, self._leaf(), hedge=True)
            for x in (-length / 2, length / 2):
                self.builder.add(
                    owner, (x, 0, 1.0), (0, 0, -1.0), (0, height, 0), ends, w.VEGETATION, tile=LEAVES, two_sided=True
                )
            return
        height = float(self.green.uniform(1.0, 2.0) if what == "fence" else self.green.uniform(1.2, 2.8))
        canvas, tile = (facades.fence if what == "fence" else facades.wall)(self.green, length, height)
        class_id = w.FENCE if what == "fence" else w.WALL
        self.builder.add(
            owner, origin, right, (0, height, 0), canvas, class_id, tile=tile, two_sided=True, caster=what == "wall"
        )

    def park(self, side: int, z0: float, z1: float) -> None:
        """A gap between houses: trees on grass, a yard behind a wall, a fenced lot."""
        rng, sign = self.green, (1 if side else -1)
        s = sign * (self.street.walk[side] + 0.2)
        what = str(rng.choice(("park", "yard", "lot"), p=(0.6, 0.22, 0.18)))
        self.street.lot_ground[side, _slice(z0, z1)] = w.GROUND if what == "lot" else w.TERRAIN
        border = {
            "park": ("fence", "hedge", "none", "wall"),
            "yard": ("wall", "wall", "wall", "fence"),
            "lot": ("fence", "none", "fence", "wall"),
        }[what]
        self.border(side, s, z0, z1, border[int(rng.integers(4))])
        count = {"park": max(3, int((z1 - z0) / 3)), "yard": 3, "lot": 1}[what]
        for _ in range(count):
            tree = self.trees[int(rng.integers(5))]
            self.plant(tree, s + sign * float(rng.uniform(1.5, 13)), float(rng.uniform(z0 + 1, z1 - 1)))
        if what != "lot":
            height = float(rng.uniform(2, 4.5))
            length = z1 - z0
            canvas = plants.bush(rng, length, height, self._leaf(), hedge=False)
            owner = self.builder.add_object(s + sign * 14.5, (z0 + z1) / 2, self._heading(side))
            self.builder.add(
                owner,
                (-length / 2, 0, 0),
                (length, 0, 0),
                (0, height, 0),
                canvas,
                w.VEGETATION,
                tile=LEAVES,
                two_sided=True,
            )

    def plant(self, tree: Canvas, s: float, z: float) -> None:
        """A tree; it turns towards the camera."""
        owner = self.builder.add_object(s, z, facing=True, footprint=(0.8, 0.8, 0.5))
        half = tree.width / 2
        self.builder.add(
            owner,
            (-half, 0, 0),
            (tree.width, 0, 0),
            (0, tree.height, 0),
            tree,
            w.VEGETATION,
            tile=LEAVES,
            two_sided=True,
            caster=True,
        )

    def backdrop(self) -> None:
        """Behind the houses and at the end of the street: more houses, trees."""
        rng, end = self.houses, STREET_METRES + 12
        s = -75.0
        while s < 75:
            width = float(rng.uniform(14, 26))
            if rng.random() < 0.62:
                place = (s + width / 2, end + float(rng.uniform(0, 12)), -float(self.street.direction(end)))
                extent = (width, float(rng.uniform(7, 22)), 8.0)
                building(self.builder, rng, self.kind, place, extent, daylight=self.light.daylight, cheap=True)
            else:
                for _ in range(3):
                    self.plant(
                        self.trees[int(rng.integers(5))],
                        s + float(rng.uniform(0, width)),
                        end + float(rng.uniform(-4, 8)),
                    )
            s += width
        length = 160.0
        forest = plants.bush(self.green, length, 6.0, self._leaf(), hedge=False)
        owner = self.builder.add_object(0.0, end + 16)
        self.builder.add(
            owner, (-length / 2, 0, 0), (length, 0, 0), (0, 7.0, 0), forest, w.VEGETATION, tile=LEAVES, two_sided=True
        )
        if self.kind in ("residential", "outskirts"):
            for side in (-1, 1):
                for _ in range(9):
                    z = float(self.green.uniform(5, 130))
                    self.plant(self.trees[int(self.green.integers(5))], side * float(self.green.uniform(26, 40)), z)
        if self.street.crossing is not None:
            for side in (0, 1):
                sign = 1 if side else -1
                place = (sign * 55.0, self.street.crossing + float(rng.uniform(-4, 4)), self._heading(side))
                extent = (26.0, float(rng.uniform(8, 18)), 8.0)
                building(self.builder, rng, self.kind, place, extent, daylight=self.light.daylight, cheap=True)
                for _ in range(2):
                    along_side = self.street.crossing + float(rng.choice((-1, 1))) * (self.street.crossing_half + 2.0)
                    self.plant(self.trees[int(rng.integers(5))], sign * float(rng.uniform(24, 50)), along_side)

    def avenue_trees(self) -> None:
        """Trees along the kerb and on the median."""
        rng = self.green
        chance = {"downtown": 0.2, "avenue": 0.62, "residential": 0.32, "outskirts": 0.5}[self.kind]
        for side in (0, 1):
            if rng.random() > chance:
                continue
            sign, step = (1 if side else -1), float(rng.uniform(8, 15))
            tree = self.trees[int(rng.integers(5))]
            for z in np.arange(rng.uniform(3, 12), STREET_METRES, step):
                if self._free(float(z) - 1, float(z) + 1) and rng.random() < 0.85:
                    chosen = tree if rng.random() < 0.6 else self.trees[int(rng.integers(5))]
                    self.plant(chosen, sign * (self.street.road_half[side] + 0.9), float(z))
        if self.street.median > 0 and rng.random() < 0.6:
            for z in np.arange(rng.uniform(6, 14), 90, 11.0):
                if self._free(float(z) - 4, float(z) + 4):
                    self.plant(self.trees[int(rng.integers(5))], 0.0, float(z))

    def build(self) -> World:
        """Everything, in a fixed order."""
        for side in (0, 1):
            self.row(side)
        self.backdrop()
        self.avenue_trees()
        self.railing()
        eye = camera_drive(self.plan_rng, self.street)
        traffic.furnish(self.builder, self.small, self.street, self.kind)
        blocked = traffic.populate(
            self.builder, self.movers, self.street, self.kind, eye, self.light.daylight, self.sun_side
        )
        eye = dataclasses.replace(eye, reach=float(np.clip(blocked - CLEARANCE_METRES, 1.0, eye.reach)))
        return self.builder.finish(self.street, self.light, eye, self.skyline, (self.facade[0], self.facade[1]))


def build(seed: int, scene: int) -> World:
    """The world of a scene, a function of its arguments."""
    return Layout(seed, scene).build()
