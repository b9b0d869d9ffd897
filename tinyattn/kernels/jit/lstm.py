"""The LSTM over a packed batch, in Numba. It is built as the GRU in gru.py, which is the one to
read first; the products of a time step stand in recurrent.py. Look first at `gates`."""

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
def gates(gx, gh, c, y, h, saved):
    """One row: gx (4H,), gh (4H,), c (H,) -> y (H,), saved (5H,); h becomes y and c the new cell
    state.
    """
    H = len(h)
    i, f, g, o = saved[:H], saved[H : 2 * H], saved[2 * H : 3 * H], saved[3 * H : 4 * H]
    gx_g, gh_g, new = gx[2 * H : 3 * H], gh[2 * H : 3 * H], saved[4 * H :]
    sigmoid_sum(gx[:H], gh[:H], i)
    sigmoid_sum(gx[H : 2 * H], gh[H : 2 * H], f)
    sigmoid_sum(gx[3 * H :], gh[3 * H :], o)
    for j in range(H):
        g[j] = tanh(gx_g[j] + gh_g[j])
    for j in range(H):
        c[j] = f[j] * c[j] + i[j] * g[j]
    for j in range(H):
        new[j] = c[j]
    for j in range(H):
        y[j] = o[j] * tanh(c[j])
    for j in range(H):
        h[j] = y[j]


@exact
def forward_rows(gx, panels, b_hh, batch_sizes, starts, reverse, begin, end, y, h, c, saved):
    """Rows begin..end of the batch through all of time; h and c start as h0 and c0 and end as h_n
    and c_n.
    """
    H = h.shape[1]
    T = len(batch_sizes)
    gh = np.empty((end - begin, 4 * H), h.dtype)
    acc = np.zeros(4 * WIDTH, h.dtype)
    for step in range(T):
        t = T - 1 - step if reverse else step
        stop = min(end, batch_sizes[t])
        forward_sums(h, panels, b_hh, begin, stop, gh, acc)
        for m in range(begin, stop):
            i = starts[t] + m
            gates(gx[i], gh[m - begin], c[m], y[i], h[m], saved[i])


@kernel("r2 r1 r1 i1 bool w2 w2 w2 w2")
def forward(gx, panels, b_hh, batch_sizes, reverse, y, h, c, saved):
    """The forward kernel; h and c start as h0 and c0 and end as h_n and c_n. A task is a block of
    rows."""
    B = len(h)
    starts = first_rows(batch_sizes)
    rows = rows_per_task(B)
    tasks = (B + rows - 1) // rows
    for task in numba.prange(tasks):
        begin, end = task * rows, min(task * rows + rows, B)
        forward_rows(gx, panels, b_hh, batch_sizes, starts, reverse, begin, end, y, h, c, saved)


@exact
def gates_backward(dh, dc, saved, c, d):
    """One row: dh, dc (H,), saved (5H,), c (H,) the cell state before -> d (4H,); dc becomes the
    gradient at c, dh zero.
    """
    H = len(dh)
    one = dh.dtype.type(1)
    i, f, g, o = saved[:H], saved[H : 2 * H], saved[2 * H : 3 * H], saved[3 * H : 4 * H]
    new = saved[4 * H :]
    di, df, dg, do = d[:H], d[H : 2 * H], d[2 * H : 3 * H], d[3 * H :]
    for j in range(H):
        di[j] = tanh(new[j])
    for j in range(H):
        do[j] = dh[j] * di[j] * o[j] * (one - o[j])
    for j in range(H):
        dc[j] = dc[j] + dh[j] * o[j] * (one - di[j] * di[j])
    for j in range(H):
        di[j] = dc[j] * g[j] * i[j] * (one - i[j])
    for j in range(H):
        df[j] = dc[j] * c[j] * f[j] * (one - f[j])
    for j in range(H):
        dg[j] = dc[j] * i[j] * (one - g[j] * g[j])
    for j in range(H):
        dc[j] = dc[j] * f[j]
    for j in range(H):
        dh[j] = 0


@exact
def backward_rows(dy, saved, c0, panels, batch_sizes, starts, reverse, begin, end, dgates, dh, dc):
    """Rows begin..end of the batch; dh and dc start as dh_n and dc_n and end as dh0 and dc0."""
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
            c = saved[starts[before] + m, 4 * H :] if m < continued else c0[m]
            gates_backward(dh[m], dc[m], saved[i], c, dgates[i])
        backward_product(dgates, starts[t], panels, begin, stop, dh, acc)


@kernel("r2 r2 r2 r1 i1 bool w2 w2 w2")
def backward(dy, saved, c0, panels, batch_sizes, reverse, dgates, dh, dc):
    """The backward kernel; dh and dc start as dh_n and dc_n and end as dh0 and dc0. A task is a
    block of rows."""
    B = len(dh)
    starts = first_rows(batch_sizes)
    rows = rows_per_task(B)
    tasks = (B + rows - 1) // rows
    for task in numba.prange(tasks):
        begin, end = task * rows, min(task * rows + rows, B)
        backward_rows(
            dy, saved, c0, panels, batch_sizes, starts, reverse, begin, end, dgates, dh, dc
        )


def lstm(
    gx: Array,
    h0: Array,
    c0: Array,
    layer: Recurrence,
    y: Array,
    h_n: Array,
    c_n: Array,
    saved: Array,
) -> None:
    """gx (N, 4H), h0, c0 (B, H) -> y (N, H), h_n, c_n (B, H), saved (N, 5H)."""
    h_n[:], c_n[:] = h0, c0
    w_hh, b_hh, batch_sizes, reverse, packings = layer
    panels = packed(w_hh.T, "recurrent", packings)
    bias: Any = np.empty(0, gx.dtype) if b_hh is None else b_hh
    alone = gx.size * w_hh.shape[1] < FEW
    forward(gx, panels, bias, batch_sizes, reverse, y, h_n, c_n, saved, alone=alone)


def lstm_backward(
    dy: Array | None,
    dh_n: Array | None,
    dc_n: Array | None,
    saved: Array,
    c0: Array,
    layer: Recurrence,
    dgates: Array,
    dh0: Array,
    dc0: Array,
) -> None:
    """dy (N, H), dh_n, dc_n (B, H) and lstm's own arrays -> dgates (N, 4H), dh0, dc0 (B,
    H).
    """
    dh0[:] = 0 if dh_n is None else dh_n
    dc0[:] = 0 if dc_n is None else dc_n
    w_hh, _, batch_sizes, reverse, packings = layer
    panels = packed(w_hh, "recurrent backward", packings)
    given = np.empty((0, 0), saved.dtype) if dy is None else dy
    alone = saved.size * c0.shape[1] < FEW
    backward(given, saved, c0, panels, batch_sizes, reverse, dgates, dh0, dc0, alone=alone)
