"""Softmax and its logarithm along the last axis, with their gradients.

Softmax, with m = max(x) so that no exponential overflows (the factor e^-m cancels):

    y_i = e^(x_i - m) / sum_j e^(x_j - m)

Its derivative is dy_i/dx_j = y_i ([i = j] - y_j), so for a gradient g at y

    dx_j = sum_i g_i y_i ([i = j] - y_j) = y_j (g_j - sum_i g_i y_i).

The logarithm, l_i = (x_i - m) - log sum_j e^(x_j - m), has dl_i/dx_j = [i = j] - e^(l_j), so

    dx_j = g_j - e^(l_j) sum_i g_i.
"""

import numpy as np

from tinyattn.kernels._types import Array


@np.errstate(all="ignore")
def softmax(x: Array, mask: Array | None, out: Array) -> None:
    """x (N, n), mask (N, n) bool with True = attend -> out (N, n)."""
    if mask is not None:
        x = np.where(mask, x, -np.inf)
    top = x.max(axis=1, keepdims=True, initial=-np.inf)
    np.exp(x - top, out=out)
    out /= out.sum(axis=1, keepdims=True)
    if mask is not None:
        out[~mask.any(axis=1)] = 0


@np.errstate(all="ignore")
def softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) -> out (N, n)."""
    dot = (grad * y).sum(axis=1, keepdims=True)
    np.multiply(y, grad - dot, out=out)


@np.errstate(all="ignore")
def log_softmax(x: Array, out: Array) -> None:
    """x (N, n) -> out (N, n)."""
    shifted = x - x.max(axis=1, keepdims=True, initial=-np.inf)
    np.subtract(shifted, np.log(np.exp(shifted).sum(axis=1, keepdims=True)), out=out)


@np.errstate(all="ignore")
def log_softmax_backward(y: Array, grad: Array, out: Array) -> None:
    """y, grad (N, n) -> out (N, n)."""
    np.subtract(grad, np.exp(y) * grad.sum(axis=1, keepdims=True), out=out)
