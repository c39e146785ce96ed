"""Published weights for the trunks of networks: found on this machine, checked, filled in. Nothing is ever fetched."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from citygan.errors import DamagedError, MachineError, UsageError
from citygan.files import read_bytes
from citygan.models.pretrained import Pretrainable, published_file
from citygan.models.trunk import PUBLISHED_WIDTH
from citygan.weightfiles import RANDOM, Found
from citygan.weights import read_state_dict


def fill_pretrained(network: Pretrainable, choice: str | None) -> Found:
    """Fills what a network has published weights for.

    Args:
        choice: `weights.NAME` of the settings: a file, None for torchvision's, or `random`, which leaves the network
            as it is.

    Returns:
        What it was filled with.

    Raises:
        MachineError: The file is not on this machine.
        DamagedError: The file is damaged, another one than its name says, or does not fit.
        UsageError: The network's width is not the published one.
    """
    name = network.pretrained
    if choice == RANDOM:
        return Found(name)
    instead = f"--set weights.{name}={RANDOM} does without"
    if not network.published_shape:
        raise UsageError(
            f"there are no published weights for a {name} whose width is not {PUBLISHED_WIDTH}",
            where=f"weights.{name}",
            hint=instead,
        )
    published = published_file(name)
    path = published if choice is None else Path(choice)
    if choice is None and not path.is_file():
        raise MachineError(
            f"the weights of {name} are missing ({path.name}, whose sha256 begins with {_told(path)})",
            where=path.parent,
            hint=f"citygan weights fetch {name} puts them there, --set weights.{name}=PATH takes a file, {instead}",
        )
    if not path.exists():
        hint = f"Without --set they are looked for in {published.parent}; {instead}"
        raise MachineError(f"the weights of {name} are missing: no such file", where=path, hint=hint)
    told, digest = _told(path), hashlib.sha256(read_bytes(path, error=DamagedError)).hexdigest()
    if told is not None and not digest.startswith(told):
        raise DamagedError("its sha256 is not the one in its name: cut short or damaged", where=path)
    try:
        network.load_pretrained(read_state_dict(path))
    except ValueError as problem:
        raise DamagedError(f"the weights do not fit {name}: {problem}", where=path, hint=instead) from problem
    return Found(name, path, digest)


def _told(path: Path) -> str | None:
    """The beginning of the sha256 that a file's name tells, as torchvision's do: ``resnet18-f37072fd.pth``."""
    found = re.search(r"-([0-9a-f]{8,64})\.pth$", path.name)
    return None if found is None else found[1]
