"""The GRU over a packed batch. Look first at `forward_rows`; what it shares with the LSTM is in
recurrent.py.

The loops over the gates are short and many because LLVM vectorises only what touches few arrays at
once.
"""

from typing import Any

import numba
import numpy as np

from tinyattn.kernels._types import Array, Recurrence
from tinyattn.kernels.jit.compiling import exact, kernel
from tinyattn.kernels.jit.matmul import FEW, WIDTH
from tinyattn.kernels.jit.recurrent import (
    add_row,
    backward_product,
    first_rows,
    forward_sums,
    packed,
    rows_per_task,
    sigmoid_sum,
)
from tinyattn.kernels.jit.vmath import tanh


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
        forward_sums(h, panels, b_hh, begin, stop, gh, acc)
        for m in range(begin, stop):
            i = starts[t] + m
            gates(gx[i], gh[m - begin], h[m], y[i], saved[i])


@kernel("r2 r1 r1 i1 bool w2 w2 w2")
def forward(gx, panels, b_hh, batch_sizes, reverse, y, h, saved):
    """The forward kernel; h (B, H) starts as h0 and ends as h_n. A task is a block of rows."""
    B = len(h)
    starts = first_rows(batch_sizes)
    rows = rows_per_task(B)
    tasks = (B + rows - 1) // rows
    for task in numba.prange(tasks):
        begin, end = task * rows, min(task * rows + rows, B)
        forward_rows(gx, panels, b_hh, batch_sizes, starts, reverse, begin, end, y, h, saved)


@exact
def gates_backward(dh, saved, h, dgx, dgh):
    """One row: dh (H,), saved (4H,), h (H,) the state before -> dgx (3H,), dgh (3H,); dh becomes
    what does not pass through the gates.
    """
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
    for j in range(H):
        dh[j] = dh[j] * z[j]


@exact
def backward_rows(dy, saved, y, h0, panels, batch_sizes, starts, reverse, begin, end, dgx, dgh, dh):
    """Rows begin..end of the batch; dh starts as dh_n and ends as dh0."""
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
        backward_product(dgh, starts[t], panels, begin, stop, dh, acc)


@kernel("r2 r2 r2 r2 r1 i1 bool w2 w2 w2")
def backward(dy, saved, y, h0, panels, batch_sizes, reverse, dgx, dgh, dh):
    """The backward kernel; dh (B, H) starts as dh_n and ends as dh0. A task is a block of rows."""
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
    layer: Recurrence,
    y: Array,
    h_n: Array,
    saved: Array,
) -> None:
    """gx (N, 3H), h0 (B, H) -> y (N, H), h_n (B, H), saved (N, 4H)."""
    h_n[:] = h0
    w_hh, b_hh, batch_sizes, reverse, packings = layer
    panels = packed(w_hh.T, "recurrent", packings)
    bias: Any = np.empty(0, gx.dtype) if b_hh is None else b_hh
    alone = gx.size * w_hh.shape[1] < FEW
    forward(gx, panels, bias, batch_sizes, reverse, y, h_n, saved, alone=alone)


def gru_backward(
    dy: Array | None,
    dh_n: Array | None,
    saved: Array,
    y: Array,
    h0: Array,
    layer: Recurrence,
    dgx: Array,
    dgh: Array,
    dh0: Array,
) -> None:
    """dy (N, H), dh_n (B, H) and gru's own arrays -> dgx (N, 3H), dgh (N, 3H), dh0 (B, H)."""
    dh0[:] = 0 if dh_n is None else dh_n
    w_hh, _, batch_sizes, reverse, packings = layer
    panels = packed(w_hh, "recurrent backward", packings)
    given = np.empty((0, 0), saved.dtype) if dy is None else dy
    alone = y.size * len(w_hh) < FEW
    backward(given, saved, y, h0, panels, batch_sizes, reverse, dgx, dgh, dh0, alone=alone)
