"""One step of a GRU and of an LSTM from both of its sums, gx = x W_ih^T + b_ih and
gh = h W_hh^T + b_hh. With s the sigmoid, and the parts of the sums named after their gates,

    GRU    r = s(gx_r + gh_r)   z = s(gx_z + gh_z)   n = tanh(gx_n + r gh_n)   h' = (1 - z) n + z h
    LSTM   i, f, o = s(gx + gh)   g = tanh(gx_g + gh_g)   c' = f c + i g   h' = o tanh(c')

gru.py and lstm.py go through all of time and have the gradients.
"""

import numpy as np

from tinyattn.kernels._types import Array


@np.errstate(all="ignore")
def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def gru_gates(gx: Array, gh: Array, h: Array, out: Array) -> None:
    """gx, gh (N, 3H) in the order r, z, n, h (N, H) -> out (N, H)."""
    H = h.shape[1]
    r, z = sigmoid(gx[:, :H] + gh[:, :H]), sigmoid(gx[:, H : 2 * H] + gh[:, H : 2 * H])
    n = np.tanh(gx[:, 2 * H :] + r * gh[:, 2 * H :])
    out[...] = (1 - z) * n + z * h


def lstm_gates(gx: Array, gh: Array, c: Array, out: Array, c_n: Array) -> None:
    """gx, gh (N, 4H) in the order i, f, g, o, c (N, H) -> h in out (N, H), and c_n (N, H)."""
    H = c.shape[1]
    i, f, g, o = ((gx + gh)[:, k * H : (k + 1) * H] for k in range(4))
    c_n[...] = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    out[...] = sigmoid(o) * np.tanh(c_n)
