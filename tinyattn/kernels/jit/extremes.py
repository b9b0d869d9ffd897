"""Extremes along the middle axis of (A, n, C), by blocks of columns; see reference/extremes.py."""

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel
from tinyattn.kernels.jit.vmath import bits, unbits

BLOCK = 64  # columns


@exact
def precedes(x, y, largest):
    """Whether x stands before y among the k best."""
    if largest:
        return x > y or (x != x and y == y)
    return x < y or (y != y and x == x)


@exact
def first_extreme(x, sign):
    """The place of the first largest element of x (n,), times sign, and how many are equal to it.
    Three plain loops, which work in vector registers, where one with conditions does not."""
    top, odd = bits(x[0] * sign), False
    for i in range(len(x)):
        top = max(top, bits(x[i] * sign))
        odd |= x[i] != x[i]
    best = unbits(top) * sign
    if odd:  # a NaN is the extreme, whatever its sign is
        best = x.dtype.type(np.nan)
    ties, at = np.int32(0), np.int32(len(x))
    for i in range(len(x)):
        same = (x[i] == best) | (odd & (x[i] != x[i]))
        ties += np.int32(same)
        at = min(at, np.int32(i) if same else at)
    return at, ties


@exact
def compare_row(x, i, sign, value, at, ties):
    """Row i, x (C,), against the extremes of the rows before it."""
    for c in range(len(x)):
        v, best = x[c], value[c]
        equal = (v == best) | ((v != v) & (best != best))
        better = ((v * sign > best * sign) | (v != v)) & (not equal)
        more = ties[c] + ties.dtype.type(1) if equal else ties[c]
        ties[c] = ties.dtype.type(1) if better else more
        value[c] = v if better else best
        at[c] = i if better else at[c]


@kernel("r3 float w2 o2 w2")
def run_extreme(x, sign, value, at, ties):
    A, n, C = x.shape
    blocks = (C + BLOCK - 1) // BLOCK
    one = x.dtype.type(sign)
    for part in numba.prange(A * blocks):
        a, begin = part // blocks, part % blocks * BLOCK
        if C == 1:
            line = x[a].reshape(n)
            at[a, 0], ties[a, 0] = first_extreme(line, one)
            value[a, 0] = line[at[a, 0]]
        else:
            end = min(C, begin + BLOCK)
            values, places = value[a, begin:end], at[a, begin:end]
            values[:], places[:], ties[a, begin:end] = x[a, 0, begin:end], 0, 1
            for i in range(1, n):
                compare_row(x[a, i, begin:end], i, one, values, places, ties[a, begin:end])


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
