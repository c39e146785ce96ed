"""What `prepare` is going to do, found out before it does it: layout, splits, sizes, faults in headers, space."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from citygan.data import motion, outlines, prospects
from citygan.data.labels import ClassTable, table_named
from citygan.data.layouts import SECRET_TEST, Entry, Fault, Found, check_layout, read_layout
from citygan.data.layouts.sequences import DEFAULT_SPLITS, divide, hold_out, parse_splits
from citygan.data.options import Options
from citygan.data.workers import default_workers, in_order
from citygan.errors import DataError, UsageError, counted, printable
from citygan.ops.flow import settings_of
from citygan.pictures import header
from citygan.pictures.headers import Header


@dataclass(frozen=True, slots=True)
class Job:
    """One picture to prepare: its files, their headers, and what of each file is compared when a work goes on."""

    split: str
    entry: Entry
    headers: Mapping[str, Header]
    stamps: Mapping[str, tuple[int, int]]

    @property
    def original_size(self) -> tuple[int, int]:
        """(width, height) in the source; of one side of a pair."""
        if "pair" in self.headers:
            width, height = self.headers["pair"].size
            return width // 2, height
        return next(iter(self.headers.values())).size


@dataclass
class Plan:
    """What is going to be done.

    Attributes:
        source: As it was given.
        table: The class table of its labels; None without labels.
        jobs: All pictures whose headers are right, split by split.
        faults: What is known to be wrong already.
        notes: What should be said.
        painted: Whether the labels are painted pictures that may have to go by the nearest colour.
    """

    source: str
    root: Path
    out: Path
    options: Options
    layout: str
    table: ClassTable | None
    jobs: list[Job]
    faults: list[Fault]
    notes: list[str] = field(default_factory=list)
    painted: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """Pictures by split."""
        return dict(Counter(job.split for job in self.jobs))

    def arrays(self, split: str) -> list[str]:
        """The kinds of arrays that a split is going to have."""
        return self.arrays_of(next(job for job in self.jobs if job.split == split))

    def arrays_of(self, job: Job) -> list[str]:
        """As `arrays`, of one picture."""
        kinds = [kind for kind in ("photo", "label", "instance", "source") if kind in job.entry.files]
        if "pair" in job.entry.files:
            kinds = ["photo", "label" if self.table is not None else "source"]
        if job.split in self.flowing:
            kinds += motion.ARRAYS
        if self.options.edges and outlines.picture_with_edges(kinds):
            kinds.append(outlines.ARRAY)
        return kinds

    @cached_property
    def flowing(self) -> dict[str, motion.Pairs]:
        """The splits that get flow: those with pictures that follow each other."""
        if not self.options.flow:
            return {}
        seen = [job for job in self.jobs if motion.SEEN_IN & job.entry.files.keys()]
        found = {split: motion.Pairs.of([job.entry for job in seen if job.split == split]) for split in self.counts}
        return {split: pairs for split, pairs in found.items() if pairs.pairs}

    @cached_property
    def photo_channels(self) -> int | None:
        """1 where all photos are grey, 3 where one is not; None where there are none."""
        return self._channels("photo")

    @cached_property
    def source_channels(self) -> int | None:
        """Likewise of the input pictures."""
        return self._channels("source")

    def _channels(self, kind: str) -> int | None:
        found = [job.headers.get(kind) or job.headers["pair"] for job in self.jobs if kind in self.arrays_of(job)]
        return None if not found else 1 if all(head.grey for head in found) else 3

    @property
    def conversions(self) -> dict[str, int]:
        """How many photos need what to become 8-bit RGB."""
        heads = (job.headers.get("photo") or job.headers.get("pair") for job in self.jobs)
        counted = Counter(head.conversion for head in heads if head is not None and head.conversion)
        return dict(sorted(counted.items()))

    @property
    def needed_bytes(self) -> int:
        """What the set takes on the disk, about."""
        each = {"photo": 3, "label": 1, "instance": 2, "source": self.source_channels or 3, "flow": 4, "occlusion": 1}
        each["edge"] = 1
        pixels = self.options.size[0] * self.options.size[1]
        total = 0
        for job in self.jobs:
            total += pixels * sum(each[kind] for kind in self.arrays_of(job)) + 400
            if job.split in ("val", "test") and "label" in self.arrays_of(job):
                total += 20_000 + next(iter(job.stamps.values()))[0] // 50
        return total

    @property
    def free_bytes(self) -> int:
        """Free space where the set is going to lie."""
        folder = self.out.absolute()
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides the bytes, for going on with an interrupted work."""
        return {
            "options": self.recorded_options,
            "skip_bad": self.options.skip_bad,
            "max_pixels": self.options.max_pixels,
            "table": None if self.table is None else self.table.to_dict(),
            "source": os.fspath(self.root.absolute()),
            "jobs": [
                [j.split, j.entry.stem, dict(j.entry.files), j.entry.sequence, j.entry.frame, dict(j.stamps)]
                for j in self.jobs
            ],
        }

    @property
    def recorded_options(self) -> dict[str, Any]:
        """The options that dataset.yaml tells."""
        options = self.options
        return {
            "fit": options.fit,
            "direction": options.direction,
            "splits": options.splits,
            "hold_out": list(options.hold_out),
            "limit": options.limit,
            "seed": options.seed,
            "alpha": options.alpha,
            "flow": settings_of(options.motion) if options.flow else None,
            "edges": self._edges,
        }

    @cached_property
    def _edges(self) -> dict[str, Any] | None:
        """The settings of the edges, and by split whose they are; None without edges."""
        if not self.options.edges:
            return None
        return outlines.settings_of({split: self.arrays(split) for split in self.counts})

    def lines(self) -> list[str]:
        """The plan in words."""
        table = f", labels by the class table {self.table.name}" if self.table is not None else ""
        lines = [f"{self.source}: layout {self.layout}{table}"]
        for split, count in self.counts.items():
            jobs = [job for job in self.jobs if job.split == split]
            sizes = Counter(job.original_size for job in jobs)
            (width, height), _ = sizes.most_common(1)[0]
            more = f" and {counted(len(sizes) - 1, 'other size')}" if len(sizes) > 1 else ""
            sequences = len({job.entry.sequence for job in jobs} - {None})
            videos = f", {counted(sequences, 'sequence')}" if sequences else ""
            kinds = ", ".join(self.arrays(split))
            lines.append(f"  {split}: {counted(count, 'picture')} ({kinds}) of {width}x{height}{more}{videos}")
        if self.options.flow:
            lines.append(f"  {motion.in_words(self.flowing, self.counts, self.options.motion)}")
        if self._edges is not None:
            lines.append(f"  {outlines.in_words(self._edges)}")
        width, height = self.options.size
        lines.append(f"  to {self.out}, {width}x{height} ({self.options.fit})")
        changed = [c for job in self.jobs if (c := self.options.fitting.aspect_change(job.original_size)) > 0.05]
        if changed:
            aspects = f"the aspect of {counted(len(changed), 'picture')} changes by up to {max(changed):.0%}"
            lines.append(f"  {aspects}: --fit crop or pad keeps it")
        if self.conversions:
            lines.append("  to 8-bit RGB: " + "; ".join(f"{count} {what}" for what, count in self.conversions.items()))
        lines += [f"  note: {note}" for note in self.notes]
        lines.append(f"  {_size(self.needed_bytes)} needed, {_size(self.free_bytes)} free")
        if self.faults:
            lines.append(f"  {counted(len(self.faults), 'fault')} so far")
        return lines

    def to_json(self) -> dict[str, Any]:
        """The plan for programs."""
        splits = {
            split: {
                "items": count,
                "arrays": self.arrays(split),
                "sizes": _sizes([job for job in self.jobs if job.split == split]),
            }
            for split, count in self.counts.items()
        }
        for split, found in self.flowing.items():
            splits[split] |= {"pairs": found.pairs, "gaps": found.gaps}
        return {
            "source": printable(self.source),
            "layout": self.layout,
            "out": printable(self.out),
            "size": list(self.options.size),
            "fit": self.options.fit,
            "classes": None if self.table is None else self.table.name,
            "flow": self.recorded_options["flow"],
            "edges": self._edges,
            "splits": splits,
            "needed_bytes": self.needed_bytes,
            "free_bytes": self.free_bytes,
            "notes": self.notes,
        }


def _sizes(jobs: list[Job]) -> dict[str, int]:
    return {f"{w}x{h}": count for (w, h), count in Counter(job.original_size for job in jobs).most_common()}


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def check_names(options: Options) -> None:
    """Finds words spelt wrongly before anything is looked at.

    Raises:
        UsageError: No such layout, no such class table.
    """
    if options.layout is not None:
        check_layout(options.layout)
    if options.classes is not None:
        table_named(options.classes)


def make_plan(source: str, options: Options, out: Path) -> Plan:
    """Looks through a source: recognises its layout, divides it, reads all headers.

    Raises:
        DataError: No such folder, no layout, no class table, or not one picture whose header is right.
        UsageError: Options that do not fit the source.
    """
    root = Path(source)
    given = None if options.classes is None else table_named(options.classes)
    found = read_layout(root, options.layout, needs_table=given is None)
    table = given or found.table
    own = found.ids_by
    if given is not None and given.built_in and own is not None and not (given.extends(own) or own.extends(given)):
        raise UsageError(
            f"the ids of {found.layout} are those of {own.name}, which {given.name} reads as other classes",
            where="--classes",
            hint="Leave it out",
        )
    painted = _apply_direction(found, options, table)
    divided = _divided(found, options)
    jobs, faults = _probe(root, divided, options)
    kinds = {kind for job in jobs for kind in job.entry.files}
    if options.flow:
        bad = motion.uneven(jobs)
        faults += bad.values()
        jobs = [job for place, job in enumerate(jobs) if place not in bad]
    if options.classes is not None and not kinds & {"label", "pair"}:
        raise UsageError("there are no label maps to read by a class table", where="--classes", hint="Leave it out")
    if table is None and "label" in kinds:
        raise DataError(
            f"its label maps have no class table: it does not look like {found.layout}",
            where=root,
            hint="Leave --format out, or name the table with --classes",
        )
    plan = Plan(source, root, out, options, found.layout, table, jobs, found.faults + faults, found.notes, painted)
    if options.flow and jobs and not plan.flowing and (options.skip_bad or not faults):
        raise motion.nothing_flows(jobs)
    if options.edges and jobs and not kinds & outlines.SEEN_IN:
        raise UsageError("there are no pictures with edges, label maps alone", where="--edges", hint="Leave it out")
    if "instance" in kinds and "label" not in kinds:
        plan.notes.append("instance maps without label maps")
    plan.notes += prospects.notes({split: plan.arrays(split) for split in plan.counts}, options.size)
    return plan


def _apply_direction(found: Found, options: Options, table: ClassTable | None) -> bool:
    """Two folders A and B: which one is the input. Tells whether the inputs are painted label maps."""
    if "pair" in found.kinds:
        sides = ("left", "BtoA takes the right") if options.direction == "AtoB" else ("right", "AtoB takes the left")
        found.notes.append(f"the {sides[0]} side is the input (--direction {sides[1]} one)")
        return table is not None
    if "source" not in found.kinds or "label" in found.kinds:
        if options.direction != "AtoB":
            hint = "If each picture is two side by side: --format pairs" if found.kinds == {"photo"} else "Leave it out"
            raise UsageError("only pairs of pictures have a direction", where="--direction", hint=hint)
        return False
    for split, entries in found.splits.items():
        for place, entry in enumerate(entries):
            a, b = entry.files["source"], entry.files["photo"]
            source, photo = (a, b) if options.direction == "AtoB" else (b, a)
            kind = "source" if table is None else "label"
            found.splits[split][place] = replace(entry, files={"photo": photo, kind: source})
    return table is not None


def _divided(found: Found, options: Options) -> dict[str, list[Entry]]:
    splits = dict(found.splits)
    if "val" in splits and options.splits is not None:
        raise UsageError(f"the source is divided already ({', '.join(splits)})", where="--splits", hint="Leave it out")
    if options.hold_out:
        splits, notes = hold_out(splits, options.hold_out, secret_test=found.layout in SECRET_TEST)
        found.notes += notes
    elif "" in splits or ("train" in splits and options.splits is not None):
        entries = splits.pop("" if "" in splits else "train")
        if options.splits is not None:
            shares = parse_splits(options.splits)
            if found.in_order:
                found.notes.append(
                    f"divided as the pictures follow each other, since neighbours look alike: {options.splits}"
                )
        elif found.kinds <= {"label", "instance"}:
            shares = {"test": 1.0}
            found.notes.append("label maps alone: all in the split test (--splits divides them otherwise)")
        else:
            shares = parse_splits(DEFAULT_SPLITS if len(entries) >= 10 else "train=1")
            divided = (
                f"divided {','.join(f'{k}={v:g}' for k, v in shares.items())}" if len(shares) > 1 else "all in train"
            )
            found.notes.append(f"no splits: {divided} (--splits divides them otherwise)")
        for name, part in divide(entries, shares, options.seed, in_order=found.in_order).items():
            splits[name] = [*splits.get(name, []), *part]
    if options.limit is not None:
        splits = {name: entries[: options.limit] for name, entries in splits.items()}
    order = ("train", "train_extra", "val", "test")
    return dict(sorted(splits.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def _probe(root: Path, splits: dict[str, list[Entry]], options: Options) -> tuple[list[Job], list[Fault]]:
    """Reads the header of every file."""

    def look(task: tuple[str, Entry]) -> Job | list[Fault]:
        return _look(root, *task, options)

    jobs: list[Job] = []
    faults: list[Fault] = []
    tasks = [(split, entry) for split, entries in splits.items() for entry in entries]
    for result in in_order(look, tasks, options.workers or default_workers(), ahead=64):
        if isinstance(result, Job):
            jobs.append(result)
        else:
            faults += result
    return jobs, faults


def _look(root: Path, split: str, entry: Entry, options: Options) -> Job | list[Fault]:
    headers: dict[str, Header] = {}
    stamps: dict[str, tuple[int, int]] = {}
    faults: list[Fault] = []
    for kind, file in entry.files.items():
        try:
            headers[kind] = header(root / file, max_pixels=options.max_pixels)
            status = os.stat(root / file)
            stamps[kind] = (status.st_size, status.st_mtime_ns)
        except DataError as problem:
            faults.append(fault_of(file, problem))
        except OSError as problem:
            faults.append(Fault(file, f"cannot be read ({problem.strerror})"))
    if faults:
        return faults
    first, *rest = headers
    for kind in rest:
        a, b = headers[first].size, headers[kind].size
        if a != b:
            return [
                Fault(
                    entry.files[kind],
                    f"the {kind} is {b[0]}x{b[1]}, its {first} {entry.files[first]} is {a[0]}x{a[1]}",
                )
            ]
    if "pair" in headers and headers["pair"].size[0] % 2:
        width, height = headers["pair"].size
        return [Fault(entry.files["pair"], f"{width}x{height}: a pair of two equal sides has an even width")]
    return Job(split, entry, headers, stamps)


def fault_of(file: str, problem: DataError) -> Fault:
    """The fault of a file from the error that it raised."""
    return Fault(file, problem.what + (f". {problem.hint}" if problem.hint else ""))
