"""Elements picked, written and added up by an index along the middle axis. A task owns columns of
the array that it writes, so that sums run in the order of the index.
"""

from typing import Any

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel
from tinyattn.kernels.jit.copy import MOVED
from tinyattn.kernels.jit.reductions import add_one, whole

WIDTH = 16  # columns of a task
PIECE = 16 * 1024  # elements of a task


@exact
def outside(index, n):
    """Whether one of the indices is not in [0, n). Without its sign a negative number is a very
    large one."""
    bad: Any = 0
    for i in range(len(index)):
        bad |= np.uint64(index[i]) >= np.uint64(n)
    return bad


@kernel("i1 int")
def count_outside(index, n):
    bad = 0
    for piece in numba.prange((len(index) + PIECE - 1) // PIECE):
        bad += outside(index[piece * PIECE : piece * PIECE + PIECE], n)
    return bad


def in_range(index: Array, n: int) -> bool:
    """Whether all indices are in [0, n)."""
    return not count_outside(index.reshape(-1), n, alone=index.size < SMALL)


@exact
def pick(source, places, to):
    """to (N,) = the elements of source (n,) at these places."""
    for i in range(len(to)):
        # A number without a sign can't count from the end, so that is not looked at.
        to[i] = source[np.uint64(places[i])]


@kernel("r3 i3 w3")
def run_gather(x, index, out):
    A, n, C = x.shape
    N, own, columns = index.shape[1], index.shape[0] > 1, index.shape[2] > 1
    step = PIECE if C == 1 else 1  # rows of a task
    pieces = (N + step - 1) // step
    for task in numba.prange(A * pieces):
        a, i = task // pieces, task % pieces * step
        places, source, to = index[a if own else 0, i : i + step], x[a], out[a, i : i + step]
        if C == 1:
            pick(source.reshape(n), places.reshape(len(places)), to.reshape(len(to)))
        elif columns:
            for c in range(C):
                to[0, c] = source[places[0, c], c]
        else:
            to[0] = source[places[0, 0]]


@kernel("r3 i3 w3 int")
def run_scatter(x, index, out, step):
    A, n, C = out.shape
    N, own, columns = index.shape[1], index.shape[0] > 1, index.shape[2] > 1
    blocks = (C + WIDTH - 1) // WIDTH
    for task in numba.prange(A * blocks):
        a, first = task // blocks, task % blocks * WIDTH
        if C == 1:
            source = x[a * step].reshape(x.shape[1])
            place(source, step, index[a if own else 0].reshape(N), out[a].reshape(n))
        for i in range(0 if C == 1 else N):
            places, source = index[a if own else 0, i], x[a * step, i * step]
            for c in range(first, min(first + WIDTH, C)):
                out[a, places[c if columns else 0], c] = source[c * step]


@exact
def place(x, step, places, to):
    """x (N,), or with step 0 one number, written to these places."""
    for i in range(len(places)):
        to[np.uint64(places[i])] = x[i * step]


@exact
def add_column(x, places, sums, lost):
    """x (N,) on to the sums at these places. float64 has room for the sum of float32; what the
    rounding of float64 loses is kept."""
    for i in range(len(x)):
        at = np.uint64(places[i])
        if x.itemsize == 4:
            sums[at] += np.float64(x[i])
        else:
            add_one(sums, lost, at, np.float64(x[i]))


@kernel("r3 i3 bool r3 w3")
def run_scatter_add(x, index, adds, onto, out):
    A, n, C = out.shape
    N, own, columns = index.shape[1], index.shape[0] > 1, index.shape[2] > 1
    blocks = (C + WIDTH - 1) // WIDTH
    for task in numba.prange(A * blocks):
        a, first = task // blocks, task % blocks * WIDTH
        width = min(WIDTH, C - first)
        sums, lost = np.zeros(n * width), np.zeros(n * width)
        for at in range(n * width if adds else 0):
            sums[at] = onto[a, at // width, first + at % width]
        if C == 1:
            add_column(x[a].reshape(N), index[a if own else 0].reshape(N), sums, lost)
        for i in range(0 if C == 1 else N):
            places, source = index[a if own else 0, i], x[a, i]
            for c in range(width):
                at = places[first + c if columns else 0] * width + c
                if x.itemsize == 4:
                    sums[at] += np.float64(source[first + c])
                else:
                    add_one(sums, lost, at, np.float64(source[first + c]))
        if width == C:  # all in one line
            to = out[a].reshape(n * C)
            for at in range(len(to)):
                to[at] = whole(sums[at], lost[at])
        for j in range(0 if width == C else n):
            for c in range(width):
                out[a, j, first + c] = whole(sums[j * width + c], lost[j * width + c])


def gather(x: Array, index: Array, out: Array) -> bool:
    """x (A, n, C), index (A or 1, N, C or 1) -> out (A, N, C); whether all indices are in range."""
    if not in_range(index, x.shape[1]):
        return False
    moved = MOVED[x.itemsize]
    run_gather(x.view(moved), index, out.view(moved), alone=out.size < SMALL)
    return True


def scatter(x: Array, index: Array, out: Array) -> bool:
    """x (A, N, C) or (1, 1, 1), index (A or 1, N, C or 1) -> written into out (A, n, C); whether
    all indices are in range."""
    if not in_range(index, out.shape[1]):
        return False
    moved, step = MOVED[x.itemsize], int(x.size > 1)
    run_scatter(x.view(moved), index, out.view(moved), step, alone=index.size < SMALL)
    return True


def scatter_add(x: Array, index: Array, onto: Array | None, out: Array) -> bool:
    """x (A, N, C), index (A or 1, N, C or 1) -> out (A, n, C), added to `onto`, or to 0; whether
    all indices are in range."""
    if not in_range(index, out.shape[1]):
        return False
    adds, begin = onto is not None, out if onto is None else onto
    run_scatter_add(x, index, adds, begin, out, alone=x.size + out.size < SMALL)
    return True
