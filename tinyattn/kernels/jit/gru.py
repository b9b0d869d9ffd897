"""The GRU over a packed batch: rows never meet, so each thread takes a block of rows through all of
time.

Look first at `forward_rows`. The recurrent weights are packed once (and kept in the cache of their
owner); the loops over the gates are short and many because LLVM vectorises only what touches few
arrays at once.
"""

from typing import Any

import numba
import numpy as np

from tinyattn.kernels._types import Array, Cache
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel
from tinyattn.kernels.jit.matmul import FEW, TASKS, WIDTH, pack, rounded, tile
from tinyattn.kernels.jit.vmath import exp, tanh


@kernel("v2 w1")
def pack_all(b, panels):
    K, P = b.shape
    for part in numba.prange((P + WIDTH - 1) // WIDTH):
        columns = min(WIDTH, P - part * WIDTH)
        pack(b, 0, K, part * WIDTH, columns, rounded(columns), panels, part * K * WIDTH)


def packed(b: Array, key: str, cache: Cache | None) -> Array:
    """b (K, P) in panels of (K, WIDTH), from the cache where it holds them."""
    panels: Array | None = None if cache is None else cache.get(("numba", key))
    if panels is None:
        K, P = b.shape
        panels = np.empty(-(-P // WIDTH) * K * WIDTH, b.dtype)
        pack_all(b, panels, alone=K * P < SMALL)
        if cache is not None:
            cache["numba", key] = panels
    return panels


@exact
def first_rows(batch_sizes):
    starts = np.zeros(len(batch_sizes), np.int64)
    for t in range(1, len(batch_sizes)):
        starts[t] = starts[t - 1] + batch_sizes[t - 1]
    return starts


@exact
def rows_per_task(B):
    """At least 16, so that a panel serves four tiles while it is in the cache."""
    return max(16, ((B + TASKS - 1) // TASKS + 3) // 4 * 4)


@exact
def sigmoid_sum(a, i, at, b, k, width, out, to):
    one = out.dtype.type(1)
    for j in range(width):
        out[i, to + j] = one / (one + exp(-(a[i, at + j] + b[k, at + j])))


@exact
def gates(gx, i, gh, k, h, m, y, saved):
    """Row i of the packed layout, row m of the batch, row k of the block."""
    H = h.shape[1]
    one = h.dtype.type(1)
    sigmoid_sum(gx, i, 0, gh, k, H, saved, 0)
    sigmoid_sum(gx, i, H, gh, k, H, saved, H)
    for j in range(H):
        saved[i, 3 * H + j] = gh[k, 2 * H + j]
    for j in range(H):
        saved[i, 2 * H + j] = tanh(gx[i, 2 * H + j] + saved[i, j] * saved[i, 3 * H + j])
    for j in range(H):
        z = saved[i, H + j]
        y[i, j] = (one - z) * saved[i, 2 * H + j] + z * h[m, j]
    for j in range(H):
        h[m, j] = y[i, j]


@exact
def forward_rows(gx, panels, b_hh, batch_sizes, starts, reverse, begin, end, y, h, saved):
    """Rows begin..end of the batch through all of time; h starts as h0 and ends as h_n."""
    H = h.shape[1]
    T = len(batch_sizes)
    gh = np.empty((end - begin, 3 * H), h.dtype)
    acc = np.zeros(4 * WIDTH, h.dtype)
    for step in range(T):
        t = T - 1 - step if reverse else step
        stop = min(end, batch_sizes[t])
        for p0 in range(0, 3 * H, WIDTH):
            columns = min(WIDTH, 3 * H - p0)
            for m in range(begin, stop, 4):
                last = stop - 1
                for r in range(4):
                    for j in range(columns):
                        acc[r * WIDTH + j] = b_hh[p0 + j] if b_hh.size else 0
                tile(
                    h, m, min(m + 1, last), min(m + 2, last), min(m + 3, last),
                    0, H, panels, p0 * H, rounded(columns), acc,
                )  # fmt: skip
                for r in range(min(4, stop - m)):
                    for j in range(columns):
                        gh[m - begin + r, p0 + j] = acc[r * WIDTH + j]
        for m in range(begin, stop):
            gates(gx, starts[t] + m, gh, m - begin, h, m, y, saved)


@kernel("r2 r1 r1 i1 bool w2 w2 w2")
def forward(gx, panels, b_hh, batch_sizes, reverse, y, h, saved):
    B = len(h)
    starts = first_rows(batch_sizes)
    rows = rows_per_task(B)
    tasks = (B + rows - 1) // rows
    for task in numba.prange(tasks):
        begin, end = task * rows, min(task * rows + rows, B)
        forward_rows(gx, panels, b_hh, batch_sizes, starts, reverse, begin, end, y, h, saved)


@exact
def gates_backward(dh, m, saved, i, h, k, dgx, dgh):
    """Row i of the packed layout, row m of the batch; the state before is row k of h."""
    H = dh.shape[1]
    one = dh.dtype.type(1)
    for j in range(H):
        n = saved[i, 2 * H + j]
        dgx[i, 2 * H + j] = dh[m, j] * (one - saved[i, H + j]) * (one - n * n)
    for j in range(H):
        z = saved[i, H + j]
        dgx[i, H + j] = dh[m, j] * (h[k, j] - saved[i, 2 * H + j]) * z * (one - z)
    for j in range(H):
        r = saved[i, j]
        dgx[i, j] = dgx[i, 2 * H + j] * saved[i, 3 * H + j] * r * (one - r)
    for j in range(2 * H):
        dgh[i, j] = dgx[i, j]
    for j in range(H):
        dgh[i, 2 * H + j] = dgx[i, 2 * H + j] * saved[i, j]


@exact
def backward_rows(dy, saved, y, h0, panels, batch_sizes, starts, reverse, begin, end, dgx, dgh, dh):
    """Rows begin..end of the batch; dh starts as dh_n and ends as dh0."""
    H = dh.shape[1]
    T = len(batch_sizes)
    acc = np.zeros(4 * WIDTH, dh.dtype)
    for step in range(T):
        t = step if reverse else T - 1 - step
        before = t + 1 if reverse else t - 1
        continued = batch_sizes[before] if 0 <= before < T else 0
        stop = min(end, batch_sizes[t])
        for m in range(begin, stop):
            i = starts[t] + m
            if dy.size:
                for j in range(H):
                    dh[m, j] += dy[i, j]
            if m < continued:
                gates_backward(dh, m, saved, i, y, starts[before] + m, dgx, dgh)
            else:
                gates_backward(dh, m, saved, i, h0, m, dgx, dgh)
        for p0 in range(0, H, WIDTH):
            columns = min(WIDTH, H - p0)
            for m in range(begin, stop, 4):
                i, last = starts[t] + m, starts[t] + stop - 1
                acc[:] = 0
                tile(
                    dgh, i, min(i + 1, last), min(i + 2, last), min(i + 3, last),
                    0, 3 * H, panels, p0 * 3 * H, rounded(columns), acc,
                )  # fmt: skip
                for r in range(min(4, stop - m)):
                    for j in range(columns):
                        z = saved[i + r, H + p0 + j]
                        dh[m + r, p0 + j] = dh[m + r, p0 + j] * z + acc[r * WIDTH + j]


@kernel("r2 r2 r2 r2 r1 i1 bool w2 w2 w2")
def backward(dy, saved, y, h0, panels, batch_sizes, reverse, dgx, dgh, dh):
    B = len(dh)
    starts = first_rows(batch_sizes)
    rows = rows_per_task(B)
    tasks = (B + rows - 1) // rows
    for task in numba.prange(tasks):
        begin, end = task * rows, min(task * rows + rows, B)
        backward_rows(
            dy, saved, y, h0, panels, batch_sizes, starts, reverse, begin, end, dgx, dgh, dh
        )


def gru(
    gx: Array,
    h0: Array,
    w_hh: Array,
    b_hh: Array | None,
    batch_sizes: Array,
    reverse: bool,
    y: Array,
    h_n: Array,
    saved: Array,
    cache: Cache | None,
) -> None:
    """gx (N, 3H), h0 (B, H), w_hh (3H, H), b_hh (3H,) -> y (N, H), h_n (B, H), saved (N, 4H)."""
    h_n[:] = h0
    panels = packed(w_hh.T, "gru", cache)
    bias: Any = np.empty(0, gx.dtype) if b_hh is None else b_hh
    alone = gx.size * w_hh.shape[1] < FEW
    forward(gx, panels, bias, batch_sizes, reverse, y, h_n, saved, alone=alone)


def gru_backward(
    dy: Array | None,
    dh_n: Array | None,
    saved: Array,
    y: Array,
    h0: Array,
    w_hh: Array,
    batch_sizes: Array,
    reverse: bool,
    dgx: Array,
    dgh: Array,
    dh0: Array,
    cache: Cache | None,
) -> None:
    """dy (N, H), dh_n (B, H) and what gru had and saved -> dgx (N, 3H), dgh (N, 3H), dh0 (B, H)."""
    dh0[:] = 0 if dh_n is None else dh_n
    panels = packed(w_hh, "gru backward", cache)
    given = np.empty((0, 0), saved.dtype) if dy is None else dy
    alone = y.size * len(w_hh) < FEW
    backward(given, saved, y, h0, panels, batch_sizes, reverse, dgx, dgh, dh0, alone=alone)
