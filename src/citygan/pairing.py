"""Two folders of pictures, matched by name: never by position, and never a part of them."""

from __future__ import annotations

import os
from pathlib import Path

from citygan.errors import DataError

NAMED = 5  # names told in one message


def pictures_in(folder: Path) -> dict[str, Path]:
    """The pictures below a folder by their path without suffix, links followed once, in the order of the names.

    Raises:
        DataError: No such folder, no picture in it, or two of one name.
    """
    from citygan.pictures import SUFFIXES

    if not folder.is_dir():
        raise DataError("no such folder" if not os.path.lexists(folder) else "not a folder", where=folder)
    found: dict[str, Path] = {}
    seen = {os.path.realpath(folder)}
    for here, folders, names in os.walk(folder, followlinks=True):
        kept = []
        for name in sorted(folders):
            place = os.path.realpath(os.path.join(here, name))
            if not name.startswith(".") and name != "__MACOSX" and place not in seen:
                seen.add(place)
                kept.append(name)
        folders[:] = kept
        for name in sorted(names):
            if name.startswith(".") or not name.lower().endswith(SUFFIXES):
                continue
            file = Path(here, name)
            stem = os.fspath(file.relative_to(folder).with_suffix(""))
            if stem in found:
                raise DataError(
                    f"two pictures of one name: {found[stem].name} and {name}", where=file.parent, hint="Take one away"
                )
            found[stem] = file
    if not found:
        raise DataError("no pictures in it", where=folder, hint=f"Looked for {', '.join(SUFFIXES)}")
    return dict(sorted(found.items()))


def pair_folders(fake: Path, real: Path, labels: Path | None = None) -> list[tuple[str, Path, Path, Path | None]]:
    """Every picture of `fake` with the one of the same name in `real`, and its label map: (stem, fake, real, label).

    Raises:
        DataError: As `pictures_in`; or names that are in one folder only.
    """
    fakes, reals = pictures_in(fake), pictures_in(real)
    _check_same(fakes, reals, fake, real)
    label_files: dict[str, Path] = {}
    if labels is not None:
        label_files = pictures_in(labels)
        without = [stem for stem in reals if stem not in label_files]
        if without:
            raise DataError(f"no label map for {_some(without)}", where=labels)
    return [(stem, fakes[stem], reals[stem], label_files.get(stem)) for stem in fakes]


def _check_same(fakes: dict[str, Path], reals: dict[str, Path], fake: Path, real: Path) -> None:
    missing = [stem for stem in reals if stem not in fakes]
    extra = [stem for stem in fakes if stem not in reals]
    if not missing and not extra:
        return
    hint = "The folders must hold the same names; a part is not scored"
    if len(missing) == len(reals):
        raise DataError(
            f"no name in common: {_some(extra[:1])} there, {_some(missing[:1])} in {real}", where=fake, hint=hint
        )
    parts = []
    if missing:
        parts.append(f"{_some(missing)} only in {real}")
    if extra:
        parts.append(f"{_some(extra)} only in {fake}")
    raise DataError(f"pictures without a partner: {', '.join(parts)}", hint=hint)


def _some(stems: list[str]) -> str:
    more = f" and {len(stems) - NAMED} more" if len(stems) > NAMED else ""
    return ", ".join(stems[:NAMED]) + more
