"""Random numbers that are counted, not carried: each a function of the seed, what it is for, and a place."""

from __future__ import annotations

import numpy as np

# what they are for: a number that was given once is never another's
ORDER = 0  # of the pictures, by epoch
CROPS = 1  # scale, crop and mirroring, by the picture's place in the whole training
MORE_CROPS = 2  # the crops beside that one, and which is taken
COLOURS = 3


def generator(seed: int, purpose: int, place: int) -> np.random.Generator:
    """The random numbers for one purpose at one place."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, purpose, place))))
