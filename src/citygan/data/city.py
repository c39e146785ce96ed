"""`prepare demo`: the demo city as two prepared sets, and a folder of label maps to try a translator on.

`NAME` holds photos, labels, instances, the graphics rendering as `source`, and sequences with exact flow;
`NAME-graphics` holds other scenes, with the graphics rendering as their photos.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from citygan import files
from citygan.data import outlines, prospects
from citygan.data.demo import Frame, render
from citygan.data.labels import CITYSCAPES
from citygan.data.store import Array, Item, PreparedSet, partial_folder
from citygan.data.workers import default_workers, in_order, opencv_in_one_thread
from citygan.data.writer import SetWriter, check_free, clean
from citygan.errors import DamagedError, UsageError, counted
from citygan.pictures import encode_png
from citygan.progress import Progress, say

TRAIN_SCENES, VAL_SCENES, TEST_SEQUENCES, TEST_FRAMES = 200, 25, 4, 30
LABEL_MAPS = 16
# of one thread, for each picture and each of its pixels: only to say beforehand how long it takes
PICTURE_S, PIXEL_S = 0.06, 1.2e-6


@dataclass(frozen=True)
class Scene:
    """One scene to render: its number in the city, the split it goes to, how many frames."""

    split: str
    place: int
    number: int
    frames: int

    def stem(self, frame: int) -> str:
        """The name of one of its frames."""
        return f"{self.split}_{self.place:04d}_{frame:02d}" if self.frames > 1 else f"{self.split}_{self.place:04d}"


def scenes(limit: int | None) -> list[Scene]:
    """The scenes of the city: with `limit` that many training scenes and less of the rest, the same ones as without."""
    train, val, sequences, frames = TRAIN_SCENES, VAL_SCENES, TEST_SEQUENCES, TEST_FRAMES
    if limit is not None:
        train, val = limit, math.ceil(limit / 8)
        sequences, frames = max(1, min(4, limit // 50)), max(2, min(TEST_FRAMES, 2 * limit))
    return [
        *(Scene("train", i, i, 2) for i in range(train)),
        *(Scene("val", i, 100_000 + i, 2) for i in range(val)),
        *(Scene("test", i, 200_000 + i, frames) for i in range(sequences)),
    ]


def graphics_scenes(limit: int | None) -> list[Scene]:
    """The scenes of the graphics set: single frames of other streets."""
    train = TRAIN_SCENES if limit is None else limit
    val = VAL_SCENES if limit is None else math.ceil(limit / 8)
    return [
        *(Scene("train", i, 300_000 + i, 1) for i in range(train)),
        *(Scene("val", i, 400_000 + i, 1) for i in range(val)),
    ]


@dataclass(frozen=True)
class DemoPlan:
    """What `prepare demo` is going to do."""

    out: Path
    size: tuple[int, int]
    limit: int | None
    seed: int
    labels: Path | None
    workers: int = 1
    edges: bool = False

    @property
    def graphics(self) -> Path:
        """The set of graphics renderings."""
        return self.out.with_name(self.out.name + "-graphics")

    def options(self, path: Path) -> dict[str, Any]:
        """What decides the bytes of the set at `path`."""
        options: dict[str, Any] = {"size": list(self.size), "limit": self.limit, "seed": self.seed}
        if self.edges:
            kinds = {"source", "photo"} if path == self.out else {"photo"}
            splits = dict.fromkeys(scene.split for scene in self.scenes(path))
            options["edges"] = outlines.settings_of(dict.fromkeys(splits, kinds))
        return options

    def scenes(self, path: Path) -> list[Scene]:
        """The scenes of the set at `path`."""
        return scenes(self.limit) if path == self.out else graphics_scenes(self.limit)

    @property
    def counts(self) -> dict[str, int]:
        """Pictures by split."""
        counts: dict[str, int] = {}
        for scene in scenes(self.limit):
            counts[scene.split] = counts.get(scene.split, 0) + scene.frames
        return counts

    def lines(self) -> list[str]:
        """The plan in words."""
        counts = ", ".join(f"{count} {split}" for split, count in self.counts.items())
        width, height = self.size
        notes = prospects.notes(dict.fromkeys(self.counts, ("photo", "label")), self.size)
        return [
            f"the demo city, {width}x{height}: {counts} pictures of streets, with label maps and more",
            f"  to {self.out} and {self.graphics}, {self.needed_bytes / 1e6:.0f} MB, {self.time_in_words}",
            *(f"  note: {note}" for note in notes),
        ]

    @property
    def time_in_words(self) -> str:
        """How long it takes, roughly."""
        pictures = sum(self.counts.values()) + len(graphics_scenes(self.limit))
        seconds = pictures * (PICTURE_S + PIXEL_S * self.size[0] * self.size[1]) / self.workers
        minutes = "less than a minute" if seconds < 40 else f"about {counted(max(1, round(seconds / 60)), 'minute')}"
        return f"{minutes} on {counted(self.workers, 'thread')} (--limit N makes less of it)"

    @property
    def needed_bytes(self) -> int:
        """What the two sets take on the disk, about."""
        pixels = self.size[0] * self.size[1]
        photos, graphics = 3 + 1 + 2 + 3 + 4 + 1 + self.edges, 3 + 1 + 2 + self.edges
        return pixels * (sum(self.counts.values()) * photos + len(graphics_scenes(self.limit)) * graphics)


def plan_demo(
    *,
    out: Path | None,
    size: tuple[int, int],
    limit: int | None,
    seed: int,
    labels: Path | None,
    workers: int | None = None,
    edges: bool = False,
) -> DemoPlan:
    """The plan of `prepare_demo`, checked.

    Raises:
        UsageError: A size or a number that cannot be.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"expected at least 1 scene, got {limit}", where="--limit")
    if seed < 0:
        raise UsageError(f"expected 0 or more, got {seed}", where="--seed")
    return DemoPlan(out or files.data_home() / "demo", size, limit, seed, labels, workers or default_workers(), edges)


def prepare_demo(
    *,
    out: Path | None = None,
    size: tuple[int, int] = (256, 256),
    limit: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    force: bool = False,
    labels: Path | None = Path("labels"),
    edges: bool = False,
) -> list[Path]:
    """Renders the demo city and prepares it.

    Args:
        out: The set's folder; ``demo`` in the data home by default. Beside it ``NAME-graphics``.
        size: (width, height).
        limit: Training scenes, instead of 200; the rest shrinks with it.
        seed: Which city.
        workers: Threads; they change no byte.
        force: Replace what is there.
        labels: Where 16 label maps of the test split are put, unless the name is taken.
        edges: Keep the edges of the graphics renderings too.

    Returns:
        The folders of the two sets.

    Raises:
        UsageError: Both sets exist already.
        MachineError: No space, no permission, or another process prepares the same.
    """
    plan = plan_demo(out=out, size=size, limit=limit, seed=seed, labels=labels, workers=workers, edges=edges)
    with files.lock(plan.out), opencv_in_one_thread(), outlines.in_one_thread(plan.edges):
        files.clean_temporaries(plan.out.parent)
        left = [path for path in (plan.graphics, plan.out) if not _is_there(path, plan, force)]
        if not left:
            raise UsageError("exists already", where=plan.out, hint="--force replaces it")
        for line in plan.lines():
            say(line)
        files.check_space(plan.out.parent, plan.needed_bytes)
        for path in left:
            _prepare(plan, path, force)
    return [plan.out, plan.graphics]


def _is_there(path: Path, plan: DemoPlan, force: bool) -> bool:
    """Whether a set is there that this very plan made and that stays: then only the other one is left to do.

    Raises:
        UsageError: Something else is there.
    """
    if force or not path.exists():
        check_free(path, force)
        return False
    try:
        made_by = PreparedSet.open(path).manifest.get("options")
    except (DamagedError, UsageError):
        made_by = None
    if made_by != plan.options(path):
        check_free(path, force, "edges" if plan.edges and "edges" not in (made_by or {}) else "")
    clean(path)
    return True


def _prepare(plan: DemoPlan, path: Path, force: bool) -> None:
    with_photos = path == plan.out
    todo = plan.scenes(path)
    total = sum(scene.frames for scene in todo)
    writer = SetWriter(path, size=plan.size, plan={"demo": plan.options(path), "photos": with_photos})
    try:
        done = {
            item.stem
            for name in ("train", "val", "test")
            if name in {s.split for s in todo}
            for item in writer.split(name).items
        }
        if done:
            say(f"going on with {path}: {len(done)} of {total} pictures are there")
        progress = Progress(f"rendering {path.name}", total, len(done), unit="picture")
        count = len(done)
        left = [scene for scene in todo if scene.stem(scene.frames - 1) not in done]
        for scene, frames in in_order(lambda s: (s, _render(plan, s, with_photos)), left, plan.workers):
            for item, full, arrays in frames:
                if item.stem not in done:
                    writer.split(scene.split).append(item, full_label=full, **arrays)
                    count += 1
            progress.update(count)
        progress.close()
        if with_photos and plan.labels is not None:
            _write_label_maps(plan.labels, path)
        writer.finish(_manifest(plan, path), replace=force, default=with_photos)
    finally:
        writer.close()


def _render(plan: DemoPlan, scene: Scene, with_photos: bool) -> list[tuple[Item, bytes | None, dict[str, Array]]]:
    return list(_items(plan, scene, with_photos))


def _items(plan: DemoPlan, scene: Scene, with_photos: bool) -> Iterator[tuple[Item, bytes | None, dict[str, Array]]]:
    sequence = f"{scene.split}_{scene.place:04d}" if scene.frames > 1 else None
    for number, frame in enumerate(render(plan.seed, scene.number, scene.frames, plan.size, photo=with_photos)):
        item = Item(scene.stem(number), {}, plan.size, sequence, number if sequence else None)
        full = None if scene.split == "train" else encode_png(frame.label, palette=CITYSCAPES.palette)
        arrays = _arrays(frame, with_photos)
        if plan.edges and (edges := outlines.edge_array(arrays)) is not None:
            arrays[outlines.ARRAY] = edges
        yield item, full, arrays


def _arrays(frame: Frame, with_photos: bool) -> dict[str, Array]:
    if not with_photos:
        return {"photo": frame.graphics, "label": frame.label, "instance": frame.instance}
    height, width = frame.label.shape
    assert frame.photo is not None
    return {
        "photo": frame.photo,
        "label": frame.label,
        "instance": frame.instance,
        "source": frame.graphics,
        "flow": np.zeros((height, width, 2), np.float16) if frame.flow is None else frame.flow.astype(np.float16),
        "occlusion": np.ones((height, width), np.uint8) if frame.occlusion is None else frame.occlusion,
    }


def _write_label_maps(folder: Path, path: Path) -> None:
    """Palette PNGs of the test split, spread over its sequences, unless the folder's name is taken."""
    if folder.is_symlink() or folder.exists():
        say(f"{folder} is taken: no label maps put there")
        return
    maps = sorted((partial_folder(path) / "test/full").glob("*.png"))
    chosen = sorted({i * len(maps) // LABEL_MAPS for i in range(LABEL_MAPS)})
    with files.new_folder(folder) as temporary:
        for index in chosen:
            (temporary / maps[index].name).write_bytes(maps[index].read_bytes())
    say(f"{len(chosen)} label maps to try: {folder}/")


def _manifest(plan: DemoPlan, path: Path) -> dict[str, Any]:
    with_photos = path == plan.out
    return {
        "source": "demo",
        "layout": "demo" if with_photos else "demo-graphics",
        "photo_channels": 3,
        "source_channels": 3 if with_photos else None,
        "classes": CITYSCAPES.to_dict(),
        "options": plan.options(path),
        "skipped": [],
    }
