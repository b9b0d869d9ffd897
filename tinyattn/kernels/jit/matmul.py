"""The product of matrices, batched: four rows of a against a panel of b, packed WIDTH columns wide.

Look first at `tile`: four rows by four k in one pass keep the sums in the first-level cache and
give LLVM one long loop over columns, with strides it knows, to turn into vector instructions.
"""

import numba
import numpy as np

from tinyattn.kernels._types import Array, Cache
from tinyattn.kernels.jit.compiling import exact, kernel, sums

WIDTH = 128
DEPTH = 256  # rows of b packed at a time: a panel of float32 takes 128 KB of the second-level cache
TASKS = 8  # pieces of work to aim for, so that two threads or eight find some
FEW = 256 * 1024  # multiplications that one thread does sooner than two


@exact
def tile(a, i0, i1, i2, i3, k0, depth, panel, at, width, acc):
    """acc (4, WIDTH) += rows i0..i3 of a, columns k0.., times panel (depth, WIDTH) from `at` on."""
    whole = depth - depth % 4
    for k in range(0, whole, 4):
        s = k0 + k
        a00, a01, a02, a03 = a[i0, s], a[i0, s + 1], a[i0, s + 2], a[i0, s + 3]
        a10, a11, a12, a13 = a[i1, s], a[i1, s + 1], a[i1, s + 2], a[i1, s + 3]
        a20, a21, a22, a23 = a[i2, s], a[i2, s + 1], a[i2, s + 2], a[i2, s + 3]
        a30, a31, a32, a33 = a[i3, s], a[i3, s + 1], a[i3, s + 2], a[i3, s + 3]
        p = at + k * WIDTH
        for j in range(width):
            b0 = panel[p + j]
            b1 = panel[p + WIDTH + j]
            b2 = panel[p + 2 * WIDTH + j]
            b3 = panel[p + 3 * WIDTH + j]
            acc[j] = acc[j] + a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
            c1 = acc[WIDTH + j] + a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
            c2 = acc[2 * WIDTH + j] + a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
            c3 = acc[3 * WIDTH + j] + a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3
            acc[WIDTH + j] = c1
            acc[2 * WIDTH + j] = c2
            acc[3 * WIDTH + j] = c3
    for k in range(whole, depth):
        s = k0 + k
        a00, a10, a20, a30 = a[i0, s], a[i1, s], a[i2, s], a[i3, s]
        p = at + k * WIDTH
        for j in range(width):
            b0 = panel[p + j]
            acc[j] = acc[j] + a00 * b0
            acc[WIDTH + j] = acc[WIDTH + j] + a10 * b0
            acc[2 * WIDTH + j] = acc[2 * WIDTH + j] + a20 * b0
            acc[3 * WIDTH + j] = acc[3 * WIDTH + j] + a30 * b0


@exact
def row(a, i, k0, depth, b, p0, width, acc):
    """acc (WIDTH,) += one row of a times b[k0 :, p0 :] where it stands: for a few rows packing does
    not pay.
    """
    whole = depth - depth % 4
    for k in range(k0, k0 + whole, 4):
        a0, a1, a2, a3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
        for j in range(width):
            acc[j] = (
                acc[j]
                + a0 * b[k, p0 + j]
                + a1 * b[k + 1, p0 + j]
                + a2 * b[k + 2, p0 + j]
                + a3 * b[k + 3, p0 + j]
            )
    for k in range(k0 + whole, k0 + depth):
        a0 = a[i, k]
        for j in range(width):
            acc[j] = acc[j] + a0 * b[k, p0 + j]


@sums
def dots(a, i, k0, depth, b, p0, columns, acc):
    """The same where the columns of b are contiguous."""
    for j in range(columns):
        total = acc[j]
        for k in range(k0, k0 + depth):
            total += a[i, k] * b[k, p0 + j]
        acc[j] = total


@exact
def pack(b, k0, depth, p0, columns, width, panel, at):
    """panel (depth, WIDTH) = b[k0 :, p0 : p0 + columns], with zeros up to `width`."""
    if b.strides[1] <= b.strides[0]:
        for k in range(depth):
            for j in range(columns):
                panel[at + k * WIDTH + j] = b[k0 + k, p0 + j]
    else:
        for first in range(0, depth, 16):  # as many rows as a line of the transposed b holds
            last = min(first + 16, depth)
            for j in range(columns):
                for k in range(first, last):
                    panel[at + k * WIDTH + j] = b[k0 + k, p0 + j]
    for k in range(depth):
        for j in range(columns, width):
            panel[at + k * WIDTH + j] = 0


@exact
def rounded(columns):
    """The width to compute for so many columns: what fills vector registers."""
    return min(WIDTH, (columns + 31) // 32 * 32)


@exact
def block(a, b, bias, out, m0, m1, p0):
    """out[m0 : m1, p0 : p0 + WIDTH] of one product."""
    K, P = b.shape
    columns = min(WIDTH, P - p0)
    few = m1 - m0 < 4
    width = columns if few else rounded(columns)
    panel = np.empty(0 if few else min(DEPTH, K) * WIDTH, out.dtype)
    acc = np.zeros(4 * WIDTH, out.dtype)
    for k0 in range(0, max(K, 1), DEPTH):
        depth = min(DEPTH, K - k0)
        if not few:
            pack(b, k0, depth, p0, columns, width, panel, 0)
        for m in range(m0, m1, 1 if few else 4):
            rows = 1 if few else min(4, m1 - m)
            for i in range(rows):
                for j in range(columns):
                    if k0:
                        acc[i * WIDTH + j] = out[m + i, p0 + j]
                    else:
                        acc[i * WIDTH + j] = bias[p0 + j] if bias.size else 0
            if few and b.strides[1] > b.strides[0]:
                dots(a, m, k0, depth, b, p0, columns, acc)
            elif few:
                row(a, m, k0, depth, b, p0, width, acc)
            else:
                last = m1 - 1
                tile(
                    a, m, min(m + 1, last), min(m + 2, last), min(m + 3, last),
                    k0, depth, panel, 0, width, acc,
                )  # fmt: skip
            for i in range(rows):
                for j in range(columns):
                    out[m + i, p0 + j] = acc[i * WIDTH + j]


@kernel("v3 v3 r1 w3")
def product(a, b, bias, out):
    n, M, P = out.shape
    panels = (P + WIDTH - 1) // WIDTH
    pieces = max(1, min(TASKS // max(n * panels, 1), M // 64))
    rows = ((M + pieces - 1) // pieces + 3) // 4 * 4
    tasks = n * panels * pieces
    for task in numba.prange(tasks):
        i, rest = task // (panels * pieces), task % (panels * pieces)
        p0, m0 = rest // pieces * WIDTH, rest % pieces * rows
        block(a[i], b[i], bias, out[i], m0, min(m0 + rows, M), p0)


def matmul(a: Array, b: Array, bias: Array | None, out: Array, cache: Cache | None) -> None:
    """a (n, M, K), b (n, K, P), bias (P,) -> out (n, M, P)."""
    none = np.empty(0, out.dtype)
    alone = out.size * a.shape[2] < FEW
    product(a, b, none if bias is None else bias, out, alone=alone)
