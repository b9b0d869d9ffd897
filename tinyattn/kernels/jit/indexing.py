"""Elements picked, written and added up by an index along the middle axis. A task owns columns of
the array that it writes, so that sums run in the order of the index.
"""

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel
from tinyattn.kernels.jit.copy import MOVED
from tinyattn.kernels.jit.reductions import add_one, whole

WIDTH = 16  # columns of a task


@exact
def outside(index, n):
    bad = 0
    for i in range(index.shape[0]):
        for c in range(index.shape[1]):
            bad |= index[i, c] < 0 or index[i, c] >= n
    return bad


@kernel("r3 i3 w3")
def run_gather(x, index, out):
    A, n, C = x.shape
    N, own, columns = index.shape[1], index.shape[0] > 1, index.shape[2] > 1
    bad = 0
    for a in numba.prange(index.shape[0]):
        bad += outside(index[a], n)
    if bad:
        return False
    for row in numba.prange(A * N):
        a, i = row // N, row % N
        places, source, to = index[a if own else 0, i], x[a], out[a, i]
        for c in range(C):
            to[c] = source[places[c if columns else 0], c]
    return True


@kernel("r3 i3 w3 int")
def run_scatter(x, index, out, step):
    A, n, C = out.shape
    N, own, columns = index.shape[1], index.shape[0] > 1, index.shape[2] > 1
    blocks = (C + WIDTH - 1) // WIDTH
    bad = 0
    for a in numba.prange(index.shape[0]):
        bad += outside(index[a], n)
    if bad:
        return False
    for task in numba.prange(A * blocks):
        a, first = task // blocks, task % blocks * WIDTH
        for i in range(N):
            places, source = index[a if own else 0, i], x[a * step, i * step]
            for c in range(first, min(first + WIDTH, C)):
                out[a, places[c if columns else 0], c] = source[c * step]
    return True


@kernel("r3 i3 bool w3")
def run_scatter_add(x, index, onto, out):
    A, n, C = out.shape
    N, own, columns = index.shape[1], index.shape[0] > 1, index.shape[2] > 1
    blocks = (C + WIDTH - 1) // WIDTH
    bad = 0
    for a in numba.prange(index.shape[0]):
        bad += outside(index[a], n)
    if bad:
        return False
    for task in numba.prange(A * blocks):
        a, first = task // blocks, task % blocks * WIDTH
        width = min(WIDTH, C - first)
        sums, lost = np.zeros(n * width), np.zeros(n * width)
        for at in range(n * width if onto else 0):
            sums[at] = out[a, at // width, first + at % width]
        for i in range(N):
            places, source = index[a if own else 0, i], x[a, i]
            for c in range(width):
                at = places[first + c if columns else 0] * width + c
                if x.itemsize == 4:
                    sums[at] += np.float64(source[first + c])
                else:
                    add_one(sums, lost, at, np.float64(source[first + c]))
        for j in range(n):
            for c in range(width):
                out[a, j, first + c] = whole(sums[j * width + c], lost[j * width + c])
    return True


def gather(x: Array, index: Array, out: Array) -> bool:
    """x (A, n, C), index (A or 1, N, C or 1) -> out (A, N, C); whether all indices are in range."""
    moved = MOVED[x.itemsize]
    return bool(run_gather(x.view(moved), index, out.view(moved), alone=out.size < SMALL))


def scatter(x: Array, index: Array, out: Array) -> bool:
    """x (A, N, C) or (1, 1, 1), index (A or 1, N, C or 1) -> written into out (A, n, C); whether
    all indices are in range."""
    moved, step = MOVED[x.itemsize], int(x.size > 1)
    return bool(run_scatter(x.view(moved), index, out.view(moved), step, alone=index.size < SMALL))


def scatter_add(x: Array, index: Array, onto: bool, out: Array) -> bool:
    """x (A, N, C), index (A or 1, N, C or 1) -> out (A, n, C), added to what is there if `onto` is
    set; whether all indices are in range."""
    return bool(run_scatter_add(x, index, onto, out, alone=x.size + out.size < SMALL))
