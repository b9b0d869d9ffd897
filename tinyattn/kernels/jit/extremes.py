"""Extremes along the middle axis of (A, n, C), by blocks of columns; see reference/extremes.py."""

import numba

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel

BLOCK = 64  # columns


@exact
def precedes(x, y, largest):
    """Whether x stands before y among the k best."""
    if largest:
        return x > y or (x != x and y == y)
    return x < y or (y != y and x == x)


@kernel("r3 float w2 o2 w2")
def run_extreme(x, sign, value, at, ties):
    A, n, C = x.shape
    blocks = (C + BLOCK - 1) // BLOCK
    for part in numba.prange(A * blocks):
        a, begin = part // blocks, part % blocks * BLOCK
        end = min(C, begin + BLOCK)
        value[a, begin:end], at[a, begin:end], ties[a, begin:end] = x[a, 0, begin:end], 0, 1
        for i in range(1, n):
            for c in range(begin, end):
                v, best = x[a, i, c], value[a, c]
                if v == best or (v != v and best != best):
                    ties[a, c] += 1
                elif v * sign > best * sign or v != v:
                    value[a, c], at[a, c], ties[a, c] = v, i, 1


@kernel("r3 bool w3 o3")
def run_topk(x, largest, value, at):
    A, n, C = x.shape
    k = value.shape[1]
    for unit in numba.prange(A * C):
        a, c = unit // C, unit % C
        for i in range(n):
            v = x[a, i, c]
            if i >= k and not precedes(v, value[a, k - 1, c], largest):
                continue
            j = min(i, k - 1)
            while j > 0 and precedes(v, value[a, j - 1, c], largest):
                value[a, j, c], at[a, j, c] = value[a, j - 1, c], at[a, j - 1, c]
                j -= 1
            value[a, j, c], at[a, j, c] = v, i


def extreme(x: Array, sign: float, value: Array, at: Array, ties: Array) -> None:
    """x (A, n, C) -> the first largest element (with sign -1 the smallest), its place on the axis,
    and how many are equal to it, each (A, C)."""
    run_extreme(x, sign, value, at, ties, alone=x.size < SMALL)


def topk(x: Array, largest: bool, value: Array, at: Array) -> None:
    """x (A, n, C) -> the k largest elements in order, or the smallest, and where they stand, each
    (A, k, C); of equals the first."""
    run_topk(x, largest, value, at, alone=x.size < SMALL)
