"""One step of a GRU and of an LSTM from both of its sums; see reference/gates.py."""

import numba

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel
from tinyattn.kernels.jit.vmath import exp, tanh


@exact
def sigmoid(x):
    return 1 / (1 + exp(-x))


@kernel("r2 r2 r2 w2")
def run_gru(gx, gh, h, out):
    """A row of (N, H) after another."""
    H = h.shape[1]
    for i in numba.prange(len(h)):
        for j in range(H):
            r = sigmoid(gx[i, j] + gh[i, j])
            z = sigmoid(gx[i, H + j] + gh[i, H + j])
            n = tanh(gx[i, 2 * H + j] + r * gh[i, 2 * H + j])
            out[i, j] = (1 - z) * n + z * h[i, j]


@kernel("r2 r2 r2 w2 w2")
def run_lstm(gx, gh, c, out, c_n):
    """A row of (N, H) after another."""
    H = c.shape[1]
    for k in numba.prange(len(c)):
        for j in range(H):
            i = sigmoid(gx[k, j] + gh[k, j])
            f = sigmoid(gx[k, H + j] + gh[k, H + j])
            g = tanh(gx[k, 2 * H + j] + gh[k, 2 * H + j])
            o = sigmoid(gx[k, 3 * H + j] + gh[k, 3 * H + j])
            c_n[k, j] = f * c[k, j] + i * g
            out[k, j] = o * tanh(c_n[k, j])


def gru_gates(gx: Array, gh: Array, h: Array, out: Array) -> None:
    """gx, gh (N, 3H), h (N, H) -> out (N, H)."""
    run_gru(gx, gh, h, out, alone=gx.size < SMALL)


def lstm_gates(gx: Array, gh: Array, c: Array, out: Array, c_n: Array) -> None:
    """gx, gh (N, 4H), c (N, H) -> out (N, H), c_n (N, H)."""
    run_lstm(gx, gh, c, out, c_n, alone=gx.size < SMALL)
