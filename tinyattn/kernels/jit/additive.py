"""Additive attention scores. The forward kernel computes one query at a time; the backward kernel
computes one block of columns of one batch at a time, each with its own share of v's gradient.
"""

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, kernel, sums
from tinyattn.kernels.jit.vmath import tanh

COLUMNS = 64
KEYS, QUERIES = 64, 16  # terms of a sum that are added in their own type, before float64's totals


@sums
def scores_of_query(q, k, v, out):
    """q (H,), k (Tk, H), v (H,) -> out (Tk,), the scores of one query."""
    for j in range(len(k)):
        key = k[j]
        total = v.dtype.type(0)
        for h in range(len(v)):
            total += v[h] * tanh(q[h] + key[h])
        out[j] = total


@kernel("r3 r3 r1 w3")
def forward(q, k, v, out):
    """q (B, Tq, H), k (B, Tk, H), v (H,) -> out (B, Tq, Tk); a task is one query."""
    B, Tq = q.shape[0], q.shape[1]
    for row in numba.prange(B * Tq):
        b, i = row // Tq, row % Tq
        scores_of_query(q[b, i], k[b], v, out[b, i])


@sums
def move(few, totals):
    """Add few (H,) to totals (H,) in float64, and set few to zero."""
    for h in range(len(few)):
        totals[h] += few[h]
        few[h] = 0


@sums
def backward_columns(grad, q, k, v, begin, end, dq, dk, dv):
    """Columns begin..end of the gradients of one batch: grad (Tq, Tk), q (Tq, H), k (Tk, H), v (H,)
    -> dq, dk of their shapes, dv (H,) in float64."""
    one = v.dtype.type(1)
    v, dv = v[begin:end], dv[begin:end]
    t = np.empty_like(v)  # a loop that writes several arrays would not vectorise
    of_row = np.empty_like(v)
    of_q = np.empty_like(v)
    dk[:, begin:end] = 0
    dv[:] = 0
    H = len(v)
    totals_of_k = np.zeros((len(k) if len(q) > QUERIES else 0, H))
    totals_of_q = np.empty(H)
    for i in range(len(q)):
        query, into = q[i][begin:end], dq[i][begin:end]
        totals_of_q[:] = 0
        of_q[:] = 0
        of_row[:] = 0
        for j in range(len(k)):
            key, into_key = k[j][begin:end], dk[j][begin:end]
            g = grad[i, j]
            for h in range(len(v)):
                t[h] = tanh(query[h] + key[h])
            for h in range(len(v)):
                of_row[h] += g * t[h]
            for h in range(len(v)):
                t[h] = g * v[h] * (one - t[h] * t[h])
            for h in range(len(v)):
                of_q[h] += t[h]
            for h in range(len(v)):
                into_key[h] += t[h]
            if j % KEYS == KEYS - 1 or j + 1 == len(k):
                move(of_q, totals_of_q)
                move(of_row, dv)
        into[:] = totals_of_q
        if len(q) > QUERIES and (i % QUERIES == QUERIES - 1 or i + 1 == len(q)):
            for j in range(len(k)):
                move(dk[j][begin:end], totals_of_k[j])
    if len(q) > QUERIES:
        for j in range(len(k)):
            dk[j][begin:end] = totals_of_k[j]


@kernel("r3 r3 r3 r1 w3 w3 w1")
def backward(grad, q, k, v, dq, dk, dv):
    """The gradients of all batches; a task is COLUMNS columns of one batch. The shares of dv are
    added at the end, in order."""
    B, H = len(q), len(v)
    blocks = (H + COLUMNS - 1) // COLUMNS
    dvs = np.empty((B, H))  # float64, so that sums over many rows do not drift
    for task in numba.prange(B * blocks):
        b, h = task // blocks, task % blocks * COLUMNS
        end = min(h + COLUMNS, H)
        backward_columns(grad[b], q[b], k[b], v, h, end, dq[b], dk[b], dvs[b])
    for h in range(H):
        total = 0.0
        for b in range(B):
            total += dvs[b, h]
        dv[h] = total


def additive(q: Array, k: Array, v: Array, out: Array) -> None:
    """q (B, Tq, H), k (B, Tk, H), v (H,) -> out (B, Tq, Tk)."""
    forward(q, k, v, out, alone=out.size * len(v) < SMALL)


def additive_backward(
    grad: Array, q: Array, k: Array, v: Array, dq: Array, dk: Array, dv: Array
) -> None:
    """grad (B, Tq, Tk), q (B, Tq, H), k (B, Tk, H), v (H,) -> dq, dk, dv of their shapes."""
    backward(grad, q, k, v, dq, dk, dv, alone=grad.size * len(v) < SMALL)
