"""From files on disk to a prepared set: each file is decoded once, all faults are told at the end."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from citygan import files
from citygan.data import motion, outlines, prospects
from citygan.data.city import plan_demo, prepare_demo
from citygan.data.labels import VOID
from citygan.data.layouts import Fault, scan
from citygan.data.options import Options, parse_size
from citygan.data.plan import Plan, check_names, make_plan
from citygan.data.reading import read_job
from citygan.data.store import MANIFEST, Item, PreparedSet
from citygan.data.workers import default_workers, in_order, opencv_in_one_thread
from citygan.data.writer import SetWriter, SplitWriter, check_free, discard_partial
from citygan.errors import CityganError, DataError, Interrupted, UsageError, counted, printable
from citygan.progress import Progress, say

__all__ = ["Options", "Report", "parse_size", "prepare", "prepare_demo", "run_demo"]

SHOWN_FAULTS = 20
LISTED_FAULTS = 2000  # in dataset.yaml


@dataclass
class Report:
    """What was done, or would be.

    Attributes:
        paths: The sets made.
        plan: The plan for programs.
        plan_lines: The plan in words.
        problem: The error to end with, after the rest has been told.
        result: What there is to tell of the set made, for programs.
        next_command: What to type next.
    """

    paths: list[Path]
    plan: dict[str, Any]
    plan_lines: list[str]
    problem: CityganError | None = None
    result: dict[str, Any] = field(default_factory=dict)
    next_command: str = "citygan train"

    def lines(self) -> list[str]:
        """The plan in words."""
        return self.plan_lines

    def to_json(self) -> dict[str, Any]:
        """One JSON object."""
        return {"paths": [printable(path) for path in self.paths], **self.plan, **self.result}


def run_demo(options: Options, *, dry_run: bool) -> Report:
    """`prepare demo`.

    Raises:
        UsageError: A flag that the demo city does not have.
        CityganError: As `prepare_demo`.
    """
    for flag, given in (
        ("--format", options.layout),
        ("--classes", options.classes),
        ("--splits", options.splits),
        ("--hold-out", options.hold_out),
        ("--skip-bad", options.skip_bad),
        ("--flow-method", options.flow_method),
    ):
        if given:
            raise UsageError("the demo city has nothing to choose there", where=flag, hint="Leave it out")
    plan = plan_demo(
        out=options.out,
        size=options.size,
        limit=options.limit,
        seed=options.seed,
        labels=Path("labels"),
        workers=options.workers,
        edges=options.edges,
    )
    record = {
        "source": "demo",
        "layout": "demo",
        "out": printable(plan.out),
        "size": list(plan.size),
        "splits": {split: {"items": count} for split, count in plan.counts.items()},
        "needed_bytes": plan.needed_bytes,
    }
    if options.flow:
        say("the demo city has its exact flow in any case: --flow adds nothing")
    report = Report([plan.out, plan.graphics], record, plan.lines())
    if not dry_run:
        with resumable():
            report.paths = prepare_demo(
                out=options.out,
                size=options.size,
                limit=options.limit,
                seed=options.seed,
                workers=options.workers,
                force=options.force,
                edges=options.edges,
            )
        done = PreparedSet.open(plan.out)
        report.result = {"checksum": done.checksum}
        report.next_command = _next(done)
    return report


@contextmanager
def resumable() -> Iterator[None]:
    """Turns Ctrl-C into an end that says how to go on."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        raise Interrupted(
            "interrupted", signal_number=signal.SIGINT, hint="The same command goes on where it was"
        ) from stopped


def prepare(
    source: str, options: Options | None = None, *, dry_run: bool = False, tell_faults: Callable[[str], None] = say
) -> Report:
    """Prepares a folder of pictures.

    Args:
        source: The folder.
        options: The flags.
        dry_run: Only look.
        tell_faults: Is given one line for each of the first faults.

    Returns:
        What was done. With faults and without `skip_bad` its `problem` is the error to raise, and nothing was kept.

    Raises:
        UsageError: Options that do not fit; output that exists, or lies in the source.
        DataError: Nothing that could be prepared.
        MachineError: No space, no permission, or another process prepares the same.
    """
    options = options or Options()
    if not Path(source).is_dir():
        scan(Path(source))  # tells what is wrong
    if (Path(source) / MANIFEST).exists():
        raise UsageError("is a prepared set already", where=source, hint=f"citygan train --data {shlex.quote(source)}")
    out = options.out or files.data_home() / (Path(source).absolute().resolve().name or "root")
    _check_places(Path(source), out)
    check_names(options)
    if dry_run:
        plan = make_plan(source, options, out)
        taken = [f"  {out} exists already: --force replaces it"] if out.exists() else []
        return Report([out], plan.to_json() | {"faults": _listed(plan.faults)}, plan.lines() + taken)
    check_free(out, options.force, _lacking(out, options))
    with files.lock(out), opencv_in_one_thread(), outlines.in_one_thread(options.edges), resumable():
        check_free(out, options.force)
        files.clean_temporaries(out.parent)
        plan = make_plan(source, options, out)
        for line in plan.lines():
            say(line)
        if not plan.jobs:
            return _failed(plan, plan.faults, tell_faults)
        files.check_space(out.parent, plan.needed_bytes)
        return _run(plan, tell_faults)


def _lacking(out: Path, options: Options) -> str:
    """What is asked for and the set that is there has not, in words."""
    asked = [pair for pair, given in ((("flow", "flow"), options.flow), (("edge", "edges"), options.edges)) if given]
    if not asked or not (out / MANIFEST).exists():
        return ""
    try:
        there = {kind for split in PreparedSet.open(out).splits.values() for kind in split.arrays}
    except CityganError:
        return ""
    return " and ".join(word for kind, word in asked if kind not in there)


def _check_places(source: Path, out: Path) -> None:
    inner, outer = out.resolve(), source.resolve()
    if inner == outer or inner.is_relative_to(outer):
        raise UsageError("the output lies within the source", where=out, hint="--out takes another place")
    if outer.is_relative_to(inner):
        raise UsageError("the source lies within the output", where=out, hint="--out takes another place")


def _run(plan: Plan, tell_faults: Callable[[str], None]) -> Report:
    writer = SetWriter(plan.out, size=plan.options.size, plan=plan.identity)
    faults = list(plan.faults)
    try:
        if _decode_all(plan, writer, faults):
            if faults and not plan.options.skip_bad:
                discard_partial(plan.out)
                return _failed(plan, faults, tell_faults)
            return _finish(plan, writer, faults, tell_faults)
    finally:
        writer.close()
    discard_partial(plan.out)
    return _run(plan, tell_faults)


def _decode_all(plan: Plan, writer: SetWriter, faults: list[Fault]) -> bool:
    """Decodes what is not there yet and appends it; False where a file that was bad has become good meanwhile."""
    done = {split: {item.stem for item in writer.split(split).items} for split in plan.counts}
    last = {job.split: i for i, job in enumerate(plan.jobs) if job.entry.stem in done[job.split]}
    left = [(i, job) for i, job in enumerate(plan.jobs) if job.entry.stem not in done[job.split]]
    count = len(plan.jobs) - len(left)
    if count:
        say(f"going on with {plan.out}: {count} of {len(plan.jobs)} pictures are there")
    progress = Progress(f"preparing {plan.out.name}", len(plan.jobs), count, unit="picture")
    try:
        workers = plan.options.workers or default_workers()
        results = in_order(lambda task: (task, read_job(plan, task[1])), left, workers)
        if plan.flowing:
            results = motion.with_flow(results, plan.flowing, plan.options.motion, workers)
        for (index, job), result in results:
            if isinstance(result, Fault):
                faults.append(result)
            elif index < last.get(job.split, -1):
                return False
            elif not faults or plan.options.skip_bad:
                item, full, arrays = result
                writer.split(job.split).append(item, full_label=full, **arrays)
            count += 1
            progress.update(count)
    finally:
        progress.close()
    return True


def _finish(plan: Plan, writer: SetWriter, faults: list[Fault], tell_faults: Callable[[str], None]) -> Report:
    census = {split: _census(plan, writer.split(split)) for split in plan.counts if writer.split(split).items}
    if not census:
        discard_partial(plan.out)
        return _failed(plan, faults, tell_faults)
    repeated = _repeated({split: writer.split(split).items for split in census})
    skipped = _listed(faults)
    manifest = {
        "source": printable(plan.source),
        "layout": plan.layout,
        "photo_channels": plan.photo_channels,
        "source_channels": plan.source_channels,
        "classes": None if plan.table is None else plan.table.to_dict(),
        "options": plan.recorded_options,
        "conversions": [{"what": what, "photos": count} for what, count in plan.conversions.items()],
        "census": census,
        "repeated": len(repeated),
        "skipped_count": len(skipped),
        "skipped": skipped[:LISTED_FAULTS],
    }
    writer.finish(manifest, replace=plan.options.force, default=True)
    _faults_file(plan.out).unlink(missing_ok=True)
    for split, record in census.items():
        say(f"{split}: {counted(record['items'], 'picture')}{_census_in_words(plan, record)}")
    if repeated:
        (a, b), was = repeated[0], "is" if len(repeated) == 1 else "are"
        say(f"warning: {counted(len(repeated), 'picture')} of other splits {was} in train too, such as {b} ({a})")
    if faults:
        _tell(faults, tell_faults)
        bad = counted(len({fault.file for fault in faults}), "bad file")
        say(f"{bad} left out, listed in {plan.out}/dataset.yaml")
    done = PreparedSet.open(plan.out)
    result = {
        "checksum": done.checksum,
        "census": census,
        "conversions": plan.conversions,
        "repeated": len(repeated),
        "faults": skipped,
    }
    return Report([plan.out], plan.to_json(), plan.lines(), result=result, next_command=_next(done))


def _next(done: PreparedSet) -> str:
    if prospects.needs_a_model(done):
        say("no model is trained yet: citygan train --data SET, on a set with photos, comes first")
    return prospects.next_command(done)


def _failed(plan: Plan, faults: list[Fault], tell_faults: Callable[[str], None]) -> Report:
    listed = _listed(faults)
    _tell(faults, tell_faults)
    file = _faults_file(plan.out)
    files.write_json(file, {"source": printable(plan.source), "faults": listed})
    bad = len({fault.file for fault in faults})
    hint = f"All are listed in {file}" + ("; --skip-bad leaves them out" if plan.jobs else "")
    problem = DataError(f"nothing was kept: {counted(bad, 'bad file')} under {plan.source}", hint=hint)
    return Report([], plan.to_json() | {"faults": listed}, plan.lines(), problem)


def _tell(faults: list[Fault], tell: Callable[[str], None]) -> None:
    for fault in faults[:SHOWN_FAULTS]:
        tell(f"{fault.file}: {fault.reason}")
    if len(faults) > SHOWN_FAULTS:
        tell(f"… and {len(faults) - SHOWN_FAULTS} more")


def _listed(faults: list[Fault]) -> list[dict[str, str]]:
    return [{"file": printable(fault.file), "reason": printable(fault.reason)} for fault in faults]


def _faults_file(out: Path) -> Path:
    return out.with_name(out.name + ".faults.json")


def _census(plan: Plan, writer: SplitWriter) -> dict[str, Any]:
    """How many pictures, which classes occur, and which share of the pixels is void."""
    counts = writer.value_counts("label")
    record: dict[str, Any] = {"items": len(writer.items)}
    if counts is not None and plan.table is not None:
        void = int(counts[plan.table.train_ids == VOID].sum())
        record["void_share"] = round(void / int(counts.sum()), 6)
        record["classes"] = [c.name for c in plan.table.classes if counts[c.id]]
    hidden = writer.value_counts("occlusion")
    if hidden is not None:
        found = motion.Pairs.of(writer.items)
        each = plan.options.size[0] * plan.options.size[1]
        alone = (len(writer.items) - found.pairs) * each
        share = (int(hidden[1]) - alone) / (found.pairs * each) if found.pairs else None
        record |= {"pairs": found.pairs, "gaps": found.gaps}
        record["occluded_share"] = None if share is None else round(share, 6)
    return record


def _census_in_words(plan: Plan, record: dict[str, Any]) -> str:
    return _classes_in_words(plan, record) + _flow_in_words(record)


def _flow_in_words(record: dict[str, Any]) -> str:
    if "pairs" not in record:
        return ""
    occluded = "" if record["occluded_share"] is None else f", {record['occluded_share']:.1%} of them occluded"
    gaps = f", {counted(record['gaps'], 'gap')}" if record["gaps"] else ""
    return f", flow between {counted(record['pairs'], 'pair')} of frames{occluded}{gaps}"


def _classes_in_words(plan: Plan, record: dict[str, Any]) -> str:
    if "classes" not in record or plan.table is None:
        return ""
    trained = {c.name for c in plan.table.classes if c.train_id != VOID}
    missing = sorted(trained - set(record["classes"]))
    absent = f", without {', '.join(missing[:8])}{' …' if len(missing) > 8 else ''}" if missing else ""
    return f", {len(trained) - len(missing)} of {len(trained)} classes{absent}, {record['void_share']:.1%} void"


def _repeated(splits: dict[str, list[Item]]) -> list[tuple[str, str]]:
    """Pictures of other splits whose file is, byte by byte, one of train: (its stem in train, the other's)."""
    train = {item.sha256: item.stem for item in splits.get("train", []) if item.sha256}
    others = [(split, item) for split, items in splits.items() if split != "train" for item in items]
    return [(train[item.sha256], f"{split}/{item.stem}") for split, item in others if item.sha256 in train]
