"""Copies of any strides, row by row or in tiles; one number in every element; triangles of
matrices; rows between zeros.
"""

import numba
import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, kernel
from tinyattn.kernels.layouts import walk

MOST_AXES = 4
PIECE = 16 * 1024  # elements of a row that one task copies
TILE = 16  # rows of a tile

# What elements are moved as, by their size.
MOVED: dict[int, type[np.generic]] = {1: np.uint8, 4: np.float32, 8: np.float64}


@kernel("v4 u4")
def copy_rows(x, out):
    A, B, C, n = x.shape
    pieces = (n + PIECE - 1) // PIECE
    for task in numba.prange(A * B * C * pieces):
        row, first = task // pieces, task % pieces * PIECE
        a, b, c = row // (B * C), row // C % B, row % C
        line, to = x[a, b, c, first : first + PIECE], out[a, b, c, first : first + PIECE]
        for i in range(len(line)):
            to[i] = line[i]


@kernel("v4 u4")
def copy_tiles(x, out):
    A, B, C, n = x.shape
    strips = (C + TILE - 1) // TILE
    for task in numba.prange(A * B * strips):
        place, first = task // strips, task % strips * TILE
        a, b = place // B, place % B
        strip, to = x[a, b, first : first + TILE], out[a, b, first : first + TILE]
        for begin in range(0, n, TILE):
            tile, square = strip[:, begin : begin + TILE], to[:, begin : begin + TILE]
            for j in range(tile.shape[0]):
                for i in range(tile.shape[1]):
                    square[j, i] = tile[j, i]


def copy(x: Array, out: Array) -> None:
    """x -> out, of the same shape; both of any strides."""
    axes = walk(x.shape, x.strides, out.strides)
    more = MOST_AXES - len(axes.shape)
    if more < 0 or x.size < SMALL:
        out[...] = x
        return
    shape, none = (1,) * more + axes.shape, (0,) * more
    moved = MOVED[x.itemsize]
    source = as_strided(x.view(moved), shape, none + axes.source)
    target = as_strided(out.view(moved), shape, none + axes.target)
    rows = not axes.turned and axes.source[-1] == axes.target[-1] == 4
    if rows and shape[-1] % 2 == 0:
        # Numba's arrays with strides become no vector instructions; so two elements move as one.
        source, target = source.view(np.float64), target.view(np.float64)
    (copy_tiles if axes.turned else copy_rows)(source, target)


@kernel("w1 r1")
def run_fill(y, x):
    for i in numba.prange(len(y)):
        y[i] = x[0]


def fill(y: Array, x: Array) -> None:
    """One number, x (), into every element of y."""
    moved = MOVED[y.itemsize]
    run_fill(y.reshape(-1).view(moved), x.reshape(1).view(moved), alone=y.size < SMALL)


@kernel("r3 int bool w3")
def run_triangle(x, k, upper, out):
    A, N, C = x.shape
    for row in numba.prange(A * N):
        line, to = x[row // N, row % N], out[row // N, row % N]
        border = min(max(row % N + k + (0 if upper else 1), 0), C)
        for i in range(C):
            to[i] = line[i] if (i >= border) == upper else 0


def triangle(x: Array, k: int, upper: bool, out: Array) -> None:
    """x (A, N, C) -> out, which is 0 above the diagonal k, or below it where `upper` is set."""
    moved = MOVED[x.itemsize]
    run_triangle(x.view(moved), k, upper, out.view(moved), alone=x.size < SMALL)


@kernel("r3 int int w3")
def run_place(x, start, step, out):
    A, n, C = out.shape
    for row in numba.prange(A * n):
        a, away = row // n, row % n - start
        here = away >= 0 and away % step == 0 and away // step < x.shape[1]
        k, to = away // step if here else 0, out[a, row % n]
        for c in range(C):
            to[c] = x[a, k, c] if here else 0


def place(x: Array, start: int, step: int, out: Array) -> None:
    """x (A, m, C) -> out (A, n, C), which is x at start, start + step, ..., and 0 elsewhere."""
    run_place(x, start, step, out, alone=out.size < SMALL)
