"""Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000)
over a packed batch; the layout is that of gru.py.

For each step, with s = sigmoid and the sums a = gx + W_hh h + b_hh:

    i = s(a_i)          how much of the candidate is written
    f = s(a_f)          how much of the past stays
    g = tanh(a_g)       the candidate
    o = s(a_o)          how much of the cell is shown
    c' = f c + i g
    h' = o tanh c'

Backward, from the gradients dh' at h' and dc' at c' (s' = s(1 - s), tanh' = 1 - tanh^2):

    dc' = dc' + dh' o (1 - tanh^2 c')        c' is seen through h' and by the next step
    da = [dc' g i (1 - i), dc' c f (1 - f), dc' i (1 - g^2), dh' tanh(c') o (1 - o)]
    dc = dc' f,   dh = da W_hh               go to the step before

gx and the hidden side enter the same sums, so da is the gradient at both. (The gradients of the
weights are products of da and the states: the operation's work.)
"""

import numpy as np

from tinyattn.kernels._types import Array, Recurrence
from tinyattn.kernels.reference.gru import sigmoid, steps


@np.errstate(all="ignore")
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
    """gx (N, 4H), h0, c0 (B, H) -> y (N, H), h_n, c_n (B, H), saved (N, 5H) = [i | f | g | o | c']

    with c' the cell state after the step."""
    h_n[:], c_n[:] = h0, c0  # the current states of every row; in the end the last ones
    for start, count in steps(layer):
        rows = slice(start, start + count)
        h, c = h_n[:count], c_n[:count]
        gh = h @ layer.w_hh.T
        if layer.b_hh is not None:
            gh += layer.b_hh
        a_i, a_f, a_g, a_o = np.split(gx[rows] + gh, 4, axis=1)
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
        c[:] = f * c + i * g
        h[:] = o * np.tanh(c)
        y[rows] = h
        saved[rows] = np.concatenate([i, f, g, o, c], axis=1)


@np.errstate(all="ignore")
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
    H = c0.shape[1]
    dh0[:] = 0 if dh_n is None else dh_n  # the gradients at the states of every row; in the end
    dc0[:] = 0 if dc_n is None else dc_n  # at h0 and c0
    order = steps(layer)
    for at in reversed(range(len(order))):
        start, count = order[at]
        rows = slice(start, start + count)
        # Rows that began before this step continue the step before; the others began with c0.
        c = c0[:count].copy()
        if at > 0:
            before, common = order[at - 1][0], min(count, order[at - 1][1])
            c[:common] = saved[before : before + common, 4 * H :]
        i, f, g, o, new = np.split(saved[rows], 5, axis=1)

        dh, dc = dh0[:count], dc0[:count]
        if dy is not None:
            dh += dy[rows]
        t = np.tanh(new)
        dc += dh * o * (1 - t * t)
        dgates[rows] = np.concatenate(
            [
                dc * g * i * (1 - i),
                dc * c * f * (1 - f),
                dc * i * (1 - g * g),
                dh * t * o * (1 - o),
            ],
            axis=1,
        )
        dc *= f
        dh[:] = dgates[rows] @ layer.w_hh
