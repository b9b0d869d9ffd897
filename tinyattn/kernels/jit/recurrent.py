"""What the recurrent kernels share: packed weights, the product of a step forwards and backwards.

Rows never meet, so each thread takes a block of rows through all of time. The recurrent weights are
packed once (and kept with their owner). Look first at `forward_sums`.
"""

import numba
import numpy as np

from tinyattn.kernels._types import Array, Packings
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel
from tinyattn.kernels.jit.matmul import TASKS, WIDTH, copy_row, pack, rounded, tile
from tinyattn.kernels.jit.vmath import exp


@kernel("v2 w1")
def pack_all(b, panels):
    """b (K, P) into panels, one after another; a task is one panel."""
    K, P = b.shape
    for panel in numba.prange((P + WIDTH - 1) // WIDTH):
        at = panel * WIDTH
        pack(b[:, at : at + WIDTH], panels[at * K :])


def packed(b: Array, key: str, packings: Packings | None) -> Array:
    """b (K, P) in panels of (K, WIDTH), from packings if they are there."""
    panels: Array | None = None if packings is None else packings.get(("numba", key))
    if panels is None:
        K, P = b.shape
        panels = np.empty(-(-P // WIDTH) * K * WIDTH, b.dtype)
        pack_all(b, panels, alone=K * P < SMALL)
        if packings is not None:
            packings["numba", key] = panels
    return panels


@exact
def first_rows(batch_sizes):
    """The row of the packed batch at which each time step starts."""
    starts = np.zeros(len(batch_sizes), np.int64)
    for t in range(1, len(batch_sizes)):
        starts[t] = starts[t - 1] + batch_sizes[t - 1]
    return starts


@exact
def rows_per_task(B):
    """The rows of a task: at least 16, so that four tiles use a panel while the processor's cache
    holds it."""
    return max(16, ((B + TASKS - 1) // TASKS + 3) // 4 * 4)


@exact
def sigmoid_sum(a, b, out):
    """out = sigmoid(a + b)."""
    one = out.dtype.type(1)
    for j in range(len(out)):
        out[j] = one / (one + exp(-(a[j] + b[j])))


@exact
def add_row(a, out):
    """out += a."""
    for j in range(len(out)):
        out[j] += a[j]


@exact
def forward_sums(h, panels, b_hh, begin, stop, gh, acc):
    """gh[m - begin] = h[m] W_hh^T + b_hh for the rows begin..stop; acc (4 * WIDTH) to work in."""
    H = h.shape[1]
    for p0 in range(0, gh.shape[1], WIDTH):
        columns = min(WIDTH, gh.shape[1] - p0)
        for m in range(begin, stop, 4):
            last = stop - 1
            for r in range(4):
                copy_row(b_hh[p0 : p0 + columns], acc[r * WIDTH : (r + 1) * WIDTH])
            tile(
                h, m, min(m + 1, last), min(m + 2, last), min(m + 3, last),
                0, H, panels[p0 * H :], rounded(columns), acc,
            )  # fmt: skip
            for r in range(min(4, stop - m)):
                copy_row(acc[r * WIDTH :], gh[m - begin + r, p0 : p0 + columns])


@exact
def backward_product(d, start, panels, begin, stop, dh, acc):
    """dh[m] += d[start + m] W_hh for the rows begin..stop."""
    H, K = dh.shape[1], d.shape[1]
    for p0 in range(0, H, WIDTH):
        columns = min(WIDTH, H - p0)
        for m in range(begin, stop, 4):
            i, last = start + m, start + stop - 1
            rows = min(4, stop - m)
            for r in range(rows):
                copy_row(dh[m + r, p0 : p0 + columns], acc[r * WIDTH : (r + 1) * WIDTH])
            tile(
                d, i, min(i + 1, last), min(i + 2, last), min(i + 3, last),
                0, K, panels[p0 * K :], rounded(columns), acc,
            )  # fmt: skip
            for r in range(rows):
                copy_row(acc[r * WIDTH :], dh[m + r, p0 : p0 + columns])
