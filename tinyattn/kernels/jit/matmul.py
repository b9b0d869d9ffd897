"""The product of matrices, batched: four rows of a against a panel of b, packed WIDTH columns wide.

Look first at `tile`: four rows by four k in one pass keep the sums in the first-level cache and
give LLVM one long loop over columns, with strides it knows, to turn into vector instructions.
"""

import numba
import numpy as np

from tinyattn.kernels._types import Array, Packings
from tinyattn.kernels.jit.compiling import exact, kernel, sums

WIDTH = 128
DEPTH = 256  # rows of b packed at a time, and terms of a sum before the sum goes to `add_block`
TASKS = 8  # tasks to aim for, enough for two threads or for eight
FEW = 256 * 1024  # multiplications; below, one thread is faster than two


@exact
def tile(a, i0, i1, i2, i3, k0, depth, panel, width, acc):
    """acc (4, WIDTH) += rows i0..i3 of a, columns k0.., times panel (depth, WIDTH) ."""
    whole = depth - depth % 4
    for k in range(0, whole, 4):
        s = k0 + k
        a00, a01, a02, a03 = a[i0, s], a[i0, s + 1], a[i0, s + 2], a[i0, s + 3]
        a10, a11, a12, a13 = a[i1, s], a[i1, s + 1], a[i1, s + 2], a[i1, s + 3]
        a20, a21, a22, a23 = a[i2, s], a[i2, s + 1], a[i2, s + 2], a[i2, s + 3]
        a30, a31, a32, a33 = a[i3, s], a[i3, s + 1], a[i3, s + 2], a[i3, s + 3]
        p = k * WIDTH
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
        p = k * WIDTH
        for j in range(width):
            b0 = panel[p + j]
            acc[j] = acc[j] + a00 * b0
            acc[WIDTH + j] = acc[WIDTH + j] + a10 * b0
            acc[2 * WIDTH + j] = acc[2 * WIDTH + j] + a20 * b0
            acc[3 * WIDTH + j] = acc[3 * WIDTH + j] + a30 * b0


@exact
def copy_row(a, out):
    """out (n,) = the first n elements of a, with zeros where a is shorter."""
    n = min(len(a), len(out))
    for j in range(n):
        out[j] = a[j]
    for j in range(n, len(out)):
        out[j] = 0


@exact
def rounded(columns):
    """The number of columns to compute: rounded up, so that vector registers are full."""
    return min(WIDTH, (columns + 31) // 32 * 32)


@exact
def pack(b, panel):
    """panel (K, WIDTH) = b (K, P), with zeros up to the width computed for."""
    K, P = b.shape
    width = rounded(P)
    if b.strides[1] <= b.strides[0]:
        for k in range(K):
            copy_row(b[k], panel[k * WIDTH : k * WIDTH + width])
    else:
        for first in range(0, K, 16):  # as many rows as a line of the transposed b holds
            strip, to = b[first : first + 16], panel[first * WIDTH :]
            for j in range(P):
                for k in range(len(strip)):
                    to[k * WIDTH + j] = strip[k, j]
        for k in range(K):
            for j in range(P, width):
                panel[k * WIDTH + j] = 0


@exact
def add_block(block, out, lost, ends):
    """out (n,) += block (n,), the sum over a block of k; lost (n,) gets what that rounds away, and
    out gets lost if this is the last block. So the sum of many blocks does not drift."""
    for j in range(len(out)):
        s = out[j] + block[j]
        of_block = s - out[j]
        lost[j] += (out[j] - (s - of_block)) + (block[j] - of_block)
        out[j] = s
    if ends:
        for j in range(len(out)):
            s = out[j] + lost[j]
            out[j] = s if s == s else out[j]


@exact
def block(a, b, bias, out):
    """out (M, columns) = a (M, K) times b (K, columns) plus bias, for at most WIDTH columns."""
    M, columns = out.shape
    K = a.shape[1]
    panel = np.empty(min(DEPTH, K) * WIDTH, out.dtype)
    acc = np.zeros(4 * WIDTH, out.dtype)
    last, width, known = M - 1, rounded(columns), len(bias)
    lost = np.zeros((M if K > DEPTH else 0, columns), out.dtype)
    for k0 in range(0, max(K, 1), DEPTH):
        rows_of_b = b[k0 : k0 + DEPTH]
        pack(rows_of_b, panel)
        for m in range(0, M, 4):
            rows = min(4, M - m)
            for i in range(rows):
                for j in range(width):
                    acc[i * WIDTH + j] = 0
                for j in range(0 if k0 else known):
                    acc[i * WIDTH + j] = bias[j]
            tile(
                a, m, min(m + 1, last), min(m + 2, last), min(m + 3, last),
                k0, len(rows_of_b), panel, width, acc,
            )  # fmt: skip
            for i in range(rows):
                if k0:
                    more = acc[i * WIDTH : i * WIDTH + columns]
                    add_block(more, out[m + i], lost[m + i], k0 + DEPTH >= K)
                else:
                    for j in range(columns):
                        out[m + i, j] = acc[i * WIDTH + j]


@kernel("v3 v3 r1 w3")
def product(a, b, bias, out):
    """a (n, M, K), b (n, K, P), bias (P,) or empty -> out (n, M, P); a task is some rows of one
    panel."""
    n, M, P = out.shape
    panels = (P + WIDTH - 1) // WIDTH
    pieces = max(1, min(TASKS // max(n * panels, 1), M // 64))
    rows = ((M + pieces - 1) // pieces + 3) // 4 * 4
    tasks = n * panels * pieces
    for task in numba.prange(tasks):
        i, rest = task // (panels * pieces), task % (panels * pieces)
        p0, m0 = rest // pieces * WIDTH, rest % pieces * rows
        columns = slice(p0, p0 + WIDTH)
        block(
            a[i, m0 : m0 + rows],
            b[i, :, columns],
            bias[columns],
            out[i, m0 : m0 + rows, columns],
        )


# For a few rows packing takes longer than it saves: b is read in place if it is contiguous.


@exact
def add_row(a, b, out):
    """out (P,) += a (K,) times b (K, P)."""
    K, P = b.shape
    whole = K - K % 4
    for k in range(0, whole, 4):
        a0, a1, a2, a3 = a[k], a[k + 1], a[k + 2], a[k + 3]
        b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
        for j in range(P):
            out[j] = out[j] + a0 * b0[j] + a1 * b1[j] + a2 * b2[j] + a3 * b3[j]
    for k in range(whole, K):
        a0, b0 = a[k], b[k]
        for j in range(P):
            out[j] += a0 * b0[j]


@kernel("r3 r3 r1 w3")
def few_rows(a, b, bias, out):
    """The same for contiguous a and b; a task is one row of out."""
    n, M = out.shape[:2]
    for task in numba.prange(n * M):
        i, m = task // M, task % M
        row, K = out[i, m], a.shape[2]
        copy_row(bias, row)
        add_row(a[i, m, :DEPTH], b[i, :DEPTH], row)
        if K > DEPTH:
            more, lost = np.empty_like(row), np.zeros_like(row)
            for k in range(DEPTH, K, DEPTH):
                more[:] = 0
                add_row(a[i, m, k : k + DEPTH], b[i, k : k + DEPTH], more)
                add_block(more, row, lost, k + DEPTH >= K)


@sums
def dot(a, b):
    """a (K,), b (K,) -> the sum of their products."""
    total = a.dtype.type(0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@exact
def long_dot(a, b):
    """The dot product by blocks, whose sums are added in float64 with what that rounds away."""
    s = lost = 0.0
    for k in range(0, len(a), DEPTH):
        v = np.float64(dot(a[k : k + DEPTH], b[k : k + DEPTH]))
        more = s + v
        of_v = more - s
        lost += (s - (more - of_v)) + (v - of_v)
        s = more
    return s + lost if lost == lost else s


@kernel("r3 r3 r1 w3")
def few_rows_transposed(a, b, bias, out):
    """The same for b (n, P, K), which is read by its rows; a task is one row of out."""
    n, M, P = out.shape
    for task in numba.prange(n * M):
        i, m = task // M, task % M
        copy_row(bias, out[i, m])
        for j in range(P):
            if b.shape[2] > DEPTH:
                out[i, m, j] += long_dot(a[i, m], b[i, j])
            else:
                out[i, m, j] += dot(a[i, m], b[i, j])


def matmul(a: Array, b: Array, bias: Array | None, packings: Packings | None, out: Array) -> None:
    """a (M, K), b (K, P), bias (P,) -> out (M, P), or n of them with one bias."""
    if out.ndim == 2:
        a, b, out = a[None], b[None], out[None]
    if bias is None:
        bias = np.empty(0, out.dtype)
    alone = out.size * a.shape[2] < FEW
    transposed = b.transpose(0, 2, 1)
    if out.shape[1] < 4 and a.flags.c_contiguous and b.flags.c_contiguous:
        few_rows(a, b, bias, out, alone=alone)
    elif out.shape[1] < 4 and a.flags.c_contiguous and transposed.flags.c_contiguous:
        few_rows_transposed(a, transposed, bias, out, alone=alone)
    else:
        product(a, b, bias, out, alone=alone)
