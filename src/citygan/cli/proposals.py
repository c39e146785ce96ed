"""Commands to type next that work as they stand."""

from __future__ import annotations

import contextlib
import os
import shlex
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from citygan.data.labels import ClassTable
    from citygan.data.store import PreparedSet
    from citygan.infer import Translator
    from citygan.segmenting import LabelMaker

LABELS = "labels"  # where `prepare demo` puts label maps to play with
LOOKED_AT = 16  # label maps


def free_output(run: Path) -> str:
    """A folder that translations of a run can go to: `out/`, or where that is taken one called after the run."""
    names = ("out" if n == 0 else f"out-{run.name}" if n == 1 else f"out-{run.name}-{n}" for n in count())
    return next(name for name in names if not os.path.lexists(name)) + "/"


def labels_fit(table: ClassTable | None, *, more: bool = False) -> bool:
    """Whether the label maps in `labels/` of the current folder are by this table, as far as can be seen.

    A palette must show the table's colours: ids alone may fit several tables.

    Args:
        table: Of a run; None where it takes pictures.
        more: Whether the run needs instance maps or edges too, which lie in no plain folder of label maps.
    """
    if table is None or more or not os.path.isdir(LABELS):
        return False
    from citygan.data.layouts import scan
    from citygan.errors import CityganError
    from citygan.pictures import decode, label_of, read_bytes

    try:
        tree = scan(Path(LABELS))
        for path in map(tree.path, tree.pictures[:LOOKED_AT]):
            picture = decode(read_bytes(path), path)
            ids, _ = label_of(picture, path, table)
            if picture.palette is not None and (picture.palette[picture.samples] != table.palette[ids]).any():
                return False
    except CityganError:
        return False
    return bool(tree.pictures)


def usual_split(translator: Translator | LabelMaker, data: PreparedSet, *, scored: bool) -> str:
    """The split that is meant where none is named: val, or else test, or else train, as a training validates.

    Another than val is said on stderr.

    Args:
        scored: It must have photos, to compare with.

    Raises:
        UsageError, DataError: None of them will do.
    """
    from citygan.data.store import SPLIT_ORDER
    from citygan.errors import CityganError
    from citygan.progress import say
    from citygan.translation import split_for

    reason: CityganError | None = None
    for name in SPLIT_ORDER:
        try:
            split_for(translator, data, name, scored=scored)
        except CityganError as problem:
            reason = reason or problem
            continue
        if reason is not None:
            what = "the training pictures themselves" if name == "train" else f"the split {name}"
            say(f"warning: {data.path}: {reason.what}: {'scoring' if scored else 'translating'} {what}")
        return name
    assert reason is not None
    raise reason


def scoring_command(
    translator: Translator | LabelMaker, prepared: PreparedSet | None, split: str | None, given: dict[str, str | None]
) -> str | None:
    """The line that scores the run, on what was translated where that has photos; None where nothing can be scored."""
    from citygan.data.store import SPLIT_ORDER
    from citygan.errors import CityganError
    from citygan.evaluation import set_of_run
    from citygan.segmenting import LabelMaker
    from citygan.translation import split_for

    own, scored_by = None, "ssim"
    if isinstance(translator, LabelMaker) or translator.painted_classes is not None:
        scored_by = "miou"
    if isinstance(translator, LabelMaker):
        from citygan.evaluation import set_of_settings

        with contextlib.suppress(CityganError):
            own = set_of_settings(translator.segmenter.settings)
    else:
        with contextlib.suppress(CityganError):
            own = set_of_run(translator)
    names = dict.fromkeys((split or SPLIT_ORDER[0], *SPLIT_ORDER))
    for data, name in ((data, name) for data in (prepared, own) if data is not None for name in names):
        with contextlib.suppress(CityganError):
            split_for(translator, data, name, scored=True)
            flags = {**given, "--split": None if name == "val" else name}
            flags["--data"] = None if own is not None and data.checksum == own.checksum else str(data.path)
            more = "".join(f" {flag} {shlex.quote(value)}" for flag, value in flags.items() if value)
            return f"citygan evaluate --metric {scored_by}{more}"
    return None
