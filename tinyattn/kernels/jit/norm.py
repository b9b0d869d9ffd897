"""The 2-norm of many arrays taken as one vector, summed in float64 in fixed chunks, and the scaling
of all of them.
"""

import math

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, kernel, sums

CHUNK = 16 * 1024


@sums
def chunk_square(x):
    total = 0.0
    for i in range(len(x)):
        value = np.float64(x[i])
        total += value * value
    return total


@sums
def scale_chunk(x, factor):
    for i in range(len(x)):
        x[i] *= factor


@kernel("w1 float")
def scale_all(x, factor):
    parts = (len(x) + CHUNK - 1) // CHUNK
    f = x.dtype.type(factor)
    for part in numba.prange(parts):
        scale_chunk(x[part * CHUNK : part * CHUNK + CHUNK], f)


@kernel("r1")
def square(x):
    parts = (len(x) + CHUNK - 1) // CHUNK
    partial = np.empty(parts)
    for part in numba.prange(parts):
        partial[part] = chunk_square(x[part * CHUNK : part * CHUNK + CHUNK])
    total = 0.0
    for part in range(parts):
        total += partial[part]
    return total


def global_norm(arrays: list[Array]) -> float:
    """Flat arrays -> their common norm."""
    return math.sqrt(sum(square(x, alone=x.size < SMALL) for x in arrays))


def scale(arrays: list[Array], factor: float) -> None:
    """Multiply flat arrays by factor, in place."""
    for x in arrays:
        scale_all(x, factor, alone=x.size < SMALL)
