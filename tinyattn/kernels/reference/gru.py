"""A gated recurrent unit (Cho et al. 2014, in the form of cuDNN and PyTorch) over a packed batch.

Rows of one time step stand together, longest sequences first: step t is the rows start[t] ...
start[t] + n - 1 with n = batch_sizes[t], and row b of one step continues row b of the step before.
For each step, with s = sigmoid:

    r  = s(gx_r + W_hr h + b_hr)        how much of the past the candidate sees
    z  = s(gx_z + W_hz h + b_hz)        how much of the past stays
    hn = W_hn h + b_hn
    n  = tanh(gx_n + r hn)              the candidate
    h' = (1 - z) n + z h

Backward, from the gradient dh' at h' (s' = s(1 - s), tanh' = 1 - tanh^2), at the sums inside the
three gates:

    dn = dh' (1 - z) (1 - n^2)
    dz = dh' (h - n) z (1 - z)
    dr = dn hn r (1 - r)

gx enters n directly and the hidden side enters it through r, so dgx = [dr, dz, dn] but dgh = [dr,
dz, dn r]. Then

    dh = dh' z + dgh W_hh

goes to the step before. (The gradients of the weights are products of dgh and the states: the
operation's work.)
"""

import numpy as np

from tinyattn.kernels._types import Array, Recurrence


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x); e^-x may overflow to infinity, whose reciprocal is the right answer, 0."""
    return 1 / (1 + np.exp(-x))


def steps(layer: Recurrence) -> list[tuple[int, int]]:
    """(first row, number of rows) of each step, in the order in which the recurrence runs."""
    starts = np.cumsum(layer.batch_sizes) - layer.batch_sizes
    pairs = list(zip(starts.tolist(), layer.batch_sizes.tolist(), strict=True))
    return pairs[::-1] if layer.reverse else pairs


@np.errstate(all="ignore")
def gru(
    gx: Array,
    h0: Array,
    layer: Recurrence,
    y: Array,
    h_n: Array,
    saved: Array,
) -> None:
    """gx (N, 3H), h0 (B, H) -> y (N, H), h_n (B, H), saved (N, 4H) = [r | z | n | hn]."""
    H = h0.shape[1]
    h_n[:] = h0  # the current state of every row; in the end the last one
    for start, count in steps(layer):
        rows = slice(start, start + count)
        h = h_n[:count]
        gh = h @ layer.w_hh.T
        if layer.b_hh is not None:
            gh += layer.b_hh
        hn = gh[:, 2 * H :]
        r = sigmoid(gx[rows, :H] + gh[:, :H])
        z = sigmoid(gx[rows, H : 2 * H] + gh[:, H : 2 * H])
        n = np.tanh(gx[rows, 2 * H :] + r * hn)
        h[:] = (1 - z) * n + z * h
        y[rows] = h
        saved[rows] = np.concatenate([r, z, n, hn], axis=1)


@np.errstate(all="ignore")
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
    dh0[:] = 0 if dh_n is None else dh_n  # dL/dh of every row so far; in the end at h0
    order = steps(layer)
    for i in reversed(range(len(order))):
        start, count = order[i]
        rows = slice(start, start + count)
        # Rows that began before this step continue the step before; the others began with h0.
        h = h0[:count].copy()
        if i > 0:
            before, common = order[i - 1][0], min(count, order[i - 1][1])
            h[:common] = y[before : before + common]
        r, z, n, hn = np.split(saved[rows], 4, axis=1)

        dh = dh0[:count]
        if dy is not None:
            dh += dy[rows]
        dn = dh * (1 - z) * (1 - n * n)
        dz = dh * (h - n) * z * (1 - z)
        dr = dn * hn * r * (1 - r)
        dgx[rows] = np.concatenate([dr, dz, dn], axis=1)
        dgh[rows] = np.concatenate([dr, dz, dn * r], axis=1)
        dh[:] = dh * z + dgh[rows] @ layer.w_hh
