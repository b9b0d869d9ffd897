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
    """The sum of the squares of x, in float64."""
    total = 0.0
    for i in range(len(x)):
        value = np.float64(x[i])
        total += value * value
    return total


@sums
def scale_chunk(x, factor):
    """Multiply x by factor, in place."""
    for i in range(len(x)):
        x[i] *= factor


@kernel("w1 float")
def scale_all(x, factor):
    """Multiply x by factor, in place; a task is one chunk."""
    chunks = (len(x) + CHUNK - 1) // CHUNK
    f = x.dtype.type(factor)
    for chunk in numba.prange(chunks):
        scale_chunk(x[chunk * CHUNK : chunk * CHUNK + CHUNK], f)


@kernel("r1")
def square(x):
    """The sum of the squares of x in float64; a task is one chunk, and the chunks are added in
    order."""
    chunks = (len(x) + CHUNK - 1) // CHUNK
    squares = np.empty(chunks)
    for chunk in numba.prange(chunks):
        squares[chunk] = chunk_square(x[chunk * CHUNK : chunk * CHUNK + CHUNK])
    total = 0.0
    for chunk in range(chunks):
        total += squares[chunk]
    return total


def global_norm(arrays: list[Array]) -> float:
    """Flat arrays -> the norm of all their elements together."""
    return math.sqrt(sum(square(x, alone=x.size < SMALL) for x in arrays))


def scale(arrays: list[Array], factor: float) -> None:
    """Multiply flat arrays by factor, in place."""
    for x in arrays:
        scale_all(x, factor, alone=x.size < SMALL)
