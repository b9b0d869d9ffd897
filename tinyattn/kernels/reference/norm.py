"""The 2-norm of many arrays taken as one vector, and scaling them all: what clipping gradients
needs.

    norm = sqrt(sum over all arrays and elements of x^2)

The sum runs in float64, chunk by chunk in a fixed order, so that it is exact enough for millions of
elements and the same on every run.
"""

import math

import numpy as np

from tinyattn.kernels._types import Array

CHUNK = 4096


@np.errstate(all="ignore")
def global_norm(arrays: list[Array]) -> float:
    """Flat arrays -> their common norm."""
    total = 0.0
    for x in arrays:
        for start in range(0, len(x), CHUNK):
            total += float(np.square(x[start : start + CHUNK], dtype=np.float64).sum())
    return math.sqrt(total)


@np.errstate(all="ignore")
def scale(arrays: list[Array], factor: float) -> None:
    """Multiply flat arrays by factor, in place."""
    for x in arrays:
        x *= factor
