"""Trials of a real against a generated picture, as pix2pix showed them: which pictures, in which order, in one file.

The protocol (pix2pix, section 4.1): each picture of a trial for a second, then unlimited time to answer which was the
fake; 10 trials of practice with feedback, 40 without; one algorithm a session. The pauses around the pictures are those
of the authors' public tool.

A trial is one picture [2H, W, 3], its two pictures one above the other, encoded as one: neither name nor size nor bytes
of a half say which is generated, and the real photos of two algorithms are not the same bytes. Which half is the fake
stands in the key, which stays with whoever made the page; the page knows it of the practice alone, for the feedback.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from citygan.errors import DataError
from citygan.pictures import encode_png
from citygan.pictures.painted import in_colours

UInt8 = npt.NDArray[np.uint8]
PRACTICE, TRIALS = 10, 40
SHOW_MS, BEFORE_MS, BETWEEN_MS = 1000, 900, 600
LARGEST = 512  # pixels of the longer side, as it is shown
SMALLEST = 256  # of the width on the screen: smaller pictures are enlarged there, both alike
VERSION = 1
KEY_FORMAT, RESULT_FORMAT = "citygan real-or-fake key", "citygan real-or-fake results"


@dataclass(frozen=True)
class Pair:
    """One trial before it is drawn.

    Attributes:
        fake, real: Rows of the split: of the input that is translated, and of the photo.
        fake_half: Which half of its picture is the fake: 0 the upper, 1 the lower.
    """

    fake: int
    real: int
    fake_half: int


def check_enough(count: int, where: str, hint: str) -> None:
    """Every trial has a fake and a real picture of its own, those of the practice are not seen again.

    Raises:
        DataError: Too few pictures.
    """
    if count < PRACTICE + TRIALS:
        raise DataError(
            f"{PRACTICE + TRIALS} pictures are needed for {PRACTICE} trials of practice and {TRIALS} that count, "
            f"and there are {count}",
            where=where,
            hint=hint,
        )


def choose(count: int, *, same_input: bool, seed: int) -> list[Pair]:
    """The trials of one algorithm, those of the practice first.

    No input is translated twice and no photo shown twice; what the practice shows, as a photo or translated, is not
    seen later. Of unequal inputs, all are different where there are enough; else a photo may come back translated in
    another trial.

    Args:
        count: Pictures there are, at least `PRACTICE + TRIALS`.
        same_input: Both pictures of a trial of one input, as of colourisation; else of two, as of maps.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(count)
    halves = random.integers(0, 2, PRACTICE + TRIALS)
    apart = not same_input and count >= 2 * (PRACTICE + TRIALS)
    pairs: list[Pair] = []
    start = 0
    for size in (PRACTICE, TRIALS):
        fakes = order[start : start + size]
        if same_input:
            reals = fakes
        else:
            reals = order[PRACTICE + TRIALS + start :][:size] if apart else np.roll(fakes, 1)
        for fake, real in zip(fakes, reals, strict=True):
            pairs.append(Pair(int(fake), int(real), int(halves[len(pairs)])))
        start += size
    return pairs


def shown_size(width: int, height: int) -> tuple[int, int]:
    """Width and height in which pictures are embedded: at most `LARGEST`."""
    scale = min(1.0, LARGEST / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def stacked(pair: Pair, fake: UInt8, real: UInt8) -> bytes:
    """A trial as one PNG, both pictures through the same steps.

    Args:
        fake, real: uint8 [H, W, 3] or [H, W, 1], of one size; where one is grey, the other's first channel is taken.
    """
    grey = 1 in (fake.shape[-1], real.shape[-1])
    halves = [_shown(picture[..., :1] if grey else picture) for picture in (fake, real)]
    return encode_png(np.concatenate(halves if pair.fake_half == 0 else halves[::-1]))


def _shown(picture: UInt8) -> UInt8:
    height, width = picture.shape[:2]
    size = shown_size(width, height)
    if size != (width, height):
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        picture = picture.reshape(size[1], size[0], -1)
    return in_colours(picture)


@dataclass(frozen=True)
class Algorithm:
    """What one session tests.

    Attributes:
        row: Of the study's table.
        about: Run, step, checksum of the weights.
        pairs: Its trials.
        stems: Names of the split's pictures.
        pictures: Gives the fake and the real picture of a pair.
    """

    row: str
    about: Mapping[str, Any]
    pairs: Sequence[Pair]
    stems: Sequence[str]
    pictures: Callable[[Sequence[Pair]], Iterator[tuple[UInt8, UInt8]]]


def make(algorithms: Sequence[Algorithm], about: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the page holds, and the key to it.

    Args:
        about: What the page is of; with `size` ([width, height]) of the prepared pictures.

    Returns:
        `{"page", "show_ms", ..., "sets": [{"practice": [{"id", "fake", "png"}], "trials": [{"id", "png"}]}]}`, and
        `{"format", "version", "page", "about", "sets": [{"row", "trials": [{"id", "fake", "fake_stem", "real_stem"}]}],
        "sha256"}`. A page's name, `page`, is the checksum of all that it shows.
    """
    width, height = shown_size(*about["size"])
    on_screen = width if width >= SMALLEST else width * -(-SMALLEST // width)
    sets, keys = [], []
    for algorithm in algorithms:
        entries, keyed = [], []
        for index, (pair, (fake, real)) in enumerate(
            zip(algorithm.pairs, algorithm.pictures(algorithm.pairs), strict=True)
        ):
            name = trial_name(index)
            entry: dict[str, Any] = {"id": name, "png": base64.b64encode(stacked(pair, fake, real)).decode("ascii")}
            if index < PRACTICE:
                entry["fake"] = pair.fake_half
            entries.append(entry)
            stems = {"fake_stem": algorithm.stems[pair.fake], "real_stem": algorithm.stems[pair.real]}
            keyed.append({"id": name, "fake": pair.fake_half, **stems})
        sets.append({"practice": entries[:PRACTICE], "trials": entries[PRACTICE:]})
        keys.append({"row": algorithm.row, "about": dict(algorithm.about), "trials": keyed})
    payload: dict[str, Any] = {
        "format": RESULT_FORMAT,
        "version": VERSION,
        "width": width,
        "height": height,
        "on_screen": on_screen,
        "show_ms": SHOW_MS,
        "before_ms": BEFORE_MS,
        "between_ms": BETWEEN_MS,
        "sets": sets,
    }
    payload = {"page": digest_of(payload), **payload}
    key = {"format": KEY_FORMAT, "version": VERSION, "page": payload["page"], "about": dict(about), "sets": keys}
    return payload, {**key, "sha256": digest_of(key)}


def digest_of(value: Mapping[str, Any]) -> str:
    """sha256 of plain values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8")).hexdigest()


def trial_name(index: int) -> str:
    """`p1` to `p10` of the practice, `t1` to `t40` of those that count."""
    return f"p{index + 1}" if index < PRACTICE else f"t{index - PRACTICE + 1}"


# what a session makes of a page: the page's script does the same


def session_order(seed: int) -> list[tuple[str, int]]:
    """The trials of a session in their order, with the half that is shown first, by the session's seed.

    Args:
        seed: Of 32 bits.
    """
    draw = _mulberry32(seed)
    names = []
    for first, size in ((0, PRACTICE), (PRACTICE, TRIALS)):
        order = list(range(size))
        for i in range(size - 1, 0, -1):
            j = next(draw) % (i + 1)
            order[i], order[j] = order[j], order[i]
        names += [trial_name(first + index) for index in order]
    return [(name, next(draw) >> 31) for name in names]


def _mulberry32(state: int) -> Iterator[int]:
    """Tommy Ettinger's 32-bit generator (public domain), which JavaScript computes exactly too."""
    mask = 0xFFFFFFFF
    while True:
        state = (state + 0x6D2B79F5) & mask
        t = ((state ^ (state >> 15)) * (state | 1)) & mask
        t ^= (t + ((t ^ (t >> 7)) * (t | 61) & mask)) & mask
        yield (t ^ (t >> 14)) & mask
