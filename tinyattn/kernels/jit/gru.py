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
from tinyattn.kernels.jit.matmul import FEW, TASKS, WIDTH, copy_row, pack, rounded, tile
from tinyattn.kernels.jit.vmath import exp, tanh


@kernel("v2 w1")
def pack_all(b, panels):
    K, P = b.shape
    for part in numba.prange((P + WIDTH - 1) // WIDTH):
        at = part * WIDTH
        pack(b[:, at : at + WIDTH], panels[at * K :])


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
def sigmoid_sum(a, b, out):
    one = out.dtype.type(1)
    for j in range(len(out)):
        out[j] = one / (one + exp(-(a[j] + b[j])))


@exact
def gates(gx, gh, h, y, saved):
    """One row: gx (3H,), gh (3H,), h (H,) -> y (H,), saved (4H,); h becomes y."""
    H = len(h)
    one = h.dtype.type(1)
    r, z, n, hn = saved[:H], saved[H : 2 * H], saved[2 * H : 3 * H], saved[3 * H :]
    gx_n, gh_n = gx[2 * H :], gh[2 * H :]
    sigmoid_sum(gx[:H], gh[:H], r)
    sigmoid_sum(gx[H : 2 * H], gh[H : 2 * H], z)
    for j in range(H):
        hn[j] = gh_n[j]
    for j in range(H):
        n[j] = tanh(gx_n[j] + r[j] * hn[j])
    for j in range(H):
        y[j] = (one - z[j]) * n[j] + z[j] * h[j]
    for j in range(H):
        h[j] = y[j]


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
                    copy_row(b_hh[p0 : p0 + columns], acc[r * WIDTH : (r + 1) * WIDTH])
                tile(
                    h, m, min(m + 1, last), min(m + 2, last), min(m + 3, last),
                    0, H, panels[p0 * H :], rounded(columns), acc,
                )  # fmt: skip
                for r in range(min(4, stop - m)):
                    copy_row(acc[r * WIDTH :], gh[m - begin + r, p0 : p0 + columns])
        for m in range(begin, stop):
            i = starts[t] + m
            gates(gx[i], gh[m - begin], h[m], y[i], saved[i])


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
def gates_backward(dh, saved, h, dgx, dgh):
    """One row: dh (H,), saved (4H,), h (H,) the state before -> dgx (3H,), dgh (3H,)."""
    H = len(h)
    one = h.dtype.type(1)
    r, z, n, hn = saved[:H], saved[H : 2 * H], saved[2 * H : 3 * H], saved[3 * H :]
    dr, dz, dn, dhn = dgx[:H], dgx[H : 2 * H], dgx[2 * H :], dgh[2 * H :]
    for j in range(H):
        dn[j] = dh[j] * (one - z[j]) * (one - n[j] * n[j])
    for j in range(H):
        dz[j] = dh[j] * (h[j] - n[j]) * z[j] * (one - z[j])
    for j in range(H):
        dr[j] = dn[j] * hn[j] * r[j] * (one - r[j])
    for j in range(2 * H):
        dgh[j] = dgx[j]
    for j in range(H):
        dhn[j] = dn[j] * r[j]


@exact
def add_row(a, out):
    for j in range(len(out)):
        out[j] += a[j]


@exact
def add_product(z, product, out):
    """out = out * z + product."""
    for j in range(len(out)):
        out[j] = out[j] * z[j] + product[j]


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
                add_row(dy[i], dh[m])
            h = y[starts[before] + m] if m < continued else h0[m]
            gates_backward(dh[m], saved[i], h, dgx[i], dgh[i])
        for p0 in range(0, H, WIDTH):
            columns = min(WIDTH, H - p0)
            for m in range(begin, stop, 4):
                i, last = starts[t] + m, starts[t] + stop - 1
                acc[:] = 0
                tile(
                    dgh, i, min(i + 1, last), min(i + 2, last), min(i + 3, last),
                    0, 3 * H, panels[p0 * 3 * H :], rounded(columns), acc,
                )  # fmt: skip
                for r in range(min(4, stop - m)):
                    z = saved[i + r, H + p0 : H + p0 + columns]
                    add_product(z, acc[r * WIDTH :], dh[m + r, p0 : p0 + columns])


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
