"""``citygan study search``."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any


def search(
    space_file: Path | None, flags: dict[str, Any], *, resume: bool, out: Path | None, device: str, as_json: bool
) -> None:
    """Looks for the settings with the best figure, over the space that a file describes.

    Args:
        flags: `data`, `quick`, `seeds`, `trials`, `metric`, `segmenter`, `storage`, `assigned`; None or empty where the
            command line says nothing.
    """
    from citygan.errors import Interrupted, UsageError
    from citygan.files import read_bytes
    from citygan.study.searchfile import read_space
    from citygan.yamlfile import read_yaml

    if space_file is None and not (resume and out is not None):
        raise UsageError(
            "no file that says what is searched",
            where="citygan study search",
            hint="citygan study search SPACE.yaml; docs/study.md shows one",
        )
    said = {key: value for key, value in flags.items() if value}
    if flags["quick"] is False:
        said["quick"] = False
    if resume:
        _refuse_others(said)
        _check_optuna()
        from citygan.study.searchworking import SearchFiles, check_storage, flags_of

        folder = out
        if folder is None:
            assert space_file is not None
            folder = Path("studies") / str(read_yaml(space_file)[0].get("name") or space_file.stem)
        said = flags_of(folder) | said
        check_storage(said)
        space_file = space_file or SearchFiles(folder).space
    assert space_file is not None
    assigned = said.get("assigned", ())
    space = read_space(space_file, said | {"assigned": tuple(assigned)})
    text = read_bytes(space_file, error=UsageError).decode("utf-8-sig")
    folder = out if out is not None else Path("studies") / space.name
    said["name"] = space.name

    _check_optuna()
    from citygan.cli.train import _data_name, _open_data
    from citygan.progress import say
    from citygan.study.searchworking import Chosen, SearchFiles, check_outcome, run_search

    prepared = _open_data(space.data, False)
    assert prepared is not None
    quick = prepared.manifest.get("source") == "demo" if space.quick is None else space.quick
    named = _data_name(prepared)
    chosen = Chosen(named, space.data or named, quick, _device(device), said)
    form = ", quick form: narrow, small and short (--full for the paper's settings)" if quick else ""
    say(f"search {space.name}: {space.method}, {space.total} trials, goal {space.goal.title}, on {prepared.path}{form}")
    try:
        record = run_search(space, text, prepared, chosen, folder)
    except (KeyboardInterrupt, Interrupted):
        again = ["citygan", "study", "search", str(space_file), "--resume"]
        say(f"go on with: {shlex.join(again + ([] if out is None else ['--out', str(out)]))}")
        raise
    files = SearchFiles(folder)
    if as_json:
        print(json.dumps(record, allow_nan=False))
    else:
        print(files.markdown.read_text("utf-8"), end="")
    sys.stdout.flush()
    say(f"files: {files.markdown}, {files.csv}, {files.json}, {files.html}, {files.plot}")
    check_outcome(record)
    say(f"next: {shlex.join(['citygan', 'train', '--config', str(files.best), '--data', chosen.shown])}")


def _check_optuna() -> None:
    from citygan.errors import MachineError

    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError as problem:
        hint = "pip install 'citygan[search]' brings it"
        raise MachineError(f"the package {problem.name} is missing, which a search needs", hint=hint) from problem


def _refuse_others(said: dict[str, Any]) -> None:
    from citygan.errors import UsageError

    names = {"data": "--data", "quick": "--quick/--full", "seeds": "--seeds", "metric": "--metric",
             "segmenter": "--segmenter", "assigned": "--set"}  # fmt: skip
    given = [names[key] for key in said if key in names]
    if given:
        raise UsageError(f"--resume goes on with a search as it is, without {', '.join(given)}", hint="Leave it out")


def _device(device: str) -> str:
    """One device: others join with a command of their own."""
    from citygan.progress import say
    from citygan.study.working import devices_for

    found = devices_for(device)
    if len(found) > 1:
        say(f"on {found[0]}: for each other device, start the same command with --device {found[1]}")
    return found[0]
